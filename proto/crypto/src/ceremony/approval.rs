//! An approval: a guardian's units for one ceremony, in two boxes, under one signature.

use ocmt_types::{Digest32, GuardianshipId, Timestamp};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    guardian::{GuardianSet, MAX_UNITS, Unit},
    kind::Kind,
    seal::{self, SealPublicKey, SealSecretKey},
    shamir::Share,
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};

use super::{Ceremony, ReleaseStatement};

const VERSION: u8 = 1;
pub(crate) const PURPOSE: Purpose = Purpose::new("approval");
const INNER: &[u8] = b"OCMT approval inner v1";
const OUTER: &[u8] = b"OCMT approval outer v1";
/// Set, vault, x, k, n, share, blind.
const RELEASED_LEN: usize = 16 + 16 + 3 + 32 + 32;
const MAX_OUTER: usize = 2 * seal::OVERHEAD + 10 + MAX_UNITS as usize * RELEASED_LEN;

/// An approval whose signature holds for the ceremony, its release key and its set. What the boxes
/// hold is known only to the requester, after release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    guardianship: GuardianshipId,
    guardian: VerifyKey,
    units: Vec<u8>,
    outer: Vec<u8>,
}

/// The guardian's side: approves a ceremony with all of one's units.
///
/// `set` is verified under the owner's pinned identity, `release` under the node's certificate, `units`
/// come from [`crate::guardian::open_units`] with that set.
///
/// # Errors
/// [`CryptoError::NotFound`] if `identity` is no guardian of the set; [`CryptoError::Refused`] if the
/// release key is of another ceremony, the ceremony is over, or the units are not all of one's own; the
/// errors of [`Ceremony::check`].
pub fn approve(
    ceremony: &Ceremony,
    set: &GuardianSet,
    release: &ReleaseStatement,
    own: (&SigningKey, &[Unit]),
    now: Timestamp,
    rng: &mut impl rand::CryptoRng,
) -> Result<Vec<u8>> {
    let (identity, units) = own;
    ceremony.check(set)?;
    let hash = ceremony.hash();
    let guardian = set.guardian(&identity.verify_key()).ok_or(CryptoError::NotFound("guardian"))?;
    let all_own =
        units.iter().map(Unit::x).eq(guardian.units.clone()) && units.iter().all(|unit| unit.set == set.id());
    if *release.ceremony() != hash || now >= ceremony.expires_at || !all_own {
        return Err(CryptoError::Refused);
    }
    let released = Released { hash, requester: &ceremony.requester, release: release.key(), units };
    released.seal(identity, rng)
}

/// What an approval is made of, checked by [`approve`].
pub(super) struct Released<'a> {
    pub(super) hash: Digest32,
    pub(super) requester: &'a SealPublicKey,
    pub(super) release: &'a SealPublicKey,
    pub(super) units: &'a [Unit],
}

impl Released<'_> {
    fn seal(&self, identity: &SigningKey, rng: &mut impl rand::CryptoRng) -> Result<Vec<u8>> {
        let xs = self.units.iter().map(Unit::x).collect::<Vec<_>>();
        self.seal_as(&xs, identity, rng)
    }

    /// `xs` is what the approval says it holds: for the tests, which lie.
    pub(super) fn seal_as(
        &self,
        xs: &[u8],
        identity: &SigningKey,
        rng: &mut impl rand::CryptoRng,
    ) -> Result<Vec<u8>> {
        let mut inner = Writer::with_capacity(16 + self.units.len() * RELEASED_LEN);
        inner.fixed(&crate::codec::MAGIC).u8(Kind::RELEASED_UNITS.0).u8(VERSION);
        inner.count(self.units.len());
        for unit in self.units {
            inner.id(unit.set).id(unit.vault);
            inner.u8(unit.share.x).u8(unit.threshold).u8(unit.total);
            inner.fixed(&unit.share.y).fixed(unit.blind.as_slice());
        }
        let guardian = identity.verify_key();
        let place = inner_aad(&self.hash, &guardian);
        let inner = seal::seal(self.requester, INNER, &place, inner.as_bytes(), rng)?;
        let mut out = head(&self.hash, self.release, &guardian, xs);
        let outer = seal::seal(self.release, OUTER, out.as_bytes(), &inner, rng)?;
        out.var(&outer);
        let signature = identity.sign(PURPOSE, out.as_bytes());
        out.fixed(&signature.0);
        Ok(out.into_vec())
    }
}

