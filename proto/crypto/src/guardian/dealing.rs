//! Dealing: the owner's client makes a recovery key and shares it, once.

use ocmt_types::{GuardianSetId, GuardianshipId, Timestamp};

use crate::{
    CryptoError, Result,
    datakey::{self, VaultScope},
    seal::SealPublicKey,
    shamir,
    sign::SigningKey,
    slot::RecoveryKey,
};

use super::{
    Delays, Guardian, GuardianKeys, GuardianSet, Unit, UnitPublic,
    set::{check_seats, commitment},
    unit::seal_units,
};

/// A guardian who has accepted, and how many units they are to hold.
#[derive(Debug, Clone, Copy)]
pub struct Seat {
    /// The tie to the owner's vault.
    pub guardianship: GuardianshipId,
    /// Identity keys, as the guardian's device made them and the owner's client has pinned them.
    pub keys: GuardianKeys,
    /// At least one, fewer than k.
    pub units: u8,
}

/// What the owner wants.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A fresh id.
    pub id: GuardianSetId,
    /// The vault.
    pub scope: VaultScope,
    /// The public half of the owner's own sealing key: nobody guards their own vault.
    pub owner_sealing: SealPublicKey,
    /// k.
    pub threshold: u8,
    /// The delays.
    pub delays: Delays,
    /// The guardians.
    pub seats: Vec<Seat>,
    /// Now, by the owner's clock.
    pub dealt_at: Timestamp,
    /// Whether this is a development cluster, where delays may be short.
    pub dev: bool,
}

/// The units of one guardian, sealed to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedUnits {
    /// Whose.
    pub guardianship: GuardianshipId,
    /// One sealed box.
    pub sealed: Vec<u8>,
}

/// What came of it.
pub struct Dealt {
    /// Locks the vault's new recovery slot; then it is dropped.
    pub recovery_key: RecoveryKey,
    /// The set.
    pub set: GuardianSet,
    /// The set with the owner's signature.
    pub signed_set: Vec<u8>,
    /// For each guardian, their units.
    pub units: Vec<SealedUnits>,
}

/// Makes a recovery key and deals it by `plan`, signed with the owner's identity key.
///
/// # Errors
/// [`CryptoError::OutOfRange`] naming the rule that the plan breaks; [`CryptoError::Exists`] if a
/// guardianship is there twice.
pub fn deal(plan: &Plan, owner: &SigningKey, rng: &mut impl rand::CryptoRng) -> Result<Dealt> {
    let owner_keys = GuardianKeys { identity: owner.verify_key(), sealing: plan.owner_sealing };
    plan.delays.check(plan.dev)?;
    check_seats(plan.threshold, &owner_keys, plan.seats.iter().map(|seat| (seat.keys, seat.units)))?;
    let guardians = seat_guardians(&plan.seats)?;
    let total = guardians.iter().map(Guardian::weight).sum();

    let recovery_key = RecoveryKey::generate(rng);
    let units = shamir::split(recovery_key.expose(), plan.threshold, total, rng)?
        .into_iter()
        .map(|share| Unit {
            set: plan.id,
            vault: plan.scope.vault,
            threshold: plan.threshold,
            total,
            share,
            blind: datakey::random_key(rng),
            drill: SigningKey::generate(rng),
        })
        .collect::<Vec<_>>();
    let set = GuardianSet {
        id: plan.id,
        scope: plan.scope,
        owner: owner_keys,
        threshold: plan.threshold,
        delays: plan.delays,
        dealt_at: plan.dealt_at,
        guardians,
        units: units.iter().map(|unit| publish(plan, unit)).collect(),
    };
    set.check_structure()?;
    let sealed = set
        .guardians()
        .iter()
        .map(|guardian| {
            let (first, last) = (usize::from(*guardian.units.start()), usize::from(*guardian.units.end()));
            let own = units.get(first - 1..last).ok_or(CryptoError::Refused)?;
            let sealed = seal_units(own, &set, guardian, rng)?;
            Ok(SealedUnits { guardianship: guardian.guardianship, sealed })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Dealt { recovery_key, signed_set: set.sign(owner)?, units: sealed, set })
}

fn seat_guardians(seats: &[Seat]) -> Result<Vec<Guardian>> {
    let mut next = 1;
    let mut guardians: Vec<Guardian> = Vec::with_capacity(seats.len());
    for seat in seats {
        if guardians.iter().any(|guardian| guardian.guardianship == seat.guardianship) {
            return Err(CryptoError::Exists("guardianship"));
        }
        // check_seats has held the sum to 20 units and each seat to one at least
        let units = next..=next + seat.units - 1;
        next += seat.units;
        guardians.push(Guardian { guardianship: seat.guardianship, keys: seat.keys, units });
    }
    Ok(guardians)
}

fn publish(plan: &Plan, unit: &Unit) -> UnitPublic {
    UnitPublic {
        commitment: commitment(plan.id, &plan.scope, unit.x(), &unit.share.y, &unit.blind),
        drill: unit.drill.verify_key(),
    }
}
