//! The commands and their arguments. Nothing secret is ever an argument: others on the machine see those.

mod account;
mod agent_policy;
mod alert;
mod api_key;
mod approve;
mod audit;
mod cluster;
mod container;
mod conversation;
mod egress;
mod email;
mod group_cell;
mod group_vault;
mod inbox;
mod mfa;
mod node;
mod oauth;
mod operated;
mod recovery;
mod schedule;
mod security;
mod share;
mod snapshot;
mod store;
mod team;
mod transfer;
mod vault;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use ocmt_types::{ContainerId, TenantId};

pub use account::{
    LoginArgs, PolicyArgs, SessionsCommand, SsoCommand, SsoSetArgs, TenantCommand, UserCommand,
};
pub use agent_policy::{AgentPolicyCommand, AgentPolicySetArgs, ListChoice, SandboxChoice};
pub use alert::{AlertCommand, AlertKindArg, AlertPutArgs, AlertSeverityArg};
pub use api_key::{ApiKeyCommand, ApiKeyCreateArgs};
pub use approve::{ApproveArgs, ApproveCommand};
pub use audit::{
    AuditCommand, AuditFormat, AuditOutcome, AuditRetentionCommand, AuditStreamCommand, AuditWanted,
    ImageBuildArgs, ImageCommand,
};
pub use cluster::{
    ClusterCommand, InitArgs, JoinArgs, NodeKeyCommand, OperatorArg, OperatorsCommand, RemoveArgs,
    SealingKeyCommand,
};
pub use container::{ContainerCommand, CreateArgs, ExecArgs, LogsArgs, UnlockArgs};
pub use conversation::{AppendArgs, ConversationCommand, ConversationExportArgs, ReadArgs};
pub use egress::{EgressCommand, EgressSetArgs};
pub use email::EmailCommand;
pub use group_cell::GroupCellCommand;
pub use group_vault::{GroupVaultCommand, OneGroup};
pub use inbox::InboxListArgs;
pub use mfa::{CodeArgs, MfaCommand};
pub use node::{ConfigCommand, DemoArgs, DemoRuntime, DevArgs, NodeArgs};
pub use oauth::{ConnectArgs, OauthCommand, ProviderCommand, ProviderSetArgs, SecretPlace};
pub use operated::{LimitArgs, OperatedCommand};
pub use recovery::{Asked, GuardianCommand, RecoveryCommand, SetupArgs, WhoArgs};
pub use schedule::{ScheduleCommand, SchedulePutArgs, UnlockAgentArgs};
pub use security::{SecurityAuditArgs, SecurityCommand, TestAlertsArgs};
pub use share::{
    AskArgs, ComparedArgs, GiveArgs, OfferArgs, ProgramAskArgs, ProgramCommand, ProgramCreateArgs,
    ProgramWriteArgs, ShareCommand, SharedArgs,
};
pub use snapshot::{
    SnapshotCommand, SnapshotCreateArgs, SnapshotOpenArgs, SnapshotScheduleCommand, SnapshotScheduleSetArgs,
};
pub use store::{AcceptArgs, BackupArgs, CopyArgs, RestoreArgs, StoreCommand};
pub use team::{GroupCommand, PairingCommand};
pub use transfer::{ExistingArg, ExportArgs, ImportArgs};
pub use vault::{
    BackupKeyArgs, GetArgs, HardwareArgs, InboxArgs, PutArgs, SlotAddCommand, SlotsCommand, VaultCommand,
    WatchArgs,
};

/// One isolated container per user, readable by that user alone.
#[derive(Parser)]
#[command(name = "ocmt", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Examples:\n  ocmt demo                      the whole main job on this machine\n  ocmt dev                       a node for development in ./.ocmt\n  ocmt login --email a@b.example sign in\n\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the node, 4 the node cannot be reached"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// For every command.
    #[command(flatten)]
    pub global: Global,
}

