//! A sealed volume: what a workload keeps in memory while its cell is unlocked, and what its host has of it on disk.
//!
//! ```text
//! file    = head | chunk | chunk | …
//! head    = envelope of kind SEALED_VOLUME, at the version of the volume key as key epoch, under its sealing key
//! content = file key 32 | sealing 16 | serial u64
//! context = tenant 16 | container 16
//! chunk   = as of a snapshot whose id is `sealing`, under the file key
//! ```
//!
//! Each sealing has a key and an id of its own, so no chunk of one is taken for one of another, and the chunks are those of
//! [`crate::snapshot`]: what is reordered, left out, doubled, cut off or added is refused. The *serial* grows from one unlock to the next; a
//! client that remembers it is shown no file from before.
//!
//! A cell never gets the volume key itself, which wraps the keys of snapshots, but its [`sealing_key`].

use ocmt_types::{ContainerId, Id as _, SnapshotId, TenantId};
use rand::CryptoRng;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::{self, DataKey},
    envelope,
    kind::Kind,
    locked::LockedKey,
    snapshot::{ChunkOpener, ChunkSealer, SnapshotPlace},
};

const CONTENT: usize = 32 + 16 + 8;

/// Bytes of a head.
pub const HEAD_LEN: usize = CONTENT + envelope::overhead(Kind::SEALED_VOLUME);

/// What seals volumes, from a version of the container's volume key.
///
/// # Errors
/// [`CryptoError::Refused`], never of 32 bytes.
pub fn sealing_key(volume_key: &DataKey) -> Result<DataKey> {
    let derived = LockedKey::of(*volume_key.expose()).derive(b"OCMT sealed volume v1")?;
    Ok(DataKey::from_bytes(*derived))
}

/// A sealing key with its version, as a cell keeps it while it is unlocked.
pub struct VolumeKey {
    version: u32,
    key: LockedKey,
}

impl VolumeKey {
    /// For as long as it is needed, in a page of its own.
    pub fn keep((version, key): (u32, DataKey)) -> Self {
        Self { version, key: key.into_locked() }
    }
}

/// Whose volume it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumePlace {
    /// The tenant.
    pub tenant: TenantId,
    /// The container.
    pub container: ContainerId,
}

impl VolumePlace {
    fn context(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(32);
        out.id(self.tenant).id(self.container);
        out.into_vec()
    }
}

/// The head of one sealing.
pub struct SealedHead {
    key: DataKey,
    sealing: SnapshotId,
    /// Of the unlock that sealed it.
    pub serial: u64,
}

impl SealedHead {
    /// A fresh sealing.
    pub fn fresh(serial: u64, rng: &mut impl CryptoRng) -> Self {
        let mut sealing = [0; 16];
        rng.fill_bytes(&mut sealing);
        let key = DataKey::from_bytes(*datakey::random_key(rng));
        Self { key, sealing: SnapshotId::from_bytes(sealing), serial }
    }

    /// [`HEAD_LEN`] bytes, under this key.
    ///
    /// # Errors
    /// [`CryptoError::Refused`], never of this length.
    pub fn seal(&self, key: &VolumeKey, place: &VolumePlace, rng: &mut impl CryptoRng) -> Result<Vec<u8>> {
        let mut content = Writer::with_capacity(CONTENT);
        content.fixed(self.key.expose()).id(self.sealing).u64(self.serial);
        let content = content.into_secret();
        envelope::seal(Kind::SEALED_VOLUME, key.version, &key.key, &place.context(), &content, rng)
    }

    /// Opens a head with the one of `keys` that is of its version.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is damaged, another container's, or of a version that is not there.
    pub fn open<'k>(
        mut keys: impl Iterator<Item = (u32, &'k DataKey)>,
        place: &VolumePlace,
        head: &[u8],
    ) -> Result<Self> {
        let epoch = envelope::parse(head)?.key_epoch;
        let (_, key) = keys.find(|(version, _)| *version == epoch).ok_or(CryptoError::Refused)?;
        let content = envelope::open_at(Kind::SEALED_VOLUME, epoch, key.expose(), &place.context(), head)?;
        let mut reader = Reader::new(&content);
        let key = DataKey::from_slice(reader.take(32)?)?;
        let (sealing, serial) = (reader.id()?, reader.u64()?);
        reader.finish()?;
        Ok(Self { key, sealing, serial })
    }

    /// Seals the chunks behind it.
    pub fn sealer(&self, place: &VolumePlace) -> ChunkSealer {
        ChunkSealer::new(self.chunks(place), &self.key)
    }

    /// Opens the chunks behind it.
    pub fn opener(&self, place: &VolumePlace) -> ChunkOpener {
        ChunkOpener::new(self.chunks(place), &self.key)
    }

    fn chunks(&self, place: &VolumePlace) -> SnapshotPlace {
        SnapshotPlace { tenant: place.tenant, snapshot: self.sealing }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::assert_brittle;

    fn of(container: u8) -> VolumePlace {
        VolumePlace {
            tenant: TenantId::from_bytes([1; 16]),
            container: ContainerId::from_bytes([container; 16]),
        }
    }

    fn opened(keys: &[(u32, DataKey)], place: &VolumePlace, head: &[u8]) -> Result<SealedHead> {
        SealedHead::open(keys.iter().map(|(version, key)| (*version, key)), place, head)
    }

    #[test]
    fn a_head_opens_under_the_version_that_sealed_it_and_for_its_container_alone() {
        let rng = &mut rand::rng();
        let keys = [(1, DataKey::from_bytes([7; 32])), (4, DataKey::from_bytes([8; 32]))];
        let head = SealedHead::fresh(9, rng);
        for (version, key) in &keys {
            let sealed = head.seal(&VolumeKey::keep((*version, key.duplicate())), &of(2), rng).unwrap();
            assert_eq!(sealed.len(), HEAD_LEN);
            assert_eq!(opened(&keys, &of(2), &sealed).unwrap().serial, 9);
            assert!(opened(&keys, &of(3), &sealed).is_err(), "another container's");
            assert!(opened(&[(5, key.duplicate())], &of(2), &sealed).is_err(), "another version");
            let swapped = [(1, DataKey::from_bytes([8; 32])), (4, DataKey::from_bytes([7; 32]))];
            assert!(opened(&swapped, &of(2), &sealed).is_err(), "another key");
        }
        let sealed = head.seal(&VolumeKey::keep((4, keys[1].1.duplicate())), &of(2), rng).unwrap();
        assert_brittle(&sealed, |bytes| opened(&keys, &of(2), bytes).is_ok());
    }

    #[test]
    fn chunks_of_one_sealing_are_none_of_another() {
        let rng = &mut rand::rng();
        let (one, two) = (SealedHead::fresh(1, rng), SealedHead::fresh(1, rng));
        let chunk = one.sealer(&of(2)).seal(b"content", true, rng).unwrap();
        assert_eq!(*one.opener(&of(2)).open(&chunk).unwrap(), b"content");
        assert!(two.opener(&of(2)).open(&chunk).is_err());
    }

    #[test]
    fn what_seals_volumes_is_not_the_volume_key() {
        let key = DataKey::from_bytes([7; 32]);
        assert_ne!(sealing_key(&key).unwrap().expose(), key.expose());
    }
}
