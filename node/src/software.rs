//! What a node's program is: its version, and which versions of the peer protocol it speaks.
//!
//! A value that a program hands over when it starts a node, so that tests can run the next release beside this
//! one. No setting and no variable of the environment changes it: a node cannot be talked into being another.

use std::{fmt, ops::RangeInclusive};

/// Versions of the peer protocol that this release speaks. A version is dropped one release after its successor
/// came, so that neighbours in a rolling upgrade always share one.
const PROTOCOLS: RangeInclusive<u32> = 1..=1;

/// One release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Software {
    /// As operators read it in `ocmt cluster nodes`.
    pub version: String,
    /// Versions of the peer protocol that it speaks.
    pub protocols: RangeInclusive<u32>,
}

impl Software {
    /// This release.
    pub fn this() -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), protocols: PROTOCOLS }
    }

    /// The highest version that both speak, given what the other side speaks and calls itself.
    ///
    /// # Errors
    /// [`NothingInCommon`].
    pub(crate) fn agree(
        &self,
        version: &str,
        protocols: RangeInclusive<u32>,
    ) -> Result<u32, NothingInCommon> {
        let highest = *protocols.end().min(self.protocols.end());
        if self.protocols.contains(&highest) && protocols.contains(&highest) {
            return Ok(highest);
        }
        // who asked sent the text: it ends up in a log
        let version = version.chars().filter(char::is_ascii_graphic).take(MOST_VERSION).collect();
        Err(NothingInCommon { asked: self.clone(), asking: Self { version, protocols } })
    }
}

/// Characters of another node's version that are repeated.
const MOST_VERSION: usize = 40;

/// Two releases that are too far apart to talk to each other.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "no common version of the peer protocol: the caller runs {asking}, the node it called runs {asked}: upgrade one release at a time, all nodes to one that speaks both before any to the next"
)]
pub(crate) struct NothingInCommon {
    asking: Software,
    asked: Software,
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.protocols.start(), self.protocols.end());
        write!(f, "{} (protocol {first}", self.version)?;
        if first == last { write!(f, ")") } else { write!(f, " to {last})") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(protocols: RangeInclusive<u32>) -> Software {
        Software { version: format!("0.{}.0", protocols.end()), protocols }
    }

    /// What `asked` says to `asking`.
    fn spoken(asked: RangeInclusive<u32>, asking: RangeInclusive<u32>) -> Option<u32> {
        release(asked).agree("0.9.0", asking).ok()
    }

    #[test]
    fn the_highest_common_version_is_spoken() {
        for (one, other, agreed) in [
            (1..=1, 1..=1, Some(1)),
            (1..=1, 1..=2, Some(1)),
            (1..=2, 1..=2, Some(2)),
            (1..=2, 2..=2, Some(2)),
            (1..=1, 2..=2, None),
            (1..=1, 2..=7, None),
        ] {
            assert_eq!(spoken(one.clone(), other.clone()), agreed, "{one:?} asked by {other:?}");
            assert_eq!(spoken(other.clone(), one.clone()), agreed, "{other:?} asked by {one:?}");
        }
        #[expect(clippy::reversed_empty_ranges, reason = "a caller may say anything")]
        let empty = 3..=1;
        assert_eq!(spoken(1..=4, empty), None, "an empty range");
    }

    #[test]
    fn what_is_refused_names_both_and_says_what_to_do() {
        let refused = release(1..=1).agree("0.3.0\n\u{1b}[31m of more than it needs", 2..=3).unwrap_err();
        let text = refused.to_string();
        for said in ["0.1.0 (protocol 1)", "0.3.0", "(protocol 2 to 3)", "upgrade one release at a time"] {
            assert!(text.contains(said), "{said} is not in: {text}");
        }
        assert!(!text.contains(['\n', '\u{1b}']), "{text:?}");
    }
}
