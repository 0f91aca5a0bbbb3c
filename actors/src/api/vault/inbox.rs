//! The vault's inbox: what cells sealed to it.

use ocmt_types::{ContainerId, MessageId, Timestamp, VaultId};

use super::Write;

/// A page of the vault's inbox, oldest first.
#[derive(Debug, Clone)]
pub struct ListInboxItems {
    /// Which vault.
    pub vault: VaultId,
    /// Behind this item.
    pub after: Option<InboxPosition>,
    /// 1 to 48; 0 means 20.
    pub limit: u32,
}

/// Where an item stands in its inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxPosition {
    /// Grows from item to item.
    pub position: i64,
    /// Which item.
    pub item: MessageId,
}

/// Something that a cell sealed to the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxItem {
    /// Chosen by the cell.
    pub item: MessageId,
    /// The container whose cell made it.
    pub container: ContainerId,
    /// Sealed content with its MAC.
    pub sealed: Vec<u8>,
    /// When the node took it.
    pub received_at: Timestamp,
}

/// Answer of [`ListInboxItems`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxPage {
    /// Oldest first.
    pub items: Vec<InboxItem>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<InboxPosition>,
}

/// File items as objects, or drop them: they leave the inbox and the objects are written, all or nothing.
pub struct FileInboxItems {
    /// Which items, 1 to 48.
    pub items: Vec<MessageId>,
    /// What is written; without puts nothing is, and there is no manifest.
    pub change: Write,
}
