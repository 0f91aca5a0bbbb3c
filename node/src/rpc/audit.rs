//! AuditService: a tenant's own trail, read, proven, exported and watched.

use futures_util::StreamExt as _;
use ocmt_actors::{
    CallMeta, Caller,
    api::audit::{
        AuditFilter, AuditOutcome, AuditPage, CutBefore, ExportAudit, Exported, GetCheckpoint,
        ProveConsistency, ProveInclusion, QueryAudit, ReadAuditLeaves, StatedCheckpoint, WatchAudit,
    },
};
use ocmt_proto::v1::{self as pb, audit_service_server::AuditService};
use ocmt_store::PRUNED_AT_ONCE;
use ocmt_types::Digest32;
use tonic::{Request, Response, Status, async_trait, codegen::BoxStream, codegen::http::HeaderMap};

use super::{
    Answer, Rpc,
    audit_export::{self, Format},
    audit_retention, audit_stream, audit_wire as wire, container_watch, convert, refuse,
};
use crate::edge::call;

/// Records fetched at once for an export, and what that costs the tenant's admission, in bytes.
const AT_ONCE: u32 = 200;
const READING: usize = 1024;

#[async_trait]
impl AuditService for Rpc {
    async fn query_audit(&self, request: Request<pb::QueryAuditRequest>) -> Answer<pb::QueryAuditResponse> {
        let it = request.get_ref();
        let after = match it.page_token.as_str() {
            "" => None,
            token => Some(token.parse().map_err(|_| convert::invalid("page_token", "is not one of ours"))?),
        };
        let ask = QueryAudit {
            after,
            limit: convert::page_size(it.page_size, 50),
            filter: filter(it.filter.as_ref())?,
            descending: !it.ascending,
            ..QueryAudit::default()
        };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::QueryAuditResponse {
            records: page.records.into_iter().map(wire::record).collect(),
            next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
        }))
    }

    async fn export_audit(
        &self,
        request: Request<pb::ExportAuditRequest>,
    ) -> Answer<BoxStream<pb::ExportAuditResponse>> {
        let it = request.get_ref();
        let format = match it.format() {
            pb::AuditExportFormat::Jsonl => Format::Jsonl,
            pb::AuditExportFormat::Csv => Format::Csv,
            pb::AuditExportFormat::Syslog => Format::Syslog,
            pb::AuditExportFormat::Unspecified => return Err(convert::invalid("format", "is not set")),
        };
        let caller = self.caller(&request).await?;
        let meta = self.meta(&request, &[]);
        let opened = self.system.tenant(caller.tenant()).call(caller.clone(), meta, ExportAudit).await;
        let Exported { stated, cut } = opened.map_err(|e| refuse(&e))?;
        let size = stated.checkpoint.tree.size;
        let last = if it.to_sequence == 0 { size } else { it.to_sequence.min(size) };
        let after = i64::try_from(it.from_sequence.saturating_sub(1)).unwrap_or(i64::MAX);
        let exporting = Exporting {
            rpc: self.clone(),
            headers: request.metadata().clone().into_headers(),
            caller,
            format,
            after: after.max(cut.as_ref().map_or(0, |cut| cut.last)),
            leaves: -1,
            // what is to be verified begins with what was pruned before it
            cut: cut.filter(|_| format == Format::Jsonl && after == 0),
            last: i64::try_from(last).unwrap_or(i64::MAX),
            head: Some(audit_export::head(format)).filter(|head| !head.is_empty()),
            stated: Some(stated),
        };
        let pieces = futures_util::stream::unfold(Some(exporting), |exporting| async move {
            let mut exporting = exporting?;
            let next = exporting.next().await?;
            Some(match next {
                Ok(piece) => (Ok(piece), Some(exporting)),
                Err(status) => (Err(status), None),
            })
        });
        Ok(Response::new(pieces.boxed()))
    }

    async fn get_checkpoint(
        &self,
        request: Request<pb::GetCheckpointRequest>,
    ) -> Answer<pb::GetCheckpointResponse> {
        let stated = self.ask(&request, &[], GetCheckpoint).await?;
        Ok(Response::new(pb::GetCheckpointResponse { checkpoint: Some(wire::checkpoint(stated)) }))
    }

    async fn prove_inclusion(
        &self,
        request: Request<pb::ProveInclusionRequest>,
    ) -> Answer<pb::ProveInclusionResponse> {
        let it = request.get_ref();
        let ask = ProveInclusion { sequence: it.sequence, size: it.size };
        let proof = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ProveInclusionResponse {
            size: proof.size,
            leaf_hash: proof.leaf.0.to_vec().into(),
            path: path(&proof.path),
        }))
    }

    async fn prove_consistency(
        &self,
        request: Request<pb::ProveConsistencyRequest>,
    ) -> Answer<pb::ProveConsistencyResponse> {
        let it = request.get_ref();
        let ask = ProveConsistency { old: it.old_size, new: it.new_size };
        let proof = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ProveConsistencyResponse { new_size: proof.new, path: path(&proof.path) }))
    }

    async fn watch_audit(
        &self,
        request: Request<pb::WatchAuditRequest>,
    ) -> Answer<BoxStream<pb::WatchAuditResponse>> {
        let it = request.get_ref();
        let ask = WatchAudit {
            from: container_watch::place(&it.resume_token)?,
            filter: filter(it.filter.as_ref())?,
        };
        let caller = self.caller(&request).await?;
        let events = self.system.watch_audit(caller, self.meta(&request, &[]), ask).await;
        let events = events.map_err(|error| refuse(&error))?;
        let told = events.map(|event| match event {
            Ok(event) => Ok(pb::WatchAuditResponse {
                record: event.entry.map(wire::record),
                resume_token: container_watch::token(event.at),
            }),
            Err(error) => Err(refuse(&error)),
        });
        Ok(Response::new(told.boxed()))
    }

    async fn set_audit_stream(
        &self,
        request: Request<pb::SetAuditStreamRequest>,
    ) -> Answer<pb::SetAuditStreamResponse> {
        audit_stream::set(self, &request).await.map(Response::new)
    }

    async fn get_audit_stream(
        &self,
        request: Request<pb::GetAuditStreamRequest>,
    ) -> Answer<pb::GetAuditStreamResponse> {
        audit_stream::show(self, &request).await.map(Response::new)
    }

    async fn set_audit_retention(
        &self,
        request: Request<pb::SetAuditRetentionRequest>,
    ) -> Answer<pb::SetAuditRetentionResponse> {
        audit_retention::set(self, &request).await.map(Response::new)
    }

    async fn get_audit_retention(
        &self,
        request: Request<pb::GetAuditRetentionRequest>,
    ) -> Answer<pb::GetAuditRetentionResponse> {
        audit_retention::show(self, &request).await.map(Response::new)
    }

    async fn remove_audit_stream(
        &self,
        request: Request<pb::RemoveAuditStreamRequest>,
    ) -> Answer<pb::RemoveAuditStreamResponse> {
        audit_stream::remove(self, &request).await.map(Response::new)
    }
}

