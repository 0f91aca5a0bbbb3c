//! The audit trail of a tenant.

use std::time::Duration;

pub use ocmt_crypto::audit::Outcome as AuditOutcome;
use ocmt_crypto::audit::checkpoint::Checkpoint;
use ocmt_types::{Digest32, Secret, Timestamp, UserId};
use serde::{Deserialize, Serialize};

pub use super::container_watch::EventAt;
use super::users::Done;
use crate::{audit::BY_KEY, call::calls, tenant::audit::Records, watch::Following};

/// What to look for. Everything that is set must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Actions; one that ends in `.` or `/` is good for all that begin like it.
    pub actions: Vec<String>,
    /// Who did it: an id, a key's too; empty for anybody.
    pub principal: String,
    /// Upon what; empty for anything.
    pub object: String,
    /// How it ended.
    pub outcomes: Vec<AuditOutcome>,
}

/// A page of records in the order they were written.
#[derive(Debug, Clone, Default)]
pub struct QueryAudit {
    /// Only records behind this number.
    pub after: Option<i64>,
    /// 1 to 500; 0 means 100.
    pub limit: u32,
    /// Only this method, such as `VaultService/PutEntry`.
    pub method: Option<String>,
    /// Only what this user did. Without it the whole tenant's trail is asked for (admins).
    pub user: Option<UserId>,
    /// Only what fits.
    pub filter: AuditFilter,
    /// Newest first; `after` is then the number before which to go on.
    pub descending: bool,
    /// A further page of an export, whose opening is in the audit.
    pub continues: bool,
}

/// One record, with what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number in the tenant, from 1 without a gap.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// Who, as the store writes it (`user/…`, `container/…`, `anonymous`, `node/…`).
    pub actor: String,
    /// Service and method.
    pub method: String,
    /// What it was done to.
    pub object: String,
    /// `OK` or the reason of the refusal.
    pub result: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The request that it belongs to; empty if the record cannot be read.
    pub request: String,
    /// More, as names and values.
    pub details: Vec<(String, String)>,
    /// Canonical bytes of the record (`ocmt_crypto::audit`).
    pub canonical: Vec<u8>,
    /// Hash of the chain up to and with this record.
    pub hash: [u8; 32],
}

impl AuditEntry {
    /// The API key by which a program of the user asked, if one did.
    pub fn by_key(&self) -> Option<&str> {
        let detail = self.details.iter().find(|(name, _)| name == BY_KEY);
        detail.map(|(_, key)| key.as_str())
    }
}

/// Answer of [`QueryAudit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// Records.
    pub records: Vec<AuditEntry>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<i64>,
}

/// The head of the log, signed.
#[derive(Debug, Clone, Copy)]
pub struct GetCheckpoint;

/// The same; it is recorded as what it is: pages of the export follow.
#[derive(Debug, Clone, Copy)]
pub struct ExportAudit;

/// Answer of [`GetCheckpoint`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedCheckpoint {
    /// It.
    pub checkpoint: Checkpoint,
    /// As a signed note of C2SP.
    pub note: String,
    /// The note's text, the signature behind it.
    pub statement: Vec<u8>,
    /// Certificate of the key that signed, and what is above it.
    pub certificate_chain: Vec<Vec<u8>>,
    /// How the keys of who signed introduced each other, oldest first: signed notes.
    pub introductions: Vec<String>,
}

/// Prove that a record is in the log of a size.
#[derive(Debug, Clone, Copy)]
pub struct ProveInclusion {
    /// Which record, from 1.
    pub sequence: u64,
    /// Of how many records; 0 for all.
    pub size: u64,
}

/// Answer of [`ProveInclusion`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// Of how many records.
    pub size: u64,
    /// Hash of the record's leaf.
    pub leaf: Digest32,
    /// From the leaf to the root.
    pub path: Vec<Digest32>,
}

/// Prove that the log of one size is the beginning of that of another.
#[derive(Debug, Clone, Copy)]
pub struct ProveConsistency {
    /// The smaller, 1 at least.
    pub old: u64,
    /// The larger; 0 for all records.
    pub new: u64,
}

