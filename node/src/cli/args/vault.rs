//! Arguments of `ocmt vault`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{NewPassphraseArgs, PassphraseArgs};

/// `ocmt vault`
#[derive(Subcommand)]
pub enum VaultCommand {
    /// Make your vault, opened by a passphrase that only you know
    #[command(
        after_help = "Example:\n  ocmt vault create\n\nNobody can reset the passphrase. Name guardians with `ocmt recovery setup`."
    )]
    Create {
        /// The passphrase to be.
        #[command(flatten)]
        new: NewPassphraseArgs,
    },
    /// Write a secret; its value comes from a prompt, standard input or a file, never an argument
    Put(PutArgs),
    /// Read a secret; its value is shown only if you ask for it
    Get(GetArgs),
    /// List secrets, without their values
    #[command(after_help = "Example:\n  ocmt vault ls")]
    Ls {
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Delete a secret
    #[command(after_help = "Example:\n  ocmt vault rm api-key")]
    Rm {
        /// Its name
        name: String,
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// List the ways to open the vault
    #[command(after_help = "Example:\n  ocmt vault slots")]
    Slots {
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Change the passphrase; the vault gets new keys, so that the old one opens nothing
    #[command(after_help = "Example:\n  ocmt vault passphrase")]
    Passphrase {
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
        /// The passphrase to be.
        #[command(flatten)]
        new: NewPassphraseArgs,
    },
    /// Give the vault new keys and encrypt everything anew
    #[command(after_help = "Example:\n  ocmt vault rotate --reason 'lost a laptop'")]
    Rotate {
        /// Only wrap the keys anew: faster, and takes nothing away from who had them
        #[arg(long)]
        rewrap: bool,
        /// Why, for the audit
        #[arg(long, default_value = "asked by its owner")]
        reason: String,
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
}

/// `ocmt vault put`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt vault put api-key                          asks for the value\n  ocmt vault put api-key --value-file key.txt\n  printf %s \"$KEY\" | ocmt vault put api-key --passphrase-file p"
)]
pub struct PutArgs {
    /// Its name
    pub name: String,
    /// Read the value from this file, whole; - is standard input
    #[arg(long, value_name = "FILE")]
    pub value_file: Option<PathBuf>,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `ocmt vault get`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt vault get api-key              says that it is there\n  ocmt vault get api-key --out FILE   writes the value to a file that only you can read\n  ocmt vault get api-key --out -      writes it to standard output"
)]
pub struct GetArgs {
    /// Its name
    pub name: String,
    /// Write the value, unchanged, to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}
