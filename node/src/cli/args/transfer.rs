//! Arguments of `ocmt vault import` and `ocmt vault export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{NewPassphraseArgs, PassphraseArgs};

/// What becomes of an entry whose name is taken by another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExistingArg {
    /// Import nothing
    Refuse,
    /// Keep what is in the vault
    Keep,
    /// Write a new version
    Replace,
}

/// `ocmt vault import`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt vault import export.ocmt --dry-run              says what would be written\n  ocmt vault import export.ocmt --password-file p      an export of `ocmt vault export`\n  ocmt vault import vault.json --phrase-file words     a vault of the earlier implementation\n  ocmt vault import vault.json --old-backup-key-file key --backup-record backup.json\n  ocmt vault import vault.json --shares social.json    or the files of three holders of shares\n  ocmt vault import fields.json --field-keys keys.json\n\nThe whole file is read and checked before anything is written. An import that was cut short goes on when it is\nrun again, and one that is done again changes nothing. Conversations get new ids, which the report names."
)]
pub struct ImportArgs {
    /// An export, a vault of the earlier implementation, or fields of its database as {"name": "v1:…"}
    pub file: PathBuf,
    /// Read the file's password from here; asked for without any of these
    #[arg(long, value_name = "FILE", group = "way")]
    pub password_file: Option<PathBuf>,
    /// Read the twelve words of an earlier vault from here
    #[arg(long, value_name = "FILE", group = "way")]
    pub phrase_file: Option<PathBuf>,
    /// Read an earlier vault's backup key from here
    #[arg(long, value_name = "FILE", group = "way", requires = "backup_record")]
    pub old_backup_key_file: Option<PathBuf>,
    /// The record that belongs to the backup key, as JSON
    #[arg(long, value_name = "FILE", requires = "old_backup_key_file")]
    pub backup_record: Option<PathBuf>,
    /// Files with one share each, or the record of a social set-up, as JSON
    #[arg(long, value_name = "FILE", group = "way", num_args = 1..)]
    pub shares: Vec<PathBuf>,
    /// The keys of a database's fields by version, as JSON
    #[arg(long, value_name = "FILE", group = "way")]
    pub field_keys: Option<PathBuf>,
    /// What to do with a name that is taken by another value
    #[arg(long, value_enum, default_value = "refuse")]
    pub existing: ExistingArg,
    /// Leave this entry of the file out; may be given again
    #[arg(long, value_name = "NAME")]
    pub without: Vec<String>,
    /// Leave the conversations of the file out
    #[arg(long)]
    pub without_conversations: bool,
    /// Say what would be done, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `ocmt vault export`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt vault export --to mine.ocmt              asks for a passphrase for the file\n  ocmt vault export --to mine.json --in-clear   readable by everybody who gets the file\n\n`ocmt vault import` reads it again: secrets and conversations. Not in it: earlier versions, what waits in the inbox,\nwhat others share with you, vaults of groups, the keys of volumes, and the identity that guardians and shares know\nyou by."
)]
pub struct ExportArgs {
    /// The file to write, for your eyes alone; one that is there is not overwritten
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// Overwrite a file that is there
    #[arg(long)]
    pub overwrite: bool,
    /// Leave conversations out: versions of `ocmt` that know of none read such a file too
    #[arg(long)]
    pub without_conversations: bool,
    /// Write everything in clear, as JSON; only at a terminal
    #[arg(long, conflicts_with_all = ["new_passphrase_file", "new_passphrase_fd"])]
    pub in_clear: bool,
    /// The passphrase of the export.
    #[command(flatten)]
    pub new: NewPassphraseArgs,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}
