//! Arguments of `ocmt recovery` and `ocmt guardian`.

use std::str::FromStr;

use clap::{Args, Subcommand};
use ocmt_types::GuardianshipId;

use super::{NewPassphraseArgs, PassphraseArgs};

/// `ocmt recovery`
#[derive(Subcommand)]
pub enum RecoveryCommand {
    /// Name the guardians who can give your vault back; run it again when they have accepted
    Setup(SetupArgs),
    /// Where your guardians and any recovery stand, and what comes next
    #[command(after_help = "Example:\n  ocmt recovery status")]
    Status,
    /// Who could open my vault with whom, and where that is weak; also what would be with others
    Who(WhoArgs),
    /// I have lost my passphrase: ask my guardians
    #[command(
        after_help = "Example:\n  ocmt login --recovery --email you@example.org\n  ocmt recovery open\n\nIf somebody stopped your request who should not have (a thief in your account, a guardian with a grudge):\n  ocmt login --recovery --email you@example.org\n  ocmt recovery open --over-stop"
    )]
    Open {
        /// Go on over a request that was stopped: one guardian more than usual has to agree, the wait is the longest, and then nobody stops it but who has the vault open
        #[arg(long)]
        over_stop: bool,
        /// Which stopped request, by the beginning of its id; may be left out for the newest
        #[arg(long, requires = "over_stop", value_name = "REQUEST")]
        stopped: Option<String>,
    },
    /// I have lost my passphrase and my mailbox: ask my guardians by the link that came to my new address
    #[command(
        after_help = "Example:\n  ocmt recovery begin --endpoint https://ocmt.example.org:7443 --ca ca.pem\n\nCall one of your guardians first and tell them your new address: they run `ocmt guardian lost-mailbox`, and a link comes there. Paste it when asked, or pipe it to standard input. If the request is refused after that, the same command on the same device goes on without another link.\nThen call all of them: they compare six words and sign. With enough of them your request begins, and waits for the longest waiting time of your vault.\n\nIf somebody who reads your old mail stopped your request, ask a guardian for the address of that request's page, and for a new link:\n  ocmt recovery begin --over-stop https://ocmt.example.org/guardian/requests/…"
    )]
    Begin {
        /// Go on over a request that was stopped, named by its id or by the address of its page: one guardian more than usual has to sign, and then nobody stops it but who has the vault open
        #[arg(long, value_name = "REQUEST")]
        over_stop: Option<String>,
    },
    /// Tell what happens in recoveries that you have to do with, as it happens
    #[command(after_help = "Example:\n  ocmt recovery watch")]
    Watch {
        /// Go on behind the event of this token, which an earlier watch printed
        #[arg(long, default_value = "", hide_default_value = true, value_name = "TOKEN")]
        resume: String,
    },
    /// See whether the vault can be opened now, without changing anything
    #[command(after_help = "Example:\n  ocmt recovery collect")]
    Collect {
        /// Which request, by the beginning of its id; may be left out if there is only one
        ceremony: Option<String>,
    },
    /// Open the vault with the guardians' help and give it a new passphrase
    #[command(after_help = "Example:\n  ocmt recovery complete")]
    Complete {
        /// Which request, by the beginning of its id; may be left out if there is only one
        ceremony: Option<String>,
        /// The passphrase to be.
        #[command(flatten)]
        new: NewPassphraseArgs,
    },
    /// Give up a recovery that you asked for
    #[command(after_help = "Example:\n  ocmt recovery cancel")]
    Cancel {
        /// Which request, by the beginning of its id; may be left out if there is only one
        ceremony: Option<String>,
    },
    /// That was not me: stop a recovery of my vault; wants a recent sign-in, `ocmt step-up`
    #[command(
        after_help = "Example:\n  ocmt recovery veto\n\nA request that goes on over your veto is stopped only with your vault open, by dismissing all guardians:\n  ocmt recovery veto --retire-guardians"
    )]
    Veto {
        /// Which request, by the beginning of its id; may be left out if there is only one
        ceremony: Option<String>,
        /// Dismiss all guardians and give the vault new keys: stops every request, and nobody can give the vault back until you name guardians again
        #[arg(long)]
        retire_guardians: bool,
        /// To open the vault, for --retire-guardians.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Take back somebody whom you asked to be a guardian; also ends a change of guardians that names them; wants a recent sign-in, `ocmt step-up`
    #[command(
        after_help = "Examples:\n  ocmt recovery take-back eve@example.org\n  ocmt recovery take-back --change           a change that waits, and nobody is ended\n\nThe part of somebody who guards already counts until other guardians are in their place."
    )]
    TakeBack {
        /// Their address
        #[arg(value_name = "ADDRESS", required_unless_present = "change")]
        guardian: Option<String>,
        /// The change of guardians that waits, whomever it names: all who guard now stay
        #[arg(long, conflicts_with = "guardian")]
        change: bool,
    },
    /// Ask your guardians to show that they could still help
    #[command(after_help = "Example:\n  ocmt recovery drill")]
    Drill,
}

