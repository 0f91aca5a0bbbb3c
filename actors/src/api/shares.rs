//! Shares: what one person gives another of a vault, exactly what is named, until it ends.

use ocmt_types::{ShareId, Timestamp, VaultId};
use serde::{Deserialize, Serialize};

use super::programs::EntryGrant;
use crate::call::calls;

/// The six things that can be allowed; none implies another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Permission {
    /// Read content.
    Read,
    /// See that it exists.
    List,
    /// Change it.
    Write,
    /// Delete it.
    Delete,
    /// Change who may.
    Admin,
    /// Give on what one has.
    Share,
}

/// Where a share stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShareState {
    /// Waits for its taker.
    Offered,
    /// Taken.
    Accepted,
    /// Taken back, or ended with something else.
    Revoked,
    /// Run out.
    Expired,
}

/// An entry of a share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedEntry {
    /// Which object.
    pub object: [u8; 32],
    /// The version that was given.
    pub version: u64,
    /// The sealed key, or nothing. No part of an answer that is kept for repeats: who repeats may have lost the right to it.
    #[serde(skip)]
    pub sealed: Vec<u8>,
}

/// A share, as somebody sees it whom it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareInfo {
    /// Which.
    pub id: ShareId,
    /// Where it stands.
    pub state: ShareState,
    /// Whose entries.
    pub vault: VaultId,
    /// The giver's address today.
    pub giver_email: String,
    /// The taker's.
    pub taker_email: String,
    /// Exactly what is allowed.
    pub permissions: Vec<Permission>,
    /// What of. With the sealed keys for whoever took it to read.
    pub grants: Vec<SharedEntry>,
    /// When it was offered.
    pub created_at: Timestamp,
    /// When it ends; none for never.
    pub expires_at: Option<Timestamp>,
}

/// Offer entries to somebody of the same tenant. With step-up.
#[derive(Debug, Clone)]
pub struct CreateShare {
    /// The caller's own vault, or one that was given on to the caller.
    pub vault: VaultId,
    /// To whom.
    pub taker_email: String,
    /// 1 to 6.
    pub permissions: Vec<Permission>,
    /// 1 to 48; with sealed keys exactly if it is for reading.
    pub grants: Vec<EntryGrant>,
    /// 1 min to 366 days, in milliseconds; none for ever.
    pub lifetime_ms: Option<i64>,
}

/// Take what was offered.
#[derive(Debug, Clone)]
pub struct AcceptShare {
    /// Which.
    pub share: ShareId,
}

/// A page of the shares that the caller gave and took, and of those of the caller's vault, newest first.
#[derive(Debug, Clone, Default)]
pub struct ListShares {
    /// Only those in these states; empty for all.
    pub states: Vec<ShareState>,
    /// Behind this one.
    pub after: Option<(Timestamp, ShareId)>,
    /// 1 to 100.
    pub limit: u32,
}

/// Answer of [`ListShares`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharePage {
    /// Newest first.
    pub shares: Vec<ShareInfo>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<(Timestamp, ShareId)>,
}

/// Take a share back, with all that was given on of it. One that has ended tells again what is still to be re-keyed.
#[derive(Debug, Clone)]
pub struct RevokeShare {
    /// Which.
    pub share: ShareId,
}

/// Answer of [`RevokeShare`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareRevoked {
    /// To the vault's owner: objects whose present key was handed out, for the owner's client to write anew.
    pub rekey: Vec<[u8; 32]>,
}

calls! {
    /// Calls about shares.
    Shares: SharesCall of "ShareService" {
        write CreateShare => ShareInfo,
        write AcceptShare => ShareInfo,
        read ListShares => SharePage,
        write RevokeShare => ShareRevoked,
    }
}
