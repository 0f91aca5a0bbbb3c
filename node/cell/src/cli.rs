//! The command line. Nothing secret is ever on it: arguments are in the container's configuration.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use ocmt_types::{ContainerId, TenantId};

/// The gateway inside an OCMT container.
#[derive(Debug, Parser)]
#[command(name = "ocmt-cell", version = VERSION, about, long_about = None)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The version as shown; a build that can be told to leave its guard off says so.
const VERSION: &str = if cfg!(feature = "attack-test") {
    concat!(env!("CARGO_PKG_VERSION"), " (attack test build: never ship)")
} else {
    env!("CARGO_PKG_VERSION")
};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run as the container's first process: starts locked, reads the start secret (32 bytes) from
    /// standard input, serves the node, runs the workload.
    #[command(
        after_help = "Example:\n  ocmt-cell run --listen 0.0.0.0:7450 --tenant 2f6c… --container 9b1e… --generation 3 --workload-port 8080 -- /app/agent --serve"
    )]
    Run(RunOptions),
    /// Inside the container: send standard input to the vault of the container's user, as the entry NAME. It
    /// has to be one that the unlock may write; done when it is stored.
    #[command(
        after_help = "Example:\n  printf %s \"$TOKEN\" | \"$OCMT_CELL\" put oauth/calendar\n\nThe user files it with `ocmt vault inbox --file`. At most 64 KiB."
    )]
    Put {
        /// The entry's name.
        name: String,
    },
    /// Inside the container: write in conversations of the container's user. What is said is encrypted by the cell.
    #[command(subcommand)]
    Conversation(ConversationCommand),
    /// Print the token of a connection, renewed if it is about to end.
    #[command(
        after_help = "Example:\n  curl -H \"Authorization: Bearer $(\"$OCMT_CELL\" token github)\" https://api.github.com/user\n\nAsk for it each time: a token that was kept ends."
    )]
    Token {
        /// The provider, as the user's vault calls it.
        provider: String,
    },
    /// Print what the agents in this container may do, as the cell holds it: JSON.
    #[command(
        after_help = "Example:\n  \"$OCMT_CELL\" policy | jq .tools.deny\n\nThe same stands in the file that OCMT_AGENT_POLICY names, which the workload could change."
    )]
    Policy,
    /// Beside a container that does not run: seal its volume into a snapshot, or open one. A step of the node's own; all
    /// goes over standard input and output.
    #[command(hide = true)]
    Archive(ArchiveOptions),
    /// Take standard input as the controlling terminal and become the command: a step of the cell's own.
    #[command(hide = true)]
    Terminal {
        /// The command.
        #[arg(last = true, required = true)]
        argv: Vec<OsString>,
    },
}

/// `ocmt-cell conversation`
#[derive(Debug, Subcommand)]
pub enum ConversationCommand {
    /// Begin a conversation and print its id. The unlock has to allow it.
    #[command(
        after_help = "Example:\n  id=$(\"$OCMT_CELL\" conversation begin)\n\nIts user allows it with `ocmt container unlock --new-conversations`, at most 64 for each unlock."
    )]
    Begin,
    /// Send standard input as one record of a conversation; done when it is stored. Prints its sequence.
    #[command(
        after_help = "Examples:\n  echo 'good morning' | \"$OCMT_CELL\" conversation say \"$id\"\n  echo goodbye | \"$OCMT_CELL\" conversation say \"$id\" --finish    nothing can be added after it\n\nAt most 256 KiB. It has to be one that was begun here, or that `ocmt container unlock --conversation ID` named."
    )]
    Say {
        /// Which.
        conversation: String,
        /// It is the conversation's final record.
        #[arg(long)]
        finish: bool,
    },
    /// Print the ids of the conversations that can be written here.
    #[command(after_help = "Example:\n  \"$OCMT_CELL\" conversation ls")]
    Ls,
}

/// Options of `archive`.
#[derive(Debug, Clone, Args)]
pub struct ArchiveOptions {
    /// Tenant of the container.
    #[arg(long)]
    pub tenant: TenantId,
    /// Whose volume it is.
    #[arg(long)]
    pub container: ContainerId,
    /// Generation of the container.
    #[arg(long)]
    pub generation: u64,
    /// What to do with the volume.
    #[arg(long, value_enum)]
    pub errand: ArchiveErrand,
}

/// What to do with the volume, which is the working folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ArchiveErrand {
    /// Seal it.
    Take,
    /// Open a snapshot into it.
    Restore,
    /// Open a snapshot to its end.
    Verify,
    /// Seal it as its user's schedule says.
    Scheduled,
}

/// Options of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// Address the node reaches the cell at; port 0 takes a free one. The first line on standard
    /// output names it.
    #[arg(long)]
    pub listen: SocketAddr,
    /// Tenant this container belongs to.
    #[arg(long)]
    pub tenant: TenantId,
    /// This container.
    #[arg(long)]
    pub container: ContainerId,
    /// Generation of this container: grows each time it is made anew.
    #[arg(long)]
    pub generation: u64,
    /// Port on 127.0.0.1 that the workload serves; it is told by the variable PORT. The workload
    /// is ready when it accepts there.
    #[arg(long)]
    pub workload_port: Option<u16>,
    /// Start the workload at once, without secrets; an unlock starts it anew with them.
    #[arg(long)]
    pub start_locked: bool,
    /// Let the node carry the workload's own protocol in clear.
    #[arg(long, requires = "workload_port")]
    pub plain: bool,
    /// How long the workload may take to end after SIGTERM before it is killed, in milliseconds.
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u64).range(..=300_000))]
    pub stop_grace_ms: u64,
    /// The working folder lies in memory, and its content is sealed into this folder of the host.
    #[arg(long, value_name = "FOLDER")]
    pub sealed_at: Option<PathBuf>,
    /// How often it is sealed while the cell is unlocked, in milliseconds.
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub seal_every_ms: u64,
    /// Leave the memory readable: shows what the guard is worth. Not in a release.
    #[cfg(feature = "attack-test")]
    #[arg(long, hide = true)]
    pub no_memory_guard: bool,
    /// The workload: program and arguments; none for a cell that serves exec channels only.
    #[arg(last = true)]
    pub workload: Vec<OsString>,
}

impl RunOptions {
    /// [`Self::stop_grace_ms`] as a duration.
    pub fn stop_grace(&self) -> Duration {
        Duration::from_millis(self.stop_grace_ms)
    }

    /// Whether the memory is guarded: always, but in the build of the attack test.
    pub fn guards_memory(&self) -> bool {
        #[cfg(feature = "attack-test")]
        return !self.no_memory_guard;
        #[cfg(not(feature = "attack-test"))]
        true
    }
}