fn path(hashes: &[Digest32]) -> Vec<bytes::Bytes> {
    hashes.iter().map(|hash| hash.0.to_vec().into()).collect()
}

fn filter(it: Option<&pb::AuditFilter>) -> Result<AuditFilter, Status> {
    let Some(it) = it else { return Ok(AuditFilter::default()) };
    let outcome = |outcome: pb::Outcome| match outcome {
        pb::Outcome::Ok => Ok(AuditOutcome::Allowed),
        pb::Outcome::Refused => Ok(AuditOutcome::Denied),
        pb::Outcome::Failed => Ok(AuditOutcome::Failed),
        pb::Outcome::Unspecified => Err(convert::invalid("filter.outcomes", "is not set")),
    };
    Ok(AuditFilter {
        from: it.from.as_ref().map(wire::time),
        until: it.until.as_ref().map(wire::time),
        actions: it.actions.clone(),
        principal: it.principal_id.clone(),
        object: it.object.clone(),
        outcomes: it.outcomes().map(outcome).collect::<Result<_, _>>()?,
    })
}

/// An export under way: nothing is fetched before whoever reads has taken what was there.
struct Exporting {
    rpc: Rpc,
    headers: HeaderMap,
    caller: Caller,
    format: Format,
    after: i64,
    last: i64,
    /// The piece of pruned records that was sent last, and what was pruned, until all of it is sent.
    leaves: i64,
    cut: Option<CutBefore>,
    /// What the file begins with, until it is sent.
    head: Option<Vec<u8>>,
    /// What it ends with, until it is sent.
    stated: Option<StatedCheckpoint>,
}

impl Exporting {
    async fn next(&mut self) -> Option<Result<pb::ExportAuditResponse, Status>> {
        if let Some(head) = self.head.take() {
            return Some(Ok(pb::ExportAuditResponse { chunk: head.into(), checkpoint: None }));
        }
        if let Some(cut) = self.cut.take() {
            return Some(self.before(cut).await);
        }
        if self.after < self.last {
            let page = match self.page().await {
                Ok(page) => page,
                Err(status) => return Some(Err(status)),
            };
            let mut chunk = Vec::new();
            for record in page.records.iter().take_while(|record| record.sequence <= self.last) {
                let line = audit_export::line(self.format, self.caller.tenant(), record);
                if !chunk.is_empty() && chunk.len() + line.len() > audit_export::CHUNK {
                    break;
                }
                chunk.extend(line);
                self.after = record.sequence;
            }
            // where nothing is there that a head said to be, the file ends short of it, which who verifies finds
            if !chunk.is_empty() {
                return Some(Ok(pb::ExportAuditResponse { chunk: chunk.into(), checkpoint: None }));
            }
        }
        let checkpoint = self.stated.take().map(wire::checkpoint)?;
        Some(Ok(pb::ExportAuditResponse { chunk: Vec::new().into(), checkpoint: Some(checkpoint) }))
    }

    /// The next of what was pruned, and at its end who says so.
    async fn before(&mut self, cut: CutBefore) -> Result<pb::ExportAuditResponse, Status> {
        let tenant = self.caller.tenant();
        let page = self.ask(ReadAuditLeaves { after: self.leaves }).await?;
        let mut chunk = String::new();
        for (piece, hashes) in page.pieces {
            if piece * PRUNED_AT_ONCE < cut.last {
                chunk += &audit_export::leaves(tenant, piece, &hashes);
                self.leaves = piece;
            }
        }
        if chunk.is_empty() {
            chunk = audit_export::cut(&cut);
        } else {
            self.cut = Some(cut);
        }
        Ok(pb::ExportAuditResponse { chunk: chunk.into(), checkpoint: None })
    }

    /// The next page.
    async fn page(&self) -> Result<AuditPage, Status> {
        let after = Some(self.after);
        self.ask(QueryAudit { after, limit: AT_ONCE, continues: true, ..QueryAudit::default() }).await
    }

    /// Decided on anew each time.
    async fn ask<C: ocmt_actors::Call>(&self, ask: C) -> Result<C::Answer, Status> {
        let deadline = call::deadline(&self.headers, &*self.rpc.clock, self.rpc.longest_call);
        let meta = CallMeta { deadline, idempotency: None, bytes: READING };
        let tenant = self.rpc.system.tenant(self.caller.tenant());
        tenant.call(self.caller.clone(), meta, ask).await.map_err(|e| refuse(&e))
    }
}
