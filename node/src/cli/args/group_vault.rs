//! Arguments of the vault that a group has together.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ocmt_types::GroupId;

use super::{
    PassphraseArgs,
    group_cell::GroupCellCommand,
    share::{ComparedArgs, OfferArgs, ProgramCreateArgs},
};
use crate::config::HumanDuration;

/// `ocmt group vault`
#[derive(Subcommand)]
pub enum GroupVaultCommand {
    /// Make the vault of a group that you administer; you alone open it until you admit others
    #[command(after_help = "Example:\n  ocmt group vault create 0b8c2a54-…")]
    Create(OneGroup),
    /// Say that you take part; an administrator of the group then admits you
    #[command(
        after_help = "Example:\n  ocmt group vault join 0b8c2a54-… --admin ann@example.com\n\nThe first time, call them and compare six words; they see theirs with `ocmt share words`. Your device believes what they say of the vault, and nobody else."
    )]
    Join {
        /// Which group
        group: GroupId,
        /// The administrator who admits you
        #[arg(long, value_name = "ADDRESS")]
        admin: String,
        /// How they are known, and your own vault.
        #[command(flatten)]
        compared: ComparedArgs,
    },
    /// Let a member who has joined open the vault
    #[command(
        after_help = "Example:\n  ocmt group vault admit 0b8c2a54-… bob@example.com\n\nThey run `ocmt group vault join` first. The first time, call them and compare six words; they see theirs with `ocmt share words`."
    )]
    Admit {
        /// Which group
        group: GroupId,
        /// Whom
        email: String,
        /// How they are known, and your own vault.
        #[command(flatten)]
        compared: ComparedArgs,
    },
    /// Who takes part in it, and whether it is due for new keys
    #[command(after_help = "Example:\n  ocmt group vault status 0b8c2a54-…")]
    Status {
        /// Which group
        group: GroupId,
    },
    /// List its secrets
    #[command(after_help = "Example:\n  ocmt group vault ls 0b8c2a54-…")]
    Ls(OneGroup),
    /// Read a secret of it
    #[command(after_help = "Example:\n  ocmt group vault get 0b8c2a54-… bank-login --out -")]
    Get {
        /// Which secret, and of which group.
        #[command(flatten)]
        named: OneSecret,
        /// Where its value goes; - is standard output. Without it you see that the secret is there
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Write a secret into it; the value is asked for, or read from standard input
    #[command(after_help = "Example:\n  ocmt group vault put 0b8c2a54-… bank-login --value-file login.txt")]
    Put {
        /// Which secret, and of which group.
        #[command(flatten)]
        named: OneSecret,
        /// Read the value from this file
        #[arg(long, value_name = "FILE")]
        value_file: Option<PathBuf>,
    },
    /// Delete a secret of it
    #[command(after_help = "Example:\n  ocmt group vault rm 0b8c2a54-… bank-login")]
    Rm(OneSecret),
    /// Offer single secrets of it to somebody of the tenant, in your name
    #[command(
        after_help = "Example:\n  ocmt group vault give 0b8c2a54-… bob@example.com --entry bank-login --may read --lifetime 720h\n\nThey take it with `ocmt share accept`, you take it back with `ocmt share revoke`. It ends when you leave the group or administer it no more."
    )]
    Give {
        /// Of which group
        group: GroupId,
        /// To whom, and what they may do.
        #[command(flatten)]
        offer: OfferArgs,
        /// A secret of the group's; may be repeated
        #[arg(long, value_name = "NAME", required = true)]
        entry: Vec<String>,
    },
    /// Make a token with which a program reads single secrets of it, for your account
    #[command(
        after_help = "Example:\n  ocmt group vault program 0b8c2a54-… deploys --entry bot-token --program-key 9f0c… --lifetime 720h --out deploys.json\n\nYou end it with `ocmt share program revoke TOKEN`. It ends when you leave the group or administer it no more."
    )]
    Program {
        /// Of which group
        group: GroupId,
        /// The program, and your own vault.
        #[command(flatten)]
        program: ProgramCreateArgs,
    },
    /// Share the key among the group's administrators, so that several have to open it together
    #[command(
        after_help = "Example:\n  ocmt group vault share-key 0b8c2a54-… --need 2\n\nEach administrator who takes part holds one part. Everything is encrypted anew, and nobody opens it alone from then on: `ocmt group vault unlock` asks the others. Members who are no administrators read it no more; give them single secrets. There is no way back: another group gets another vault."
    )]
    ShareKey {
        /// Which group.
        #[command(flatten)]
        of: OneGroup,
        /// How many have to open it together, whoever asks among them; 2 at the least
        #[arg(long, value_name = "N")]
        need: u8,
        /// Who else gets a part, once for each, instead of being asked; nobody else may take part then
        #[arg(long, value_name = "ADDRESS")]
        keep: Vec<String>,
        /// The container that it may be opened into stays appointed, instead of being asked
        #[arg(long)]
        keep_cell: bool,
    },
    /// Ask the other administrators to open the vault for a time: to this device, or into the group's container
    #[command(
        after_help = "Examples:\n  ocmt group vault unlock 0b8c2a54-… --for 2h\n  ocmt group vault unlock 0b8c2a54-… --into-cell --for 2h\n\nCall them and read them the six words. When enough have approved, `ls`, `get`, `put` and `rm` work on this device until the time is over. Then `ocmt group vault rotate` while it still lasts, or whoever opens it next: you could have kept the key.\n\nWith --into-cell no device gets the key: the container that was appointed (`ocmt group vault cell`) has its secrets until the time is over, and wipes them then by itself."
    )]
    Unlock {
        /// Which group.
        #[command(flatten)]
        of: OneGroup,
        /// For how long, from now; 5 minutes to 24 hours
        #[arg(long = "for", value_name = "TIME", default_value = "8h")]
        lasts: HumanDuration,
        /// Into the container that was appointed, and to no device
        #[arg(long)]
        into_cell: bool,
    },
    /// The container that it may be opened into, so that no device gets its key
    #[command(subcommand)]
    Cell(GroupCellCommand),
    /// Approve what another administrator asks for, with your part
    #[command(
        after_help = "Example:\n  ocmt group vault approve 0b8c2a54-…\n\nCall whoever asks on a number you already had. Approve only if you know the voice and the six words are the same."
    )]
    Approve {
        /// Which group.
        #[command(flatten)]
        of: OneGroup,
        /// Which unlock, by the first digits of its id, if there are several
        #[arg(long, value_name = "ID")]
        unlock: Option<String>,
        /// The six words you heard, compared for you instead of asking
        #[arg(long, value_name = "WORDS")]
        words: Option<String>,
    },
    /// Refuse what another administrator asks for
    #[command(after_help = "Example:\n  ocmt group vault deny 0b8c2a54-…")]
    Deny {
        /// Which group.
        #[command(flatten)]
        of: OneGroup,
        /// Which unlock, by the first digits of its id, if there are several
        #[arg(long, value_name = "ID")]
        unlock: Option<String>,
    },
    /// Give up what you asked for
    #[command(after_help = "Example:\n  ocmt group vault cancel 0b8c2a54-…")]
    Cancel {
        /// Which group.
        #[command(flatten)]
        of: OneGroup,
        /// Which unlock, by the first digits of its id, if there are several
        #[arg(long, value_name = "ID")]
        unlock: Option<String>,
    },
    /// List who asked to open it, and what the others said
    #[command(after_help = "Example:\n  ocmt group vault unlocks 0b8c2a54-…")]
    Unlocks(OneGroup),
    /// Encrypt everything anew under new keys, which those alone have who take part now
    #[command(
        after_help = "Example:\n  ocmt group vault rotate 0b8c2a54-… --reason \"Bob has left\"\n\nYou see who has the new key, and say whether that is right: compare words with whom this device does not know yet. Due when somebody has left: they may have kept the old key. If it is cut off, run it again: it goes on. It ends what was handed out of single secrets: hand it out anew."
    )]
    Rotate {
        /// Which group.
        #[command(flatten)]
        of: OneGroup,
        /// Who else has the new key, once for each, instead of being asked; nobody else may take part then
        #[arg(long, value_name = "ADDRESS")]
        keep: Vec<String>,
        /// The container that it may be opened into stays appointed, instead of being asked
        #[arg(long)]
        keep_cell: bool,
        /// Why, for the audit
        #[arg(long, default_value = "asked for by an administrator of the group")]
        reason: String,
    },
}

/// A group, and your own vault, which opens the group's.
#[derive(Args)]
pub struct OneGroup {
    /// Which group
    pub group: GroupId,
    /// Your own vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// A secret of a group's vault.
#[derive(Args)]
pub struct OneSecret {
    /// Which group
    pub group: GroupId,
    /// Which secret
    pub name: String,
    /// Your own vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}
