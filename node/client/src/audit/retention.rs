//! How long the audit is kept.

use std::time::Duration;

use ocmt_proto::v1 as pb;
use ocmt_types::Timestamp;
use serde::Serialize;

use crate::{
    Client, ClientError,
    client::{idempotency_key, present},
    wire::{duration, millis, time},
};

/// How long, and what was pruned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRetention {
    /// In milliseconds; none for good.
    pub keep_ms: Option<u64>,
    /// Nothing is pruned before.
    pub prunes_from: Option<Timestamp>,
    /// The last record that was pruned; 0 if none was.
    pub pruned: u64,
    /// When something was last pruned.
    pub pruned_at: Option<Timestamp>,
}

impl Client {
    /// Says how long records are kept, 90 days at the least; none for good.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_audit_retention(&self, keep: Option<Duration>) -> Result<AuditRetention, ClientError> {
        let request =
            pb::SetAuditRetentionRequest { keep: keep.map(duration), idempotency_key: idempotency_key() };
        let set = self.audit().set_audit_retention(request).await?.into_inner();
        Ok(retention(&present(set.retention, "retention")?))
    }

    /// How long records are kept, and what was pruned.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn audit_retention(&self) -> Result<AuditRetention, ClientError> {
        let found = self.audit().get_audit_retention(pb::GetAuditRetentionRequest {}).await?.into_inner();
        Ok(retention(&present(found.retention, "retention")?))
    }
}

fn retention(it: &pb::AuditRetention) -> AuditRetention {
    AuditRetention {
        keep_ms: it.keep.as_ref().map(millis),
        prunes_from: it.prunes_from.as_ref().map(time),
        pruned: it.pruned_sequence,
        pruned_at: it.pruned_at.as_ref().map(time),
    }
}
