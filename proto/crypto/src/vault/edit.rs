//! Changes of an unlocked vault, staged: what to upload, and the state to take over once it is committed.

use std::collections::{BTreeMap, BTreeSet};

use ocmt_types::{ContainerId, ConversationId, Digest32, NodeId, SlotId};
use rand::CryptoRng;

use super::{State, UnlockedVault, doors};
use crate::{
    CryptoError, Result,
    datakey::{DataKey, ObjectPlace},
    entry::{Entry, EntryName, KeyHistory},
    manifest::{Anchor, HostPin, MAX_OBJECTS},
    object::{VaultObject, conversation_key_id, keyring_id, unlock_ledger_id, volume_key_id},
    slot::{KeySlot, NewSlot},
    unlock::{Ledger, NewConversation},
};

/// What one change uploads. All of it is committed together, or none.
pub struct Change {
    /// New objects and versions.
    pub objects: Vec<VaultObject>,
    /// Objects that are gone.
    pub deleted: Vec<Digest32>,
    /// New slots, canonical.
    pub added_slots: Vec<Vec<u8>>,
    /// Slots that are gone.
    pub removed_slots: Vec<SlotId>,
    /// The signed manifest of the state after.
    pub manifest: Vec<u8>,
    base: Digest32,
    state: State,
}

impl Change {
    /// The counter of the state after.
    pub const fn counter(&self) -> u64 {
        self.state.manifest.counter
    }

    pub(super) fn into_state(self) -> (Digest32, State) {
        (self.base, self.state)
    }
}

/// A change in the making. Dropping it changes nothing.
pub struct Edit<'v> {
    vault: &'v UnlockedVault,
    state: State,
    objects: BTreeMap<Digest32, VaultObject>,
    deleted: BTreeSet<Digest32>,
    added_slots: Vec<KeySlot>,
    removed_slots: Vec<SlotId>,
}

impl<'v> Edit<'v> {
    pub(super) fn new(vault: &'v UnlockedVault) -> Self {
        Self {
            vault,
            state: vault.state.clone(),
            objects: BTreeMap::new(),
            deleted: BTreeSet::new(),
            added_slots: Vec::new(),
            removed_slots: Vec::new(),
        }
    }

    /// Writes an entry, as a new one or a new version under a new data key: grants of the version before
    /// do not open it. Returns its object id.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] for a value over 64 KiB or the 10,001st object.
    pub fn put(&mut self, entry: &Entry, rng: &mut impl CryptoRng) -> Result<Digest32> {
        let id = self.vault.entry_id(&entry.name);
        self.seal(id, &entry.encode()?, rng)?;
        Ok(id)
    }

    /// Deletes an entry.
    ///
    /// # Errors
    /// [`CryptoError::NotFound`].
    pub fn delete(&mut self, name: &EntryName) -> Result<Digest32> {
        let id = self.vault.entry_id(name);
        self.delete_object(id)?;
        Ok(id)
    }

    /// Deletes any object but the keyring: the key of a conversation or volume that is gone.
    ///
    /// # Errors
    /// [`CryptoError::NotFound`].
    pub fn delete_object(&mut self, id: Digest32) -> Result<()> {
        if id == keyring_id() || self.state.leaves.remove(&id).is_none() {
            return Err(CryptoError::NotFound("object"));
        }
        self.objects.remove(&id);
        if self.vault.state.leaves.contains_key(&id) {
            self.deleted.insert(id);
        }
        Ok(())
    }

    /// Writes the ledger of unlocks that may write.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] for the 10,001st object.
    pub fn put_ledger(&mut self, ledger: &Ledger, rng: &mut impl CryptoRng) -> Result<()> {
        let mut ledger = ledger.clone();
        ledger.trim();
        self.seal(unlock_ledger_id(), &ledger.encode(), rng)
    }

    /// Makes the data key of a conversation.
    ///
    /// # Errors
    /// [`CryptoError::Exists`].
    pub fn create_conversation_key(
        &mut self,
        id: ConversationId,
        rng: &mut impl CryptoRng,
    ) -> Result<Digest32> {
        self.create_key(conversation_key_id(id), rng)
    }

    /// Takes over the data key of a conversation that a cell has begun, as the first version.
    ///
    /// # Errors
    /// [`CryptoError::Exists`].
    pub fn adopt_conversation_key(
        &mut self,
        new: &NewConversation,
        rng: &mut impl CryptoRng,
    ) -> Result<Digest32> {
        let id = conversation_key_id(new.conversation);
        if self.state.leaves.contains_key(&id) {
            return Err(CryptoError::Exists("data key"));
        }
        self.seal_under(Some(&new.key), id, &KeyHistory(Vec::new()).encode(), rng)?;
        Ok(id)
    }

    /// Makes the data key of a container's sealed volume.
    ///
    /// # Errors
    /// [`CryptoError::Exists`].
    pub fn create_volume_key(&mut self, id: ContainerId, rng: &mut impl CryptoRng) -> Result<Digest32> {
        self.create_key(volume_key_id(id), rng)
    }

