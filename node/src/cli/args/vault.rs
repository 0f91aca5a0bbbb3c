//! Arguments of `ocmt vault`.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Subcommand};
use ocmt_types::{Clock as _, MessageId, SystemClock, Timestamp};

use super::{ExportArgs, ImportArgs, NewPassphraseArgs, PassphraseArgs};
use crate::config::HumanDuration;

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
    /// List the versions of a secret that are kept
    #[command(
        after_help = "Example:\n  ocmt vault history api-key\n\nA tenant keeps none unless its owner says so: `ocmt tenant policy --kept-versions 10`. A rotation of the vault takes earlier versions away."
    )]
    History {
        /// Its name
        name: String,
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Tell changes of the vault as they come
    Watch(WatchArgs),
    /// Delete a secret
    #[command(after_help = "Example:\n  ocmt vault rm api-key")]
    Rm {
        /// Its name
        name: String,
        /// To open the vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Show what your containers and takers of your shares sent to the vault; file it, or drop it
    Inbox(InboxArgs),
    /// Write all secrets and conversations to a file, under a passphrase of its own
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
    #[command(
        after_help = "Example:\n  ocmt vault rotate --reason 'lost a laptop'\n\nCells that were unlocked are locked. Your schedule of snapshots is signed anew for the new keys; where that failed, it rests, and you are told. A sealed volume is under its key of before until its next unlock."
    )]
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
    /// Show who asked last to open the vault with a backup key or a hardware token
    #[command(after_help = "Example:\n  ocmt vault slots asked\n\nThe vault is not opened for it.")]
    Asked,
    /// Refuse what was asked for: the device that asked gets nothing
    #[command(
        after_help = "Example:\n  ocmt step-up\n  ocmt vault slots refuse\n\nThe vault is not opened for it. If it was not you who asked, somebody has your account: then\n`ocmt sessions revoke-others`, and with the vault open `ocmt vault backup-key`."
    )]
    Refuse,
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
    after_help = "Examples:\n  ocmt vault backup-key                 shows it, once: write it down\n  ocmt vault backup-key --out FILE      writes it to a new file that only you can read\n  ocmt vault backup-key --kit kit.html  writes a page to print, with a QR code and what to do\n\nA backup key that there was before opens nothing then, unless you say --keep-old."
)]
pub struct BackupKeyArgs {
    /// Write the key to this new file instead of showing it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write a page to print to this new file: the key, the same as a QR code, and what to do with it
    #[arg(long, value_name = "FILE.html", conflicts_with = "out")]
    pub kit: Option<PathBuf>,
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
    after_help = "Examples:\n  ocmt vault put api-key                          asks for the value\n  ocmt vault put api-key --value-file key.txt --expires 90d\n  ocmt vault put api-key --if-version 3           only if nobody else wrote it since\n  ocmt vault put --from-file secrets.env          every line NAME=VALUE; or .json, {\"name\": \"value\"}\n  printf %s \"$KEY\" | ocmt vault put api-key --passphrase-file p\n\nTimes are those of this version: a put without --expires or --remind has none."
)]
pub struct PutArgs {
    /// Its name
    #[arg(required_unless_present = "from_file")]
    pub name: Option<String>,
    /// Read the value from this file, whole; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "from_file")]
    pub value_file: Option<PathBuf>,
    /// Write every secret of this file: .json, or lines of NAME=VALUE
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "if_version", "expires", "remind"])]
    pub from_file: Option<PathBuf>,
    /// Only if it has this version; 0: only if it is not there
    #[arg(long, value_name = "N")]
    pub if_version: Option<u64>,
    /// When the secret ends to be valid: 90d from now, or a day like 2027-01-31
    #[arg(long, value_name = "TIME")]
    pub expires: Option<When>,
    /// When to be reminded of it, for example to put another one in its place
    #[arg(long, value_name = "TIME")]
    pub remind: Option<When>,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A point of time: so long from now, or the beginning of a day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When(pub Timestamp);

impl FromStr for When {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(days) = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok()) {
            return Ok(Self(SystemClock.now() + DAY * days));
        }
        if let Ok(span) = text.parse::<HumanDuration>() {
            return Ok(Self(SystemClock.now() + span.0));
        }
        let day: jiff::civil::Date = text
            .parse()
            .map_err(|_| format!("`{text}` is neither a time like 90d nor a day like 2027-01-31"))?;
        let begins = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| error.to_string())?;
        Ok(Self(Timestamp(begins.timestamp().as_millisecond())))
    }
}

/// `ocmt vault get`
#[derive(Args)]
#[command(
    disable_version_flag = true,
    after_help = "Examples:\n  ocmt vault get api-key              says that it is there\n  ocmt vault get api-key --out FILE   writes the value to a file that only you can read\n  ocmt vault get api-key --out -      writes it to standard output\n  ocmt vault get api-key --version 3  an earlier one, if the tenant keeps it"
)]
pub struct GetArgs {
    /// Its name
    pub name: String,
    /// Write the value, unchanged, to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// This version of it
    #[arg(long, value_name = "N")]
    pub version: Option<u64>,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `ocmt vault watch`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt vault watch\n  ocmt vault watch --names            opens the vault and tells names instead of ids\n  ocmt vault watch --resume TOKEN     goes on where another watch ended"
)]
pub struct WatchArgs {
    /// Go on behind the event with this token
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    pub resume: String,
    /// Open the vault, to tell names instead of ids
    #[arg(long)]
    pub names: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `ocmt vault inbox`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt vault inbox                  lists what came, without values\n  ocmt vault inbox --file           writes to the vault, and deletes, what can be filed\n  ocmt vault inbox --drop 0b8c2a54-…\n  ocmt vault inbox --drop-refused   drops what cannot be filed\n\nOf containers only names are filed that `ocmt container unlock --may-write NAME` gave to that unlock; of takers of\nshares what a share of yours lets them write or delete (`ocmt share give --may write,delete`). The list says which."
)]
pub struct InboxArgs {
    /// Write what can be filed as entries, delete those whose end a share may ask for, and take it out of the inbox
    #[arg(long, conflicts_with_all = ["drop", "drop_refused"])]
    pub file: bool,
    /// Take this item out without filing it; may be given more than once
    #[arg(long, value_name = "ITEM", conflicts_with = "drop_refused")]
    pub drop: Vec<MessageId>,
    /// Take out everything that cannot be filed
    #[arg(long)]
    pub drop_refused: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_time_is_a_span_from_now_or_a_day() {
        let soon: When = "2h".parse().unwrap();
        let wait = soon.0.since(SystemClock.now()).as_secs();
        assert!((7_100..=7_200).contains(&wait), "{wait}");
        let later: When = "90d".parse().unwrap();
        assert_eq!(later.0.since(SystemClock.now()).as_secs().div_ceil(3600), 90 * 24);
        assert_eq!("1970-01-02".parse::<When>().unwrap(), When(Timestamp(86_400_000)));
        for bad in ["", "soon", "2027-13-01", "-3d"] {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
    }
}
