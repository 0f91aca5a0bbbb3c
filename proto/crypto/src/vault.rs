//! A vault in its owner's client: locked until every check has passed, unlocked after.
//!
//! [`LockedVault`] and [`UnlockedVault`] are two types, so that nothing is read from a vault before its
//! slot's signature, manifest, counter and root have been checked. Changes are staged: an [`Edit`] or a
//! [`Rotation`] yields what to upload, and the vault takes it over only when the node has committed it.

mod doors;
mod edit;
#[cfg(test)]
mod golden;
mod locked;
mod proof;
mod renewal;
mod rotation;
mod withheld;

use std::collections::BTreeMap;

use ocmt_types::{Digest32, SlotId};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    datakey::{DataKey, ObjectPlace, VaultKey, VaultScope},
    entry::{Entry, EntryName, KeyHistory},
    keyring::Keyring,
    manifest::{self, Leaf, Manifest, SlotKey},
    object::{VaultObject, keyring_id, unlock_ledger_id},
    plaintext::Plaintext,
    seal::SealSecretKey,
    sign::VerifyKey,
    slot::{KeySlot, NewSlot},
    unlock::Ledger,
};

pub use doors::MAX_STRETCHED;
pub use edit::{Change, Edit};
pub use locked::{LockedVault, Rollback};
pub use proof::{Proof, ProofOf};
pub use renewal::RenewedSlot;
pub use rotation::{Completed, Rotation, RotationMode, RotationStart};

/// What to upload for a new vault.
pub struct Upload {
    /// The vault's verify key, for the node.
    pub verify_key: VerifyKey,
    /// The key slots, canonical.
    pub slots: Vec<Vec<u8>>,
    /// The objects: the keyring.
    pub objects: Vec<VaultObject>,
    /// The signed manifest.
    pub manifest: Vec<u8>,
}

/// The newest state of a vault that a client has met, to be kept by it: no secret, but its absence lets
/// a roll-back pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The highest counter.
    pub counter: u64,
    /// SHA-256 of the signed manifest of that counter.
    pub manifest_hash: Digest32,
    /// The verify key that it was signed by.
    pub verify_key: VerifyKey,
}

/// The data keys of a conversation or volume.
pub struct KeyVersions {
    /// The version and key that are written under.
    pub current: (u64, DataKey),
    /// Those before it, oldest first: what was written stays readable.
    pub earlier: Vec<(u64, DataKey)>,
}

/// An unlocked vault. All its keys are wiped when it is dropped; dropping it is locking it.
pub struct UnlockedVault {
    scope: VaultScope,
    vk: VaultKey,
    keyring: Keyring,
    state: State,
    /// The highest counter ever seen: above the manifest's after a restore that its user accepted.
    floor: u64,
    door: Option<Door>,
}

/// What is not secret, and changes with each manifest.
#[derive(Clone)]
struct State {
    manifest: Manifest,
    manifest_hash: Digest32,
    leaves: BTreeMap<Digest32, Leaf>,
    slots: Vec<KeySlot>,
    /// Slots that the manifest names and the node has not shown yet: nothing is changed before it has.
    withheld: Vec<SlotKey>,
}

/// The slot this vault was opened through.
struct Door {
    slot: SlotId,
    secret: SealSecretKey,
    lock_key: Option<Zeroizing<[u8; 32]>>,
    pinned: VerifyKey,
}

