//! Opening a group's vault into the cell of one container. Asking for it, approving and ending it is as with every unlock
//! ([`super::group_unlocks`]).

use std::time::Duration;

use ocmt_types::{Digest32, GroupId, Timestamp};
use serde::{Deserialize, Serialize};

use super::recovery::NodeStatement;

/// What whoever asks for an unlock into the cell sends beside its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellAsked {
    /// Canonical `ocmt_crypto::group_cell::Order`.
    pub order: Vec<u8>,
    /// The statement of the cell's key, as its host has signed it.
    pub statement: NodeStatement,
}

/// What a device needs to hold an unlock into the cell against what the vault has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellEvidence {
    /// Order and statement, as they were sent.
    pub asked: CellAsked,
    /// The appointment in force; empty if there is none any more.
    pub appointment: Vec<u8>,
}

/// Name a container of the caller's whose cell the vault may be opened into: with step-up.
#[derive(Debug, Clone)]
pub struct AppointGroupCell {
    /// Of which group.
    pub group: GroupId,
    /// Canonical `ocmt_crypto::group_cell::Appointment`, signed by the vault.
    pub appointment: Vec<u8>,
}

/// End that: what is open in the cell is locked.
#[derive(Debug, Clone)]
pub struct DismissGroupCell {
    /// Of which group.
    pub group: GroupId,
}

/// The appointment in force.
#[derive(Debug, Clone)]
pub struct GetGroupCell {
    /// Of which group.
    pub group: GroupId,
}

/// Answer of [`GetGroupCell`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCellView {
    /// As it was signed.
    pub appointment: Vec<u8>,
    /// Whose container it is.
    pub owner_email: String,
    /// When it was taken.
    pub appointed_at: Timestamp,
    /// The vault's signed manifest as it is now: an order names it.
    pub manifest: Vec<u8>,
    /// The vault's successions, oldest first.
    pub successions: Vec<Vec<u8>>,
    /// Until when the cell is open; none while it is locked.
    pub unlocked_until: Option<Timestamp>,
}

/// A fresh key of the cell, for one unlock into it: with step-up.
#[derive(Debug, Clone)]
pub struct GetGroupCellKey {
    /// Of which group.
    pub group: GroupId,
    /// How long the unlock will last.
    pub lasts: Duration,
}

/// Requester, after release: have the cell open it.
#[derive(Debug, Clone)]
pub struct OpenGroupCell {
    /// Of which group.
    pub group: GroupId,
    /// Which unlock.
    pub ceremony: Digest32,
}
