//! Snapshots by schedule: nobody is there to make a key, so the cell makes it and seals it to a key of the user's vault.
//!
//! The key pair comes from a version of the container's volume key ([`ScheduleKey`]): a re-keying keeps earlier versions for
//! reading, so earlier snapshots open. Who reads them is what its user signed ([`Schedule`]), and a host keeps whose signature
//! it took and takes no lower number. The host hands the schedule to a cell that it starts, under a MAC of the start secret
//! ([`ScheduleOrder`]). To a public key anybody can seal: so the host signs what was taken ([`Taken`]), and a client restores
//! only what the host that its vault pins has signed.

use ocmt_types::{ContainerId, Digest32, NodeId, SnapshotId, TenantId, Timestamp, UserId};
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};

use crate::{
    CryptoError, Result,
    cell::{CellPlace, StartSecret},
    codec::{Reader, Writer},
    datakey::{DataKey, VaultScope},
    kind::Kind,
    mac,
    seal::{self, SealPublicKey, SealSecretKey},
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};

const VERSION: u8 = 1;
pub(crate) const SCHEDULE: Purpose = Purpose::new("snapshot schedule");
pub(crate) const TAKEN: Purpose = Purpose::new("snapshot taken");
const DERIVED: &[u8] = b"OCMT volume key v1 snapshot schedule";
const INFO: &[u8] = b"OCMT scheduled snapshot v1";

const SIGNATURE: usize = 64;
const MAX_CRON: usize = 100;
const MAX_TIME_ZONE: usize = 64;
const MOST_KEPT: u16 = 100;
/// The longest signed schedule, in bytes.
pub const MAX_SCHEDULE: usize =
    6 + 3 * 16 + 8 + (4 + MAX_CRON) + (4 + MAX_TIME_ZONE) + 2 + 32 + 8 + SIGNATURE;
/// The longest order to a cell, in bytes.
pub const MAX_ORDER: usize = 6 + 40 + 16 + 32 + (4 + MAX_SCHEDULE) + mac::LEN;
/// Bytes of every sealed data key.
pub const SEALED_KEY_LEN: usize = 6 + 8 + seal::OVERHEAD + 32;
/// Bytes of every statement of what was taken.
pub const TAKEN_LEN: usize = 6 + 2 * 16 + 8 + 16 + 8 + 2 * 32 + 8 + 16 + SIGNATURE;

/// When snapshots of a container are to be taken, how many are kept, and who can open them. Exists only verified, or on its
/// way to being signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Of which tenant.
    pub tenant: TenantId,
    /// Whose.
    pub user: UserId,
    /// Of which container.
    pub container: ContainerId,
    /// Grows with each schedule that the user signs, for whichever container.
    pub number: u64,
    /// When: a line of cron, 1 to 100 bytes.
    pub cron: String,
    /// By the clocks of where: a name of the IANA database, 1 to 64 bytes.
    pub time_zone: String,
    /// How many of its snapshots are kept, 1 to 100.
    pub keep: u16,
    /// To which the keys of the snapshots are sealed: [`ScheduleKey::public`].
    pub key: SealPublicKey,
    /// Of which version of the volume key that is.
    pub key_version: u64,
}

impl Schedule {
    /// Signs it, with the identity key of its user.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if one of its bounds is passed.
    pub fn sign(&self, identity: &SigningKey) -> Result<Vec<u8>> {
        self.check_bounds()?;
        let mut out = Writer::object(Kind::SNAPSHOT_SCHEDULE, VERSION);
        out.id(self.tenant).id(self.user).id(self.container).u64(self.number);
        out.var(self.cron.as_bytes()).var(self.time_zone.as_bytes()).u16(self.keep);
        out.fixed(&self.key.0).u64(self.key_version);
        let signature = identity.sign(SCHEDULE, out.as_bytes());
        out.fixed(&signature.0);
        Ok(out.into_vec())
    }

