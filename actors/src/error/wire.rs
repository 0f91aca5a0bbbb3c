//! Errors on their way between nodes: bytes that another version of this program can read.
//!
//! One byte of version, then JSON. Most texts of an [`ActorError`] are literals of this program; what comes
//! from another node is made one again by [`literal`], which keeps each text once and no more than a bound.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ocmt_types::{NodeId, RequestId};
use serde::{Deserialize, Serialize};

use super::ActorError;
use crate::clip::clip;

const VERSION: u8 = 1;
/// Longest text that is kept of another node's error, in bytes.
const LONGEST: usize = 1024;
/// Most bytes of an encoded error that are looked at.
const MOST: usize = 16 << 10;
/// Most texts kept by [`literal`]: several times as many as this program has.
const MOST_LITERALS: usize = 1024;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wire {
    NotFound,
    Unauthenticated(String),
    PermissionDenied(String),
    StepUpRequired,
    InvalidArgument { field: String, why: String },
    FailedPrecondition { reason: String, why: String },
    AlreadyExists(String),
    Aborted(String),
    OutOfRange(String),
    ResourceExhausted { reason: String, why: String, retry_after_ms: Option<u64> },
    DeadlineExceeded,
    Unavailable { reason: String, why: String, retry_after_ms: Option<u64> },
    NotOwner { owner: Option<NodeId> },
    OutcomeUnknown,
    Internal(RequestId),
    Unimplemented(String),
}

impl ActorError {
    /// The error as bytes for another node.
    pub fn to_wire(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        // enums of texts and numbers: there is nothing in them that JSON cannot hold
        bytes.extend(serde_json::to_vec(&Wire::from(self)).unwrap_or_default());
        bytes
    }

    /// The error of another node. What cannot be read may have had an effect: its outcome is unknown.
    pub fn from_wire(bytes: &[u8]) -> Self {
        match bytes.split_first() {
            Some((&VERSION, json)) if bytes.len() <= MOST => {
                serde_json::from_slice::<Wire>(json).map_or(Self::OutcomeUnknown, Self::from)
            }
            _ => Self::OutcomeUnknown,
        }
    }
}

impl From<&ActorError> for Wire {
    fn from(error: &ActorError) -> Self {
        match error {
            ActorError::NotFound => Self::NotFound,
            ActorError::Unauthenticated(why) => Self::Unauthenticated(clip(why, LONGEST)),
            ActorError::PermissionDenied(why) => Self::PermissionDenied(clip(why, LONGEST)),
            ActorError::StepUpRequired => Self::StepUpRequired,
            ActorError::InvalidArgument { field, why } => {
                Self::InvalidArgument { field: clip(field, LONGEST), why: clip(why, LONGEST) }
            }
            ActorError::FailedPrecondition { reason, why } => {
                Self::FailedPrecondition { reason: clip(reason, LONGEST), why: clip(why, LONGEST) }
            }
            ActorError::AlreadyExists(what) => Self::AlreadyExists(clip(what, LONGEST)),
            ActorError::Aborted(what) => Self::Aborted(clip(what, LONGEST)),
            ActorError::OutOfRange(what) => Self::OutOfRange(clip(what, LONGEST)),
            ActorError::ResourceExhausted { reason, why, retry_after } => Self::ResourceExhausted {
                reason: clip(reason, LONGEST),
                why: clip(why, LONGEST),
                retry_after_ms: retry_after.map(in_ms),
            },
            ActorError::DeadlineExceeded => Self::DeadlineExceeded,
            ActorError::Unavailable { reason, why, retry_after } => Self::Unavailable {
                reason: clip(reason, LONGEST),
                why: clip(why, LONGEST),
                retry_after_ms: retry_after.map(in_ms),
            },
            ActorError::NotOwner { owner } => Self::NotOwner { owner: *owner },
            ActorError::OutcomeUnknown => Self::OutcomeUnknown,
            ActorError::Internal(id) => Self::Internal(*id),
            ActorError::Unimplemented(what) => Self::Unimplemented(clip(what, LONGEST)),
        }
    }
}

