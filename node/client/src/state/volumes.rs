//! Sealed volumes that this device has unlocked, so that an older one is not taken for the present one.

use ocmt_types::ContainerId;

use super::LocalState;
use crate::ClientError;

impl LocalState {
    /// The serial under which this device unlocked the volume of a container last.
    ///
    /// # Errors
    /// [`ClientError::State`], also when it cannot be read: it must not be taken for "never".
    pub fn volume_serial(&self, container: ContainerId) -> Result<Option<u64>, ClientError> {
        Ok(self.read()?.volumes.get(&container.to_string()).copied())
    }

    /// Remembers one; a lower one than before changes nothing.
    pub(crate) fn unlocked_volume(&self, container: ContainerId, serial: u64) -> Result<(), ClientError> {
        self.change(|content| {
            let known = content.volumes.entry(container.to_string()).or_default();
            *known = serial.max(*known);
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
        for (serial, known) in [(5, 5), (9, 9), (7, 9)] {
            state.unlocked_volume(container, serial).unwrap();
            assert_eq!(state.volume_serial(container).unwrap(), Some(known));
        }
        assert_eq!(state.volume_serial(ContainerId::from_bytes([2; 16])).unwrap(), None);
    }
}
