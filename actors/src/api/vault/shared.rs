//! What takers of shares sent to a vault.

use ocmt_types::{Digest32, MessageId, ShareId, Timestamp, VaultId};

use super::Write;

/// A page of what takers of shares sent, oldest first.
#[derive(Debug, Clone)]
pub struct ListSharedWrites {
    /// To which vault.
    pub vault: VaultId,
    /// Behind this one.
    pub after: Option<(Timestamp, MessageId)>,
    /// 1 to 48; 0 means 20.
    pub limit: u32,
}

/// Something that a taker sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedWriteItem {
    /// Which.
    pub id: MessageId,
    /// By which share.
    pub share: ShareId,
    /// The taker's address today.
    pub taker_email: String,
    /// Canonical `ocmt_crypto::shared::SharedWrite`.
    pub sealed: Vec<u8>,
    /// When the node took it.
    pub received_at: Timestamp,
}

/// Answer of [`ListSharedWrites`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedWritePage {
    /// Oldest first.
    pub writes: Vec<SharedWriteItem>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<(Timestamp, MessageId)>,
}

/// What brings a share to the version that is filed.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// Which share, given by the caller of the caller's own vault.
    pub share: ShareId,
    /// Which entry of it.
    pub object: Digest32,
    /// The data key of the new version, sealed to the taker; empty if the share is not for reading.
    pub sealed: Vec<u8>,
    /// Canonical `ocmt_crypto::shared::WriteGrant`; empty if the share neither writes nor deletes.
    pub write_grant: Vec<u8>,
}

/// File what takers sent, or drop it: it leaves the inbox, the vault is written and the shares of the filed entries are
/// brought to the new version, all or nothing.
#[derive(Clone)]
pub struct FileSharedWrites {
    /// Which, 1 to 48.
    pub writes: Vec<MessageId>,
    /// What is written; without puts and deletes nothing is, and there is no manifest.
    pub change: Write,
    /// At most 200.
    pub renewals: Vec<Renewal>,
}
