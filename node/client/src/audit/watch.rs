//! Records as they are committed.

use ocmt_proto::v1 as pb;
use ocmt_types::TenantId;
use tonic::{Status, Streaming};

use super::{Line, line};
use crate::{
    Client, ClientError,
    watch::{Source, Watch},
};

struct Records {
    client: Client,
    filter: pb::AuditFilter,
}

impl Source for Records {
    type Message = pb::WatchAuditResponse;
    async fn open(&self, resume_token: String) -> Result<Streaming<Self::Message>, Status> {
        let request = pb::WatchAuditRequest { resume_token, filter: Some(self.filter.clone()) };
        Ok(self.client.audit().watch_audit(request).await?.into_inner())
    }
    fn token(message: &Self::Message) -> &str {
        &message.resume_token
    }
}

/// A watch of the audit; dropping it ends it.
pub struct AuditWatch {
    watch: Watch<Records>,
    tenant: TenantId,
}

impl Client {
    /// Watches the tenant's audit from now or behind the record of `resume_token`.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `OUT_OF_RANGE` for a token too old.
    pub async fn watch_audit(
        &self,
        filter: pb::AuditFilter,
        resume_token: &str,
    ) -> Result<AuditWatch, ClientError> {
        let tenant = self.identity()?.tenant;
        let source = Records { client: self.clone(), filter };
        Ok(AuditWatch { watch: Watch::start(source, resume_token).await?, tenant })
    }
}

impl AuditWatch {
    /// The next record, and where to go on behind it.
    ///
    /// # Errors
    /// [`ClientError::Refused`]: what ended the watch.
    pub async fn next(&mut self) -> Result<(Line, String), ClientError> {
        loop {
            let message = self.watch.next().await?;
            if let Some(record) = &message.record {
                return Ok((line(self.tenant, record)?, message.resume_token));
            }
        }
    }
}
