//! Sealed volumes that this device has unlocked, so that an older one is not taken for the present one.

use data_encoding::HEXLOWER;
use ocmt_types::{ContainerId, Digest32};

use super::LocalState;
use crate::ClientError;

impl LocalState {
    /// The serial under which this device unlocked the volume of a container last; 0 if it made the container and has not unlocked it yet.
    ///
    /// # Errors
    /// [`ClientError::State`], also when it cannot be read: it must not be taken for "never".
    pub fn volume_serial(&self, container: ContainerId) -> Result<Option<u64>, ClientError> {
        Ok(self.read()?.volumes.get(&container.to_string()).copied())
    }

    /// The version of the volume key that it was sealed under then, or that this device has made it in; 0 if that is not known.
    pub(crate) fn volume_version(&self, container: ContainerId) -> Result<u64, ClientError> {
        Ok(self.read()?.volume_versions.get(&container.to_string()).copied().unwrap_or_default())
    }

    /// Remembers that a container was made with a sealed volume, before its first unlock.
    ///
    /// # Errors
    /// [`ClientError::State`].
    pub fn made_sealed(&self, container: ContainerId) -> Result<(), ClientError> {
        self.unlocked_volume(container, 0, 0)
    }

    /// The highest serial that this device has sent: the answer may have been lost, and the volume sealed all the same.
    pub(crate) fn tried_serial(&self, container: ContainerId) -> Result<u64, ClientError> {
        Ok(self.read()?.volumes_tried.get(&container.to_string()).copied().unwrap_or_default())
    }

    /// Remembers what an unlock sends, before it goes out. The next one goes above it, and demands nothing of it.
    pub(crate) fn tries_volume(&self, container: ContainerId, serial: u64) -> Result<(), ClientError> {
        self.change(|content| {
            let tried = content.volumes_tried.entry(container.to_string()).or_default();
            *tried = serial.max(*tried);
        })
    }

    /// Remembers which volume key this device sends to the vault, before it does: the answer may be lost, and the key be there.
    pub(crate) fn sends_volume_key(
        &self,
        container: ContainerId,
        body_hash: Digest32,
    ) -> Result<(), ClientError> {
        self.change(|content| {
            content.volume_keys.insert(container.to_string(), HEXLOWER.encode(body_hash.as_bytes()));
        })
    }

    /// Whether the volume key of this hash is the one that this device has sent.
    pub(crate) fn has_sent_volume_key(
        &self,
        container: ContainerId,
        body_hash: Digest32,
    ) -> Result<bool, ClientError> {
        let sent = self.read()?.volume_keys.remove(&container.to_string());
        Ok(sent.is_some_and(|sent| sent == HEXLOWER.encode(body_hash.as_bytes())))
    }

    /// Remembers that this device has made the volume key, before any unlock with it; that the container has a volume is not said with it.
    pub(crate) fn made_volume_key(&self, container: ContainerId, version: u64) -> Result<(), ClientError> {
        self.change(|content| {
            let known = content.volume_versions.entry(container.to_string()).or_default();
            *known = version.max(*known).max(1);
        })
    }

    /// Whether it has made the key, and no unlock was answered to it yet.
    pub(crate) fn has_made_volume_key(&self, container: ContainerId) -> Result<bool, ClientError> {
        Ok(self.volume_version(container)? > 0 && self.volume_serial(container)?.unwrap_or(0) == 0)
    }

    /// Remembers an unlock; a lower one than before changes nothing.
    pub(crate) fn unlocked_volume(
        &self,
        container: ContainerId,
        serial: u64,
        version: u64,
    ) -> Result<(), ClientError> {
        self.change(|content| {
            let known = content.volumes.entry(container.to_string()).or_default();
            *known = serial.max(*known);
            let known = content.volume_versions.entry(container.to_string()).or_default();
            *known = version.max(*known);
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::Id as _;

    use super::*;

    #[test]
    fn a_serial_is_remembered_and_never_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = LocalState::open(&dir.path().join("s")).unwrap();
        let container = ContainerId::from_bytes([1; 16]);
        assert_eq!(state.volume_serial(container).unwrap(), None);
        for (serial, known) in [(0, 0), (5, 5), (9, 9), (7, 9)] {
            state.unlocked_volume(container, serial, serial / 4).unwrap();
            assert_eq!(state.volume_serial(container).unwrap(), Some(known));
            assert_eq!(state.volume_version(container).unwrap(), known / 4);
        }
        state.made_sealed(container).unwrap();
        assert_eq!(state.volume_serial(container).unwrap(), Some(9));
        assert_eq!(state.volume_serial(ContainerId::from_bytes([2; 16])).unwrap(), None);
    }

    #[test]
    fn what_was_sent_is_remembered_and_is_no_word_of_a_volume() {
        let dir = tempfile::tempdir().unwrap();
        let state = LocalState::open(&dir.path().join("s")).unwrap();
        let (container, other) = (ContainerId::from_bytes([1; 16]), ContainerId::from_bytes([2; 16]));
        assert_eq!(state.tried_serial(container).unwrap(), 0);
        for (serial, tried) in [(7, 7), (9, 9), (8, 9)] {
            state.tries_volume(container, serial).unwrap();
            assert_eq!(state.tried_serial(container).unwrap(), tried);
        }
        let key = Digest32([3; 32]);
        state.sends_volume_key(container, key).unwrap();
        assert!(state.has_sent_volume_key(container, key).unwrap());
        assert!(state.has_sent_volume_key(container, key).unwrap(), "asking takes nothing away");
        assert!(!state.has_sent_volume_key(container, Digest32([4; 32])).unwrap(), "another device's");
        assert!(!state.has_sent_volume_key(other, key).unwrap());
        assert_eq!(state.tried_serial(other).unwrap(), 0);
        assert_eq!(state.volume_serial(container).unwrap(), None);
        assert!(!state.has_made_volume_key(container).unwrap());
    }

    #[test]
    fn a_key_that_was_made_here_is_remembered_until_an_unlock_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let state = LocalState::open(&dir.path().join("s")).unwrap();
        for (n, made_here) in [(1, false), (2, true)] {
            let container = ContainerId::from_bytes([n; 16]);
            if made_here {
                state.made_sealed(container).unwrap();
            }
            assert!(!state.has_made_volume_key(container).unwrap(), "another device may have");
            state.made_volume_key(container, 3).unwrap();
            assert!(state.has_made_volume_key(container).unwrap());
            assert_eq!(
                state.volume_serial(container).unwrap(),
                made_here.then_some(0),
                "no word of a volume"
            );
            state.unlocked_volume(container, 7, 3).unwrap();
            assert!(!state.has_made_volume_key(container).unwrap());
        }
    }
}