    /// Verifies one of who has this identity key.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn verify(bytes: &[u8], identity: &VerifyKey) -> Result<Self> {
        if bytes.len() > MAX_SCHEDULE {
            return Err(CryptoError::Refused);
        }
        let (body, signature) = bytes.split_last_chunk::<SIGNATURE>().ok_or(CryptoError::Refused)?;
        identity.verify(SCHEDULE, body, &Signature(*signature))?;
        let mut reader = Reader::object(body, Kind::SNAPSHOT_SCHEDULE, VERSION)?;
        let schedule = Self {
            tenant: reader.id()?,
            user: reader.id()?,
            container: reader.id()?,
            number: reader.u64()?,
            cron: reader.text(MAX_CRON)?.to_owned(),
            time_zone: reader.text(MAX_TIME_ZONE)?.to_owned(),
            keep: reader.u16()?,
            key: SealPublicKey(reader.array()?),
            key_version: reader.u64()?,
        };
        reader.finish()?;
        schedule.check_bounds()?;
        Ok(schedule)
    }

    fn check_bounds(&self) -> Result<()> {
        let lawful = (1..=MAX_CRON).contains(&self.cron.len())
            && (1..=MAX_TIME_ZONE).contains(&self.time_zone.len())
            && (1..=MOST_KEPT).contains(&self.keep)
            && self.number > 0
            && self.key_version > 0;
        if lawful { Ok(()) } else { Err(CryptoError::Refused) }
    }

    /// The cell's side: seals the key of a snapshot that this schedule asked for.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if the public key is of low order.
    pub fn seal_key(&self, snapshot: SnapshotId, key: &DataKey, rng: &mut impl CryptoRng) -> Result<Vec<u8>> {
        let mut out = Writer::object(Kind::SCHEDULED_KEY, VERSION);
        out.u64(self.key_version);
        let info = info(self.tenant, self.container, snapshot);
        let sealed = seal::seal(&self.key, &info, out.as_bytes(), key.expose(), rng)?;
        out.fixed(&sealed);
        Ok(out.into_vec())
    }
}

fn info(tenant: TenantId, container: ContainerId, snapshot: SnapshotId) -> Vec<u8> {
    let mut out = Writer::with_capacity(96);
    out.fixed(INFO).id(tenant).id(container).id(snapshot);
    out.into_vec()
}

/// The key pair that snapshots by schedule are sealed to: of one version of a container's volume key.
pub struct ScheduleKey {
    tenant: TenantId,
    container: ContainerId,
    version: u64,
    secret: SealSecretKey,
}

impl ScheduleKey {
    /// Derives it. Whoever has the volume key has it, and nobody else.
    ///
    /// # Errors
    /// None in practice.
    pub fn of(
        (version, volume_key): (u64, &DataKey),
        scope: VaultScope,
        container: ContainerId,
    ) -> Result<Self> {
        let mut label = Writer::with_capacity(96);
        label.fixed(DERIVED);
        scope.write(&mut label);
        label.id(container);
        let secret = volume_key.duplicate().into_locked().derive(label.as_bytes())?;
        let secret = SealSecretKey::from_slice(secret.as_slice())?;
        Ok(Self { tenant: scope.tenant, container, version, secret })
    }

    /// What a schedule names.
    pub fn public(&self) -> SealPublicKey {
        self.secret.public()
    }

    /// Of which version of the volume key it is.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Opens the key of a snapshot. That anybody could have sealed it: [`Taken`] says who did.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open(&self, snapshot: SnapshotId, sealed: &[u8]) -> Result<DataKey> {
        let (head, sealed_box) = split(sealed)?;
        if sealed_key_version(sealed)? != self.version {
            return Err(CryptoError::Refused);
        }
        let info = info(self.tenant, self.container, snapshot);
        DataKey::from_slice(&seal::open(&self.secret, &info, head, sealed_box)?)
    }
}

fn split(sealed: &[u8]) -> Result<(&[u8], &[u8])> {
    if sealed.len() == SEALED_KEY_LEN {
        sealed.split_at_checked(6 + 8).ok_or(CryptoError::Refused)
    } else {
        Err(CryptoError::Refused)
    }
}

/// Which version of the volume key opens a sealed data key. Not proven.
///
/// # Errors
/// [`CryptoError::Refused`] if it is none.
pub fn sealed_key_version(sealed: &[u8]) -> Result<u64> {
    let (head, _) = split(sealed)?;
    let mut reader = Reader::object(head, Kind::SCHEDULED_KEY, VERSION)?;
    let version = reader.u64()?;
    reader.finish()?;
    Ok(version)
}

/// What a statement of what was taken holds of the sealed data key.
pub fn sealed_key_hash(sealed: &[u8]) -> Digest32 {
    Digest32(Sha256::digest(sealed).into())
}

/// What a host hands a cell that it starts: the schedule, and which key it takes the signature of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleOrder {
    /// Which snapshot is to be taken.
    pub snapshot: SnapshotId,
    /// As it was signed, and verified.
    pub schedule: Schedule,
}

