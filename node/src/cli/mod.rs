//! The command line: what people type, and what they get to see.
//!
//! Results go to standard output (tables for people, `--json` for programs), messages to standard
//! error. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the node, 4 the node cannot be
//! reached; `container exec` exits with its program's.

mod accept;
mod account;
mod agent_policy;
mod alert;
mod api_key;
mod approve;
pub mod args;
mod audit;
mod audit_retention;
mod audit_stream;
mod cluster;
mod container;
mod container_volume;
mod context;
mod conversation;
#[cfg(test)]
mod documented;
mod egress;
mod email;
mod group;
mod group_vault;
mod guardian;
mod image;
mod inbox;
mod lost_mailbox;
mod manual;
mod mfa;
mod node;
mod oauth;
pub mod output;
mod pairing;
mod recovery;
mod recovery_stops;
mod recovery_who;
mod schedule;
mod secrets;
mod security;
mod security_alerts;
mod share;
mod show;
mod snapshot;
mod sso;
mod store;
mod streams;
mod telling;
mod tenant;
mod terminal;
mod transfer;
mod unlock_agent;
mod vault;

use std::process::ExitCode;

use clap::Parser as _;
use ocmt_client::ClientError;

use args::{Cli, Command, Global, TenantCommand};
use context::Context;

use crate::software::Software;

/// Exit code of a failure that is not one of the others.
const FAILED: u8 = 1;
/// Something that cannot work was asked for.
const USAGE: u8 = 2;
/// The node refused.
const REFUSED: u8 = 3;
/// The node cannot be reached.
const UNREACHABLE: u8 = 4;

/// Runs the command line of this process; nodes that it starts are `software`.
pub fn main(software: Software) -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = guard(&cli.command) {
        return output::failure(&anyhow::Error::new(error).context("cannot guard the memory"), FAILED);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failure(&anyhow::Error::new(error).context("cannot start"), FAILED),
    };
    let ended = runtime.block_on(run(cli, software));
    // a read of standard input cannot be cut short: do not wait for it
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(error) => {
            let code = exit_code(&error);
            output::failure(&error, code)
        }
    }
}

/// A command of a user has keys in its memory and shows it to nobody. A node has other people's ciphertext and
/// the cluster's keys: no core dump of it either, but `demo` looks for its marks in there, as the same user.
fn guard(command: &Command) -> std::io::Result<()> {
    match command {
        Command::Demo(_) | Command::Dev(_) | Command::Node(_) => ocmt_client::guard::without_core_dumps(),
        _ => ocmt_client::guard::guard_memory(),
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Refused(_)) => REFUSED,
        Some(ClientError::Connect { .. }) => UNREACHABLE,
        Some(ClientError::Usage(_)) => USAGE,
        _ => FAILED,
    }
}

async fn run(cli: Cli, software: Software) -> anyhow::Result<ExitCode> {
    let out = output::Output { json: cli.global.json };
    match cli.command {
        Command::Demo(args) => Box::pin(crate::demo::run(&args)).await,
        Command::Dev(args) => node::dev(&args, software).await,
        Command::Node(args) => node::node(&args, software).await,
        Command::Migrate(args) => store::migrate(&args, out).await,
        Command::Backup(args) => store::backup(&args, out).await,
        Command::Restore(args) => store::restore(&args, out).await,
        Command::Store(command) => store::run(&command, out).await,
        Command::Config(command) => node::config(&command),
        Command::Security(command) => Box::pin(security::run(&command, out)).await,
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { dir } => manual::pages(dir.as_deref()),
        Command::Cluster(command) => Box::pin(cluster::run(command, cli.global)).await,
        Command::Tenant(TenantCommand::Operated(command)) => {
            Box::pin(cluster::tenant(command, cli.global)).await
        }
        Command::Image(command) => image::run(&command, cli.global.json).await,
        command => Box::pin(user_command(command, cli.global)).await,
    }
}

/// What a user does, as whom the session says.
async fn user_command(command: Command, global: Global) -> anyhow::Result<ExitCode> {
    let context = Context::new(global)?;
    match command {
        Command::Login(args) => account::login(&context, args).await,
        Command::Logout => account::logout(&context).await,
        Command::Whoami => account::whoami(&context).await,
        Command::Sessions(command) => account::sessions(&context, command).await,
        Command::ApiKey(command) => api_key::run(&context, command).await,
        Command::Email(command) => email::run(&context, command).await,
        Command::Mfa(command) => mfa::run(&context, command).await,
        Command::StepUp(code) => mfa::step_up(&context, &code).await,
        Command::Tenant(command) => tenant::tenant(&context, command).await,
        Command::User(command) => tenant::user(&context, command).await,
        Command::Share(command) => Box::pin(share::run(&context, command)).await,
        Command::Approve(command) => Box::pin(approve::run(&context, command)).await,
        Command::Pairing(command) => pairing::run(&context, command).await,
        Command::Group(command) => group::run(&context, command).await,
        Command::Vault(command) => Box::pin(vault::run(&context, command)).await,
        Command::Conversation(command) => Box::pin(conversation::run(&context, command)).await,
        Command::Oauth(command) => Box::pin(oauth::run(&context, command)).await,
        Command::Container(command) => return Box::pin(container::run(&context, command)).await,
        Command::Schedule(command) => schedule::run(&context, command).await,
        Command::Snapshot(command) => Box::pin(snapshot::run(&context, command)).await,
        Command::UnlockAgent(args) => Box::pin(unlock_agent::run(&context, args)).await,
        Command::Recovery(command) => Box::pin(recovery::run(&context, command)).await,
        Command::Guardian(command) => Box::pin(guardian::run(&context, command)).await,
        Command::Inbox(args) => inbox::run(&context, args).await,
        Command::Alert(command) => alert::run(&context, command).await,
        Command::Audit(command) => audit::run(&context, command).await,
        Command::Demo(_)
        | Command::Dev(_)
        | Command::Node(_)
        | Command::Migrate(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Store(_)
        | Command::Config(_)
        | Command::Security(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Cluster(_)
        | Command::Image(_) => Ok(()),
    }
    .map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_can_tell_a_refusal_from_a_node_that_is_away_and_from_wrong_usage() {
        let refused = ClientError::from(tonic::Status::permission_denied("no"));
        let away = ClientError::Connect { endpoint: String::new(), why: String::new() };
        let wrong = ClientError::Usage(String::new());
        let codes = [refused, away, wrong].map(|error| exit_code(&anyhow::Error::new(error)));
        assert_eq!(codes, [REFUSED, UNREACHABLE, USAGE]);
        assert_eq!(exit_code(&anyhow::anyhow!("broken")), FAILED);
    }
}