/// Makes a vault with these slots. Runs Argon2id once for each passphrase, backup or hardware slot.
///
/// # Errors
/// [`CryptoError::LastSlot`] without any slot, [`CryptoError::TooLarge`] over 255.
pub fn create(
    scope: VaultScope,
    slots: &[NewSlot<'_>],
    rng: &mut impl CryptoRng,
) -> Result<(UnlockedVault, Upload)> {
    let (vk, keyring) = (VaultKey::generate(1, rng), Keyring::generate(rng));
    let signer = &keyring.vault_signing;
    let slots =
        slots.iter().map(|new| KeySlot::create(&scope, new, &vk, signer, rng)).collect::<Result<Vec<_>>>()?;
    doors::check(&slots)?;
    let place = ObjectPlace { scope, object: keyring_id(), version: 1 };
    let object = VaultObject::seal(&place, &vk, &keyring.encode(), rng)?;
    let manifest = Manifest {
        counter: 1,
        epoch: vk.epoch(),
        objects: 0,
        root: Digest32([0; 32]),
        slots: Vec::new(),
        hosts: Vec::new(),
        anchors: Vec::new(),
    };
    let leaves = BTreeMap::from([(object.object_id, object.leaf())]);
    let mut state = State { manifest, manifest_hash: Digest32([0; 32]), leaves, slots, withheld: Vec::new() };
    let signed = state.sign(&scope, signer)?;
    let upload = Upload {
        verify_key: signer.verify_key(),
        slots: state.slots.iter().map(KeySlot::to_bytes).collect(),
        objects: vec![object],
        manifest: signed,
    };
    Ok((UnlockedVault { scope, vk, keyring, floor: 1, state, door: None }, upload))
}

impl State {
    /// Brings the manifest in line with leaves and slots, and signs it.
    fn sign(&mut self, scope: &VaultScope, signer: &crate::sign::SigningKey) -> Result<Vec<u8>> {
        // a manifest of the slots that were shown would take the others away
        if !self.withheld.is_empty() {
            return Err(CryptoError::Refused);
        }
        let leaves: Vec<Leaf> = self.leaves.values().copied().collect();
        let too_many =
            CryptoError::TooLarge { what: "objects of a vault", max: manifest::MAX_OBJECTS as u64 };
        self.slots.sort_unstable_by_key(KeySlot::id);
        self.manifest.objects = u32::try_from(leaves.len()).map_err(|_| too_many)?;
        self.manifest.root = manifest::root(&leaves).map_err(|_| too_many)?;
        self.manifest.slots = self.slots.iter().map(slot_key).collect();
        let signed = self.manifest.sign(scope, signer)?;
        self.manifest_hash = manifest::hash(&signed);
        Ok(signed)
    }
}

impl UnlockedVault {
    /// Which vault of which tenant.
    pub const fn scope(&self) -> VaultScope {
        self.scope
    }

    /// The keys beside the vault's: identity, channel, inbox.
    pub const fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The present key epoch.
    pub const fn epoch(&self) -> u32 {
        self.vk.epoch()
    }

    /// The present manifest: counter, root, pinned hosts, anchors.
    pub const fn manifest(&self) -> &Manifest {
        &self.state.manifest
    }

    /// What the client is to keep so that a roll-back shows.
    pub fn seen(&self) -> Seen {
        let verify_key = self.keyring.vault_signing.verify_key();
        Seen { counter: self.state.manifest.counter, manifest_hash: self.state.manifest_hash, verify_key }
    }

    /// The key slots.
    pub fn slots(&self) -> &[KeySlot] {
        &self.state.slots
    }

    /// The slot this vault was opened through; none right after its creation, or once it is gone.
    pub fn opened_through(&self) -> Option<SlotId> {
        self.door.as_ref().map(|door| door.slot)
    }

    /// What the vault holds, by object id.
    pub fn leaves(&self) -> impl ExactSizeIterator<Item = &Leaf> {
        self.state.leaves.values()
    }

    /// The id of the entry of this name, whether it is there or not.
    pub fn entry_id(&self, name: &EntryName) -> Digest32 {
        name.id(&self.keyring.name_key)
    }

    /// Opens an entry that the node shows.
    ///
    /// # Errors
    /// [`CryptoError::Refused`], also if it is not the version that the manifest holds.
    pub fn open_entry(&self, object: &VaultObject) -> Result<Entry> {
        let entry = Entry::decode(&self.open(object)?)?;
        if self.entry_id(&entry.name) == object.object_id { Ok(entry) } else { Err(CryptoError::Refused) }
    }

    /// Opens an entry's version from before the present one. Whoever wrote it had the vault open; that it is all there
    /// was, and the newest but one, nothing proves: the manifest has present versions alone.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn open_earlier(&self, object: &VaultObject) -> Result<Entry> {
        let present = self.state.leaves.get(&object.object_id).ok_or(CryptoError::Refused)?;
        if object.version >= present.version {
            return Err(CryptoError::Refused);
        }
        let entry = Entry::decode(&object.open(self.scope, &self.vk)?)?;
        if self.entry_id(&entry.name) == object.object_id { Ok(entry) } else { Err(CryptoError::Refused) }
    }

    /// The data key of an object's present version: what a grant of it, or an unlock payload, carries.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn data_key(&self, object: &VaultObject) -> Result<DataKey> {
        self.check(object)?;
        object.data_key(self.scope, &self.vk)
    }

    /// The data key of an object that a change of this vault writes: what a grant of it will carry once it is committed.
    ///
    /// # Errors
    /// [`CryptoError::NotFound`] if the change does not write it.
    pub fn data_key_of(&self, change: &Change, object: Digest32) -> Result<DataKey> {
        let written = change.objects.iter().find(|written| written.object_id == object);
        written.ok_or(CryptoError::NotFound("object"))?.data_key(self.scope, &self.vk)
    }

    /// The data keys of a conversation or volume from its key object.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn key_versions(&self, object: &VaultObject) -> Result<KeyVersions> {
        let KeyHistory(earlier) = KeyHistory::decode(&self.open(object)?)?;
        Ok(KeyVersions { current: (object.version, self.data_key(object)?), earlier })
    }

    /// The ledger of unlocks that may write, from its object.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn ledger(&self, object: &VaultObject) -> Result<Ledger> {
        if object.object_id != unlock_ledger_id() {
            return Err(CryptoError::Refused);
        }
        Ledger::decode(&self.open(object)?)
    }

    /// Starts a change of entries, slots, hosts or anchors.
    pub fn edit(&self) -> Edit<'_> {
        Edit::new(self)
    }

    /// Takes over a change that the node has committed.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it was made from another state than the present one.
    pub fn apply(&mut self, change: Change) -> Result<()> {
        let (base, state) = change.into_state();
        if base != self.state.manifest_hash {
            return Err(CryptoError::Refused);
        }
        self.floor = self.floor.max(state.manifest.counter);
        self.state = state;
        Ok(())
    }

    fn open(&self, object: &VaultObject) -> Result<Plaintext> {
        self.check(object)?;
        object.open(self.scope, &self.vk)
    }

    /// Holds an object that the node shows against the manifest: version and content.
    fn check(&self, object: &VaultObject) -> Result<()> {
        let known = self.state.leaves.get(&object.object_id) == Some(&object.leaf());
        if known { Ok(()) } else { Err(CryptoError::Refused) }
    }

    fn next_counter(&self) -> Result<u64> {
        self.floor.checked_add(1).ok_or(CryptoError::Refused)
    }
}

fn slot_key(slot: &KeySlot) -> SlotKey {
    SlotKey { id: slot.id(), kind: slot.kind(), public: slot.public() }
}