    /// Pins the host of a container, as its user confirmed it; replaces the pin before.
    pub fn pin_host(&mut self, container: ContainerId, node: NodeId) -> &mut Self {
        let hosts = &mut self.state.manifest.hosts;
        match hosts.binary_search_by_key(&container, |host| host.container) {
            Ok(at) => hosts[at].node = node,
            Err(at) => hosts.insert(at, HostPin { container, node }),
        }
        self
    }

    /// Forgets the host of a container.
    pub fn unpin_host(&mut self, container: ContainerId) -> &mut Self {
        self.state.manifest.hosts.retain(|host| host.container != container);
        self
    }

    /// Anchors how far an open conversation has come; replaces the anchor before.
    pub fn anchor(&mut self, anchor: Anchor) -> &mut Self {
        let anchors = &mut self.state.manifest.anchors;
        match anchors.binary_search_by_key(&anchor.conversation, |other| other.conversation) {
            Ok(at) => anchors[at] = anchor,
            Err(at) => anchors.insert(at, anchor),
        }
        self
    }

    /// Forgets the anchor of a conversation that was ended by its final record.
    pub fn drop_anchor(&mut self, conversation: ConversationId) -> &mut Self {
        self.state.manifest.anchors.retain(|anchor| anchor.conversation != conversation);
        self
    }

    /// Adds a slot. Runs Argon2id for the kinds that people keep.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] for the 256th, and the fifth that stretches its secret in the same way.
    pub fn add_slot(&mut self, new: &NewSlot<'_>, rng: &mut impl CryptoRng) -> Result<SlotId> {
        let signer = &self.vault.keyring.vault_signing;
        let slot = KeySlot::create(&self.vault.scope, new, &self.vault.vk, signer, rng)?;
        self.state.slots.push(slot.clone());
        if let Err(full) = doors::check(&self.state.slots) {
            self.state.slots.pop();
            return Err(full);
        }
        self.added_slots.push(slot.clone());
        Ok(slot.id())
    }

    /// Removes a slot. Whoever could open it may have kept the vault key: re-key the vault after it.
    ///
    /// # Errors
    /// [`CryptoError::NotFound`], [`CryptoError::LastSlot`].
    pub fn remove_slot(&mut self, id: SlotId) -> Result<()> {
        let at = self.state.slots.iter().position(|slot| slot.id() == id);
        let at = at.ok_or(CryptoError::NotFound("key slot"))?;
        if self.state.slots.len() == 1 {
            return Err(CryptoError::LastSlot);
        }
        self.state.slots.remove(at);
        let added = self.added_slots.len();
        self.added_slots.retain(|slot| slot.id() != id);
        if self.added_slots.len() == added {
            self.removed_slots.push(id);
        }
        Ok(())
    }

    /// Signs the manifest of the state after.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] past a bound of the manifest.
    pub fn finish(mut self) -> Result<Change> {
        self.state.manifest.counter = self.vault.next_counter()?;
        let manifest = self.state.sign(&self.vault.scope, &self.vault.keyring.vault_signing)?;
        Ok(Change {
            objects: self.objects.into_values().collect(),
            deleted: self.deleted.into_iter().collect(),
            added_slots: self.added_slots.iter().map(KeySlot::to_bytes).collect(),
            removed_slots: self.removed_slots,
            manifest,
            base: self.vault.state.manifest_hash,
            state: self.state,
        })
    }

    fn create_key(&mut self, id: Digest32, rng: &mut impl CryptoRng) -> Result<Digest32> {
        if self.state.leaves.contains_key(&id) {
            return Err(CryptoError::Exists("data key"));
        }
        self.seal(id, &KeyHistory(Vec::new()).encode(), rng)?;
        Ok(id)
    }

    fn seal(&mut self, id: Digest32, plaintext: &[u8], rng: &mut impl CryptoRng) -> Result<()> {
        self.seal_under(None, id, plaintext, rng)
    }

    /// Under a key of somebody else's making, or a fresh one.
    fn seal_under(
        &mut self,
        key: Option<&DataKey>,
        id: Digest32,
        plaintext: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<()> {
        if !self.state.leaves.contains_key(&id) && self.state.leaves.len() >= MAX_OBJECTS {
            return Err(CryptoError::TooLarge { what: "entries of a vault", max: MAX_OBJECTS as u64 - 1 });
        }
        let before = self.vault.state.leaves.get(&id).map_or(0, |leaf| leaf.version);
        let version = before.checked_add(1).ok_or(CryptoError::Refused)?;
        let place = ObjectPlace { scope: self.vault.scope, object: id, version };
        let vk = &self.vault.vk;
        let object = match key {
            Some(key) => VaultObject::seal_under(key, &place, vk, plaintext, rng)?,
            None => VaultObject::seal(&place, vk, plaintext, rng)?,
        };
        self.state.leaves.insert(id, object.leaf());
        self.deleted.remove(&id);
        self.objects.insert(id, object);
        Ok(())
    }
}
