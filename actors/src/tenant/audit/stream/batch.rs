//! One hand-over: what waits is read, posted, and what became of it written down. Beside the tenant's lane.

use std::time::Duration;

use ocmt_store::{
    Filter,
    tables::{AuditRow, AuditStream},
};

use super::{HandedOver, place};
use crate::{
    env::Scope,
    error::ActorError,
    host,
    ports::{Mail, MailBody},
    tenant::{
        alert::{self, Inside},
        audit::entry,
    },
    work::run_system,
};

/// Records of one post, and bytes of them as they are chained; one record goes in any case.
pub(super) const MOST: usize = 200;
const MOST_BYTES: usize = 64 << 10;
/// The carrier has answered by then, or is not heard.
const LASTS: Duration = Duration::from_secs(30);

/// Hands over the records that wait, as many as go at once.
pub(in crate::tenant) async fn hand_over(scope: Scope, fails: bool) {
    let tenant = scope.ownership.tenant;
    let Some(_turn) = scope.env.streams.turn(tenant) else { return };
    let _place = scope.env.streams.place(fails).await;
    if let Err(error) = try_it(&scope).await {
        // the timer is set for that
        tracing::debug!(%tenant, %error, "records of the audit were not handed over");
    }
}

async fn try_it(scope: &Scope) -> Result<(), ActorError> {
    let Some((row, records)) = read(scope).await? else { return Ok(()) };
    let upto = records.last().map_or(row.sent, |record| record.seq);
    let full = records.len() >= MOST;
    // a target whose key is lost fails like one that does not answer: its owner is told
    let result = match alert::open(&scope.env, &place(&row.tenant_id), &row.wrapped) {
        Ok(inside) => sent(scope, &row, inside, records).await,
        Err(lost) => Err(lost.to_string()),
    };
    let done = HandedOver { revision: row.revision, from: row.sent, upto, full, result };
    let ((), effects) = run_system(scope, done).await?;
    host::tell(scope, effects);
    Ok(())
}

async fn sent(
    scope: &Scope,
    row: &AuditStream,
    inside: Inside,
    records: Vec<AuditRow>,
) -> Result<(), String> {
    let body = MailBody::Records {
        target: Box::new(inside.into()),
        tenant: row.tenant_id,
        records: records.into_iter().map(entry).collect(),
    };
    let mail = Mail { id: scope.env.id(), to: String::new(), body };
    match tokio::time::timeout(LASTS, scope.env.mailer.hand_over(&mail)).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the receiver does not answer in time".to_owned()),
    }
}

/// What is next, if anything is: read under the ownership, so that nobody hands over who has lost it.
async fn read(scope: &Scope) -> Result<Option<(AuditStream, Vec<AuditRow>)>, ActorError> {
    let mut tx = scope.read().await?;
    let Some(row) = tx.get::<AuditStream>(()).await? else { return Ok(None) };
    let limit = u32::try_from(MOST).unwrap_or(u32::MAX);
    let found = tx.audit_page(Filter::all(), row.sent, limit).await?;
    let records = fitting(found);
    Ok((!records.is_empty()).then_some((row, records)))
}

/// The first of these that go together.
pub(super) fn fitting(found: Vec<AuditRow>) -> Vec<AuditRow> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    for record in found {
        bytes += record.record.len();
        if bytes > MOST_BYTES && !records.is_empty() {
            break;
        }
        records.push(record);
    }
    records
}
