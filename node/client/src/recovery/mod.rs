//! Guardians and recovery, each from the device of whoever acts: [`owner`], [`guardian`], [`requester`].
//!
//! Owners and requesters call in their own tenant, guardians in theirs. All secrets are made, opened and
//! used here; the nodes pass on what they cannot open.

mod ceremony;
pub mod guardian;
mod guardianship;
pub mod owner;
pub mod requester;
pub mod strength;
mod watch;

use ocmt_crypto::{seal::SealPublicKey, sign::VerifyKey, words};
use ocmt_types::Digest32;

pub use ceremony::{Act, Ceremony, CeremonyState};
pub use guardian::Review;
pub use guardianship::{Guardianship, GuardianshipState, OpenChallenge, Side};
pub use owner::{Circle, SetState};
pub use requester::{BadShare, Recovered, RecoveryRequest};
pub use watch::{CeremonyEvent, CeremonyWatch};

use crate::{ClientError, vault::blocking};

/// The six words of a ceremony: the requester and each guardian compare them by telephone.
///
/// # Errors
/// None in practice.
pub async fn ceremony_words(ceremony: Digest32) -> Result<String, ClientError> {
    let words = blocking(move || words::for_ceremony(&ceremony)).await??;
    Ok(words.join(" "))
}

/// The six words of a person's identity keys.
///
/// # Errors
/// None in practice.
pub async fn identity_words(signing: VerifyKey, sealing: SealPublicKey) -> Result<String, ClientError> {
    let words = blocking(move || words::for_identity(&signing, &sealing)).await??;
    Ok(words.join(" "))
}