impl From<Wire> for ActorError {
    fn from(wire: Wire) -> Self {
        match wire {
            Wire::NotFound => Self::NotFound,
            Wire::Unauthenticated(why) => Self::Unauthenticated(literal(&why)),
            Wire::PermissionDenied(why) => Self::PermissionDenied(literal(&why)),
            Wire::StepUpRequired => Self::StepUpRequired,
            Wire::InvalidArgument { field, why } => {
                Self::InvalidArgument { field: literal(&field), why: clip(&why, LONGEST) }
            }
            Wire::FailedPrecondition { reason, why } => {
                Self::FailedPrecondition { reason: clip(&reason, LONGEST).into(), why: clip(&why, LONGEST) }
            }
            Wire::AlreadyExists(what) => Self::AlreadyExists(literal(&what)),
            Wire::Aborted(what) => Self::Aborted(literal(&what)),
            Wire::OutOfRange(what) => Self::OutOfRange(literal(&what)),
            Wire::ResourceExhausted { reason, why, retry_after_ms } => Self::ResourceExhausted {
                reason: literal(&reason),
                why: clip(&why, LONGEST),
                retry_after: retry_after_ms.map(Duration::from_millis),
            },
            Wire::DeadlineExceeded => Self::DeadlineExceeded,
            Wire::Unavailable { reason, why, retry_after_ms } => Self::Unavailable {
                reason: literal(&reason),
                why: clip(&why, LONGEST),
                retry_after: retry_after_ms.map(Duration::from_millis),
            },
            Wire::NotOwner { owner } => Self::NotOwner { owner },
            Wire::OutcomeUnknown => Self::OutcomeUnknown,
            Wire::Internal(id) => Self::Internal(id),
            Wire::Unimplemented(what) => Self::Unimplemented(literal(&what)),
        }
    }
}

fn in_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The text for as long as the process lives.
fn literal(text: &str) -> &'static str {
    static MET: Literals = Literals::new();
    MET.keep(text)
}

/// Texts that are kept for ever, each once. Past the bound, which no honest peer comes to, all are the same.
struct Literals(Mutex<BTreeSet<&'static str>>);

impl Literals {
    const fn new() -> Self {
        Self(Mutex::new(BTreeSet::new()))
    }

    fn keep(&self, text: &str) -> &'static str {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = clip(text, LONGEST);
        if let Some(known) = met.get(text.as_str()) {
            return known;
        }
        if met.len() >= MOST_LITERALS {
            return "OF_ANOTHER_NODE";
        }
        let kept: &'static str = Box::leak(text.into_boxed_str());
        met.insert(kept);
        kept
    }
}

#[cfg(test)]
mod tests {
    use ocmt_types::Id as _;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_error_comes_back_as_it_went() {
        let second = Some(Duration::from_secs(1));
        for error in [
            ActorError::NotFound,
            ActorError::Unauthenticated("who"),
            ActorError::PermissionDenied("no"),
            ActorError::StepUpRequired,
            ActorError::invalid("field", "why"),
            ActorError::precondition("REASON", "why"),
            ActorError::AlreadyExists("it"),
            ActorError::OutOfRange("read anew"),
            ActorError::Aborted("it"),
            ActorError::exhausted("LIMIT", "why"),
            ActorError::ResourceExhausted { reason: "LIMIT", why: String::new(), retry_after: second },
            ActorError::DeadlineExceeded,
            ActorError::unavailable("AWAY", "why"),
            ActorError::no_lease(),
            ActorError::NotOwner { owner: None },
            ActorError::NotOwner { owner: Some(NodeId::from_bytes([7; 16])) },
            ActorError::OutcomeUnknown,
            ActorError::Internal(RequestId::from_bytes([7; 16])),
            ActorError::Unimplemented("it"),
        ] {
            assert_eq!(ActorError::from_wire(&error.to_wire()), error);
        }
    }

    #[test]
    fn what_cannot_be_read_may_have_been_done() {
        let mut newer = ActorError::NotFound.to_wire();
        newer[0] = 9;
        let unknown = [&[VERSION][..], br#"{"of_tomorrow":{}}"#].concat();
        let huge = [&[VERSION][..], &vec![b' '; MOST], br#""not_found""#].concat();
        for bytes in [&[][..], &[VERSION], &newer, &unknown, &huge] {
            assert_eq!(ActorError::from_wire(bytes), ActorError::OutcomeUnknown);
        }
    }

    #[test]
    fn texts_of_others_are_bounded() {
        let why = "é".repeat(LONGEST);
        let ActorError::Unavailable { why, .. } =
            ActorError::from_wire(&ActorError::unavailable("AWAY", why).to_wire())
        else {
            unreachable!()
        };
        assert_eq!(why.len(), LONGEST);
        let literals = Literals::new();
        for n in 0..MOST_LITERALS {
            assert_eq!(literals.keep(&format!("text {n}")), format!("text {n}"));
        }
        assert_eq!(literals.keep("one more that nobody said before"), "OF_ANOTHER_NODE");
        assert_eq!(literals.keep("text 1"), "text 1");
    }

    proptest! {
        #[test]
        fn no_bytes_of_another_node_do_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ActorError::from_wire(&bytes);
            bytes.insert(0, VERSION);
            let _ = ActorError::from_wire(&bytes);
        }
    }
}
