//! What one has done oneself, newest first, as the audit has it. What others did to what is theirs stands in their own.

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use ocmt_actors::api::{
    audit::{AuditEntry, AuditOutcome, QueryAudit},
    users::Role,
};
use serde::Deserialize;

use super::{
    answer::{html, refused},
    frame::Frame,
    pages::{Entered, Pages},
    view::{Audit, OneRecord},
};

/// Records of one page.
const MOST: u32 = 50;

#[derive(Deserialize)]
pub(super) struct Wanted {
    /// Only records before this number.
    before: Option<i64>,
}

/// One page of them.
pub(super) async fn list(
    State(pages): State<Pages>,
    Query(Wanted { before }): Query<Wanted>,
    Entered { visitor, guest }: Entered,
) -> Response {
    let ask = QueryAudit {
        after: before,
        limit: MOST,
        user: Some(guest.me.user),
        descending: true,
        ..QueryAudit::default()
    };
    match pages.ask(&guest.caller, ask).await {
        Ok(page) => {
            let frame = visitor.frame().of_user();
            let records = page.records.iter().map(|one| row(&frame, one)).collect();
            let (csrf, cookie) = visitor.own_csrf();
            // a role of the tenant's own may have it or not, and is told when it asks
            let verifies = guest.me.role != Role::Member && guest.me.role != Role::Observer;
            let (email, next) = (&*guest.me.email, page.next);
            html(StatusCode::OK, &Audit { frame, email, records, next, verifies, csrf: &csrf }, [cookie])
        }
        Err(error) => refused(&error, &visitor),
    }
}

fn row(frame: &Frame, one: &AuditEntry) -> OneRecord {
    OneRecord {
        number: one.sequence,
        at: frame.at(one.at),
        method: one.method.clone(),
        object: one.object.clone(),
        result: one.result.clone(),
        bad: one.outcome != AuditOutcome::Allowed,
        key: one.by_key().unwrap_or_default().to_owned(),
    }
}
