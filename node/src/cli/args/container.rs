//! Arguments of `ocmt container`.

use clap::{Args, Subcommand};
use ocmt_client::cell::Mapping;
use ocmt_crypto::connect::ProviderName;
use ocmt_types::{ContainerId, ConversationId};

use super::{ContainerArg, PassphraseArgs};
use crate::config::HumanDuration;

/// `ocmt container`
#[derive(Subcommand)]
pub enum ContainerCommand {
    /// Make your container and start it, locked
    Create(CreateArgs),
    /// Start it; its cell is locked then
    #[command(after_help = "Example:\n  ocmt container start")]
    Start(ContainerArg),
    /// Freeze it; memory and a running unlock are kept
    #[command(after_help = "Example:\n  ocmt container pause")]
    Pause(ContainerArg),
    /// Stop it; the unlock is gone, the volume stays
    #[command(after_help = "Example:\n  ocmt container stop --grace 30s")]
    Stop {
        /// Which.
        #[command(flatten)]
        which: ContainerArg,
        /// What the workload has to end by itself, at most 300s
        #[arg(long, value_name = "TIME", default_value = "10s")]
        grace: HumanDuration,
    },
    /// Bring it to running from wherever it is
    #[command(after_help = "Example:\n  ocmt container wake")]
    Wake(ContainerArg),
    /// Where it is in its life; all of them without an id
    #[command(after_help = "Example:\n  ocmt container status")]
    Status(ContainerArg),
    /// Its changes as they come; those of all you may see without an id
    #[command(
        after_help = "Examples:\n  ocmt container watch\n  ocmt --json container watch --resume 17.1795950000000\n\n^C ends it."
    )]
    Watch {
        /// Only this one
        container: Option<ContainerId>,
        /// Go on behind the event with this token
        #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
        resume: String,
    },
    /// Why it is awake, and when it will sleep
    #[command(after_help = "Example:\n  ocmt container explain")]
    Explain(ContainerArg),
    /// Give its cell the secrets you name, from your vault, for a while
    Unlock(UnlockArgs),
    /// Make a running unlock last longer (or shorter)
    #[command(after_help = "Example:\n  ocmt container extend --lease 1h")]
    Extend {
        /// Which.
        #[command(flatten)]
        which: ContainerArg,
        /// How long from now
        #[arg(long, value_name = "TIME", default_value = "30m")]
        lease: HumanDuration,
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Lock its cell at once: secrets are wiped, channels end
    #[command(after_help = "Example:\n  ocmt container lock")]
    Lock(ContainerArg),
    /// A token for its gateway, for programs that talk with its workload
    #[command(
        after_help = "Example:\n  curl --cacert ca.pem -H \"ocmt-gateway-token: $(ocmt container token)\" https://node:7443/gateway/0b8c2a54-…/v1/models\n\nWhoever has it reaches the container until it ends, or your session does. WebSockets take it as the subprotocol `ocmt.token.…`."
    )]
    Token {
        /// Which.
        #[command(flatten)]
        which: ContainerArg,
        /// How long it is good, 10s to 1h
        #[arg(long, value_name = "TIME", default_value = "15m")]
        lifetime: HumanDuration,
    },
    /// Run a program in it, through a channel that only you can read
    Exec(ExecArgs),
    /// The output of its workload
    Logs(LogsArgs),
    /// Put it into quarantine: nothing wakes it until it is released
    #[command(after_help = "Example:\n  ocmt container hold --reason 'sends too much mail'")]
    Hold {
        /// Which.
        #[command(flatten)]
        which: ContainerArg,
        /// Why, for the audit and for people
        #[arg(long)]
        reason: String,
    },
    /// Take it out of quarantine
    #[command(after_help = "Example:\n  ocmt container release --reason 'was a false alarm'")]
    Release {
        /// Which.
        #[command(flatten)]
        which: ContainerArg,
        /// Why, for the audit
        #[arg(long)]
        reason: String,
    },
    /// Remove it; its volume stays unless it is to go
    #[command(
        after_help = "Examples:\n  ocmt container rm 0b8c2a54-…\n  ocmt container rm 0b8c2a54-… --delete-volume\n\nAfter `ocmt step-up`. A volume that is deleted is erased on its host, and nothing but a\nsnapshot brings it back; its user deletes it, or an owner of the tenant. Snapshots stay. What is on a host that\nwas struck off (`ocmt cluster forget`) is not erased: its disk is yours to destroy."
    )]
    Rm {
        /// Which.
        #[command(flatten)]
        which: ContainerArg,
        /// Erase its volume too, for good
        #[arg(long)]
        delete_volume: bool,
        /// Do not ask whether the volume is to go
        #[arg(long, requires = "delete_volume")]
        yes: bool,
    },
}

