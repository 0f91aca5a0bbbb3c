//! Vaults: slots, entries, manifest, rotation. What is sealed stays sealed here: the node checks signatures,
//! versions, counters and the Merkle root, and cannot read.

use ocmt_crypto::{manifest::Leaf, object::VaultObject, sign::VerifyKey};
use ocmt_types::{Digest32, GroupId, RotationId, SlotId, Timestamp, UserId, VaultId};
use serde::{Deserialize, Serialize};

mod group;
mod inbox;
mod shared;
mod unlock;
mod watch;

pub use group::{GroupDeal, GroupsOwn};
pub use inbox::{FileInboxItems, InboxItem, InboxPage, InboxPosition, ListInboxItems};
pub use shared::{FileSharedWrites, ListSharedWrites, Renewal, SharedWriteItem, SharedWritePage};
pub use unlock::{GetKeySlots, Handout, RefuseSlotRequest, ReportUnlock, Reported, SlotRequest, StoredSlot};
pub use watch::{ChangeAt, VaultEvent, VaultEventKind, WatchVault};

pub use super::users::Done;
use crate::{call::calls, tenant::vault::watch::Changes, watch::Following};

/// Facts of a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultInfo {
    /// Which.
    pub id: VaultId,
    /// Whose; none for a group's.
    pub user: Option<UserId>,
    /// Of which group; none for a user's.
    #[serde(default)]
    pub group: Option<GroupId>,
    /// Of the present vault key; from 1.
    pub key_epoch: u32,
    /// Of the present manifest; from 1.
    pub counter: u64,
    /// Objects, the keyring included.
    pub objects: u32,
    /// Key slots.
    pub slots: u32,
    /// What verifies the manifest.
    pub verify_key: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Items in its inbox that no client has filed, and what takers of shares sent.
    #[serde(default)]
    pub inbox: u32,
}

/// Make the caller's vault, or a group's, whole.
pub struct CreateVault {
    /// Of which group; none for the caller's own.
    pub of_group: Option<Box<GroupsOwn>>,
    /// Chosen by the client.
    pub vault: VaultId,
    /// What verifies the manifest.
    pub verify_key: VerifyKey,
    /// Canonical key slots.
    pub slots: Vec<Vec<u8>>,
    /// The first objects, the keyring among them.
    pub objects: Vec<VaultObject>,
    /// The signed manifest.
    pub manifest: Vec<u8>,
}

/// A vault and what proves it; the caller's own without an id.
#[derive(Debug, Clone)]
pub struct GetVault {
    /// Which.
    pub vault: Option<VaultId>,
}

/// Answer of [`GetVault`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultView {
    /// Facts.
    pub info: VaultInfo,
    /// The signed manifest.
    pub manifest: Vec<u8>,
    /// Canonical successions, oldest first.
    pub successions: Vec<Vec<u8>>,
    /// The unfinished rotation.
    pub rotation: Option<RotationInfo>,
    /// Who asked last for the slots of a backup key or a hardware token.
    pub request: Option<SlotRequest>,
}

/// A page of object heads in the order of their ids.
#[derive(Debug, Clone)]
pub struct ListEntries {
    /// Which vault.
    pub vault: VaultId,
    /// Behind this object.
    pub after: Option<Digest32>,
    /// 1 to 1000; 0 means 500.
    pub limit: u32,
}

/// An object without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectHead {
    /// Id, version and hash.
    pub leaf: Leaf,
    /// The wrapped data key.
    pub wrapped_key: Vec<u8>,
    /// Size of the body in bytes.
    pub body_bytes: u32,
    /// When this version was written.
    pub updated_at: Timestamp,
}

/// Answer of [`ListEntries`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryPage {
    /// Heads.
    pub entries: Vec<ObjectHead>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<Digest32>,
    /// Of the manifest they belong to.
    pub counter: u64,
}

/// One object.
#[derive(Debug, Clone)]
pub struct GetEntry {
    /// Which vault.
    pub vault: VaultId,
    /// Which object.
    pub object: Digest32,
    /// Which version; 0 for the present one. Earlier ones are kept as the tenant's policy says.
    pub version: u64,
}

/// Several objects; those that do not exist are left out.
#[derive(Debug, Clone)]
pub struct BatchGetEntries {
    /// Which vault.
    pub vault: VaultId,
    /// Which objects, at most 48.
    pub objects: Vec<Digest32>,
}

/// Answer of [`GetEntry`] and [`BatchGetEntries`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries {
    /// In the order asked.
    pub objects: Vec<VaultObject>,
    /// Of the manifest at the time of reading.
    pub counter: u64,
    /// For a program: the data key of the one object, sealed to it.
    pub grant: Option<Vec<u8>>,
}

/// One change of objects, all or nothing.
#[derive(Debug, Clone)]
pub struct Write {
    /// Which vault.
    pub vault: VaultId,
    /// New objects and versions.
    pub puts: Vec<VaultObject>,
    /// Objects that go, at the versions they have.
    pub deletes: Vec<(Digest32, u64)>,
    /// The signed manifest of the state after.
    pub manifest: Vec<u8>,
}

