//! Vaults of groups: who takes part in one, and whether it is due for new keys. Its ciphertext stands where that of every
//! vault does.

use ocmt_types::{GroupId, GuardianSetId, SlotId, Timestamp, UserId, VaultId};

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
}