impl ScheduleOrder {
    /// The host's side. `signed` is what it verified under `identity`.
    ///
    /// # Errors
    /// None in practice.
    pub fn state(
        start: &StartSecret,
        place: &CellPlace,
        snapshot: SnapshotId,
        identity: &VerifyKey,
        signed: &[u8],
    ) -> Result<Vec<u8>> {
        let mut out = Writer::object(Kind::SCHEDULE_ORDER, VERSION);
        place.write(&mut out);
        out.id(snapshot).fixed(&identity.0).var(signed);
        let tag = mac::tag(&*start.schedule_key()?, out.as_bytes());
        out.fixed(&tag);
        Ok(out.into_vec())
    }

    /// The cell's side: takes what its host states to it, if the key that it vouches for has signed for this container.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn admit(bytes: &[u8], start: &StartSecret, place: &CellPlace) -> Result<Self> {
        if bytes.len() > MAX_ORDER {
            return Err(CryptoError::Refused);
        }
        let (body, tag) = bytes.split_last_chunk::<{ mac::LEN }>().ok_or(CryptoError::Refused)?;
        mac::check(&*start.schedule_key()?, body, tag)?;
        let mut reader = Reader::object(body, Kind::SCHEDULE_ORDER, VERSION)?;
        let meant = CellPlace::read(&mut reader)?;
        let (snapshot, identity) = (reader.id()?, VerifyKey(reader.array()?));
        let schedule = Schedule::verify(reader.var(MAX_SCHEDULE)?, &identity)?;
        reader.finish()?;
        let ours =
            meant == *place && schedule.tenant == place.tenant && schedule.container == place.container;
        if ours { Ok(Self { snapshot, schedule }) } else { Err(CryptoError::Refused) }
    }
}

/// What a host says that a cell of its own has taken. Exists only verified, or on its way to being signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Of which tenant.
    pub tenant: TenantId,
    /// Of which container.
    pub container: ContainerId,
    /// Of which making of it.
    pub generation: u64,
    /// Which snapshot.
    pub snapshot: SnapshotId,
    /// Bytes of ciphertext.
    pub size: u64,
    /// SHA-256 of them, as they are kept.
    pub content_hash: Digest32,
    /// SHA-256 of the sealed data key.
    pub sealed_key_hash: Digest32,
    /// When.
    pub taken_at: Timestamp,
    /// By whom.
    pub node: NodeId,
}

impl Taken {
    /// Signs it: `sign` signs with the node's identity key.
    pub fn sign_by(&self, sign: impl FnOnce(Purpose, &[u8]) -> Signature) -> Vec<u8> {
        let mut out = Writer::object(Kind::SNAPSHOT_TAKEN, VERSION);
        out.id(self.tenant).id(self.container).u64(self.generation).id(self.snapshot).u64(self.size);
        out.fixed(&self.content_hash.0).fixed(&self.sealed_key_hash.0).i64(self.taken_at.0).id(self.node);
        let signature = sign(TAKEN, out.as_bytes());
        out.fixed(&signature.0);
        out.into_vec()
    }

    /// Verifies one of this node.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn verify(bytes: &[u8], node_key: &VerifyKey) -> Result<Self> {
        let (taken, body, signature) = Self::parse(bytes)?;
        node_key.verify(TAKEN, body, &signature)?;
        Ok(taken)
    }

    /// The node that it says it is from, to look its certificate up. Not verified.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is no statement.
    pub fn claimed_node(bytes: &[u8]) -> Result<NodeId> {
        Self::parse(bytes).map(|(taken, ..)| taken.node)
    }

    fn parse(bytes: &[u8]) -> Result<(Self, &[u8], Signature)> {
        let (body, signature) = bytes.split_last_chunk::<SIGNATURE>().ok_or(CryptoError::Refused)?;
        let mut reader = Reader::object(body, Kind::SNAPSHOT_TAKEN, VERSION)?;
        let taken = Self {
            tenant: reader.id()?,
            container: reader.id()?,
            generation: reader.u64()?,
            snapshot: reader.id()?,
            size: reader.u64()?,
            content_hash: Digest32(reader.array()?),
            sealed_key_hash: Digest32(reader.array()?),
            taken_at: Timestamp(reader.i64()?),
            node: reader.id()?,
        };
        reader.finish()?;
        Ok((taken, body, Signature(*signature)))
    }
}

#[cfg(test)]
#[path = "snapshot_schedule_tests.rs"]
mod tests;
