//! Arguments of what others may read of one's own.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ocmt_types::ProgramTokenId;

use super::PassphraseArgs;
use crate::config::HumanDuration;

/// `ocmt share`
#[derive(Subcommand)]
pub enum ShareCommand {
    /// Programs that read entries of yours, and ask about senders to your agents
    #[command(subcommand)]
    Program(ProgramCommand),
}

/// `ocmt share program`
#[derive(Subcommand)]
pub enum ProgramCommand {
    /// Make a program's key where the program runs; its public half is printed
    #[command(after_help = "Example:\n  ocmt share program key --out adapter.key")]
    Key {
        /// Where the private half goes, a new file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make a token with which a program reads the named entries as they are now
    Create(ProgramCreateArgs),
    /// End a program's token at once, and write what it could read under fresh keys
    #[command(after_help = "Example:\n  ocmt share program revoke 0b8c2a54-…")]
    Revoke {
        /// Which
        token: ProgramTokenId,
        /// Your vault, in which entries are written anew
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Read an entry as the program
    #[command(
        after_help = "Example:\n  ocmt share program read --program adapter.json --key-file adapter.key bot-token --endpoint https://127.0.0.1:7443 --ca ca.pem"
    )]
    Read {
        /// What `ocmt share program create` wrote
        #[arg(long, value_name = "FILE")]
        program: PathBuf,
        /// What `ocmt share program key` wrote
        #[arg(long, value_name = "FILE")]
        key_file: PathBuf,
        /// Which entry
        name: String,
    },
}

/// `ocmt share program create`
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocmt share program create adapter --entry bot-token --program-key 9f0c… --lifetime 720h --out adapter.json"
)]
pub struct ProgramCreateArgs {
    /// What to call it
    pub name: String,
    /// An entry that it may read; may be repeated
    #[arg(long, value_name = "NAME", required = true)]
    pub entry: Vec<String>,
    /// The program's public key, from `ocmt share program key`
    #[arg(long, value_name = "HEX")]
    pub program_key: String,
    /// How long it is good
    #[arg(long, value_name = "TIME", default_value = "720h")]
    pub lifetime: HumanDuration,
    /// Where the token goes, a new file
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Your vault
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}