/// Answer of [`ProveConsistency`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    /// The larger.
    pub new: u64,
    /// Hashes.
    pub path: Vec<Digest32>,
}

/// Watch records as they are committed; through `System::watch_audit`, which follows them.
#[derive(Debug, Clone, Default)]
pub struct WatchAudit {
    /// Behind this record; from now on without it.
    pub from: Option<EventAt>,
    /// Only what fits.
    pub filter: AuditFilter,
}

/// A record, or that the watch has begun.
#[derive(Debug, Clone)]
pub struct AuditEvent {
    /// It.
    pub entry: Option<AuditEntry>,
    /// Where to go on behind it.
    pub at: EventAt,
}

/// Answer of [`ExportAudit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The head that the records lead to.
    pub stated: StatedCheckpoint,
    /// What was pruned before them; none if nothing was.
    pub cut: Option<CutBefore>,
}

/// What was pruned, as the node that did it has signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutBefore {
    /// The last record of it.
    pub last: i64,
    /// The signed note (`ocmt_crypto::audit::cut`).
    pub note: String,
    /// Certificate of the key that signed, and what is above it.
    pub certificates: Vec<Vec<u8>>,
}

/// Say how long the audit is kept.
#[derive(Debug, Clone, Copy)]
pub struct SetAuditRetention {
    /// 90 days at the least; none for good.
    pub keep: Option<Duration>,
}

/// How long the audit is kept.
#[derive(Debug, Clone, Copy)]
pub struct GetAuditRetention;

/// Answer of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionInfo {
    /// None for good.
    pub keep: Option<Duration>,
    /// Nothing is pruned before; none if nothing is to be.
    pub prunes_from: Option<Timestamp>,
    /// The last record that was pruned; 0 if none was.
    pub pruned: i64,
    /// When something was last pruned.
    pub pruned_at: Option<Timestamp>,
}

/// The hashes of pruned records, for an export: it is its opening that is in the audit.
#[derive(Debug, Clone, Copy)]
pub struct ReadAuditLeaves {
    /// Behind this piece; -1 for the first.
    pub after: i64,
}

/// Answer of [`ReadAuditLeaves`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeavesPage {
    /// Pieces of 256 records, each with its number from 0 and the hashes of its leaves.
    pub pieces: Vec<(i64, Vec<u8>)>,
}

/// Say where the audit is streamed to.
pub struct SetAuditStream {
    /// An https URL; none keeps what is there.
    pub target: Option<Secret<String>>,
    /// What posts are signed with; none keeps what is there.
    pub secret: Option<Secret<String>>,
    /// The first record that is to come; none goes on, a new stream with the record of this call.
    pub from: Option<i64>,
}

/// Where the audit is streamed to.
#[derive(Debug, Clone, Copy)]
pub struct GetAuditStream;

/// Stream it no more.
#[derive(Debug, Clone, Copy)]
pub struct RemoveAuditStream;

/// A stream, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamInfo {
    /// Scheme and host.
    pub hint: String,
    /// The last record that was taken.
    pub sent: i64,
    /// The last record that there is.
    pub last: i64,
    /// Since when nothing is taken.
    pub failing_since: Option<Timestamp>,
    /// Why the last attempt failed.
    pub said: String,
    /// When something was last taken.
    pub taken_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

calls! {
    /// Calls about the audit trail.
    Audit: AuditCall of "AuditService" {
        read QueryAudit => AuditPage,
        read ExportAudit => Exported,
        read GetCheckpoint => StatedCheckpoint,
        read ProveInclusion => Inclusion,
        read ProveConsistency => Consistency,
        read WatchAudit => Following<Records, AuditEvent>,
        write SetAuditStream => StreamInfo,
        read GetAuditStream => StreamInfo,
        write RemoveAuditStream => Done,
        write SetAuditRetention => RetentionInfo,
        read GetAuditRetention => RetentionInfo,
        read ReadAuditLeaves => LeavesPage,
    }
}
