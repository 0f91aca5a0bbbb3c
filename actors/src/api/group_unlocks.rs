//! Opening a group's vault by several of its administrators together. An unlock's id is the hash of all its parameters,
//! chosen by the requester.

use ocmt_types::{Digest32, GroupId, Secret, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::{
    container::{CellKeyStated, Unlocked},
    group_cells::{
        AppointGroupCell, CellAsked, CellEvidence, DismissGroupCell, GetGroupCell, GetGroupCellKey,
        GroupCellView, OpenGroupCell,
    },
    recovery::{CeremonyState, NodeStatement},
    users::Done,
};
use crate::call::calls;

/// What somebody said of an unlock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockAct {
    /// Whose word it is.
    pub email: String,
    /// They approved; else they denied.
    pub approved: bool,
    /// When it was committed.
    pub at: Timestamp,
}

/// An unlock as the group's administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockView {
    /// Hash of `params`.
    pub id: [u8; 32],
    /// All that the requester's client chose: canonical `ocmt_crypto::ceremony::Ceremony` of purpose `Unlock`.
    pub params: Vec<u8>,
    /// Where it stands.
    pub state: CeremonyState,
    /// Who asks.
    pub requester: UserId,
    /// Their address.
    pub requester_email: String,
    /// When it was opened, by the node's clock.
    pub opened_at: Timestamp,
    /// When the parts were released.
    pub released_at: Option<Timestamp>,
    /// It is over from then on, released or not.
    pub expires_at: Timestamp,
    /// How many have to approve, the requester among them.
    pub needed: u32,
    /// How many have, of those who still administer the group.
    pub approved: u32,
    /// What was said, in order.
    pub acts: Vec<UnlockAct>,
    /// Unlock and release key, signed by the node; none once the key is deleted.
    pub release_statement: Option<NodeStatement>,
    /// It is into the cell of the group's container.
    #[serde(default)]
    pub into_cell: bool,
    /// When it was handed to that cell the last time.
    #[serde(default)]
    pub handed_at: Option<Timestamp>,
}

/// Ask the group's administrators to open its vault: with step-up.
#[derive(Debug, Clone)]
pub struct OpenGroupUnlock {
    /// Of which group.
    pub group: GroupId,
    /// Canonical `ocmt_crypto::ceremony::Ceremony`.
    pub params: Vec<u8>,
    /// Into the cell of the group's container, if it is of purpose `Cell`.
    pub cell: Option<CellAsked>,
}

/// One unlock, with what an administrator's device needs to decide.
#[derive(Debug, Clone)]
pub struct GetGroupUnlock {
    /// Of which group.
    pub group: GroupId,
    /// Which.
    pub ceremony: Digest32,
}

/// Answer of [`GetGroupUnlock`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnlockDetail {
    /// The unlock.
    pub unlock: UnlockView,
    /// The signed set of who holds parts.
    pub signed_set: Vec<u8>,
    /// The caller's part in its box; empty if they hold none.
    pub sealed_part: Vec<u8>,
    /// What shows that it is into the group's cell; none if it is to a device.
    pub cell: Option<CellEvidence>,
}

/// The unlocks of a group's vault, newest first.
#[derive(Debug, Clone)]
pub struct ListGroupUnlocks {
    /// Of which group.
    pub group: GroupId,
    /// The last one of the page before.
    pub after: Option<Digest32>,
    /// Most of them.
    pub limit: u32,
}

/// Answer of [`ListGroupUnlocks`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnlockList {
    /// Newest first.
    pub unlocks: Vec<UnlockView>,
    /// The signed set of who holds parts now; empty if the vault opens for each who takes part.
    pub signed_set: Vec<u8>,
    /// Where the next page begins after.
    pub next: Option<Digest32>,
}

/// Approve with one's own part: with step-up.
#[derive(Debug, Clone)]
pub struct ApproveGroupUnlock {
    /// Of which group.
    pub group: GroupId,
    /// Which.
    pub ceremony: Digest32,
    /// Canonical approval.
    pub approval: Vec<u8>,
}

/// Refuse.
#[derive(Debug, Clone)]
pub struct DenyGroupUnlock {
    /// Of which group.
    pub group: GroupId,
    /// Which.
    pub ceremony: Digest32,
    /// Signed by the caller.
    pub statement: Vec<u8>,
}

/// Requester: give it up.
#[derive(Debug, Clone)]
pub struct CancelGroupUnlock {
    /// Of which group.
    pub group: GroupId,
    /// Which.
    pub ceremony: Digest32,
}

/// Requester, in the session that asked, after release.
#[derive(Debug, Clone)]
pub struct CollectGroupUnlock {
    /// Of which group.
    pub group: GroupId,
    /// Which.
    pub ceremony: Digest32,
}

/// Answer of [`CollectGroupUnlock`].
pub struct UnlockParts {
    /// Private half of the release key: opens the outer seals only.
    pub release_private_key: Secret<[u8; 32]>,
    /// Canonical approvals of those who still administer the group.
    pub approvals: Vec<Vec<u8>>,
    /// The signed set.
    pub signed_set: Vec<u8>,
}

calls! {
    /// Calls about unlocks of groups' vaults.
    GroupUnlocks: GroupUnlocksCall of "GroupService" {
        write OpenGroupUnlock => UnlockView,
        read GetGroupUnlock => UnlockDetail,
        read ListGroupUnlocks => UnlockList,
        write ApproveGroupUnlock => UnlockView,
        write DenyGroupUnlock => UnlockView,
        write CancelGroupUnlock => UnlockView,
        read CollectGroupUnlock => UnlockParts,
        write AppointGroupCell => Done,
        write DismissGroupCell => Done,
        read GetGroupCell => GroupCellView,
        read GetGroupCellKey => CellKeyStated,
        once OpenGroupCell => Unlocked,
    }
}
