//! Unlocking, and all that is checked before a vault key is used.
//!
//! The order, from what only the slot's secret opens:
//! 1. the locked half gives the slot's private key and the verify key that the vault had then;
//! 2. the succession chain leads from there, and from the newest key this client has met, to the present;
//! 3. under that key: the signature of every slot, the manifest's signature, equal epochs;
//! 4. the manifest's counter is not below the highest seen, and the same counter is the same manifest;
//! 5. the slots shown are those the manifest names, key by key, but for backup and hardware slots that the node keeps back
//!    until the unlock is proved ([`super::withheld`]); the leaves shown make its root;
//! 6. only now the vault key is opened, and the keyring with it, whose signing key must be the present.

use std::collections::BTreeMap;

use ocmt_types::SlotId;

use super::{Door, Seen, State, UnlockedVault, doors, withheld};
use crate::{
    CryptoError, Result,
    datakey::VaultScope,
    keyring::Keyring,
    manifest::{self, Leaf, MAX_SLOTS, Manifest},
    object::{VaultObject, keyring_id},
    sign::VerifyKey,
    slot::{KeySlot, OpenedHalf, SlotKind, SlotSecret},
    succession::{self, Succession},
};

/// What to do with a vault older than one seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rollback {
    /// Refuse it with [`CryptoError::RolledBack`].
    Refuse,
    /// Its user has confirmed that a backup was restored: open it, and write above the highest seen.
    Accept,
}

/// A vault as the node shows it: well-formed, and nothing of it believed yet.
pub struct LockedVault {
    scope: VaultScope,
    slots: Vec<KeySlot>,
    successions: Vec<Succession>,
    manifest: Vec<u8>,
    leaves: Vec<Leaf>,
    keyring: VaultObject,
}

impl LockedVault {
    /// Takes what the node shows: slots and successions (oldest first) in canonical bytes, the signed
    /// manifest, a leaf of every object, and the keyring's object.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if something is not well-formed.
    pub fn parse<B: AsRef<[u8]>>(
        scope: VaultScope,
        slots: &[B],
        successions: &[B],
        manifest: &[u8],
        leaves: Vec<Leaf>,
        keyring: VaultObject,
    ) -> Result<Self> {
        if slots.len() > MAX_SLOTS || successions.len() > succession::MAX_CHAIN {
            return Err(CryptoError::Refused);
        }
        let mut slots =
            slots.iter().map(|bytes| KeySlot::from_bytes(bytes.as_ref())).collect::<Result<Vec<_>>>()?;
        slots.sort_unstable_by_key(KeySlot::id);
        let successions = successions.iter().map(|bytes| Succession::from_bytes(bytes.as_ref()));
        let successions = successions.collect::<Result<Vec<_>>>()?;
        Ok(Self { scope, slots, successions, manifest: manifest.to_vec(), leaves, keyring })
    }

    /// The slots, to choose from and for their challenges.
    pub fn slots(&self) -> &[KeySlot] {
        &self.slots
    }

    /// Opens the vault with a secret, trying the slots of its kind: at most [`super::MAX_STRETCHED`] where
    /// each costs an Argon2id.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] for a wrong secret or anything that does not hold;
    /// [`CryptoError::RolledBack`] for a state older than `seen`, unless accepted.
    pub fn open(
        &self,
        secret: &SlotSecret<'_>,
        seen: Option<&Seen>,
        rollback: Rollback,
    ) -> Result<UnlockedVault> {
        let kind: SlotKind = secret.kind();
        let (slot, half) = doors::tried(&self.slots, kind)
            .find_map(|slot| slot.open_half(&self.scope, secret).ok().map(|half| (slot, half)))
            .ok_or(CryptoError::Refused)?;
        self.unlock(slot, half, seen, rollback)
    }

    /// Opens the vault through one slot.
    ///
    /// # Errors
    /// As [`Self::open`]; [`CryptoError::NotFound`] if there is no such slot.
    pub fn open_slot(
        &self,
        id: SlotId,
        secret: &SlotSecret<'_>,
        seen: Option<&Seen>,
        rollback: Rollback,
    ) -> Result<UnlockedVault> {
        let slot = self.slots.iter().find(|slot| slot.id() == id).ok_or(CryptoError::NotFound("key slot"))?;
        self.unlock(slot, slot.open_half(&self.scope, secret)?, seen, rollback)
    }

    fn unlock(
        &self,
        slot: &KeySlot,
        half: OpenedHalf,
        seen: Option<&Seen>,
        rollback: Rollback,
    ) -> Result<UnlockedVault> {
        let (present, manifest) = self.check(&half.pinned, seen, rollback)?;
        let vk = slot.open_vault_key(&self.scope, &half.secret)?;
        let keyring = Keyring::decode(&self.keyring.open(self.scope, &vk)?)?;
        if keyring.vault_signing.verify_key() != present {
            return Err(CryptoError::Refused);
        }
        let withheld = withheld::missing(&self.slots, &manifest.slots).ok_or(CryptoError::Refused)?;
        let floor = manifest.counter.max(seen.map_or(0, |seen| seen.counter));
        let state = State {
            manifest_hash: manifest::hash(&self.manifest),
            leaves: self.leaves.iter().map(|leaf| (leaf.object_id, *leaf)).collect::<BTreeMap<_, _>>(),
            slots: self.slots.clone(),
            withheld,
            manifest,
        };
        let OpenedHalf { secret, pinned, lock_key } = half;
        let door = Some(Door { slot: slot.id(), secret, lock_key, pinned });
        Ok(UnlockedVault { scope: self.scope, vk, keyring, state, floor, door })
    }

    /// Steps 2 to 5: everything that can be checked without a vault key.
    fn check(
        &self,
        pinned: &VerifyKey,
        seen: Option<&Seen>,
        rollback: Rollback,
    ) -> Result<(VerifyKey, Manifest)> {
        let accepted = rollback == Rollback::Accept;
        let newest = seen.map(|seen| &seen.verify_key);
        let present = match succession::follow(&self.scope, &self.successions, pinned, newest) {
            // a restored backup may end before the newest key this client has met
            Err(_) if accepted => succession::follow(&self.scope, &self.successions, pinned, None)?,
            other => other?,
        };
        let manifest = Manifest::open(&self.manifest, &self.scope, &present)?;
        for slot in &self.slots {
            slot.verify(&self.scope, &present)?;
        }
        if let Some(seen) = seen {
            let forked =
                manifest.counter == seen.counter && manifest::hash(&self.manifest) != seen.manifest_hash;
            if (manifest.counter < seen.counter || forked) && !accepted {
                return Err(CryptoError::RolledBack { shown: manifest.counter, seen: seen.counter });
            }
        }
        let holds = self.slots.iter().all(|slot| slot.epoch() == manifest.epoch)
            && withheld::missing(&self.slots, &manifest.slots).is_some()
            && manifest.proves(&self.leaves)
            && self.keyring.object_id == keyring_id()
            && self.leaves.contains(&self.keyring.leaf());
        if holds { Ok((present, manifest)) } else { Err(CryptoError::Refused) }
    }
}