/// Arguments of every command.
#[derive(Args, Clone)]
pub struct Global {
    /// Print results as JSON (times in milliseconds since 1970)
    #[arg(long, global = true)]
    pub json: bool,
    /// The node to talk to, https://HOST:PORT, by default that of the last sign-in; at login, several nodes of one
    /// cluster with commas between them, so that the session goes on when one is away
    #[arg(long, global = true, value_name = "URL", env = "OCMT_ENDPOINT")]
    pub endpoint: Option<String>,
    /// The cluster's certificate authority, a PEM file; by default that of the last sign-in
    #[arg(long, global = true, value_name = "FILE", env = "OCMT_CA")]
    pub ca: Option<PathBuf>,
    /// The tenant to act in, if you are signed in to several
    #[arg(long, global = true, value_name = "ID", env = "OCMT_TENANT")]
    pub tenant: Option<TenantId>,
    /// Ask with the API key in this file instead of a session (or put the key itself into OCMT_API_KEY); it needs
    /// --endpoint and --ca, if nobody has signed in here
    #[arg(long, global = true, value_name = "FILE", env = "OCMT_API_KEY_FILE")]
    pub api_key_file: Option<PathBuf>,
    /// Where this client keeps its session; by default ~/.local/state/ocmt
    #[arg(long, global = true, value_name = "DIR", env = "OCMT_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Where help tells of what opens a vault.
const OPENING: &str = "Opening the vault (asks for the passphrase without any)";

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Run the whole main job on this machine, told step by step; nothing is left behind
    Demo(DemoArgs),
    /// Run one node for development: SQLite, a development CA, data in ./.ocmt, links printed
    Dev(DevArgs),
    /// Run a node
    #[command(after_help = "Example:\n  ocmt node --config /etc/ocmt/ocmt.toml")]
    Node(NodeArgs),
    /// Bring the database of a node to this version's schema; exits non-zero if it could not
    #[command(after_help = "Example:\n  ocmt migrate --config /etc/ocmt/ocmt.toml")]
    Migrate(NodeArgs),
    /// Write a dump of the whole database, as of one moment
    Backup(BackupArgs),
    /// Load a dump into an empty database
    Restore(RestoreArgs),
    /// The database as a whole: copy it, accept a restore
    #[command(subcommand)]
    Store(StoreCommand),
    /// Check or print configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look for what is weak in how this node is set up and runs
    #[command(subcommand)]
    Security(SecurityCommand),
    /// Sign in, sign up with --sign-up, or join with --invited
    Login(LoginArgs),
    /// End the session
    #[command(after_help = "Example:\n  ocmt logout")]
    Logout,
    /// Who am I?
    #[command(after_help = "Example:\n  ocmt whoami --json")]
    Whoami,
    /// List or end sessions
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Keys for your own programs, each good for what you say and for as long
    #[command(name = "api-key", subcommand)]
    ApiKey(ApiKeyCommand),
    /// Another address for your account
    #[command(subcommand)]
    Email(EmailCommand),
    /// The second factor of your account: an authenticator app and backup codes
    #[command(subcommand)]
    Mfa(MfaCommand),
    /// Show again who you are, for acts that want a recent sign-in
    #[command(
        name = "step-up",
        after_help = "Examples:\n  ocmt step-up\n  ocmt step-up --totp-code-file -\n\nAsks for a code of your second factor; without one, for the link in a mail."
    )]
    StepUp(CodeArgs),
    /// The tenant: policy, limits, and further tenants; for operators, all tenants
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Users of the tenant
    #[command(subcommand)]
    User(UserCommand),
    /// Groups of users, their vault, and the containers that they start and stop together
    #[command(subcommand)]
    Group(GroupCommand),
    /// What other people and programs may read of your vault, or send to it
    #[command(subcommand)]
    Share(ShareCommand),
    /// What others ask for of your secrets
    #[command(subcommand)]
    Approve(ApproveCommand),
    /// Who may talk to your agents over messengers
    #[command(subcommand)]
    Pairing(PairingCommand),
    /// Your vault: secrets that only you can read
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Your conversations, kept encrypted and in order
    #[command(subcommand)]
    Conversation(ConversationCommand),
    /// Connect your container to other people's services, with tokens that only it and your vault hold
    #[command(subcommand)]
    Oauth(OauthCommand),
    /// Your container, its cell, and what runs in it
    #[command(subcommand)]
    Container(ContainerCommand),
    /// When your container wakes by itself
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Encrypted copies of your container's volume
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Unlock your containers when they wake, by rules, on a device of your own
    UnlockAgent(UnlockAgentArgs),
    /// Guardians for your own vault, and getting it back with their help
    #[command(subcommand)]
    Recovery(RecoveryCommand),
    /// Being a guardian of somebody else's vault
    #[command(subcommand)]
    Guardian(GuardianCommand),
    /// What waits for you: invitations, ceremonies, drills, offers, notices
    Inbox(InboxListArgs),
    /// Where the tenant's alerts go: Slack, Discord, PagerDuty, mail, webhooks
    #[command(subcommand)]
    Alert(AlertCommand),
    /// The audit of the tenant
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Nodes of a cluster: set up, invite, join, drain, move, revoke
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Container images
    #[command(subcommand)]
    Image(ImageCommand),
    /// Print shell completions
    #[command(after_help = "Example:\n  ocmt completions bash > /etc/bash_completion.d/ocmt")]
    Completions {
        /// For which shell
        shell: Shell,
    },
    /// Print the manual page, or write the pages of all commands
    #[command(after_help = "Example:\n  ocmt man --dir /usr/local/share/man/man1")]
    Man {
        /// Write a page for each command into this folder
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// A container named by id, or the only one there is.
#[derive(Args, Clone, Copy)]
pub struct ContainerArg {
    /// Which; may be left out if you have only one
    pub container: Option<ContainerId>,
}

/// What opens the vault: the passphrase, asked for, unless something else is named.
#[derive(Args, Clone)]
pub struct PassphraseArgs {
    /// Read the vault's passphrase from this file
    #[arg(long, value_name = "FILE", help_heading = OPENING, group = "opened-by")]
    pub passphrase_file: Option<PathBuf>,
    /// Read the vault's passphrase from this open file descriptor
    #[arg(long, value_name = "N", help_heading = OPENING, group = "opened-by")]
    pub passphrase_fd: Option<u32>,
    /// Open the vault with the backup key, and ask for it
    #[arg(long, help_heading = OPENING, group = "opened-by")]
    pub backup_key: bool,
    /// Open the vault with the backup key in this file; - is standard input
    #[arg(long, value_name = "FILE", help_heading = OPENING, group = "opened-by")]
    pub backup_key_file: Option<PathBuf>,
    /// Open the vault with the hardware token that is plugged in
    #[arg(long, help_heading = OPENING, group = "opened-by")]
    pub hardware: bool,
    /// The program that asks the token, with its arguments; the challenge comes behind them. No shell runs it
    #[arg(
        long,
        value_name = "COMMAND",
        env = "OCMT_HARDWARE_COMMAND",
        default_value = ocmt_client::hardware::DEFAULT_COMMAND,
        help_heading = OPENING
    )]
    pub hardware_command: String,
    /// Open the vault although the node shows an older state than this device has seen; only after
    /// your operator restored a backup
    #[arg(long, help_heading = OPENING)]
    pub accept_rollback: bool,
}

