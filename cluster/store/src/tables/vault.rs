//! Vaults: key slots, ciphertexts, and a rotation in progress. Everything secret in here is sealed by
//! clients; the formats are those of `docs/formats.md`.

use ocmt_types::{
    ContainerId, Digest32, GroupId, HandoutId, MessageId, RotationId, SlotId, Timestamp, UnlockId, UserId,
    VaultId,
};

use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// What a rotation does with the objects.
    pub enum RotationMode {
        /// Wraps their data keys anew.
        Rewrap = "rewrap",
        /// Encrypts them anew under fresh data keys.
        Rekey = "rekey",
    }

    /// Where an item of a vault's inbox stands.
    pub enum InboxState {
        /// No client has filed or dropped it.
        Waiting = "waiting",
        /// One has.
        Done = "done",
    }

    /// What changed in a vault.
    pub enum VaultChangeKind {
        /// Objects were written or deleted.
        Objects = "objects",
        /// Slots were added or removed.
        Slots = "slots",
        /// A rotation was started.
        RotationStarted = "rotation_started",
        /// A rotation was finished.
        Rotated = "rotated",
        /// Something came into the inbox.
        Inbox = "inbox",
    }

    /// What locks a key slot.
    pub enum SlotKind {
        /// A passphrase.
        Passphrase = "passphrase",
        /// A backup key on paper.
        Backup = "backup",
        /// A hardware token.
        Hardware = "hardware",
        /// The recovery key that guardians hold shares of.
        Recovery = "recovery",
        /// A member's identity key (group vaults).
        Member = "member",
    }
}

