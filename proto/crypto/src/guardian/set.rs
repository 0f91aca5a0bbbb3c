//! The guardian set: public, signed by the owner's identity key.

use std::{collections::HashSet, ops::RangeInclusive};

use ocmt_types::{Digest32, GuardianSetId, GuardianshipId, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::VaultScope,
    kind::Kind,
    seal::SealPublicKey,
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};

use super::{Delays, MAX_UNITS};

const VERSION: u8 = 1;
const PURPOSE: Purpose = Purpose::new("guardian set");
const HASH_DOMAIN: &[u8] = b"OCMT guardian set v1\0";
const COMMITMENT_DOMAIN: &[u8] = b"OCMT share commitment v1\0";
/// Guardianship, two keys, number of units.
const GUARDIAN_LEN: usize = 16 + 64 + 1;
/// Commitment and drill key.
const UNIT_LEN: usize = 64;

/// The public identity keys of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardianKeys {
    /// Signs approvals and stops.
    pub identity: VerifyKey,
    /// Units are sealed to it.
    pub sealing: SealPublicKey,
}

impl GuardianKeys {
    fn write(&self, out: &mut Writer) {
        out.fixed(&self.identity.0).fixed(&self.sealing.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { identity: VerifyKey(reader.array()?), sealing: SealPublicKey(reader.array()?) })
    }
}

/// One guardian of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guardian {
    /// The tie to the owner's vault.
    pub guardianship: GuardianshipId,
    /// The guardian's identity keys.
    pub keys: GuardianKeys,
    /// The x of the units held, without a gap.
    pub units: RangeInclusive<u8>,
}

impl Guardian {
    /// How many units the guardian holds.
    pub fn weight(&self) -> u8 {
        self.units.end() - self.units.start() + 1
    }
}

/// What everybody may know of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitPublic {
    /// SHA-256 over set, vault, x, share and blind: tells a genuine share from another.
    pub commitment: Digest32,
    /// Verifies the answers to drills.
    pub drill: VerifyKey,
}

/// Who guards a vault. Exists only with its structure checked: 2 ≤ k ≤ n ≤ 20, every guardian with at
/// least one unit and fewer than k, no key twice, the owner not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardianSet {
    pub(super) id: GuardianSetId,
    pub(super) scope: VaultScope,
    pub(super) owner: GuardianKeys,
    pub(super) threshold: u8,
    pub(super) delays: Delays,
    pub(super) dealt_at: Timestamp,
    pub(super) guardians: Vec<Guardian>,
    /// The unit x stands at x - 1.
    pub(super) units: Vec<UnitPublic>,
}

impl GuardianSet {
    /// Its id.
    pub fn id(&self) -> GuardianSetId {
        self.id
    }

    /// The vault that it guards.
    pub fn scope(&self) -> VaultScope {
        self.scope
    }

    /// The owner's identity keys.
    pub fn owner(&self) -> &GuardianKeys {
        &self.owner
    }

    /// k: how many units rebuild the recovery key.
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// n: how many units there are.
    pub fn total(&self) -> u8 {
        self.guardians.iter().map(Guardian::weight).sum()
    }

    /// The delays.
    pub fn delays(&self) -> &Delays {
        &self.delays
    }

    /// When it was dealt, by the owner's clock.
    pub fn dealt_at(&self) -> Timestamp {
        self.dealt_at
    }

    /// All guardians, in the order of their units.
    pub fn guardians(&self) -> &[Guardian] {
        &self.guardians
    }

    /// The guardian with this identity key.
    pub fn guardian(&self, identity: &VerifyKey) -> Option<&Guardian> {
        self.guardians.iter().find(|guardian| guardian.keys.identity == *identity)
    }

    /// What is public of the unit `x`.
    pub fn unit(&self, x: u8) -> Option<&UnitPublic> {
        self.units.get(usize::from(x.checked_sub(1)?))
    }

    /// Whether k + 1 units can exist, which an override needs. With k = n there is none.
    pub fn has_override(&self) -> bool {
        self.total() > self.threshold
    }

    /// What ceremonies and sealed units are bound to.
    pub fn hash(&self) -> Digest32 {
        Digest32(Sha256::new().chain_update(HASH_DOMAIN).chain_update(self.body()).finalize().into())
    }

