//! Requests for a capability: more than one has of an entry, approved by another person.

use ocmt_types::{CapabilityId, ProgramTokenId, ShareId, Timestamp, UserId, VaultId};
use serde::{Deserialize, Serialize};

use super::{
    programs::EntryGrant,
    shares::{Permission, SharedRight},
};
use crate::call::calls;

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CapabilityState {
    /// Waits for another person.
    Requested,
    /// Approved.
    Approved,
    /// Refused.
    Denied,
    /// Run out, or taken back.
    Expired,
}

/// A program that asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskingProgram {
    /// By which token.
    pub id: ProgramTokenId,
    /// What its user calls it.
    pub name: String,
    /// Its X25519 key, as the token was made for it.
    pub key: [u8; 32],
    /// Of one that asks to write: the Ed25519 key that it says it signs with.
    #[serde(default)]
    pub sign_key: Option<[u8; 32]>,
}

/// A request, or what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilityInfo {
    /// Which.
    pub id: CapabilityId,
    /// Where it stands.
    pub state: CapabilityState,
    /// Who asked, or whose program.
    pub requester: UserId,
    /// Their address today; empty if a program asked.
    pub requester_email: String,
    /// The program that asked.
    pub program: Option<AskingProgram>,
    /// Who decided.
    pub decided_by: Option<UserId>,
    /// Of which vault.
    pub vault: VaultId,
    /// Of which entry.
    pub object: [u8; 32],
    /// What is asked for; once it is approved, what was given.
    pub permissions: Vec<Permission>,
    /// Why.
    pub reason: String,
    /// For how long it is asked, in milliseconds.
    pub lifetime_ms: i64,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// It lapses then; once it is approved, it ends then.
    pub expires_at: Timestamp,
    /// Of what was given: the share by which a person has it, or the id by which the vault's ledger knows what a program
    /// may write.
    #[serde(default)]
    pub share: Option<ShareId>,
    /// To the program that may write, while that is in force. No part of an answer that is kept for repeats.
    #[serde(skip)]
    pub right: Option<SharedRight>,
}

/// Ask for more than one has: a person of an entry that they know by a share, a program of an entry of its user's vault.
#[derive(Debug, Clone)]
pub struct RequestCapability {
    /// `entry:` and 64 hexadecimal digits.
    pub object: String,
    /// Of which vault; none if there is but one that it can be of.
    pub vault: Option<VaultId>,
    /// 1 to 6.
    pub permissions: Vec<Permission>,
    /// 1 min to 30 days, in milliseconds.
    pub lifetime_ms: i64,
    /// 1 to 500 bytes.
    pub reason: String,
    /// Of a program that asks to write, and of nobody else: the Ed25519 key that signs what it sends.
    pub sign_key: Option<[u8; 32]>,
}

/// Requests of one's own, and those about one's own entries, newest first.
#[derive(Debug, Clone, Default)]
pub struct ListCapabilities {
    /// Only those that wait.
    pub waiting: bool,
    /// Behind which the page begins.
    pub after: Option<(Timestamp, CapabilityId)>,
    /// 1 to 100; 0 for 100.
    pub limit: u32,
}

/// Answer of [`ListCapabilities`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityPage {
    /// At most the limit.
    pub capabilities: Vec<CapabilityInfo>,
    /// What the next page begins behind.
    pub next: Option<(Timestamp, CapabilityId)>,
}

/// Give what was asked for, or a part of it. With step-up, and never to oneself.
#[derive(Debug, Clone)]
pub struct ApproveCapability {
    /// Which.
    pub capability: CapabilityId,
    /// A part of what was asked.
    pub permissions: Vec<Permission>,
    /// 1 min to what was asked, in milliseconds.
    pub lifetime_ms: i64,
    /// To read: the entry's data key, sealed to the requester.
    pub grants: Vec<EntryGrant>,
    /// To a program, to write: the id by which the vault's ledger knows it.
    pub share: Option<ShareId>,
    /// With it: one, canonical `ocmt_crypto::shared::WriteGrant`.
    pub write_grants: Vec<Vec<u8>>,
}

/// Refuse.
#[derive(Debug, Clone)]
pub struct DenyCapability {
    /// Which.
    pub capability: CapabilityId,
}

calls! {
    /// Calls about requests for capabilities.
    Capabilities: CapabilitiesCall of "ShareService" {
        write RequestCapability => CapabilityInfo,
        read ListCapabilities => CapabilityPage,
        write ApproveCapability => CapabilityInfo,
        write DenyCapability => CapabilityInfo,
    }
}
