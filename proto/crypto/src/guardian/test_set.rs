//! An owner and guardians for the tests.
#![cfg_attr(fuzzing, allow(dead_code, reason = "fuzzing takes the set alone"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ocmt_types::{GuardianSetId, GuardianshipId, Id as _, TenantId, Timestamp, VaultId};
use rand::{SeedableRng as _, rngs::StdRng};

use crate::{datakey::VaultScope, seal::SealSecretKey, sign::SigningKey};

use super::{Dealt, Delays, GuardianKeys, Plan, Seat, Unit, deal, open_units};

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A person with identity keys.
pub(crate) struct Person {
    pub(crate) signing: SigningKey,
    pub(crate) sealing: SealSecretKey,
}

impl Person {
    pub(crate) fn new(rng: &mut StdRng) -> Self {
        Self { signing: SigningKey::generate(rng), sealing: SealSecretKey::generate(rng) }
    }

    pub(crate) fn keys(&self) -> GuardianKeys {
        GuardianKeys { identity: self.signing.verify_key(), sealing: self.sealing.public() }
    }
}

/// An owner, guardians who hold `weights` units, and what was dealt.
pub(crate) struct Circle {
    pub(crate) rng: StdRng,
    pub(crate) owner: Person,
    pub(crate) guardians: Vec<Person>,
    pub(crate) dealt: Dealt,
}

impl Circle {
    pub(crate) fn new(seed: u64, k: u8, weights: &[u8]) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let owner = Person::new(&mut rng);
        let guardians: Vec<_> = weights.iter().map(|_| Person::new(&mut rng)).collect();
        let dealt = deal(&plan(1, k, weights, &owner, &guardians), &owner.signing, &mut rng).unwrap();
        Self { rng, owner, guardians, dealt }
    }

    /// The units of guardian `i`, opened on their device.
    pub(crate) fn units(&self, i: usize) -> Vec<Unit> {
        let person = &self.guardians[i];
        let identity = person.signing.verify_key();
        open_units(&self.dealt.units[i].sealed, &self.dealt.set, &identity, &person.sealing).unwrap()
    }
}

/// A lawful plan for the set whose id is made of `id`.
pub(crate) fn plan(id: u8, k: u8, weights: &[u8], owner: &Person, guardians: &[Person]) -> Plan {
    let seats = (1..).zip(guardians.iter().zip(weights)).map(|(n, (guardian, units))| Seat {
        guardianship: GuardianshipId::from_bytes([n; 16]),
        keys: guardian.keys(),
        units: *units,
    });
    Plan {
        id: GuardianSetId::from_bytes([id; 16]),
        scope: VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) },
        owner_sealing: owner.sealing.public(),
        threshold: k,
        delays: Delays::DEFAULT,
        seats: seats.collect(),
        dealt_at: NOW,
        dev: false,
    }
}