/// Where a new passphrase comes from; asked for twice without any.
#[derive(Args, Clone)]
pub struct NewPassphraseArgs {
    /// Read the new passphrase from this file
    #[arg(long, value_name = "FILE", conflicts_with = "new_passphrase_fd")]
    pub new_passphrase_file: Option<PathBuf>,
    /// Read the new passphrase from this open file descriptor
    #[arg(long, value_name = "N")]
    pub new_passphrase_fd: Option<u32>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            command.get_subcommands().for_each(|inner| leaves(inner, &path, found));
        } else {
            found.push((path, command.get_after_help().map(ToString::to_string).unwrap_or_default()));
        }
    }

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example_of_itself() {
        let mut found = Vec::new();
        leaves(&Cli::command(), "", &mut found);
        assert!(found.len() > 50, "{}", found.len());
        for (path, help) in found {
            assert!(help.starts_with("Example") && help.contains(path.trim()), "{path}: {help}");
        }
    }

    #[test]
    fn no_secret_is_taken_as_an_argument() {
        for line in [
            "ocmt vault put name value",
            "ocmt vault create --passphrase x",
            "ocmt vault ls --backup-key ABCD-EFGH",
            "ocmt vault passphrase --backup-key-file f --hardware",
            "ocmt vault passphrase --backup-key --passphrase-file f",
            "ocmt container unlock --map A=b --passphrase x",
            "ocmt login --email a@b.example --token x",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
