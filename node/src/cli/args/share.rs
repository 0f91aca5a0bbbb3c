//! Arguments of what others may read of one's own.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ocmt_client::share::Permission;
use ocmt_types::{ProgramTokenId, ShareId};

use super::PassphraseArgs;
use crate::config::HumanDuration;

/// `ocmt share`
#[derive(Subcommand)]
pub enum ShareCommand {
    /// Offer secrets of yours to somebody of your tenant, as they are now
    #[command(
        after_help = "Examples:\n  ocmt share give bob@example.com --entry bank-login --may read --lifetime 720h\n  ocmt share give bob@example.com --entry bank-login --may read,write\n\nWhat is sent by a share to write or to delete waits for you: see `ocmt vault inbox`. The first time, call them and compare six words; they see theirs with `ocmt share words`. Who already knows a secret knows it still after a share has ended: change it where it is used."
    )]
    Give(GiveArgs),
    /// Take what was offered to you
    #[command(after_help = "Example:\n  ocmt share accept 0b8c2a54-…")]
    Accept {
        /// Which offer, from `ocmt share list`
        share: ShareId,
        /// The six words you heard from the giver; without them you believe what their key signed, and seal nothing to it
        #[arg(long, value_name = "WORDS")]
        words: Option<String>,
    },
    /// List what you gave and took, what others gave on of yours, and what others have of what you administer
    #[command(after_help = "Example:\n  ocmt share list")]
    List,
    /// Take a share back at once with all that was given on of it, and write the secrets under fresh keys
    #[command(
        after_help = "Example:\n  ocmt share revoke 0b8c2a54-…\n\nIf it is cut off, run it again: it goes on. So it does for a share that has run out, was given on by somebody else, or was taken back by an administrator of the secret."
    )]
    Revoke {
        /// Which, from `ocmt share list`
        share: ShareId,
        /// Your vault, in which secrets are written anew
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Read what was shared with you; of several secrets, name one or see their names
    #[command(after_help = "Example:\n  ocmt share read 0b8c2a54-… bank-login")]
    Read {
        /// Which share
        share: ShareId,
        /// Which secret
        name: Option<String>,
        /// Your vault, which has the key that they were sealed to
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Send a new value of a secret that was shared with you to write; it waits for its owner's device
    #[command(
        after_help = "Examples:\n  ocmt share write 0b8c2a54-… --value-file login.txt\n  printf %s \"$NEW\" | ocmt share write 0b8c2a54-… --passphrase-file p\n\nIts owner files it with `ocmt vault inbox --file`. Until then a newer one takes its place, and `ocmt share list` shows that it waits."
    )]
    Write {
        /// Which share, and which secret of it
        #[command(flatten)]
        of: SharedArgs,
        /// Where the value is, `-` for standard input; without it, it is asked for
        #[arg(long, value_name = "FILE")]
        value_file: Option<PathBuf>,
        /// The six words you heard from the share's giver, if they were not compared on this device
        #[arg(long, value_name = "WORDS")]
        words: Option<String>,
    },
    /// Ask for the end of a secret that was shared with you to delete; it waits for its owner's device
    #[command(after_help = "Example:\n  ocmt share delete 0b8c2a54-…")]
    Delete {
        /// Which share, and which secret of it
        #[command(flatten)]
        of: SharedArgs,
    },
    /// Ask for more than you have of a secret that was shared with you
    Ask(AskArgs),
    /// Show the six words of your own keys, for somebody who wants to share with you and calls
    #[command(after_help = "Example:\n  ocmt share words")]
    Words {
        /// Your vault
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Programs that read entries of yours, and ask about senders to your agents
    #[command(subcommand)]
    Program(ProgramCommand),
}

/// What can be given. None implies another.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum May {
    /// Read them
    Read,
    /// See that they exist
    List,
    /// Send new values, which your device files
    Write,
    /// Ask for their end, which your device files
    Delete,
    /// See who else has them by a share, and take that back
    Admin,
    /// Give on what they have
    Share,
}

impl From<May> for Permission {
    fn from(may: May) -> Self {
        match may {
            May::Read => Self::Read,
            May::List => Self::List,
            May::Write => Self::Write,
            May::Delete => Self::Delete,
            May::Admin => Self::Admin,
            May::Share => Self::Share,
        }
    }
}

/// `ocmt share give`
#[derive(Args)]
pub struct GiveArgs {
    /// To whom, and what they may do.
    #[command(flatten)]
    pub offer: OfferArgs,
    /// A secret of yours; may be repeated
    #[arg(long, value_name = "NAME", required_unless_present = "from", conflicts_with = "from")]
    pub entry: Vec<String>,
    /// Give on all of this share, which you took to read and to share
    #[arg(long, value_name = "SHARE")]
    pub from: Option<ShareId>,
}

/// What is offered to a person.
#[derive(Args)]
pub struct OfferArgs {
    /// The address of somebody of your tenant
    pub to: String,
    /// What they may do, and nothing else; to write, to delete and to administer only in your own vault, of secrets that you
    /// name with --entry, and not of a group's nor of what was shared with you
    #[arg(long, value_enum, value_delimiter = ',', default_value = "read")]
    pub may: Vec<May>,
    /// For how long; for ever without it
    #[arg(long, value_name = "TIME")]
    pub lifetime: Option<HumanDuration>,
    /// How they are known, and your vault.
    #[command(flatten)]
    pub compared: ComparedArgs,
}