    /// Whether `share` and `blind` are those of unit `x`.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn check_share(&self, x: u8, share: &[u8; 32], blind: &[u8; 32]) -> Result<()> {
        let unit = self.unit(x).ok_or(CryptoError::Refused)?;
        let commitment = commitment(self.id, &self.scope, x, share, blind);
        if commitment == unit.commitment { Ok(()) } else { Err(CryptoError::Refused) }
    }

    /// The set with the owner's signature, as it travels and rests.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if `owner` is another's key.
    pub fn sign(&self, owner: &SigningKey) -> Result<Vec<u8>> {
        if owner.verify_key() != self.owner.identity {
            return Err(CryptoError::Refused);
        }
        let mut bytes = self.body();
        let signature = owner.sign(PURPOSE, &bytes);
        bytes.extend_from_slice(&signature.0);
        Ok(bytes)
    }

    /// The owner's identity that the set names, unverified: for who has nothing to hold it against
    /// (the requester, whose set the guardians confirm by the ceremony's words).
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is no set.
    pub fn claimed_owner(bytes: &[u8]) -> Result<VerifyKey> {
        Self::parse(bytes).map(|(set, ..)| set.owner.identity)
    }

    /// Verifies a signed set of the owner with this identity key. Its delays are for the caller to
    /// check ([`Delays::check`]), who knows whether this is a development cluster.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn verify(bytes: &[u8], owner: &VerifyKey) -> Result<Self> {
        let (set, body, signature) = Self::parse(bytes)?;
        owner.verify(PURPOSE, body, &signature)?;
        if set.owner.identity != *owner {
            return Err(CryptoError::Refused);
        }
        set.check_structure().map_err(|_| CryptoError::Refused)?;
        Ok(set)
    }

    pub(super) fn check_structure(&self) -> Result<()> {
        check_seats(self.threshold, &self.owner, self.guardians.iter().map(|g| (g.keys, g.weight())))?;
        let distinct: HashSet<_> = self.guardians.iter().map(|guardian| guardian.guardianship).collect();
        if distinct.len() != self.guardians.len() || self.units.len() != usize::from(self.total()) {
            return Err(CryptoError::Refused);
        }
        Ok(())
    }

    fn body(&self) -> Vec<u8> {
        let mut out = Writer::object(Kind::GUARDIAN_SET, VERSION);
        out.id(self.id);
        self.scope.write(&mut out);
        self.owner.write(&mut out);
        out.u8(self.threshold);
        self.delays.write(&mut out);
        out.i64(self.dealt_at.0).count(self.guardians.len());
        for guardian in &self.guardians {
            out.id(guardian.guardianship);
            guardian.keys.write(&mut out);
            out.u8(guardian.weight());
        }
        out.count(self.units.len());
        for unit in &self.units {
            out.fixed(&unit.commitment.0).fixed(&unit.drill.0);
        }
        out.into_vec()
    }

    fn parse(bytes: &[u8]) -> Result<(Self, &[u8], Signature)> {
        let (body, signature) = bytes.split_last_chunk::<64>().ok_or(CryptoError::Refused)?;
        let mut reader = Reader::object(body, Kind::GUARDIAN_SET, VERSION)?;
        let set = Self {
            id: reader.id()?,
            scope: VaultScope { tenant: reader.id()?, vault: reader.id()? },
            owner: GuardianKeys::read(&mut reader)?,
            threshold: reader.u8()?,
            delays: Delays::read(&mut reader)?,
            dealt_at: Timestamp(reader.i64()?),
            guardians: read_guardians(&mut reader)?,
            units: read_units(&mut reader)?,
        };
        reader.finish()?;
        Ok((set, body, Signature(*signature)))
    }
}

/// The rules of who may hold how much.
pub(super) fn check_seats(
    threshold: u8,
    owner: &GuardianKeys,
    seats: impl Iterator<Item = (GuardianKeys, u8)>,
) -> Result<()> {
    let refuse = |rule| Err(CryptoError::OutOfRange { what: "guardian set", rule });
    let (mut identities, mut sealings) = (HashSet::from([owner.identity]), HashSet::from([owner.sealing]));
    let mut total = 0_u32;
    for (keys, weight) in seats {
        if keys.identity == owner.identity || keys.sealing == owner.sealing {
            return refuse("the owner is no guardian of their own vault");
        }
        if !identities.insert(keys.identity) || !sealings.insert(keys.sealing) {
            return refuse("one person guards once: no key twice");
        }
        if weight == 0 || weight >= threshold {
            return refuse("every guardian holds at least one unit and fewer than k");
        }
        total += u32::from(weight);
    }
    if threshold < 2 || u32::from(threshold) > total || total > u32::from(MAX_UNITS) {
        return refuse("k of n units, 2 <= k <= n <= 20");
    }
    Ok(())
}

pub(super) fn commitment(
    set: GuardianSetId,
    scope: &VaultScope,
    x: u8,
    share: &[u8; 32],
    blind: &[u8; 32],
) -> Digest32 {
    let hash = Sha256::new()
        .chain_update(COMMITMENT_DOMAIN)
        .chain_update(set.as_bytes())
        .chain_update(scope.vault.as_bytes())
        .chain_update([x])
        .chain_update(share)
        .chain_update(blind);
    Digest32(hash.finalize().into())
}

fn read_guardians(reader: &mut Reader<'_>) -> Result<Vec<Guardian>> {
    let mut next = 1_u8;
    (0..reader.count(usize::from(MAX_UNITS), GUARDIAN_LEN)?)
        .map(|_| {
            let (guardianship, keys, weight) = (reader.id()?, GuardianKeys::read(reader)?, reader.u8()?);
            if weight == 0 || weight > MAX_UNITS {
                return Err(CryptoError::Refused);
            }
            let first = next;
            next = next.checked_add(weight).ok_or(CryptoError::Refused)?;
            Ok(Guardian { guardianship, keys, units: first..=next - 1 })
        })
        .collect()
}

fn read_units(reader: &mut Reader<'_>) -> Result<Vec<UnitPublic>> {
    (0..reader.count(usize::from(MAX_UNITS), UNIT_LEN)?)
        .map(|_| Ok(UnitPublic { commitment: Digest32(reader.array()?), drill: VerifyKey(reader.array()?) }))
        .collect()
}
