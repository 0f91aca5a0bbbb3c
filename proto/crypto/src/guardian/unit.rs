//! A share unit: what a guardian keeps, sealed to their key.

use ocmt_types::{GuardianSetId, VaultId};
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey,
    kind::Kind,
    seal::{self, SealSecretKey},
    shamir::Share,
    sign::{SigningKey, VerifyKey},
};

use super::{GuardianSet, MAX_UNITS, set::Guardian};

const VERSION: u8 = 1;
const INFO: &[u8] = b"OCMT guardian units v1";
const UNIT_LEN: usize = 6 + 16 + 16 + 3 + 32 + 32 + 32;

/// One unit, opened on its guardian's device: secret, zeroised on drop.
pub struct Unit {
    pub(crate) set: GuardianSetId,
    pub(crate) vault: VaultId,
    pub(crate) threshold: u8,
    pub(crate) total: u8,
    pub(crate) share: Share,
    pub(crate) blind: Zeroizing<[u8; 32]>,
    pub(crate) drill: SigningKey,
}

impl Unit {
    /// Which unit of the set.
    pub fn x(&self) -> u8 {
        self.share.x
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.fixed(&crate::codec::MAGIC).u8(Kind::SHARE_UNIT.0).u8(VERSION);
        out.id(self.set).id(self.vault);
        out.u8(self.share.x).u8(self.threshold).u8(self.total);
        out.fixed(&self.share.y).fixed(self.blind.as_slice()).fixed(self.drill.expose().as_slice());
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::object(bytes, Kind::SHARE_UNIT, VERSION)?;
        let (set, vault) = (reader.id()?, reader.id()?);
        let (x, threshold, total) = (reader.u8()?, reader.u8()?, reader.u8()?);
        let unit = Self {
            set,
            vault,
            threshold,
            total,
            share: Share { x, y: reader.array()? },
            blind: datakey::secret_array(reader.take(32)?)?,
            drill: SigningKey::from_slice(reader.take(32)?)?,
        };
        reader.finish()?;
        Ok(unit)
    }

    /// Whether the unit is the one that `set` commits to.
    fn check(&self, set: &GuardianSet) -> Result<()> {
        let same = self.set == set.id()
            && self.vault == set.scope().vault
            && self.threshold == set.threshold()
            && self.total == set.total()
            && set.unit(self.x()).is_some_and(|unit| unit.drill == self.drill.verify_key());
        if !same {
            return Err(CryptoError::Refused);
        }
        set.check_share(self.x(), &self.share.y, &self.blind)
    }
}

/// Seals all units of one guardian in one box.
pub(super) fn seal_units(
    units: &[Unit],
    set: &GuardianSet,
    guardian: &Guardian,
    rng: &mut impl rand::CryptoRng,
) -> Result<Vec<u8>> {
    let mut out = Writer::with_capacity(4 + units.len() * UNIT_LEN);
    out.count(units.len());
    for unit in units {
        unit.write(&mut out);
    }
    seal::seal(&guardian.keys.sealing, INFO, &aad(set, &guardian.keys.identity), out.as_bytes(), rng)
}

/// A guardian's side: opens the units of one's own in a verified set, and checks each against it.
///
/// # Errors
/// [`CryptoError::Refused`] if they are damaged, of another set or guardian, or not what the set
/// commits to. [`CryptoError::NotFound`] if `identity` is no guardian of the set.
pub fn open_units(
    sealed: &[u8],
    set: &GuardianSet,
    identity: &VerifyKey,
    secret: &SealSecretKey,
) -> Result<Vec<Unit>> {
    let guardian = set.guardian(identity).ok_or(CryptoError::NotFound("guardian"))?;
    let bytes = seal::open(secret, INFO, &aad(set, identity), sealed)?;
    let mut reader = Reader::new(&bytes);
    let units = (0..reader.count(usize::from(MAX_UNITS), UNIT_LEN)?)
        .map(|_| Unit::read(reader.take(UNIT_LEN)?))
        .collect::<Result<Vec<_>>>()?;
    reader.finish()?;
    if !units.iter().map(Unit::x).eq(guardian.units.clone()) {
        return Err(CryptoError::Refused);
    }
    units.iter().try_for_each(|unit| unit.check(set))?;
    Ok(units)
}

fn aad(set: &GuardianSet, identity: &VerifyKey) -> Vec<u8> {
    [set.hash().0, identity.0].concat()
}