/// A person whose words are compared, and the vault that their keys are remembered with.
#[derive(Args)]
pub struct ComparedArgs {
    /// The six words you heard from them, compared for you instead of asking
    #[arg(long, value_name = "WORDS")]
    pub words: Option<String>,
    /// Your own vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// A secret of a share.
#[derive(Args)]
pub struct SharedArgs {
    /// Which share, from `ocmt share list`
    pub share: ShareId,
    /// Which of its secrets, 64 hexadecimal digits, if it has several
    #[arg(long, value_name = "HEX")]
    pub entry: Option<String>,
    /// Your vault, whose keys sign it
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `ocmt share ask`
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocmt share ask 0b8c2a54-… --may read --lifetime 8h --reason \"the bank calls back today\""
)]
pub struct AskArgs {
    /// The share by which you know of it
    pub share: ShareId,
    /// Which of its secrets, 64 hexadecimal digits, if it has several
    #[arg(long, value_name = "HEX")]
    pub entry: Option<String>,
    /// What is wished.
    #[command(flatten)]
    pub wish: WishArgs,
}

/// What somebody or a program wishes of an entry, for how long and why.
#[derive(Args)]
pub struct WishArgs {
    /// What to do with it; a program is given to read, to list, or to write one version
    #[arg(long, value_enum, value_delimiter = ',', default_value = "read")]
    pub may: Vec<May>,
    /// For how long
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub lifetime: HumanDuration,
    /// Why, in one line
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `ocmt share program`
#[derive(Subcommand)]
pub enum ProgramCommand {
    /// Make a program's keys where the program runs: one that secrets are sealed to, and one that it signs with; their public
    /// halves are printed
    #[command(after_help = "Example:\n  ocmt share program key --out adapter.key")]
    Key {
        /// Where the private halves go, a new file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make a token with which a program reads the named entries as they are now
    #[command(
        after_help = "Example:\n  ocmt share program create adapter --entry bot-token --program-key 9f0c… --lifetime 720h --out adapter.json"
    )]
    Create(ProgramCreateArgs),
    /// End a program's token at once, and write what it could read under fresh keys
    #[command(
        after_help = "Example:\n  ocmt share program revoke 0b8c2a54-…\n\nWhich entries it could read the node says once. If it is cut off after that, run `ocmt vault rotate`, of a\ngroup's vault `ocmt group vault rotate`, which writes everything under fresh keys."
    )]
    Revoke {
        /// Which
        token: ProgramTokenId,
        /// Your vault, in which entries are written anew; it opens that of a group too
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Let a program go on that was stopped because it read unusually much; a letter has said which
    #[command(after_help = "Example:\n  ocmt share program release 0b8c2a54-…")]
    Release {
        /// Which
        token: ProgramTokenId,
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
        /// Which entry, of those it was made for
        #[arg(required_unless_present = "entry")]
        name: Option<String>,
        /// Which entry, of those it asked for, 64 hexadecimal digits
        #[arg(long, value_name = "HEX", conflicts_with = "name")]
        entry: Option<String>,
    },
    /// Ask as the program for an entry that was not handed to it; you approve it with `ocmt approve`
    Ask(ProgramAskArgs),
    /// Send as the program a new value of an entry that it was approved to write; it waits for your device
    Write(ProgramWriteArgs),
    /// List as the program what it sees
    #[command(
        after_help = "Example:\n  ocmt share program list --program adapter.json --endpoint https://127.0.0.1:7443 --ca ca.pem"
    )]
    List {
        /// What `ocmt share program create` wrote
        #[arg(long, value_name = "FILE")]
        program: PathBuf,
    },
    /// List as the program what it asked for, and what came of it
    #[command(
        after_help = "Example:\n  ocmt share program asked --program adapter.json --endpoint https://127.0.0.1:7443 --ca ca.pem"
    )]
    Asked {
        /// What `ocmt share program create` wrote
        #[arg(long, value_name = "FILE")]
        program: PathBuf,
    },
}

/// `ocmt share program ask`
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocmt share program ask --program adapter.json 9f0c… --reason \"the bot needs the new token\" --endpoint https://127.0.0.1:7443 --ca ca.pem"
)]
pub struct ProgramAskArgs {
    /// What `ocmt share program create` wrote
    #[arg(long, value_name = "FILE")]
    pub program: PathBuf,
    /// Which entry, 64 hexadecimal digits, as its owner's `ocmt vault ls --json` shows it
    pub entry: String,
    /// To ask to write: what `ocmt share program key` wrote, whose signing key the request names
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// What is wished.
    #[command(flatten)]
    pub wish: WishArgs,
}

/// `ocmt share program write`
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocmt share program write --program adapter.json --key-file adapter.key 9f0c… --value-file token.txt --endpoint https://127.0.0.1:7443 --ca ca.pem\n\nYou file it with `ocmt vault inbox --file`; until then a newer one takes its place. One that was filed uses the approval up: the program asks again."
)]
pub struct ProgramWriteArgs {
    /// What `ocmt share program create` wrote
    #[arg(long, value_name = "FILE")]
    pub program: PathBuf,
    /// What `ocmt share program key` wrote
    #[arg(long, value_name = "FILE")]
    pub key_file: PathBuf,
    /// Which entry, 64 hexadecimal digits, as it was asked for
    pub entry: String,
    /// Where the value is; standard input without it
    #[arg(long, value_name = "FILE")]
    pub value_file: Option<PathBuf>,
}

/// A program's token.
#[derive(Args)]
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