/// `ocmt container create`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt container create\n  ocmt container create --image sha256:… --port 8080 -- /bin/agent --serve\n  ocmt container create --port 8080 --gateway-plain\n  ocmt container create --sealed-volume 32\n\nThe node sees the program's arguments: never put a secret there."
)]
pub struct CreateArgs {
    /// Image by digest; the node's own without it
    #[arg(long, default_value = "")]
    pub image: String,
    /// Port that the workload serves on its loopback
    #[arg(long)]
    pub port: Option<u16>,
    /// Memory limit in MiB, 16 to 1536
    #[arg(long, value_name = "MIB")]
    pub memory_mib: Option<u64>,
    /// Most processes and threads, 8 to 256
    #[arg(long)]
    pub pids: Option<u32>,
    /// CPU weight, 2 to 512
    #[arg(long)]
    pub cpu_shares: Option<u32>,
    /// Idle time after which it is paused, if other than the tenant's
    #[arg(long, value_name = "TIME")]
    pub pause_after: Option<HumanDuration>,
    /// Idle time after which it is stopped
    #[arg(long, value_name = "TIME")]
    pub stop_after: Option<HumanDuration>,
    /// Let the gateway carry the workload's own HTTP and WebSockets, which the nodes on its way can then read
    #[arg(long, requires = "port")]
    pub gateway_plain: bool,
    /// Keep its volume sealed: in memory while it is unlocked, as ciphertext on its host; of so many MiB, 1 to 64 (64 without a
    /// number), which count as memory of the container. It takes Docker
    #[arg(long, value_name = "MIB", num_args = 0..=1, default_missing_value = "64", value_parser = clap::value_parser!(u64).range(1..=64))]
    pub sealed_volume: Option<u64>,
    /// Do not start it yet
    #[arg(long)]
    pub no_start: bool,
    /// The workload and its arguments; the image's own without any
    #[arg(last = true, value_name = "PROGRAM")]
    pub argv: Vec<String>,
}

/// `ocmt container unlock`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt container unlock --map OPENAI_KEY=api-key --lease 2h\n  ocmt container unlock --map DB_PASSWORD --map API_KEY=other-name\n  ocmt container unlock --may-write notes/today\n  ocmt container unlock --connect github\n  ocmt container unlock --conversation 0d5a7d6c-4c55-4a4b-9f3a-3a1c7f6f8a11 --new-conversations\n\nThe program in the container finds each secret in the environment variable you name."
)]
pub struct UnlockArgs {
    /// Which.
    #[command(flatten)]
    pub which: ContainerArg,
    /// An environment variable and the secret it gets, VARIABLE=SECRET; may be given more than once
    #[arg(long, value_name = "VARIABLE=SECRET")]
    pub map: Vec<Mapping>,
    /// An entry that the program may send to your vault's inbox with `"$OCMT_CELL" put NAME`; may be given
    /// more than once, at most 32 times
    #[arg(long, value_name = "NAME")]
    pub may_write: Vec<String>,
    /// A provider that the program may connect to, or is connected to, with `ocmt oauth`; may be given more than
    /// once
    #[arg(long, value_name = "PROVIDER")]
    pub connect: Vec<ProviderName>,
    /// A conversation with this container that the program may go on with, with `"$OCMT_CELL" conversation say`; may be
    /// given more than once, at most 64 times
    #[arg(long, value_name = "ID")]
    pub conversation: Vec<ConversationId>,
    /// Let the program begin conversations, with `"$OCMT_CELL" conversation begin`
    #[arg(long)]
    pub new_conversations: bool,
    /// How long, 1s to 7d; the tenant's policy may allow less
    #[arg(long, value_name = "TIME", default_value = "30m")]
    pub lease: HumanDuration,
    /// The container runs on another host than before, and that is right
    #[arg(long)]
    pub accept_host: bool,
    /// Go on with the sealed volume that is on the host, though it is older than the one that you unlocked last; with an empty one where there is
    /// none. Of a volume that is not sealed it says nothing
    #[arg(long)]
    pub accept_older_volume: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `ocmt container exec`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt container exec -- ls -l /volume\n  ocmt container exec --tty -- /bin/sh\n\nExits with the program's own exit code."
)]
pub struct ExecArgs {
    /// In which container; may be left out if you have only one
    #[arg(long, value_name = "ID")]
    pub container: Option<ContainerId>,
    /// Give the program a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub argv: Vec<String>,
}

/// `ocmt container logs`
#[derive(Args)]
#[command(after_help = "Example:\n  ocmt container logs --follow")]
pub struct LogsArgs {
    /// Which.
    #[command(flatten)]
    pub which: ContainerArg,
    /// Go on with what comes
    #[arg(short, long)]
    pub follow: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}
