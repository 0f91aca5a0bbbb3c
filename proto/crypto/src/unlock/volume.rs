//! What an unlock says of a sealed volume.

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::DataKey,
};

/// The most earlier versions of a volume key that one unlock opens a volume with.
pub const MAX_EARLIER: usize = 63;
/// Bytes of one of them.
const EARLIER_LEN: usize = 36;

/// Keys of a sealed volume, and which of its sealings is good.
pub struct VolumeUnlock {
    /// Version of the volume key that seals it from now on, and its sealing key.
    pub current: (u32, DataKey),
    /// The same of earlier versions, oldest first: it may still be sealed under one.
    pub earlier: Vec<(u32, DataKey)>,
    /// Of this unlock: greater than that of any before it.
    pub serial: u64,
    /// The sealing has to be of this serial or a later one. At 1 any will do, at 0 none at all too: the volume is empty then.
    pub least: u64,
}

impl VolumeUnlock {
    /// All versions with their sealing keys.
    pub fn keys(&self) -> impl Iterator<Item = (u32, &DataKey)> {
        self.earlier.iter().chain([&self.current]).map(|(version, key)| (*version, key))
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.earlier.len() > MAX_EARLIER {
            let max = MAX_EARLIER as u64;
            return Err(CryptoError::TooLarge { what: "earlier versions of a volume key", max });
        }
        let versions: Vec<u32> = self.keys().map(|(version, _)| version).collect();
        if !versions.is_sorted_by(|before, after| before < after) {
            return Err(CryptoError::Exists("version of the volume key"));
        }
        if self.least > self.serial {
            let rule = "not below the one that is demanded";
            return Err(CryptoError::OutOfRange { what: "serial of the unlock", rule });
        }
        Ok(())
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u64(self.serial).u64(self.least).u32(self.current.0).fixed(self.current.1.expose());
        out.count(self.earlier.len());
        for (version, key) in &self.earlier {
            out.u32(*version).fixed(key.expose());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (serial, least) = (reader.u64()?, reader.u64()?);
        let current = read_key(reader)?;
        let count = reader.count(MAX_EARLIER, EARLIER_LEN)?;
        // room for all at once: a list that grows leaves copies of keys behind
        let mut earlier = Vec::with_capacity(count);
        for _ in 0..count {
            earlier.push(read_key(reader)?);
        }
        Ok(Self { current, earlier, serial, least })
    }
}

fn read_key(reader: &mut Reader<'_>) -> Result<(u32, DataKey)> {
    Ok((reader.u32()?, DataKey::from_slice(reader.take(32)?)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::unlock::{UnlockPayload, test_payload::payload};

    fn key(version: u8) -> (u32, DataKey) {
        (version.into(), DataKey::from_bytes([version; 32]))
    }

    fn with(volume: VolumeUnlock) -> UnlockPayload {
        UnlockPayload { volume: Some(volume), ..payload(1) }
    }

    #[test]
    fn an_unlock_carries_the_keys_of_a_volume_and_which_sealing_is_good() {
        let earlier = vec![key(1), key(3)];
        let sent = with(VolumeUnlock { current: key(7), earlier, serial: 9, least: 8 });
        sent.check().unwrap();
        let bytes = sent.encode();
        let taken = UnlockPayload::decode(&bytes).unwrap();
        assert_eq!(*taken.encode(), *bytes);
        let volume = taken.volume.unwrap();
        assert_eq!((volume.serial, volume.least), (9, 8));
        let keys: Vec<_> = volume.keys().map(|(version, key)| (version, key.expose()[0])).collect();
        assert_eq!(keys, [(1, 1), (3, 3), (7, 7)]);
        for len in 0..bytes.len() {
            assert!(UnlockPayload::decode(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn payloads_whose_volume_makes_no_sense_are_refused() {
        let many = (0..=u8::try_from(MAX_EARLIER).unwrap()).map(key).collect();
        for (what, volume) in [
            ("too many", VolumeUnlock { current: key(200), earlier: many, serial: 1, least: 0 }),
            ("twice", VolumeUnlock { current: key(2), earlier: vec![key(2)], serial: 1, least: 0 }),
            ("in disorder", VolumeUnlock { current: key(2), earlier: vec![key(3)], serial: 1, least: 0 }),
            ("in the future", VolumeUnlock { current: key(2), earlier: vec![], serial: 1, least: 2 }),
        ] {
            assert!(with(volume).check().is_err(), "{what}");
        }
    }
}
