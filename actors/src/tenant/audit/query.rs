//! Pages of the trail.

use ocmt_crypto::audit::Actor;
use ocmt_store::{Filter, actor_text, tables::AuditRow};
use ocmt_types::UserId;

use super::entry;
use crate::{
    api::audit::{AuditFilter, AuditPage, QueryAudit},
    authorize::{Action, Object},
    error::ActorError,
    work::{Handle, Work},
};

const PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 500;
/// Records that are looked at for one page, and how many pieces of them: a page that is not full is not the last.
const PIECE: u32 = 500;
const PIECES: usize = 4;

/// Whether whoever asks for records of this filter asks for the own alone. A missing scope is never "everything": the
/// whole trail has an action of its own.
pub(super) fn action(person: UserId, user: Option<UserId>, filter: &AuditFilter) -> Action {
    let own = user == Some(person) || filter.principal == person.to_string();
    if own { Action::QueryOwnAudit } else { Action::QueryTenantAudit }
}

impl Handle for QueryAudit {
    async fn handle(mut self, work: &mut Work) -> Result<AuditPage, ActorError> {
        let person = work.person()?;
        let action = action(person, self.user, &self.filter);
        work.authorize(action, &Object::TENANT)?;
        if action == Action::QueryOwnAudit {
            // no number of somebody else's record stands in a token
            self.user = Some(person);
        }
        work.of_stream = self.continues;
        let limit = if self.limit == 0 { PAGE } else { self.limit.min(LARGEST_PAGE) };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut at, mut records) = (self.after, Vec::new());
        for _ in 0..PIECES {
            let rows = self.piece(work, at).await?;
            let ended = rows.len() < usize::try_from(PIECE).unwrap_or(usize::MAX);
            for row in rows {
                if records.len() == limit {
                    return Ok(AuditPage { records, next: at });
                }
                at = Some(row.seq);
                let entry = entry(row);
                if self.filter.matches(&entry) {
                    records.push(entry);
                }
            }
            if ended {
                return Ok(AuditPage { records, next: None });
            }
        }
        Ok(AuditPage { records, next: at })
    }
}

impl QueryAudit {
    /// The next rows behind a place, of those that the store can pick out.
    async fn piece(&self, work: &mut Work, at: Option<i64>) -> Result<Vec<AuditRow>, ActorError> {
        let mut filter = Filter::<AuditRow>::all();
        if let Some(user) = self.user {
            filter = filter.and(AuditRow::actor.eq(actor_text(Actor::User(user))));
        }
        if let Some(method) = &self.method {
            filter = filter.and(AuditRow::action.eq(method));
        }
        if !self.filter.object.is_empty() {
            filter = filter.and(AuditRow::object.eq(&self.filter.object));
        }
        if let Some(from) = self.filter.from {
            filter = filter.and(AuditRow::at.gt(ocmt_types::Timestamp(from.0.saturating_sub(1))));
        }
        if let Some(until) = self.filter.until {
            filter = filter.and(AuditRow::at.le(ocmt_types::Timestamp(until.0.saturating_sub(1))));
        }
        let wanted = if self.filter == AuditFilter::default() { self.limit } else { PIECE };
        let limit = if wanted == 0 { PIECE } else { (wanted + 1).min(PIECE) };
        let rows = match (self.descending, at) {
            (false, after) => work.tx.audit_page(filter, after.unwrap_or(0), limit).await?,
            (true, None) => work.tx.find(filter.desc(AuditRow::seq).limit(limit)).await?,
            (true, Some(before)) => {
                let filter = filter.and(AuditRow::seq.le(before.saturating_sub(1)));
                work.tx.find(filter.desc(AuditRow::seq).limit(limit)).await?
            }
        };
        Ok(rows)
    }
}
