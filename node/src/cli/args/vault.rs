//! Arguments of `ocmt vault`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{ExportArgs, ImportArgs, NewPassphraseArgs, PassphraseArgs};

/// `ocmt vault`
#[derive(Subcommand)]
pub enum VaultCommand {
    /// Make your vault, opened by a passphrase that only you know
    #[command(
        after_help = "Example:\n  ocmt vault create\n\nThe passphrase has 12 characters or more and is hard to guess: five words drawn by chance are good.\nNobody can reset it. Make a backup key with `ocmt vault backup-key`, or name guardians with `ocmt recovery setup`."
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
    /// Write all secrets to a file, under a passphrase of its own
    Export(ExportArgs),
    /// Take the secrets of a file into the vault: of an export, or of the earlier implementation
    Import(ImportArgs),
    /// The ways to open the vault: list, add, take away
    #[command(subcommand)]
    Slots(SlotsCommand),
    /// Make a backup key: a key to keep on paper, which opens the vault when the passphrase is lost
    BackupKey(BackupKeyArgs),
    /// Change the passphrase, or set a new one with the backup key; the old one opens nothing then
    #[command(
        after_help = "Examples:\n  ocmt vault passphrase                 asks for the old one and the new one\n  ocmt vault passphrase --backup-key    if the old one is lost"
    )]
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

/// `ocmt vault slots`
#[derive(Subcommand)]
pub enum SlotsCommand {
    /// List the ways to open the vault
    #[command(after_help = "Example:\n  ocmt vault slots ls")]
    Ls {
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Add a way to open the vault
    #[command(subcommand)]
    Add(SlotAddCommand),
    /// Take a way to open the vault away; everything is encrypted anew, so that it opens nothing
    #[command(after_help = "Example:\n  ocmt vault slots rm 3f2a9c04\n\nThe last one stays.")]
    Rm {
        /// Which: its id in `ocmt vault slots ls`, or the first letters of it
        slot: String,
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
}

/// `ocmt vault slots add`
#[derive(Subcommand)]
pub enum SlotAddCommand {
    /// A hardware token that answers challenges with HMAC-SHA1, such as a YubiKey
    Hardware(HardwareArgs),
}

/// `ocmt vault slots add hardware`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt vault slots add hardware\n  ocmt vault slots add hardware --command 'ykchalresp -2 -x'\n\nSet the key up once with: ykman otp chalresp --generate 2\nIt is asked twice, so touch it twice if it wants that. Afterwards `--hardware` opens the vault, with\n`--hardware-command` (OCMT_HARDWARE_COMMAND) for another program than ykman."
)]
pub struct HardwareArgs {
    /// The program that asks the new token, with its arguments; the challenge comes behind them. By default
    /// that of --hardware-command
    #[arg(long, value_name = "COMMAND")]
    pub command: Option<String>,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `ocmt vault backup-key`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt vault backup-key                 shows it, once: write it down\n  ocmt vault backup-key --out FILE      writes it to a new file that only you can read\n\nA backup key that there was before opens nothing then, unless you say --keep-old."
)]
pub struct BackupKeyArgs {
    /// Write the key to this new file instead of showing it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Let the backup keys of before open the vault, too
    #[arg(long)]
    pub keep_old: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
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
