//! Who may talk to an agent over a messenger.

use ocmt_types::{ContainerId, Digest32, PairingId, Secret, SenderId, Timestamp};
use serde::{Deserialize, Serialize};

use super::users::Done;
use crate::call::calls;
pub use crate::policy::{DirectPolicy, GroupPolicy};

/// Where a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConversationScope {
    /// From one person to the agent.
    Direct,
    /// From a group of the messenger.
    Group,
}

/// May this sender talk to this agent? Asked by the adapter of the channel before it lets a message through. An
/// unknown sender of a direct message gets a pairing code, as policy has it.
#[derive(Debug, Clone)]
pub struct CheckSender {
    /// Whose agent.
    pub container: ContainerId,
    /// The messenger: a machine name of 1 to 64 bytes.
    pub channel: String,
    /// The messenger's stable id of the sender, 1 to 256 bytes.
    pub sender: String,
    /// Where the message comes from.
    pub scope: ConversationScope,
    /// The name that the sender shows, at most 100 bytes; for the owner's eyes.
    pub display_name: String,
    /// SHA-256 of the idempotency key: the code is not kept, so a repeat gets a fresh one.
    pub asked_by: Digest32,
}

/// What to do with the message.
pub enum SenderDecision {
    /// Let it through.
    Allow,
    /// Drop it in silence.
    Drop,
    /// Drop it, and answer the sender with this code.
    Pair {
        /// Eight characters without look-alikes.
        code: Secret<String>,
        /// The code is over from then on.
        expires_at: Timestamp,
    },
}

/// A page of senders who wait, of the caller's agents, in the order of their ids.
#[derive(Debug, Clone, Default)]
pub struct ListPendingPairings {
    /// Behind this one.
    pub after: Option<PairingId>,
    /// 1 to 100; 0 means 50.
    pub limit: u32,
}

/// A sender who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingPairing {
    /// Which pairing.
    pub id: PairingId,
    /// Whose agent.
    pub container: ContainerId,
    /// The messenger.
    pub channel: String,
    /// The messenger's id of the sender.
    pub sender: String,
    /// The name that the sender shows.
    pub display_name: String,
    /// When the sender first asked.
    pub requested_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Answer of [`ListPendingPairings`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingPage {
    /// Senders.
    pub pairings: Vec<PendingPairing>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<PairingId>,
}

/// Let a sender through from now on, by the code that the sender shows. Five wrong codes end the pairing.
pub struct ApprovePairing {
    /// Which pairing.
    pub pairing: PairingId,
    /// The code, in any case.
    pub code: Secret<String>,
}

/// Refuse a sender, who gets no other code until this one would have ended.
#[derive(Debug, Clone)]
pub struct RejectPairing {
    /// Which pairing.
    pub pairing: PairingId,
}

/// A sender who is let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairedSender {
    /// Which.
    pub id: SenderId,
    /// Whose agent.
    pub container: ContainerId,
    /// The messenger.
    pub channel: String,
    /// The messenger's id of the sender.
    pub sender: String,
    /// The name that the sender showed.
    pub display_name: String,
    /// Since when.
    pub approved_at: Timestamp,
}

/// A page of senders who are let through to the caller's agents, in the order of their ids.
#[derive(Debug, Clone, Default)]
pub struct ListPairedSenders {
    /// Behind this one.
    pub after: Option<SenderId>,
    /// 1 to 100; 0 means 50.
    pub limit: u32,
}

/// Answer of [`ListPairedSenders`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderPage {
    /// Senders.
    pub senders: Vec<PairedSender>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<SenderId>,
}

/// Let a sender through no longer.
#[derive(Debug, Clone)]
pub struct RevokePairedSender {
    /// Which.
    pub sender: SenderId,
}

calls! {
    /// Calls about senders.
    Pairings: PairingsCall of "PairingService" {
        once CheckSender => SenderDecision,
        read ListPendingPairings => PendingPage,
        write ApprovePairing => PairedSender,
        write RejectPairing => Done,
        read ListPairedSenders => SenderPage,
        write RevokePairedSender => Done,
    }
}
