//! What the tests of the vault share: a database that a node would keep, honest or not.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use ocmt_crypto::{
    CryptoError, Result,
    datakey::VaultScope,
    entry::{Attributes, Entry, EntryName},
    manifest::Leaf,
    object::{VaultObject, keyring_id},
    slot::{KeySlot, NewSlot, RecoveryKey, SlotSecret},
    vault::{self, Change, Completed, LockedVault, Rollback, RotationStart, Seen, UnlockedVault},
};
use ocmt_types::{Digest32, Id as _, TenantId, Timestamp, VaultId};
use zeroize::Zeroizing;

pub(crate) fn scope() -> VaultScope {
    VaultScope { tenant: TenantId::from_bytes([0x11; 16]), vault: VaultId::from_bytes([0x22; 16]) }
}

/// What a node stores of one vault.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) scope: VaultScope,
    pub(crate) slots: Vec<Vec<u8>>,
    pub(crate) successions: Vec<Vec<u8>>,
    pub(crate) manifest: Vec<u8>,
    pub(crate) objects: BTreeMap<Digest32, VaultObject>,
}

impl Database {
    pub(crate) fn of(scope: VaultScope, upload: vault::Upload) -> Self {
        let objects = upload.objects.into_iter().map(|object| (object.object_id, object)).collect();
        Self { scope, slots: upload.slots, successions: Vec::new(), manifest: upload.manifest, objects }
    }

    pub(crate) fn commit(&mut self, vault: &mut UnlockedVault, change: Change) {
        for object in &change.objects {
            self.objects.insert(object.object_id, object.clone());
        }
        for id in &change.deleted {
            assert!(self.objects.remove(id).is_some());
        }
        self.slots.retain(|slot| !change.removed_slots.contains(&KeySlot::from_bytes(slot).unwrap().id()));
        self.slots.extend(change.added_slots.iter().cloned());
        self.manifest.clone_from(&change.manifest);
        vault.apply(change).unwrap();
    }

    pub(crate) fn switch(
        &mut self,
        vault: &mut UnlockedVault,
        start: &RotationStart,
        staged: BTreeMap<Digest32, VaultObject>,
        completed: Completed,
    ) {
        self.successions.push(start.succession.clone());
        self.slots.clone_from(&completed.slots);
        self.manifest.clone_from(&completed.manifest);
        self.objects = staged;
        vault.complete(completed).unwrap();
    }

    pub(crate) fn leaves(&self) -> Vec<Leaf> {
        self.objects.values().map(VaultObject::leaf).collect()
    }

    pub(crate) fn show(&self) -> Result<LockedVault> {
        let keyring = self.objects.get(&keyring_id()).cloned().ok_or(CryptoError::Refused)?;
        LockedVault::parse(self.scope, &self.slots, &self.successions, &self.manifest, self.leaves(), keyring)
    }

    pub(crate) fn open(&self, key: &RecoveryKey) -> Result<UnlockedVault> {
        self.open_seen(key, None)
    }

    pub(crate) fn open_seen(&self, key: &RecoveryKey, seen: Option<&Seen>) -> Result<UnlockedVault> {
        self.show()?.open(&SlotSecret::Recovery(key), seen, Rollback::Refuse)
    }

    pub(crate) fn object(&self, vault: &UnlockedVault, entry: &str) -> VaultObject {
        self.objects[&vault.entry_id(&name(entry))].clone()
    }

    pub(crate) fn value(&self, vault: &UnlockedVault, entry: &str) -> Vec<u8> {
        vault.open_entry(&self.object(vault, entry)).unwrap().value.to_vec()
    }

    pub(crate) fn put(&mut self, vault: &mut UnlockedVault, entries: &[(&str, &str)]) {
        let mut edit = vault.edit();
        for (name, value) in entries {
            edit.put(&entry(name, value.as_bytes()), &mut rand::rng()).unwrap();
        }
        let change = edit.finish().unwrap();
        self.commit(vault, change);
    }
}

/// A vault behind a recovery key, which costs no Argon2id to open.
pub(crate) fn fresh() -> (Database, UnlockedVault, RecoveryKey) {
    let rng = &mut rand::rng();
    let key = RecoveryKey::generate(rng);
    let (vault, upload) = vault::create(scope(), &[NewSlot::Recovery(&key)], rng).unwrap();
    (Database::of(scope(), upload), vault, key)
}

pub(crate) fn name(name: &str) -> EntryName {
    EntryName::new(name).unwrap()
}

pub(crate) fn entry(name: &str, value: &[u8]) -> Entry {
    let attributes = Attributes { written_at: Timestamp(1_790_000_000_000), ..Attributes::default() };
    Entry { name: self::name(name), value: Zeroizing::new(value.to_vec()), attributes }
}

/// The error of a result whose good value cannot be printed.
pub(crate) fn refused<T>(result: Result<T>) -> CryptoError {
    result.err().expect("was taken")
}
