//! The unlock of a group's vault that this device asked for, one for each group: the last one.

use ocmt_types::GroupId;

use super::{LocalState, damaged, recovery::StoredRequest};
use crate::{ClientError, recovery::RecoveryRequest};

impl LocalState {
    /// Keeps an unlock with the requester's key, in place of one before.
    pub(crate) fn keep_unlock(&self, group: GroupId, request: &RecoveryRequest) -> Result<(), ClientError> {
        self.change(|content| {
            content.unlocks.insert(group.to_string(), StoredRequest::of(request));
        })
    }

    /// The unlock that this device asked for.
    pub(crate) fn unlock(&self, group: GroupId) -> Result<Option<RecoveryRequest>, ClientError> {
        let content = self.read()?;
        let stored = content.unlocks.get(&group.to_string());
        stored.map(|stored| stored.to_request().ok_or_else(|| damaged(&self.path()))).transpose()
    }

    /// Forgets it and wipes its key.
    pub(crate) fn forget_unlock(&self, group: GroupId) -> Result<(), ClientError> {
        self.change(|content| {
            content.unlocks.remove(&group.to_string());
        })
    }
}