impl Approval {
    /// The node's and the requester's side: verifies an approval without opening it. An approval counts
    /// once a guardian ([`Approval::guardian`]), for its units.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is forged, damaged, of another ceremony or release key, or not of
    /// a guardian of `set` with exactly their units.
    pub fn verify(
        bytes: &[u8],
        ceremony: &Digest32,
        release: &SealPublicKey,
        set: &GuardianSet,
    ) -> Result<Self> {
        let (body, signature) = bytes.split_last_chunk::<64>().ok_or(CryptoError::Refused)?;
        let mut reader = Reader::object(body, Kind::APPROVAL, VERSION)?;
        let (named, key) = (Digest32(reader.array()?), SealPublicKey(reader.array()?));
        let identity = VerifyKey(reader.array()?);
        let units = reader.var(usize::from(MAX_UNITS))?.to_vec();
        let outer = reader.var(MAX_OUTER)?.to_vec();
        reader.finish()?;
        identity.verify(PURPOSE, body, &Signature(*signature))?;
        let guardian = set.guardian(&identity).ok_or(CryptoError::Refused)?;
        let own_units = units.iter().copied().eq(guardian.units.clone());
        if named != *ceremony || key != *release || !own_units {
            return Err(CryptoError::Refused);
        }
        Ok(Self { guardianship: guardian.guardianship, guardian: identity, units, outer })
    }

    /// The guardian's tie to the vault.
    pub fn guardianship(&self) -> GuardianshipId {
        self.guardianship
    }

    /// Whose it is: the key under which it counts once.
    pub fn guardian(&self) -> &VerifyKey {
        &self.guardian
    }

    /// The x of the units it releases.
    pub fn units(&self) -> &[u8] {
        &self.units
    }

    /// The requester's side, after release: opens both boxes and checks every share against its
    /// commitment.
    pub(super) fn open(
        &self,
        ceremony: &Ceremony,
        set: &GuardianSet,
        release: &SealSecretKey,
        requester: &SealSecretKey,
    ) -> Result<Vec<Share>> {
        let hash = ceremony.hash();
        let head = head(&hash, &release.public(), &self.guardian, &self.units);
        let inner = seal::open(release, OUTER, head.as_bytes(), &self.outer)?;
        let released = seal::open(requester, INNER, &inner_aad(&hash, &self.guardian), &inner)?;
        let shares = Self::read_released(&released, set)?;
        if shares.iter().map(|share| share.x).eq(self.units.iter().copied()) {
            Ok(shares)
        } else {
            Err(CryptoError::Refused)
        }
    }

    /// What is in the inner box: every share held against its commitment.
    pub(crate) fn read_released(bytes: &[u8], set: &GuardianSet) -> Result<Vec<Share>> {
        let mut reader = Reader::object(bytes, Kind::RELEASED_UNITS, VERSION)?;
        let shares = (0..reader.count(usize::from(MAX_UNITS), RELEASED_LEN)?)
            .map(|_| read_share(&mut reader, set))
            .collect::<Result<Vec<_>>>()?;
        reader.finish()?;
        Ok(shares)
    }
}

fn read_share(reader: &mut Reader<'_>, set: &GuardianSet) -> Result<Share> {
    let place = (reader.id()?, reader.id()?);
    let (x, threshold, total) = (reader.u8()?, reader.u8()?, reader.u8()?);
    let share = Share { x, y: reader.array()? };
    let blind = crate::datakey::secret_array(reader.take(32)?)?;
    if place != (set.id(), set.scope().vault) || threshold != set.threshold() || total != set.total() {
        return Err(CryptoError::Refused);
    }
    set.check_share(x, &share.y, &blind)?;
    Ok(share)
}

/// All of an approval before its outer box, which is bound to it.
fn head(ceremony: &Digest32, release: &SealPublicKey, guardian: &VerifyKey, xs: &[u8]) -> Writer {
    let mut out = Writer::object(Kind::APPROVAL, VERSION);
    out.fixed(&ceremony.0).fixed(&release.0).fixed(&guardian.0).var(xs);
    out
}

fn inner_aad(ceremony: &Digest32, guardian: &VerifyKey) -> Vec<u8> {
    [ceremony.0, guardian.0].concat()
}