/// `ocmt recovery setup`
#[derive(Args)]
#[command(
    after_help = "Example:\n  ocmt recovery setup --guardian anna@example.org --guardian ben@example.org --guardian carl@example.org --need 2\n\nAny two of the three can then give the vault back to you, after a waiting time in which you can stop it. Other guardians than before are named after a waiting time too: run it again then."
)]
pub struct SetupArgs {
    /// A guardian's address, with :N if they are to count as N; may be given more than once
    #[arg(long, value_name = "ADDRESS[:N]", required = true)]
    pub guardian: Vec<Asked>,
    /// How many have to agree
    #[arg(long, value_name = "K")]
    pub need: u8,
    /// I have compared the six words of every guardian by telephone: do not ask
    #[arg(long)]
    pub yes: bool,
    /// Take the waiting times of the tenant's policy, also where those of now are longer; it is waited for like other changes
    #[arg(long)]
    pub policy_delays: bool,
    /// Take waiting times under an hour if the tenant's policy has them (development only)
    #[arg(long)]
    pub short_delays: bool,
    /// To open the vault.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `ocmt recovery who`
#[derive(Args)]
#[command(
    after_help = "Examples:\n  ocmt recovery who\n  ocmt recovery who --without ben@example.org              if Ben were lost\n  ocmt recovery who --with dora@example.org --need 3        before you ask Dora"
)]
pub struct WhoArgs {
    /// As if this guardian were not there; may be given more than once
    #[arg(long, value_name = "ADDRESS")]
    pub without: Vec<String>,
    /// As if this one were a guardian too, with :N if they were to count as N; may be given more than once
    #[arg(long, value_name = "ADDRESS[:N]")]
    pub with: Vec<Asked>,
    /// As if so many had to agree
    #[arg(long, value_name = "K")]
    pub need: Option<u8>,
}

/// A guardian to be: where to ask, and how much they count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Their address.
    pub email: String,
    /// Units they will hold.
    pub units: u32,
}

impl FromStr for Asked {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (email, units) = match text.rsplit_once(':') {
            Some((email, units)) => (email, units.parse().unwrap_or(0)),
            None => (text, 1),
        };
        if !email.contains('@') || units == 0 {
            return Err(format!(
                "`{text}` is no guardian: write ADDRESS, or ADDRESS:2 for one who counts as two"
            ));
        }
        Ok(Self { email: email.to_owned(), units })
    }
}

