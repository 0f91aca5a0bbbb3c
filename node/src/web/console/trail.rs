//! The cluster's own audit: what operators and nodes did, which of it is an alert, and where all audits end.

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use data_encoding::BASE64;
use ocmt_actors::api::alert::Severity;
use ocmt_crypto::audit::{AuditRecord, Outcome};
use ocmt_store::{
    StoreError,
    tables::{AuditHead, AuditRow},
};
use ocmt_types::TenantId;
use serde::Deserialize;
use tonic::Status;

use super::{
    super::{answer::html, frame::Frame, view::at},
    Console, MOST,
    at::At,
    stored,
    view::{Heads, OneHead, OneRecord, Trail},
};
use crate::oncall;

/// Records of one page, and those that alerts are looked for in.
const RECORDS: u32 = 50;
const LATEST: u32 = 500;

#[derive(Deserialize)]
pub(super) struct Before {
    /// Only records before this number.
    before: Option<i64>,
}

/// One page of it, newest first.
pub(super) async fn audit(
    State(console): State<Console>,
    Query(Before { before }): Query<Before>,
    who: At,
) -> Response {
    match records(&console, before, RECORDS).await {
        Ok((rows, next)) => {
            let frame = who.frame();
            let records = rows.iter().map(|row| record(&frame, row)).collect();
            html(StatusCode::OK, &Trail { frame, alerts: false, records, next }, [])
        }
        Err(error) => who.refused(&stored(&error)),
    }
}

/// What of the latest of it operators are told of by themselves.
pub(super) async fn alerts(State(console): State<Console>, who: At) -> Response {
    match records(&console, None, LATEST).await {
        Ok((rows, _)) => {
            let frame = who.frame();
            let records = rows.iter().map(|row| record(&frame, row));
            let records = records.filter(|one| !one.severity.is_empty()).collect();
            html(StatusCode::OK, &Trail { frame, alerts: true, records, next: None }, [])
        }
        Err(error) => who.refused(&stored(&error)),
    }
}

/// Newest first: numbers have no gaps. With it what the records before are before; none at the beginning.
async fn records(
    console: &Console,
    before: Option<i64>,
    most: u32,
) -> Result<(Vec<AuditRow>, Option<i64>), StoreError> {
    let operators = console.ground.store.operators();
    let end = operators.audit_end().await?.map_or(0, |head| head.seq);
    let before = before.unwrap_or(i64::MAX).clamp(1, end.saturating_add(1));
    let after = before.saturating_sub(1).saturating_sub(most.into()).max(0);
    let mut rows = operators.audit_page(after, most).await?;
    rows.retain(|row| row.seq < before);
    rows.reverse();
    Ok((rows, (after > 0).then_some(after.saturating_add(1))))
}

fn record(frame: &Frame, row: &AuditRow) -> OneRecord {
    let read = AuditRecord::from_bytes(&row.record).ok();
    let outcome = read.as_ref().map(|record| record.outcome);
    let severity = outcome.and_then(|outcome| oncall::severity(&row.action, outcome));
    let severity = match severity {
        None => "",
        Some(Severity::Info) => frame.say("severity.info"),
        Some(Severity::Warning) => frame.say("severity.warning"),
        Some(Severity::Critical) => frame.say("severity.critical"),
    };
    let outcome = match outcome {
        Some(Outcome::Allowed) => "",
        Some(Outcome::Denied) => frame.say("trail.denied"),
        Some(Outcome::Failed) => frame.say("trail.failed"),
        // for whoever verifies the audit
        None => frame.say("trail.unreadable"),
    };
    let details = read.map(|record| record.details).unwrap_or_default();
    OneRecord {
        number: row.seq,
        at: at(row.at),
        severity: severity.to_owned(),
        outcome: outcome.to_owned(),
        action: row.action.clone(),
        actor: row.actor.clone(),
        object: row.object.clone(),
        details: details.iter().map(|(name, value)| format!("{name}: {value}")).collect(),
    }
}

#[derive(Deserialize)]
pub(super) struct After {
    after: Option<String>,
}

/// Where audits end: what `ocmt audit verify` holds a witness's heads against.
pub(super) async fn heads(
    State(console): State<Console>,
    Query(After { after }): Query<After>,
    who: At,
) -> Response {
    let Ok(after) = after.map(|after| after.parse::<TenantId>()).transpose() else {
        return who.refused(&Status::invalid_argument("after: is no page of this list"));
    };
    let most = u32::try_from(MOST).unwrap_or(1);
    let store = &console.ground.store;
    let read = async {
        let own = store.operators().audit_end().await?.map(|head| head.tenant_id);
        Ok::<_, StoreError>((own, store.cluster().audit_heads(after, most).await?))
    };
    match read.await {
        Ok((own, all)) => {
            let full = u32::try_from(all.len()).is_ok_and(|len| len == most);
            let next = all.last().filter(|_| full).map(|head| head.tenant_id.to_string());
            let heads = all.iter().map(|head| ended(head, own == Some(head.tenant_id))).collect();
            html(StatusCode::OK, &Heads { frame: who.frame(), heads, next }, [])
        }
        Err(error) => who.refused(&stored(&error)),
    }
}

/// A tree that does not hold is for whoever verifies the audit, and shown without a root.
fn ended(head: &AuditHead, own: bool) -> OneHead {
    let tree = head.tree().ok();
    OneHead {
        whose: head.tenant_id.to_string(),
        own,
        records: head.seq,
        root: tree.map(|tree| BASE64.encode(&tree.root.0)).unwrap_or_default(),
    }
}
