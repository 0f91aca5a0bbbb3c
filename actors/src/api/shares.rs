//! Shares: what one person gives another of a vault, exactly what is named, until it ends.

use ocmt_types::{MessageId, ShareId, Timestamp, VaultId};
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
    /// See who else has it by a share, and take that back.
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

/// What the taker of a share may do to an entry of it beside reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedRight {
    /// Which object.
    pub object: [u8; 32],
    /// To the taker, while the share is in force: canonical `ocmt_crypto::shared::WriteGrant`.
    pub write_grant: Vec<u8>,
    /// The sequence of what is sent next.
    pub next_sequence: u64,
    /// Whether something that was sent waits for the owner's device.
    pub waits: bool,
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
    /// Of a share that may write or delete: one of each entry.
    #[serde(default)]
    pub rights: Vec<SharedRight>,
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
    /// Of a share that may write or delete: its id, as the vault's ledger has it.
    pub share: Option<ShareId>,
    /// Of such a share: one of each entry, canonical `ocmt_crypto::shared::WriteGrant`.
    pub write_grants: Vec<Vec<u8>>,
}

/// Take what was offered.
#[derive(Debug, Clone)]
pub struct AcceptShare {
    /// Which.
    pub share: ShareId,
}

/// A page of the shares that the caller gave and took, of those of the caller's vault, and of those in force of entries that
/// the caller administers, newest first.
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

/// Take a share back, decline it or give it back, or take it back as who administers its entries, with all that was given on
/// of it. One that has ended tells again what is still to be re-keyed.
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

/// Send a new version of an entry, or the wish that it ends, to the owner's device.
#[derive(Debug, Clone)]
pub struct SendSharedWrite {
    /// By which share.
    pub share: ShareId,
    /// Canonical `ocmt_crypto::shared::SharedWrite`.
    pub item: Vec<u8>,
}

/// Answer of [`SendSharedWrite`]: it waits for the owner's device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedWriteSent {
    /// Which.
    pub id: MessageId,
}

calls! {
    /// Calls about shares.
    Shares: SharesCall of "ShareService" {
        write CreateShare => ShareInfo,
        write AcceptShare => ShareInfo,
        read ListShares => SharePage,
        write RevokeShare => ShareRevoked,
        write SendSharedWrite => SharedWriteSent,
    }
}
