//! Rotation: a new vault key and signing key, and every object taken over to them.
//!
//! Rewrapping changes only the wrapped keys and revokes nothing: who had a data key keeps it. Re-keying
//! writes a new version of every object under a fresh data key. What is uploaded first
//! ([`RotationStart`]) lets any later unlock go on with it ([`UnlockedVault::resume_rotation`]): the new
//! vault key stands sealed to the slots that stay, never under the old vault key, which whoever is being
//! shut out may have.

use std::collections::BTreeMap;

use ocmt_types::{Digest32, SlotId};
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{Door, State, UnlockedVault, doors};
use crate::{
    CryptoError, Result,
    datakey::{ObjectPlace, VaultKey},
    entry::{KeyHistory, MAX_HISTORY},
    keyring::Keyring,
    manifest::{Leaf, MAX_SLOTS},
    object::{VaultObject, keyring_id},
    sign::{SigningKey, VerifyKey},
    slot::{KeySlot, NewSlot, SlotSecret},
    succession::Succession,
};

/// What a rotation does with the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationMode {
    /// Their data keys are wrapped under the new vault key.
    Rewrap,
    /// They are encrypted anew under fresh data keys, and the keyring gets fresh keys of channels and of the
    /// inbox: after a recovery, a leaver, a change of guardians, a removed slot or a changed passphrase.
    Rekey,
}

/// What begins a rotation at the node, and what resumes it from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationStart {
    /// The epoch that will begin.
    pub epoch: u32,
    /// The verify key that will hold.
    pub verify_key: VerifyKey,
    /// The succession, canonical.
    pub succession: Vec<u8>,
    /// The slots for the new vault key, canonical.
    pub slots: Vec<Vec<u8>>,
    /// The keyring's new version: the first of the converted objects.
    pub keyring: VaultObject,
}

/// A rotation under way.
pub struct Rotation<'v> {
    vault: &'v UnlockedVault,
    mode: RotationMode,
    vk: VaultKey,
    keyring: Keyring,
    start: RotationStart,
    slots: Vec<KeySlot>,
    leaves: BTreeMap<Digest32, Leaf>,
}

/// A finished rotation: what to upload, and the keys to take over once it is committed.
pub struct Completed {
    /// The slots, canonical.
    pub slots: Vec<Vec<u8>>,
    /// The signed manifest.
    pub manifest: Vec<u8>,
    base: Digest32,
    state: State,
    vk: VaultKey,
    keyring: Keyring,
}

impl UnlockedVault {
    /// Begins a rotation that drops some slots and adds others.
    ///
    /// # Errors
    /// [`CryptoError::NotFound`] for a slot that is not there, [`CryptoError::LastSlot`] if none would
    /// be left, [`CryptoError::TooLarge`] over 255, [`CryptoError::Refused`] while slots are kept back.
    pub fn begin_rotation(
        &self,
        mode: RotationMode,
        drop: &[SlotId],
        add: &[NewSlot<'_>],
        rng: &mut impl CryptoRng,
    ) -> Result<Rotation<'_>> {
        if !self.state.withheld.is_empty() {
            return Err(CryptoError::Refused);
        }
        let known = |id: &SlotId| self.state.slots.iter().any(|slot| slot.id() == *id);
        if !drop.iter().all(known) {
            return Err(CryptoError::NotFound("key slot"));
        }
        let kept = self.state.slots.iter().filter(|slot| !drop.contains(&slot.id())).cloned();
        let epoch = self.vk.epoch().checked_add(1).ok_or(CryptoError::Refused)?;
        let (vk, signing) = (VaultKey::generate(epoch, rng), SigningKey::generate(rng));
        let mut slots = Vec::new();
        for slot in kept {
            slots.push(self.carry_over(slot, &vk, &signing, rng)?);
        }
        for new in add {
            slots.push(KeySlot::create(&self.scope, new, &vk, &signing, rng)?);
        }
        doors::check(&slots)?;
        let succession =
            Succession::sign(&self.scope, epoch, &self.keyring.vault_signing, signing.verify_key());
        let keyring = match mode {
            RotationMode::Rewrap => self.keyring.rewrapped(signing),
            RotationMode::Rekey => self.keyring.rekeyed(signing, rng),
        };
        let version = self.keyring_version()?.checked_add(1).ok_or(CryptoError::Refused)?;
        let place = ObjectPlace { scope: self.scope, object: keyring_id(), version };
        let start = RotationStart {
            epoch,
            verify_key: keyring.vault_signing.verify_key(),
            succession: succession.to_bytes(),
            slots: slots.iter().map(KeySlot::to_bytes).collect(),
            keyring: VaultObject::seal(&place, &vk, &keyring.encode(), rng)?,
        };
        Ok(Rotation::new(self, mode, vk, keyring, start, slots))
    }

