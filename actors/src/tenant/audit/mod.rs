//! The tenant's audit as its people see it: read, proven, exported, watched. Written by [`crate::audit`], in every call.

mod proof;
mod query;
pub(crate) mod retention;
pub(crate) mod stream;
mod watch;

use ocmt_crypto::audit::AuditRecord;
use ocmt_store::tables::AuditRow;
use ractor::ActorRef;

pub(crate) use self::watch::Records;
use super::{TenantMessage, TenantState};
use crate::{
    api::audit::{AuditCall, AuditEntry, AuditFilter, AuditOutcome},
    audit,
};

impl TenantState {
    /// One line per method.
    pub(super) fn audit(&mut self, myself: &ActorRef<TenantMessage>, call: AuditCall) {
        match call {
            AuditCall::QueryAudit(call) => self.work(myself, call),
            AuditCall::ExportAudit(call) => self.work(myself, call),
            AuditCall::GetCheckpoint(call) => self.work(myself, call),
            AuditCall::ProveInclusion(call) => self.work(myself, call),
            AuditCall::ProveConsistency(call) => self.work(myself, call),
            AuditCall::WatchAudit(call) => self.work(myself, call),
            AuditCall::SetAuditStream(call) => self.work(myself, call),
            AuditCall::GetAuditStream(call) => self.work(myself, call),
            AuditCall::RemoveAuditStream(call) => self.work(myself, call),
            AuditCall::SetAuditRetention(call) => self.work(myself, call),
            AuditCall::GetAuditRetention(call) => self.work(myself, call),
            AuditCall::ReadAuditLeaves(call) => self.work(myself, call),
        }
    }
}

/// A stored record as it is told.
fn entry(row: AuditRow) -> AuditEntry {
    let record = AuditRecord::from_bytes(&row.record).ok();
    AuditEntry {
        sequence: row.seq,
        at: row.at,
        actor: row.actor,
        method: row.action,
        object: row.object,
        // a record that cannot be read is shown as such: its bytes fail the verifier
        result: record.as_ref().map_or_else(|| "UNREADABLE".to_owned(), audit::result_of),
        outcome: record.as_ref().map_or(AuditOutcome::Failed, |record| record.outcome),
        request: record.as_ref().map(|record| record.request.to_string()).unwrap_or_default(),
        details: record.map(|record| record.details).unwrap_or_default(),
        canonical: row.record,
        hash: row.hash.0,
    }
}

impl AuditFilter {
    /// Whether everything that is set fits.
    pub(crate) fn matches(&self, entry: &AuditEntry) -> bool {
        let (_, id) = entry.actor.split_once('/').unwrap_or((&entry.actor, ""));
        let principal = || self.principal == id || entry.by_key() == Some(&*self.principal);
        let action = |wanted: &String| {
            entry.method == *wanted
                || (wanted.ends_with(['.', '/']) && entry.method.starts_with(wanted.as_str()))
        };
        self.from.is_none_or(|from| entry.at >= from)
            && self.until.is_none_or(|until| entry.at < until)
            && (self.actions.is_empty() || self.actions.iter().any(action))
            && (self.principal.is_empty() || principal())
            && (self.object.is_empty() || self.object == entry.object)
            && (self.outcomes.is_empty() || self.outcomes.contains(&entry.outcome))
    }
}