/// `ocmt guardian`
#[derive(Subcommand)]
pub enum GuardianCommand {
    /// Say yes to somebody who asked you to be their guardian
    #[command(after_help = "Example:\n  ocmt guardian accept")]
    Accept {
        /// Which, from `ocmt guardian list`; may be left out if only one waits
        guardianship: Option<GuardianshipId>,
        /// To open your own vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Say no, or stop being a guardian
    #[command(after_help = "Example:\n  ocmt guardian resign 0b8c2a54-…")]
    Resign {
        /// Which, from `ocmt guardian list`
        guardianship: GuardianshipId,
    },
    /// Whom you guard, and requests that wait for you
    #[command(
        after_help = "Example:\n  ocmt guardian list\n\nYour words are made of keys that this device took out of your own vault, never of what a node says. Where it has not opened the vault yet, `--words` does."
    )]
    List {
        /// Open your vault for your own six words, instead of showing those of the time before
        #[arg(long)]
        words: bool,
        /// To open your own vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Help: give your part, after comparing six words by telephone
    #[command(
        after_help = "Example:\n  ocmt guardian approve\n\nCall the person first, on a number you already had. Whoever merely writes to you may be somebody else."
    )]
    Approve {
        /// Which request, by the beginning of its id; may be left out if there is only one
        ceremony: Option<String>,
        /// The six words you heard on the telephone, compared for you instead of asking
        #[arg(long, value_name = "WORDS")]
        words: Option<String>,
        /// To open your own vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Refuse a request
    #[command(after_help = "Example:\n  ocmt guardian deny")]
    Deny {
        /// Which request, by the beginning of its id; may be left out if there is only one
        ceremony: Option<String>,
        /// To open your own vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Say that you are not sure; the owner and the other guardians are told
    #[command(after_help = "Example:\n  ocmt guardian doubt")]
    Doubt {
        /// Which request, by the beginning of its id; may be left out if there is only one
        ceremony: Option<String>,
        /// To open your own vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Something is wrong: stop every recovery of this vault for days, but for one that goes on over a stop
    #[command(after_help = "Example:\n  ocmt guardian lock")]
    Lock {
        /// Which request, by the beginning of its id; may be left out if there is only one
        ceremony: Option<String>,
        /// To open your own vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Somebody whom you guard has lost the mailbox too: have a link sent to their new address
    #[command(
        after_help = "Example:\n  ocmt guardian lost-mailbox you-know@old.example --new-address them@new.example\n\nDo it only if they called you and you know the voice. They are told at the old address too, and can stop it there. It gives nothing of your part: the link lets them ask, all of you compare six words, and enough of you sign (`ocmt guardian sign`) before anything begins. You can do it three times in a week; a link to the same address that nobody used within its day does not count."
    )]
    LostMailbox {
        /// The address of their account, as `ocmt guardian list` shows it
        #[arg(value_name = "ADDRESS")]
        owner: String,
        /// Where they are reached now
        #[arg(long, value_name = "ADDRESS")]
        new_address: String,
    },
    /// Somebody whom you guard has lost the mailbox too: sign for their request to begin, after comparing six words by telephone
    #[command(
        after_help = "Example:\n  ocmt guardian sign\n\nThis is not the approval: it lets the request begin, once as many of you as are needed have signed. Then the longest waiting time runs, and you give your part with `ocmt guardian approve`. Call the person first, on a number you already had."
    )]
    Sign {
        /// Which request, by the beginning of its id; may be left out if there is only one
        ceremony: Option<String>,
        /// The six words you heard on the telephone, compared for you instead of asking
        #[arg(long, value_name = "WORDS")]
        words: Option<String>,
        /// To open your own vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// A request was stopped wrongly: sign for one that goes on over it, after comparing six words by telephone
    #[command(
        after_help = "Example:\n  ocmt guardian override\n\nThis is not the approval: it lets the new request begin, once one guardian more than usual has signed. Call the person first, on a number you already had."
    )]
    Override {
        /// Which request, by the beginning of its id; may be left out if there is only one
        ceremony: Option<String>,
        /// The six words you heard on the telephone, compared for you instead of asking
        #[arg(long, value_name = "WORDS")]
        words: Option<String>,
        /// To open your own vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Answer drills: show that you could still help
    #[command(after_help = "Example:\n  ocmt guardian answer")]
    Answer {
        /// To open your own vault.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_guardian_counts_once_unless_said_otherwise() {
        assert_eq!("a@b.example".parse::<Asked>().unwrap(), Asked { email: "a@b.example".into(), units: 1 });
        assert_eq!("a@b.example:2".parse::<Asked>().unwrap().units, 2);
        for bad in ["anna", "a@b.example:0", "a@b.example:x"] {
            assert!(bad.parse::<Asked>().is_err(), "{bad} was taken");
        }
    }
}