    /// Goes on with a rotation that an earlier run began. The new vault key is opened through the slot
    /// this vault was opened through, or, if that one is to go, through a slot that `secret` opens.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it was not begun from this vault's state, or the secret is wrong.
    pub fn resume_rotation(
        &self,
        mode: RotationMode,
        start: RotationStart,
        secret: Option<&SlotSecret<'_>>,
    ) -> Result<Rotation<'_>> {
        let succession = Succession::from_bytes(&start.succession)?;
        succession.verify(&self.scope)?;
        let slots = start.slots.iter().map(|bytes| KeySlot::from_bytes(bytes)).collect::<Result<Vec<_>>>()?;
        for slot in &slots {
            slot.verify(&self.scope, &start.verify_key)?;
        }
        let follows = succession.old == self.keyring.vault_signing.verify_key()
            && succession.new == start.verify_key
            && succession.epoch == start.epoch
            && self.vk.epoch().checked_add(1) == Some(start.epoch)
            && (1..=MAX_SLOTS).contains(&slots.len())
            && slots.iter().all(|slot| slot.epoch() == start.epoch)
            && start.keyring.object_id == keyring_id()
            && self.keyring_version()?.checked_add(1) == Some(start.keyring.version);
        if !follows {
            return Err(CryptoError::Refused);
        }
        let vk = self.open_next(&slots, secret)?;
        let keyring = Keyring::decode(&start.keyring.open(self.scope, &vk)?)?;
        let expected = match mode {
            RotationMode::Rewrap => keyring.rewraps(&self.keyring),
            RotationMode::Rekey => keyring.rekeys(&self.keyring),
        };
        if !expected || keyring.vault_signing.verify_key() != start.verify_key {
            return Err(CryptoError::Refused);
        }
        Ok(Rotation::new(self, mode, vk, keyring, start, slots))
    }

    /// Takes over a rotation that the node has committed. The old keys are wiped.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it was made from another state than the present one.
    pub fn complete(&mut self, completed: Completed) -> Result<()> {
        if completed.base != self.state.manifest_hash {
            return Err(CryptoError::Refused);
        }
        let present = completed.keyring.vault_signing.verify_key();
        self.door =
            self.door.take().filter(|door| completed.state.slots.iter().any(|slot| slot.id() == door.slot));
        if let Some(door) = self.door.as_mut().filter(|door| door.lock_key.is_some()) {
            door.pinned = present;
        }
        self.floor = self.floor.max(completed.state.manifest.counter);
        (self.vk, self.keyring, self.state) = (completed.vk, completed.keyring, completed.state);
        Ok(())
    }

    /// A slot for the next vault key; the one in use takes the next verify key in at once.
    fn carry_over(
        &self,
        slot: KeySlot,
        vk: &VaultKey,
        signing: &SigningKey,
        rng: &mut impl CryptoRng,
    ) -> Result<KeySlot> {
        let slot = slot.reseal(&self.scope, vk, signing, rng)?;
        match &self.door {
            Some(Door { slot: id, secret, lock_key: Some(lock_key), .. }) if *id == slot.id() => {
                slot.relock(&self.scope, secret, lock_key, signing, rng)
            }
            _ => Ok(slot),
        }
    }

    fn open_next(&self, slots: &[KeySlot], secret: Option<&SlotSecret<'_>>) -> Result<VaultKey> {
        if let Some(door) = &self.door
            && let Some(slot) = slots.iter().find(|slot| slot.id() == door.slot)
        {
            return slot.open_vault_key(&self.scope, &door.secret);
        }
        let secret = secret.ok_or(CryptoError::Refused)?;
        doors::tried(slots, secret.kind())
            .find_map(|slot| {
                let half = slot.open_half(&self.scope, secret).ok()?;
                slot.open_vault_key(&self.scope, &half.secret).ok()
            })
            .ok_or(CryptoError::Refused)
    }

    fn keyring_version(&self) -> Result<u64> {
        self.state.leaves.get(&keyring_id()).map(|leaf| leaf.version).ok_or(CryptoError::Refused)
    }
}

