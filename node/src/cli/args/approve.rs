//! Arguments of deciding what others ask for.

use clap::{Args, Subcommand};
use ocmt_types::CapabilityId;

use super::{PassphraseArgs, share::May};
use crate::config::HumanDuration;

/// `ocmt approve`
#[derive(Subcommand)]
pub enum ApproveCommand {
    /// List what waits for you, and what you asked for yourself
    #[command(after_help = "Example:\n  ocmt approve list --all")]
    List {
        /// What was decided or has lapsed, too
        #[arg(long)]
        all: bool,
    },
    /// Give what was asked for, or a part of it
    Give(Box<ApproveArgs>),
    /// Refuse
    #[command(after_help = "Example:\n  ocmt approve deny 0b8c2a54-…")]
    Deny {
        /// Which request
        request: CapabilityId,
    },
}

/// `ocmt approve give`
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocmt approve give 0b8c2a54-… --may read --lifetime 8h\n\nWhat you give a person is a share: `ocmt share revoke` takes it back. What you give a program ends by its time, with its\ntoken (`ocmt share program revoke`), and what it may write once a version was filed."
)]
pub struct ApproveArgs {
    /// Which request, from `ocmt approve list`
    pub request: CapabilityId,
    /// Only this of what was asked; all of it without
    #[arg(long, value_enum, value_delimiter = ',')]
    pub may: Vec<May>,
    /// No longer than this; as long as was asked without
    #[arg(long, value_name = "TIME")]
    pub lifetime: Option<HumanDuration>,
    /// Which secret it must be about, compared for you instead of asking
    #[arg(long, value_name = "SECRET")]
    pub name: Option<String>,
    /// The six words you heard from who asks, compared for you instead of asking
    #[arg(long, value_name = "WORDS")]
    pub words: Option<String>,
    /// If a program asks whose token another device made: its key, as `ocmt share program key` printed it
    #[arg(long, value_name = "HEX")]
    pub program_key: Option<String>,
    /// If a program asks to write: the key that it signs with, as `ocmt share program key` printed it
    #[arg(long, value_name = "HEX")]
    pub program_sign_key: Option<String>,
    /// Your vault
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}