/// Write one object.
pub struct PutEntry(pub Write);
/// Delete one object.
pub struct DeleteEntry(pub Write);
/// Write and delete together.
#[derive(Debug, Clone)]
pub struct BatchPutEntries(pub Write);

/// Answer of every write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Of the manifest now stored.
    pub counter: u64,
}

/// Add a way to open the vault.
#[derive(Debug, Clone)]
pub struct AddKeySlot {
    /// Which vault.
    pub vault: VaultId,
    /// Canonical.
    pub slot: Vec<u8>,
    /// The signed manifest of the state after.
    pub manifest: Vec<u8>,
}

/// Remove one; the last one stays.
#[derive(Debug, Clone)]
pub struct RemoveKeySlot {
    /// Which vault.
    pub vault: VaultId,
    /// Which slot.
    pub slot: SlotId,
    /// The signed manifest of the state after.
    pub manifest: Vec<u8>,
}

/// What a rotation does with the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RotationMode {
    /// Wraps their data keys anew.
    Rewrap,
    /// Encrypts them anew under fresh data keys.
    Rekey,
}

/// Start a rotation.
#[derive(Debug, Clone)]
pub struct BeginRotation {
    /// Which vault.
    pub vault: VaultId,
    /// The present epoch plus 1.
    pub epoch: u32,
    /// The verify key that will hold.
    pub verify_key: VerifyKey,
    /// Canonical succession from the present to that key.
    pub succession: Vec<u8>,
    /// What it does.
    pub mode: RotationMode,
    /// Canonical slots for the new vault key.
    pub slots: Vec<Vec<u8>>,
    /// Drop an unfinished rotation instead of being refused.
    pub replace: bool,
}

/// Where a rotation stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationInfo {
    /// Which.
    pub id: RotationId,
    /// The epoch it leads to.
    pub epoch: u32,
    /// The verify key it leads to.
    pub verify_key: [u8; 32],
    /// What it does.
    pub mode: RotationMode,
    /// Canonical slots for the new vault key.
    pub slots: Vec<Vec<u8>>,
    /// Objects staged so far.
    pub staged: u32,
    /// Objects still to stage.
    pub remaining: u32,
    /// When it was started.
    pub started_at: Timestamp,
}

/// Stage some objects; staging one again replaces it.
#[derive(Debug, Clone)]
pub struct PutRewrappedKeys {
    /// Which vault.
    pub vault: VaultId,
    /// Which rotation.
    pub rotation: RotationId,
    /// Object, present version, data key under the new vault key.
    pub keys: Vec<(Digest32, u64, Vec<u8>)>,
    /// Objects of the next version.
    pub objects: Vec<VaultObject>,
}

/// What an unfinished rotation has staged, by object id.
#[derive(Debug, Clone)]
pub struct ListStagedObjects {
    /// Which vault.
    pub vault: VaultId,
    /// Behind this object.
    pub after: Option<Digest32>,
    /// 1 to 48; 0 means 20.
    pub limit: u32,
}

/// Answer of [`ListStagedObjects`].
#[derive(Debug, Clone)]
pub struct StagedPage {
    /// Where it stands.
    pub rotation: RotationInfo,
    /// Canonical succession from the present verify key to the new one.
    pub succession: Vec<u8>,
    /// The keyring, if it was staged.
    pub keyring: Option<VaultObject>,
    /// Other objects; the bodies of a rewrap are empty, since they stay.
    pub objects: Vec<VaultObject>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<Digest32>,
}

/// Switch to the new keys.
#[derive(Debug, Clone)]
pub struct FinishRotation {
    /// Which vault.
    pub vault: VaultId,
    /// Which rotation.
    pub rotation: RotationId,
    /// All slots from now on, canonical.
    pub slots: Vec<Vec<u8>>,
    /// The manifest, signed by the new key.
    pub manifest: Vec<u8>,
    /// Of a group's vault: who holds parts of the new key; none if it opens for each who takes part.
    pub deal: Option<GroupDeal>,
}

calls! {
    /// Calls of this area.
    Vault: VaultCall of "VaultService" {
        write CreateVault => VaultInfo,
        read GetVault => VaultView,
        read ListEntries => EntryPage,
        read GetEntry => Entries,
        read BatchGetEntries => Entries,
        write PutEntry => Written,
        write DeleteEntry => Written,
        write BatchPutEntries => Written,
        read WatchVault => Following<Changes, VaultEvent>,
        read ListInboxItems => InboxPage,
        write FileInboxItems => Written,
        read ListSharedWrites => SharedWritePage,
        write FileSharedWrites => Written,
        read GetKeySlots => Handout,
        write ReportUnlock => Reported,
        write RefuseSlotRequest => Done,
        write AddKeySlot => Written,
        write RemoveKeySlot => Written,
        write BeginRotation => RotationInfo,
        write PutRewrappedKeys => RotationInfo,
        read ListStagedObjects => StagedPage,
        write FinishRotation => VaultInfo,
    }
}
