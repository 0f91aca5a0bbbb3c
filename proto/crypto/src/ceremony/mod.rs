//! A recovery ceremony: how k units rebuild a recovery key, after a delay in which it can be stopped.
//!
//! ```text
//! requester   Ceremony, every field chosen before anything is sent; hash = its SHA-256
//! node        ReleaseStatement: makes a release key, signs (hash, release public key)
//! guardian    Approval: units sealed to the requester's key, that again to the release key, signed
//!             or a StopStatement: deny, lock, doubt; the owner's veto
//! node        after k units and the delay hands out the release private key and the approvals
//! requester   collect: opens both boxes, checks every share, rebuilds RK, opens the recovery slot
//! ```
//!
//! A node verifies all of it and can open none; a requester with a copy of the database lacks the
//! release key, and who has that alone lacks the requester's. States, deadlines and who may call what
//! are the node's (`ocmt-actors`): here is what must be true of the bytes.

mod approval;
mod collecting;
mod params;
mod release;
mod stop;

#[cfg(test)]
mod collect_tests;
#[cfg(test)]
mod statement_tests;
#[cfg(test)]
mod test_world;

#[cfg(any(test, fuzzing))]
pub(crate) use approval::PURPOSE as APPROVAL;
pub use approval::{Approval, approve};
pub use collecting::{BadApproval, BadReason, Collected, Collection, collect};
pub use params::{Ceremony, MAX_CEREMONY_MS, Purpose};
pub use release::ReleaseStatement;
pub use stop::{StopStatement, Verdict, check_override, lost_mailbox};