rows! {
    /// A vault of a user or of a group.
    pub struct Vault: tenant("vaults") {
        key {
            /// Chosen by the client that made it.
            vault_id: VaultId,
        }
        /// The user whose it is; none for a group's.
        owner_user: Option<UserId>,
        /// The group whose it is; none for a user's.
        owner_group: Option<GroupId>,
        /// Grows with each rotation, from 1; objects under an older one are refused.
        key_epoch: i64,
        /// The Ed25519 key that verifies its manifests at this epoch.
        verify_key: Digest32,
        /// The signed successions of that key since the first, one behind the other.
        successions: Vec<u8>,
        /// The signed manifest.
        manifest: Vec<u8>,
        /// The manifest's counter; a new one is exactly one more.
        manifest_counter: i64,
        /// The manifest's Merkle root.
        manifest_root: Digest32,
        /// How many objects it has.
        object_count: i64,
        /// The epoch that a rotation in progress leads to.
        rotation_epoch: Option<i64>,
        /// The verify key of that epoch.
        rotation_verify_key: Option<Digest32>,
        /// The succession to it.
        rotation_succession: Option<Vec<u8>>,
        /// Which rotation it is.
        rotation_id: Option<RotationId>,
        /// What it does with the objects.
        rotation_mode: Option<RotationMode>,
        /// The slots for the new vault key, one behind the other.
        rotation_slots: Option<Vec<u8>>,
        /// When the rotation began.
        rotation_started_at: Option<Timestamp>,
        /// When it was made.
        created_at: Timestamp,
        /// When it last changed.
        updated_at: Timestamp,
    } unique(tenant_id, owner_user) unique(tenant_id, owner_group);

    /// One way to open a vault.
    pub struct Slot: tenant("slots") {
        key {
            /// Of which vault.
            vault_id: VaultId,
            /// Chosen by the client.
            slot_id: SlotId,
        }
        /// What locks it.
        kind: SlotKind,
        /// The slot in its canonical format.
        body: Vec<u8>,
        /// The key epoch its sealed vault key is of.
        key_epoch: i64,
        /// When it was added.
        created_at: Timestamp,
    };

    /// One object of a vault: an entry, the keyring, the name index.
    pub struct VaultObject: tenant("objects") {
        key {
            /// Of which vault.
            vault_id: VaultId,
            /// Computed by the client.
            object_id: Digest32,
        }
        /// Grows by one with each write.
        version: i64,
        /// The key epoch its data key is wrapped under.
        key_epoch: i64,
        /// The data key, wrapped under the vault key.
        wrapped_key: Vec<u8>,
        /// SHA-256 of the ciphertext, the leaf in the manifest.
        body_hash: Digest32,
        /// Size of the ciphertext in bytes.
        body_bytes: i64,
        /// When it was last written.
        updated_at: Timestamp,
    };

    /// The ciphertext of an object: apart, so that a list of objects does not read them all.
    pub struct ObjectBody: tenant("object_bodies") {
        key {
            /// Of which vault.
            vault_id: VaultId,
            /// Of which object.
            object_id: Digest32,
        }
        /// The ciphertext, at most 64 KiB, its name and the envelope.
        body: Vec<u8>,
    };

    /// A version of an object from before the present one, as the tenant's policy keeps them.
    pub struct ObjectVersion: tenant("object_versions") {
        key {
            /// Of which vault.
            vault_id: VaultId,
            /// Of which object.
            object_id: Digest32,
            /// Which version.
            version: i64,
        }
        /// The key epoch its data key is wrapped under: a rotation takes older versions away.
        key_epoch: i64,
        /// Its data key, wrapped under the vault key of that epoch.
        wrapped_key: Vec<u8>,
        /// The ciphertext.
        body: Vec<u8>,
        /// Its size in bytes.
        body_bytes: i64,
        /// When it was written.
        written_at: Timestamp,
    };

    /// A change of a vault, for those who watch it; the last few are kept.
    pub struct VaultChange: tenant("vault_changes") {
        key {
            /// Of which vault.
            vault_id: VaultId,
            /// Grows by one with each change of the vault.
            seq: i64,
        }
        /// What changed.
        kind: VaultChangeKind,
        /// The manifest's counter after it.
        counter: i64,
        /// The objects that were written or deleted, 41 bytes each: 0 or 1, id, version.
        objects: Vec<u8>,
        /// When it was committed.
        at: Timestamp,
    };

    /// A hand-out of key slots that no unlock has been reported for.
    pub struct Handout: tenant("handouts") {
        key {
            /// Of which vault.
            vault_id: VaultId,
            /// Which hand-out.
            handout_id: HandoutId,
        }
        /// What the proof of unlocking must cover.
        challenge: Digest32,
        /// When it was.
        created_at: Timestamp,
    };

    /// Hand-outs of key slots to an account since its last proved unlock.
    pub struct UnlockBudget: tenant("unlock_budgets") {
        key {
            /// Whose.
            user_id: UserId,
        }
        /// How many.
        handouts: i64,
        /// When the last one was.
        handed_out_at: Timestamp,
        /// There is no further one before.
        not_before: Timestamp,
    };

    /// An object of the epoch that a rotation leads to, staged until the rotation finishes.
    pub struct RotationObject: tenant("rotation_objects") {
        key {
            /// Of which vault.
            vault_id: VaultId,
            /// Which object.
            object_id: Digest32,
        }
        /// The version it will have: the same when only rewrapped, one more when re-keyed.
        version: i64,
        /// The data key, wrapped under the new vault key.
        wrapped_key: Vec<u8>,
        /// The new ciphertext, if it was re-keyed.
        body: Option<Vec<u8>>,
        /// SHA-256 of the new ciphertext, if it was re-keyed.
        body_hash: Option<Digest32>,
    };

    /// What a cell made (an OAuth token), sealed to the vault's inbox until a client files it.
    pub struct VaultInboxItem: tenant("vault_inbox") {
        key {
            /// Of which vault.
            vault_id: VaultId,
            /// Which item, chosen by the cell.
            item_id: MessageId,
        }
        /// The container whose cell made it.
        container_id: ContainerId,
        /// The sealed bytes, at most 69,632; none any more once it is done with.
        sealed: Vec<u8>,
        /// When it came.
        created_at: Timestamp,
        /// The unlock whose cell made it, as the item says.
        unlock_id: Option<UnlockId>,
        /// Whether it waits; what is done with is remembered, since a cell may send it again.
        state: InboxState,
        /// Grows from item to item of a vault.
        position: i64,
    };
}
