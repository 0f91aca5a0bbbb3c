//! Vaults of groups: who takes part, and with whose word. What is in them is read and written like in every vault
//! ([`super::vault`]).

use ocmt_types::{GroupId, SlotId, Timestamp, UserId, VaultId};
use serde::{Deserialize, Serialize};

use super::{groups::GroupRole, users::Done, vault::Written};
use crate::call::calls;

/// Why a group's vault is due for new keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RotationDue {
    /// Somebody who had its key takes part no more.
    Left,
    /// Somebody had it for a time by an unlock, and that is over.
    Unlocked,
}

/// A member of a group, and how far they take part in its vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// Who.
    pub user: UserId,
    /// The address.
    pub email: String,
    /// What they may do in the group.
    pub role: GroupRole,
    /// What they signed to take part; none if they have not.
    pub acceptance: Option<Vec<u8>>,
    /// What they were told of the vault; none if nobody has admitted them.
    pub admission: Option<Vec<u8>>,
    /// Who told them.
    pub admitted_by: Option<UserId>,
    /// Their slot, once admitted.
    pub slot: Option<SlotId>,
}

/// The vault of a group and who takes part in it. For members of the group, and for the tenant's administrators.
#[derive(Debug, Clone)]
pub struct GetGroupVault {
    /// Of which group.
    pub group: GroupId,
}

/// Answer of [`GetGroupVault`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupVaultView {
    /// The vault; none if the group has none yet.
    pub vault: Option<VaultId>,
    /// Why and since when it is due for new keys; none if it is not.
    pub due: Option<(RotationDue, Timestamp)>,
    /// How many administrators open it together, and how many hold a part; none if each who takes part opens it.
    pub shared: Option<(u32, u32)>,
    /// All members of the group, those who came first at the front.
    pub participants: Vec<Participant>,
}

/// A member takes part: their signed word, which an administrator answers.
#[derive(Debug, Clone)]
pub struct AcceptGroupVault {
    /// Of which group.
    pub group: GroupId,
    /// Canonical `ocmt_crypto::group::Acceptance`.
    pub acceptance: Vec<u8>,
}

/// Admit a member who has accepted: a slot of the vault for them, and a signed word about it. For administrators of the
/// group who are admitted themselves, with step-up.
#[derive(Debug, Clone)]
pub struct AdmitToGroupVault {
    /// Of which group.
    pub group: GroupId,
    /// Whom.
    pub user: UserId,
    /// Canonical key slot; empty in a vault that several open together.
    pub slot: Vec<u8>,
    /// The signed manifest of the state after; empty where there is no slot.
    pub manifest: Vec<u8>,
    /// Canonical `ocmt_crypto::group::Admission`.
    pub admission: Vec<u8>,
}

calls! {
    /// Calls about vaults of groups.
    #[allow(clippy::enum_variant_names, reason = "a call is named as in the contract")]
    GroupVaults: GroupVaultsCall of "GroupService" {
        read GetGroupVault => GroupVaultView,
        write AcceptGroupVault => Done,
        write AdmitToGroupVault => Written,
    }
}
