//! An export as the node writes it, piece by piece.

use ocmt_proto::v1 as pb;
use tonic::Streaming;

use super::KeptCheckpoint;
use crate::{Client, ClientError};

/// Form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// JSON lines, which can be verified.
    Jsonl,
    /// For spreadsheets.
    Csv,
    /// RFC 5424.
    Syslog,
}

/// The pieces of an export; dropping it ends it.
pub struct ExportStream {
    stream: Streaming<pb::ExportAuditResponse>,
    checkpoint: Option<KeptCheckpoint>,
}

impl Client {
    /// Exports records `from` to `to`; 0 for the oldest and the newest.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn audit_export(
        &self,
        format: ExportFormat,
        from: u64,
        to: u64,
    ) -> Result<ExportStream, ClientError> {
        let format = match format {
            ExportFormat::Jsonl => pb::AuditExportFormat::Jsonl,
            ExportFormat::Csv => pb::AuditExportFormat::Csv,
            ExportFormat::Syslog => pb::AuditExportFormat::Syslog,
        };
        let ask = pb::ExportAuditRequest { format: format.into(), from_sequence: from, to_sequence: to };
        let stream = self.audit().export_audit(ask).await?.into_inner();
        Ok(ExportStream { stream, checkpoint: None })
    }
}

impl ExportStream {
    /// The next piece; none at the end.
    ///
    /// # Errors
    /// [`ClientError`]; an export without its checkpoint was cut.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        while let Some(piece) = self.stream.message().await? {
            if let Some(checkpoint) = &piece.checkpoint {
                self.checkpoint = Some(KeptCheckpoint::of(checkpoint)?);
            }
            if !piece.chunk.is_empty() {
                return Ok(Some(piece.chunk.to_vec()));
            }
        }
        match self.checkpoint {
            Some(_) => Ok(None),
            None => Err(ClientError::Answer("checkpoint")),
        }
    }

    /// The signed head that the records lead to, once all were read.
    pub fn checkpoint(&self) -> Option<&KeptCheckpoint> {
        self.checkpoint.as_ref()
    }
}
