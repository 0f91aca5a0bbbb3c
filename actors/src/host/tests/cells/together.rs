//! Cells that open a group's vault: with the real cryptography, but for the processes.

use std::time::Duration;

use ocmt_crypto::{
    datakey::{ObjectPlace, VaultScope},
    entry::Entry,
    group_cell::Handover,
    object::open_body,
};

use super::{FakeCells, One, refused};
use crate::{CellError, CellUnlock};

/// What a workload is started with.
pub(crate) type Variables = Vec<(String, Vec<u8>)>;

impl FakeCells {
    /// As a real one does it, but for the processes.
    pub(super) fn open_together(&self, one: &mut One, unlock: &CellUnlock) -> Result<Duration, CellError> {
        if self.lease(one).is_some() {
            return Err(refused("CELL_NOT_LOCKED"));
        }
        let bad = || refused("CELL_PAYLOAD_REFUSED");
        let (key, made) = one.held.as_mut().ok_or_else(bad)?;
        let handover = Handover::decode(&unlock.sealed_payload).map_err(|_| bad())?;
        let now = self.clock.now();
        let opened = key.open_together(&handover, (now.since(*made), now), &mut rand::rng());
        let payload = opened.map_err(|_| bad())?.payload.ok_or_else(bad)?;
        assert_eq!(payload.unlock, unlock.unlock, "host and cell call it the same");
        let scope = VaultScope { tenant: key_tenant(&handover), vault: payload.vault };
        let values = payload.entries.iter().map(|entry| {
            let object = handover.objects.iter().find(|one| one.object_id == entry.object).unwrap();
            let place = ObjectPlace { scope, object: entry.object, version: entry.version };
            let plain = open_body(&entry.data_key, &place, &object.body).unwrap();
            (entry.name.clone(), Entry::decode(&plain).unwrap().value.to_vec())
        });
        self.together.lock().unwrap().push(values.collect());
        let lease = Duration::from_millis(payload.lease_ms);
        one.held = None;
        one.unlock = Some((unlock.unlock, now + lease));
        Ok(lease)
    }
}

fn key_tenant(handover: &Handover) -> ocmt_types::TenantId {
    ocmt_crypto::ceremony::Ceremony::decode(&handover.params).unwrap().scope.tenant
}
