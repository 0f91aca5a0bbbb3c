//! What waits for somebody.

use ocmt_types::Timestamp;

use crate::{call::calls, tenant::inbox::Items, watch::Following};

/// What an item is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InboxKind {
    /// Somebody asks the caller to be a guardian.
    GuardianInvite,
    /// Units were dealt to the caller.
    UnitsDealt,
    /// A ceremony that the caller may decide on.
    Ceremony,
    /// A drill waits for an answer.
    Drill,
    /// A guardian answered.
    GuardianAnswer,
    /// Something is offered to be shared.
    ShareOffer,
    /// Something to know.
    Notice,
}

/// Where an item stands among others: when it came or changed, its id, its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InboxPlace {
    /// When it came, or last changed.
    pub at: Timestamp,
    /// Its id: that of what it is about.
    pub id: [u8; 16],
    /// What it is about.
    pub kind: InboxKind,
}

/// Something that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxEntry {
    /// Where it stands.
    pub place: InboxPlace,
    /// Address of whom it comes from, as their tenant says; empty for the platform itself.
    pub from: String,
    /// What it is about, an id as text.
    pub subject: String,
    /// A signed set of guardians; of a notice its kind and facts as JSON; else empty.
    pub body: Vec<u8>,
}

/// The caller's own, newest first.
#[derive(Debug, Clone, Default)]
pub struct ListInbox {
    /// Behind this one.
    pub after: Option<InboxPlace>,
    /// 1 to 100; 0 means 50.
    pub limit: u32,
    /// Only these kinds; none for all.
    pub kinds: Vec<InboxKind>,
}

/// Answer of [`ListInbox`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxPage {
    /// Newest first.
    pub items: Vec<InboxEntry>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<InboxPlace>,
}

/// The same as it comes; through `System::watch_inbox`, which follows it.
#[derive(Debug, Clone, Default)]
pub struct WatchInbox {
    /// Behind this one; from now on without it.
    pub from: Option<InboxPlace>,
}

/// Something came, or the watch has begun.
#[derive(Debug, Clone)]
pub struct InboxEvent {
    /// What came.
    pub item: Option<InboxEntry>,
    /// Where to go on behind it.
    pub place: InboxPlace,
}

calls! {
    /// Calls about the inbox.
    Inbox: InboxCall of "TenantService" {
        read ListInbox => InboxPage,
        read WatchInbox => Following<Items, InboxEvent>,
    }
}