impl<'v> Rotation<'v> {
    fn new(
        vault: &'v UnlockedVault,
        mode: RotationMode,
        vk: VaultKey,
        keyring: Keyring,
        start: RotationStart,
        slots: Vec<KeySlot>,
    ) -> Self {
        let leaves = BTreeMap::from([(keyring_id(), start.keyring.leaf())]);
        Self { vault, mode, vk, keyring, start, slots, leaves }
    }

    /// What to upload first.
    pub const fn start(&self) -> &RotationStart {
        &self.start
    }

    /// Ids of the objects that are still to be converted or adopted.
    pub fn left(&self) -> Vec<Digest32> {
        self.vault.state.leaves.keys().filter(|id| !self.leaves.contains_key(id)).copied().collect()
    }

    /// Takes an object over; for the keyring, gives its new version again.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is not what the manifest holds.
    pub fn convert(&mut self, object: &VaultObject, rng: &mut impl CryptoRng) -> Result<VaultObject> {
        let vault = self.vault;
        vault.check(object)?;
        if object.object_id == keyring_id() {
            return Ok(self.start.keyring.clone());
        }
        let converted = match self.mode {
            RotationMode::Rewrap => object.rewrap(vault.scope, &vault.vk, &self.vk, rng)?,
            RotationMode::Rekey => self.rekey(object, rng)?,
        };
        self.leaves.insert(converted.object_id, converted.leaf());
        Ok(converted)
    }

    /// Takes over what an earlier run has converted and uploaded: believed only because it opens under
    /// the new vault key, at the version it must have.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn adopt(&mut self, staged: &VaultObject) -> Result<()> {
        if staged.object_id == keyring_id() {
            return if *staged == self.start.keyring { Ok(()) } else { Err(CryptoError::Refused) };
        }
        let before = self.vault.state.leaves.get(&staged.object_id).ok_or(CryptoError::Refused)?;
        let fits = match self.mode {
            RotationMode::Rewrap => staged.leaf() == *before,
            RotationMode::Rekey => before.version.checked_add(1) == Some(staged.version),
        };
        staged.open(self.vault.scope, &self.vk)?;
        if !fits {
            return Err(CryptoError::Refused);
        }
        self.leaves.insert(staged.object_id, staged.leaf());
        Ok(())
    }

    /// Signs the manifest of the state after.
    ///
    /// # Errors
    /// [`CryptoError::RotationIncomplete`] while objects are left.
    pub fn finish(self) -> Result<Completed> {
        let left = self.left().len();
        if left > 0 {
            return Err(CryptoError::RotationIncomplete { left: left as u64 });
        }
        let vault = self.vault;
        let mut state = State { leaves: self.leaves, slots: self.slots, ..vault.state.clone() };
        state.manifest.counter = vault.next_counter()?;
        state.manifest.epoch = self.vk.epoch();
        let manifest = state.sign(&vault.scope, &self.keyring.vault_signing)?;
        Ok(Completed {
            slots: self.start.slots,
            manifest,
            base: vault.state.manifest_hash,
            state,
            vk: self.vk,
            keyring: self.keyring,
        })
    }

    /// The next version of an object under a fresh data key. A key object keeps the key it had.
    fn rekey(&self, object: &VaultObject, rng: &mut impl CryptoRng) -> Result<VaultObject> {
        let vault = self.vault;
        let mut plaintext: Zeroizing<Vec<u8>> = object.open(vault.scope, &vault.vk)?.into();
        if let Ok(mut history) = KeyHistory::decode(&plaintext) {
            history.0.push((object.version, object.data_key(vault.scope, &vault.vk)?));
            if history.0.len() > MAX_HISTORY {
                return Err(CryptoError::TooLarge {
                    what: "keys of a conversation or volume",
                    max: MAX_HISTORY as u64,
                });
            }
            plaintext = history.encode();
        }
        let version = object.version.checked_add(1).ok_or(CryptoError::Refused)?;
        let place = ObjectPlace { version, ..object.place(vault.scope) };
        VaultObject::seal(&place, &self.vk, &plaintext, rng)
    }
}
