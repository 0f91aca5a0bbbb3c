//! A whole ceremony for the tests.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use ocmt_types::{Id as _, NodeId};

use crate::{
    guardian::test_set::{Circle, NOW},
    seal::SealSecretKey,
    sign::SigningKey,
};

use super::{Ceremony, Collection, Purpose, ReleaseStatement, approve};

pub(super) fn node() -> NodeId {
    NodeId::from_bytes([5; 16])
}

/// A circle with an open ceremony.
pub(super) struct World {
    pub(super) circle: Circle,
    pub(super) host: SigningKey,
    pub(super) release: SealSecretKey,
    pub(super) requester: SealSecretKey,
    pub(super) ceremony: Ceremony,
}

impl World {
    pub(super) fn new(seed: u64, k: u8, weights: &[u8]) -> Self {
        let mut circle = Circle::new(seed, k, weights);
        let requester = SealSecretKey::generate(&mut circle.rng);
        let delay_ms = circle.dealt.set.delays().recovery_ms;
        let ceremony = Ceremony {
            nonce: [3; 32],
            scope: circle.dealt.set.scope(),
            set: circle.dealt.set.id(),
            set_hash: circle.dealt.set.hash(),
            requester: requester.public(),
            purpose: Purpose::Recovery,
            opened_at: NOW,
            delay_ms,
            expires_at: NOW + Duration::from_millis(3 * delay_ms),
            overrides: None,
        };
        Self {
            host: SigningKey::generate(&mut circle.rng),
            release: SealSecretKey::generate(&mut circle.rng),
            requester,
            ceremony,
            circle,
        }
    }

    /// The node's statement, as a guardian verified it.
    pub(super) fn statement(&self) -> ReleaseStatement {
        let hash = self.ceremony.hash();
        let bytes = ReleaseStatement::sign(hash, self.release.public(), node(), &self.host);
        ReleaseStatement::verify(&bytes, node(), &self.host.verify_key(), &hash).unwrap()
    }

    /// The approval of guardian `i`.
    pub(super) fn approval(&mut self, i: usize) -> Vec<u8> {
        let (units, statement) = (self.circle.units(i), self.statement());
        let Circle { guardians, dealt, rng, .. } = &mut self.circle;
        approve(&self.ceremony, &dealt.set, &statement, (&guardians[i].signing, &units), NOW, rng).unwrap()
    }

    pub(super) fn collection(&self) -> Collection<'_> {
        Collection {
            ceremony: &self.ceremony,
            set: &self.circle.dealt.set,
            release: &self.release,
            requester: &self.requester,
        }
    }
}
