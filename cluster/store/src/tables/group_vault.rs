//! Vaults of groups: who takes part in one, and whether it is due for new keys. Its ciphertext stands where that of every
//! vault does.

use ocmt_types::{ContainerId, Digest32, GroupId, GuardianSetId, SlotId, Timestamp, UserId, VaultId};

use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// Why a group's vault is due for new keys.
    pub enum RotationDue {
        /// Somebody who had its key takes part no more.
        Left = "left",
        /// Somebody had it for a time by an unlock, and that is over.
        Unlocked = "unlocked",
    }
}

rows! {
    /// What is known of a group's vault beside the vault itself.
    pub struct GroupVault: tenant("group_vaults") {
        key {
            /// Which vault.
            vault_id: VaultId,
        }
        /// Of which group.
        group_id: GroupId,
        /// Why it is due for new keys; none if it is not.
        due: Option<RotationDue>,
        /// Since when.
        due_since: Option<Timestamp>,
    } unique(tenant_id, group_id);

    /// A member of a group who takes part in its vault.
    pub struct VaultMember: tenant("vault_members") {
        key {
            /// In which vault.
            vault_id: VaultId,
            /// Who.
            user_id: UserId,
        }
        /// The member's signed word that they take part (`docs/formats.md`, "Group acceptance").
        acceptance: Vec<u8>,
        /// An administrator's signed word about the vault (`docs/formats.md`, "Group admission"); none while nobody has
        /// admitted the member.
        admission: Option<Vec<u8>>,
        /// The administrator who signed that.
        admitted_by: Option<UserId>,
        /// The member's slot, once admitted.
        slot_id: Option<SlotId>,
        /// When the member took part.
        accepted_at: Timestamp,
        /// When the member was admitted.
        admitted_at: Option<Timestamp>,
    } index(tenant_id, user_id);
    /// A part of the key of a group's vault that several open together.
    pub struct GroupPart: tenant("group_parts") {
        key {
            /// Of which set.
            set_id: GuardianSetId,
            /// Whose part.
            user_id: UserId,
        }
        /// The part, sealed to their identity key.
        sealed: Vec<u8>,
    };
    /// The container whose cell a group's vault may be opened into.
    pub struct GroupCell: tenant("group_cells") {
        key {
            /// Which vault.
            vault_id: VaultId,
        }
        /// Which container: the cell of one group.
        container_id: ContainerId,
        /// Whose container.
        user_id: UserId,
        /// Grows from one appointment of the vault to the next.
        number: i64,
        /// The appointment (`docs/formats-cell-and-recovery.md`, "Appointment of a group cell"), signed by the vault.
        body: Vec<u8>,
        /// When it was taken.
        appointed_at: Timestamp,
    } unique(tenant_id, container_id);

    /// What an unlock into the cell goes by: one that has none of this is to a device.
    pub struct GroupCellUnlock: tenant("group_cell_unlocks") {
        key {
            /// Which unlock.
            ceremony_id: Digest32,
        }
        /// Of which vault.
        vault_id: VaultId,
        /// Into the cell of which container.
        container_id: ContainerId,
        /// The order (`docs/formats-cell-and-recovery.md`, "Order of a group cell").
        body: Vec<u8>,
        /// The statement of the cell's key, by its host.
        statement: Vec<u8>,
        /// The certificates of that host, as JSON.
        certificates: Vec<u8>,
        /// When it was handed to the cell the last time.
        handed_at: Option<Timestamp>,
    } index(tenant_id, vault_id) index(tenant_id, container_id);
}
