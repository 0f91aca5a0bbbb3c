//! `ocmt-cell`: the binary. The guard comes before anything that could hold a secret.

use std::{ffi::OsString, fs::File, io::Write as _, os::fd::AsFd as _, path::Path, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;
use ocmt_cell::{
    archive::AskedBy,
    cli::{ArchiveErrand, ArchiveOptions, Cli, Command, ConversationCommand, RunOptions},
    door,
};
use ocmt_crypto::{
    cell::{CellPlace, StartSecret},
    snapshot::Errand,
};
use ocmt_types::{Clock as _, SystemClock};
use zeroize::Zeroizing;

// Freed memory is wiped: prost, h2 and std::process::Command copy what passes through them, and
// after a lock none of it may be left.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(options) => run(options),
        Command::Archive(options) => archive(&options),
        Command::Terminal { argv } => return become_command(&argv),
        Command::Put { name } => return put(&name),
        Command::Conversation(ConversationCommand::Begin) => return print(door::begin, "conversation"),
        Command::Conversation(ConversationCommand::Ls) => {
            return print(door::conversations, "conversations");
        }
        Command::Conversation(ConversationCommand::Say { conversation, finish }) => {
            return print(|| door::say(&conversation, finish), "record");
        }
        Command::Token { provider } => return print(|| door::token(&provider), "token"),
        Command::Policy => return print(door::policy, "policy"),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "cell ended");
            ExitCode::FAILURE
        }
    }
}

/// What a shell answers when a command cannot be started.
const NOT_STARTED: u8 = 127;

fn become_command(argv: &[OsString]) -> ExitCode {
    let error = ocmt_cell::channels::become_command(argv);
    // this is the user's terminal: the message is for them
    let _ = writeln!(std::io::stderr(), "cannot start the command: {error}");
    ExitCode::from(NOT_STARTED)
}

fn put(name: &str) -> ExitCode {
    let sent =
        ocmt_cell::guard::guard_memory().map_err(|error| error.to_string()).and_then(|()| door::put(name));
    match sent {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "not stored: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What is asked for at the door.
fn print(ask: impl FnOnce() -> Result<Zeroizing<String>, String>, what: &str) -> ExitCode {
    let given = ocmt_cell::guard::guard_memory().map_err(|error| error.to_string()).and_then(|()| ask());
    let said = match given {
        Ok(text) => writeln!(std::io::stdout(), "{}", text.trim_end()).map(|()| ExitCode::SUCCESS),
        Err(why) => writeln!(std::io::stderr(), "no {what}: {why}").map(|()| ExitCode::FAILURE),
    };
    said.unwrap_or(ExitCode::FAILURE)
}

fn archive(options: &ArchiveOptions) -> anyhow::Result<()> {
    ocmt_cell::guard::guard_memory()?;
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_target(false).init();
    let secret = ocmt_cell::start_secret::read_from(std::io::stdin())?;
    let start = StartSecret::from_bytes(*secret.expose());
    let place =
        CellPlace { tenant: options.tenant, container: options.container, generation: options.generation };
    let asked = match options.errand {
        ArchiveErrand::Take => AskedBy::Client(Errand::Take),
        ArchiveErrand::Restore => AskedBy::Client(Errand::Restore),
        ArchiveErrand::Verify => AskedBy::Client(Errand::Verify),
        ArchiveErrand::Scheduled => AskedBy::Schedule,
    };
    // past the buffers of the standard library: the secret was read past them too
    let input = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let output = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let now = SystemClock.now();
    ocmt_cell::archive::run((place, asked), &start, now, Path::new("."), (input, output)).map_err(Into::into)
}

fn run(options: RunOptions) -> anyhow::Result<()> {
    if options.guards_memory() {
        ocmt_cell::guard::guard_memory()?;
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_target(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let outcome = runtime.block_on(ocmt_cell::run::run(options));
    // a read of standard input may still block its thread: nothing waits for it
    runtime.shutdown_background();
    outcome.map_err(Into::into)
}
