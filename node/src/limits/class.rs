//! Each limit: whom it counts, and what becomes of its calls when the counts cannot be reached.

use std::time::Duration;

use crate::config::{Rate, Rates};

/// What is limited together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Every request on the client listener, where it comes in.
    Requests,
    /// Asking for and using what makes a session; joining the cluster.
    SignIn,
    /// Letters to one e-mail address.
    Account,
    /// Codes of second factors, and passkeys shown anew.
    Mfa,
    /// Fetching and handing over what opens a vault.
    Unlock,
    /// Steps of recovery ceremonies that bring them on.
    Recovery,
    /// What stops a ceremony. Its brake must hang on nothing that somebody else could take away.
    Stop,
    /// What changes nothing.
    Read,
    /// Everything else.
    Write,
    /// Requests and connections to workloads.
    Gateway,
}

/// Whom a limit counts. Never what a caller may make up: an address is the other end of the connection or what a trusted
/// proxy says, a principal was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyed {
    /// The address; of IPv6 a /64.
    Address,
    /// The e-mail address that a letter goes to, as a hash, together with the address that wishes for it: whoever wishes
    /// for letters in somebody else's name uses up none of theirs.
    Account,
    /// The session, program or API key. Not the user over all sessions: one that was stolen, or whose second factor is due,
    /// would shut the user's own out.
    Principal,
}

/// What becomes of calls when Redis does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fails {
    /// They are refused.
    Closed,
    /// Each node counts for itself.
    Local,
    /// Each node counts for itself in any case.
    Never,
}

/// The wait that doubles with each attempt past the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// After the first.
    pub first: Duration,
    /// It grows no further. Strikes are forgotten when nobody went past the limit for so long after the wait.
    pub longest: Duration,
}

impl Class {
    /// All.
    pub const ALL: [Self; 10] = [
        Self::Requests,
        Self::SignIn,
        Self::Account,
        Self::Mfa,
        Self::Unlock,
        Self::Recovery,
        Self::Stop,
        Self::Read,
        Self::Write,
        Self::Gateway,
    ];

    /// As `[rates]`, headers and metrics name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::SignIn => "sign_in",
            Self::Account => "account",
            Self::Mfa => "mfa",
            Self::Unlock => "unlock",
            Self::Recovery => "recovery",
            Self::Stop => "stop",
            Self::Read => "read",
            Self::Write => "write",
            Self::Gateway => "gateway",
        }
    }

    /// Whom it counts.
    pub const fn keyed(self) -> Keyed {
        match self {
            Self::Requests | Self::SignIn => Keyed::Address,
            Self::Account => Keyed::Account,
            Self::Mfa
            | Self::Unlock
            | Self::Recovery
            | Self::Stop
            | Self::Read
            | Self::Write
            | Self::Gateway => Keyed::Principal,
        }
    }

    /// What becomes of it without Redis.
    pub const fn fails(self) -> Fails {
        match self {
            // a flood must cost nothing but this node's own memory
            Self::Requests => Fails::Never,
            // a delay that ends in the database while Redis is away would be lost otherwise
            Self::Stop => Fails::Never,
            // the way to the brake: whoever stops a ceremony signs in, steps up, or opens the vault with their keys before.
            // Guesses are bounded without Redis: codes, hand-outs and links are counted in the database
            Self::SignIn | Self::Account | Self::Mfa | Self::Unlock => Fails::Local,
            // what brings a ceremony on waits for Redis rather than outruns its limit
            Self::Recovery => Fails::Closed,
            Self::Read | Self::Write | Self::Gateway => Fails::Local,
        }
    }

    /// How long those who go on past it are kept out.
    pub const fn back_off(self) -> Option<BackOff> {
        let (first, longest) = match self {
            // what is shown there is random; and an office behind one address must not wait for one of its people
            Self::SignIn => (30, 120),
            Self::Recovery => (60, 3600),
            // codes themselves are counted with the account for as long as it takes: see `attempts` of the actors
            Self::Mfa => (60, 3600),
            Self::Unlock => (30, 900),
            Self::Account | Self::Requests | Self::Stop | Self::Read | Self::Write | Self::Gateway => {
                return None;
            }
        };
        Some(BackOff { first: Duration::from_secs(first), longest: Duration::from_secs(longest) })
    }

    /// How much of it is lawful.
    pub const fn rate(self, rates: &Rates) -> Rate {
        match self {
            Self::Requests => rates.requests,
            Self::SignIn => rates.sign_in,
            Self::Account => rates.account,
            Self::Mfa => rates.mfa,
            Self::Unlock => rates.unlock,
            Self::Recovery => rates.recovery,
            Self::Stop => rates.stop,
            Self::Read => rates.read,
            Self::Write => rates.write,
            Self::Gateway => rates.gateway,
        }
    }
}

/// The limits as a table in Markdown, for docs/security/limits.md.
pub fn table(rates: &Rates) -> String {
    let mut text =
        "| limit | counts | default | past it | without Redis's answer |\n|---|---|---|---|---|\n".to_owned();
    for class in Class::ALL {
        let counts = match class.keyed() {
            Keyed::Address => "an address, of IPv6 a /64",
            Keyed::Account => "an e-mail address, by who asks",
            Keyed::Principal => "a session, program or API key",
        };
        let past = class.back_off().map_or_else(
            || "waits for the next place".to_owned(),
            |it| format!("waits {} s, doubled each time, to {} s", it.first.as_secs(), it.longest.as_secs()),
        );
        let without = match class.fails() {
            Fails::Closed => "refused: UNAVAILABLE, `LIMITS_UNREACHABLE`",
            Fails::Local => "each node counts for itself",
            Fails::Never => "each node counts for itself in any case",
        };
        let row =
            format!("| `rates.{}` | {counts} | {} | {past} | {without} |\n", class.name(), class.rate(rates));
        text.push_str(&row);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_limits_says_what_the_code_does() {
        let page = include_str!("../../../docs/security/limits.md");
        let table = table(&Rates::default());
        assert!(page.contains(&table), "docs/security/limits.md has to hold:\n{table}");
    }

    #[test]
    fn what_stops_a_recovery_hangs_on_nothing() {
        assert_eq!((Class::Stop.fails(), Class::Stop.back_off()), (Fails::Never, None));
    }

    #[test]
    fn nor_does_the_way_there() {
        for class in [Class::SignIn, Class::Account, Class::Mfa, Class::Unlock] {
            assert_eq!(class.fails(), Fails::Local, "{class:?}");
        }
        assert_eq!(Class::Recovery.fails(), Fails::Closed, "what brings it on waits");
    }
}
