//! Arguments of `ocmt conversation`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ocmt_types::{ContainerId, ConversationId};

use super::{NewPassphraseArgs, PassphraseArgs};

/// `ocmt conversation`
#[derive(Subcommand)]
pub enum ConversationCommand {
    /// Open a conversation; its key is kept in your vault
    #[command(
        after_help = "Examples:\n  ocmt conversation open\n  ocmt conversation open --container 0d5a7d6c-4c55-4a4b-9f3a-3a1c7f6f8a11"
    )]
    Open {
        /// The container it is with
        #[arg(long, value_name = "ID")]
        container: Option<ContainerId>,
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Add records, one for each line of standard input or of files
    Append(AppendArgs),
    /// Read records, and check that they are the ones that were written
    Read(ReadArgs),
    /// List your conversations, and check that none that is not finished is missing
    #[command(after_help = "Example:\n  ocmt conversation ls")]
    Ls {
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Write a conversation to a file, encrypted under a passphrase of its own
    Export(ConversationExportArgs),
    /// Delete a conversation with all its records and its key
    #[command(
        after_help = "Example:\n  ocmt conversation rm 0d5a7d6c-4c55-4a4b-9f3a-3a1c7f6f8a11\n\nAsks for a recent sign-in: `ocmt step-up`. Nobody can bring it back."
    )]
    Rm {
        /// Which
        conversation: ConversationId,
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
}

/// `ocmt conversation append`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  echo 'good morning' | ocmt conversation append 0d5a7d6c-4c55-4a4b-9f3a-3a1c7f6f8a11\n  ocmt conversation append ID --file yesterday.txt --file today.txt\n  echo goodbye | ocmt conversation append ID --finish    nothing can be added after it\n\nA line is encrypted here, at most 256 KiB of it. Cut off, the command can be given again with what was left."
)]
pub struct AppendArgs {
    /// To which
    pub conversation: ConversationId,
    /// Read lines from this file instead of standard input; may be given several times
    #[arg(long, value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// The last line is the conversation's final record
    #[arg(long)]
    pub finish: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `ocmt conversation read`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt conversation read 0d5a7d6c-4c55-4a4b-9f3a-3a1c7f6f8a11\n  ocmt conversation read ID --follow --json    goes on as records come, a JSON object a line\n  ocmt conversation read --export talk.jsonl   reads an exported one, without a node"
)]
pub struct ReadArgs {
    /// Which
    #[arg(required_unless_present = "export", conflicts_with = "export")]
    pub conversation: Option<ConversationId>,
    /// Go on as records come, until Ctrl-C or the final record
    #[arg(long, conflicts_with = "export")]
    pub follow: bool,
    /// Show records from this sequence on; those before are read and checked all the same
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub from: u64,
    /// Read what is left where retention took the beginning
    #[arg(long, conflicts_with = "export")]
    pub pruned: bool,
    /// Read an exported conversation; asks for its passphrase
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
    /// To open the vault, or the exported conversation.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `ocmt conversation export`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt conversation export 0d5a7d6c-4c55-4a4b-9f3a-3a1c7f6f8a11 --out talk.jsonl\n  ocmt conversation export ID --out talk.jsonl --clear    for whoever reads the file to read\n\n`ocmt conversation read --export FILE` reads what was encrypted."
)]
pub struct ConversationExportArgs {
    /// Which
    pub conversation: ConversationId,
    /// The file, a new one that only you can read; - is standard output
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Write JSON Lines in clear; only at a terminal
    #[arg(long, conflicts_with_all = ["new_passphrase_file", "new_passphrase_fd"])]
    pub clear: bool,
    /// Export what is left where retention took the beginning
    #[arg(long)]
    pub pruned: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// The passphrase of the export.
    #[command(flatten)]
    pub new: NewPassphraseArgs,
}
