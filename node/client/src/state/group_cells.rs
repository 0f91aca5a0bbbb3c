//! Which container a group's vault may be opened into, as this device met it last: one from before is refused. And what this
//! device has asked for into it: somebody else's is not taken for its own.

use data_encoding::HEXLOWER;
use ocmt_types::{Digest32, GroupId, VaultId};
use serde::{Deserialize, Serialize};

use super::{LocalState, damaged};
use crate::ClientError;

/// An appointment, as it is stored: its number, and its hash in hexadecimal.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct StoredAppointment {
    number: u64,
    hash: String,
}

impl LocalState {
    /// Number and hash of the newest appointment of a vault that this device has signed or sealed a part for.
    pub(crate) fn appointment(&self, vault: VaultId) -> Result<Option<(u64, Digest32)>, ClientError> {
        let content = self.read()?;
        let stored = content.appointments.get(&vault.to_string());
        stored
            .map(|stored| {
                let hash = HEXLOWER.decode(stored.hash.as_bytes()).ok().and_then(|hash| hash.try_into().ok());
                hash.map(|hash| (stored.number, Digest32(hash))).ok_or_else(|| damaged(&self.path()))
            })
            .transpose()
    }

    /// Whether this device has asked for this unlock into a group's cell.
    pub(crate) fn has_asked_cell(&self, group: GroupId, which: Digest32) -> Result<bool, ClientError> {
        let named = HEXLOWER.encode(which.as_bytes());
        Ok(self.read()?.cells_asked.get(&group.to_string()).is_some_and(|asked| *asked == named))
    }

    /// Remembers what is about to be asked for.
    pub(crate) fn asks_cell(&self, group: GroupId, which: Digest32) -> Result<(), ClientError> {
        self.change(|content| {
            content.cells_asked.insert(group.to_string(), HEXLOWER.encode(which.as_bytes()));
        })
    }

    /// Remembers one; an older one than before changes nothing.
    pub(crate) fn keep_appointment(
        &self,
        vault: VaultId,
        number: u64,
        hash: Digest32,
    ) -> Result<(), ClientError> {
        self.change(|content| {
            let known = content.appointments.get(&vault.to_string()).map_or(0, |stored| stored.number);
            if number > known {
                let stored = StoredAppointment { number, hash: HEXLOWER.encode(hash.as_bytes()) };
                content.appointments.insert(vault.to_string(), stored);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::Id as _;

    use super::*;

    #[test]
    fn an_older_appointment_takes_no_newer_ones_place_and_only_what_was_asked_for_here_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let state = LocalState::open(&dir.path().join("s")).unwrap();
        let (vault, group) = (VaultId::from_bytes([1; 16]), GroupId::from_bytes([2; 16]));
        assert_eq!(state.appointment(vault).unwrap(), None);
        for (number, hash, known) in [(5, 5, 5), (4, 4, 5), (5, 6, 5), (6, 7, 7)] {
            state.keep_appointment(vault, number, Digest32([hash; 32])).unwrap();
            assert_eq!(state.appointment(vault).unwrap().unwrap().1, Digest32([known; 32]));
        }
        let (mine, other) = (Digest32([1; 32]), Digest32([2; 32]));
        assert!(!state.has_asked_cell(group, mine).unwrap());
        state.asks_cell(group, mine).unwrap();
        assert!(state.has_asked_cell(group, mine).unwrap() && !state.has_asked_cell(group, other).unwrap());
    }
}
