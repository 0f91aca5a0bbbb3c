//! What a vault has beside, if it is a group's.

use ocmt_types::{GroupId, UserId};

/// That a new vault is a group's: its maker takes part by their own word to themselves.
pub struct GroupsOwn {
    /// Which group's.
    pub group: GroupId,
    /// Canonical `ocmt_crypto::group::Acceptance`.
    pub acceptance: Vec<u8>,
    /// Canonical `ocmt_crypto::group::Admission`.
    pub admission: Vec<u8>,
}

/// Who opens a group's vault together.
#[derive(Debug, Clone)]
pub struct GroupDeal {
    /// Canonical `ocmt_crypto::guardian::GuardianSet`, signed by the vault's identity key.
    pub signed_set: Vec<u8>,
    /// For each of its holders their part, sealed to them.
    pub parts: Vec<(UserId, Vec<u8>)>,
}
