//! Where the audit is streamed to.

use ocmt_proto::v1 as pb;
use ocmt_types::{Secret, Timestamp};
use serde::Serialize;

use crate::{
    Client, ClientError,
    client::{idempotency_key, present},
    wire::time,
};

/// A stream, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditStream {
    /// Scheme and host.
    pub target: String,
    /// The last record that was taken.
    pub sent: u64,
    /// The last record that there is.
    pub last: u64,
    /// Since when nothing is taken; none while the receiver takes what comes.
    pub failing_since: Option<Timestamp>,
    /// Why the last attempt failed.
    pub detail: String,
    /// When something was last taken.
    pub taken_at: Option<Timestamp>,
}

impl Client {
    /// Has all records posted to a webhook, signed with the secret; what is none stays as it is. `from` is the first record
    /// that is to come; 0 goes on where it was.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_audit_stream(
        &self,
        target: Option<Secret<String>>,
        secret: Option<Secret<String>>,
        from: u64,
    ) -> Result<AuditStream, ClientError> {
        let exposed =
            |secret: Option<Secret<String>>| secret.map(|it| it.expose().clone()).unwrap_or_default();
        let request = pb::SetAuditStreamRequest {
            target: exposed(target),
            secret: exposed(secret),
            from_sequence: from,
            idempotency_key: idempotency_key(),
        };
        let made = self.audit().set_audit_stream(request).await?.into_inner();
        Ok(stream(present(made.stream, "stream")?))
    }

    /// Where records are posted to, and how far that has come.
    ///
    /// # Errors
    /// [`ClientError`]; NOT_FOUND if they are not.
    pub async fn audit_stream(&self) -> Result<AuditStream, ClientError> {
        let found = self.audit().get_audit_stream(pb::GetAuditStreamRequest {}).await?.into_inner();
        Ok(stream(present(found.stream, "stream")?))
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove_audit_stream(&self) -> Result<(), ClientError> {
        let request = pb::RemoveAuditStreamRequest { idempotency_key: idempotency_key() };
        self.audit().remove_audit_stream(request).await?;
        Ok(())
    }
}

fn stream(it: pb::AuditStream) -> AuditStream {
    AuditStream {
        target: it.target_hint,
        sent: it.sent_sequence,
        last: it.last_sequence,
        failing_since: it.failing_since.as_ref().map(time),
        detail: it.detail,
        taken_at: it.taken_at.as_ref().map(time),
    }
}
