//! The tenant's audit trail, read.

use ocmt_crypto::audit::{Actor, AuditRecord};
use ocmt_store::{Filter, actor_text, tables::AuditRow};

use crate::{
    api::audit::{AuditEntry, AuditPage, QueryAudit},
    audit,
    authorize::{Action, Object},
    error::ActorError,
    work::{Handle, Work},
};

const PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 500;

impl Handle for QueryAudit {
    async fn handle(self, work: &mut Work) -> Result<AuditPage, ActorError> {
        let own = self.user == Some(work.person()?);
        // a missing scope is never "everything": the whole trail has an action of its own
        let action = if own { Action::QueryOwnAudit } else { Action::QueryTenantAudit };
        work.authorize(action, &Object::TENANT)?;
        let limit = if self.limit == 0 { PAGE } else { self.limit.min(LARGEST_PAGE) };
        let mut filter = Filter::<AuditRow>::all();
        if let Some(user) = self.user {
            filter = filter.and(AuditRow::actor.eq(actor_text(Actor::User(user))));
        }
        if let Some(method) = self.method {
            filter = filter.and(AuditRow::action.eq(method));
        }
        let rows = work.tx.audit_page(filter, self.after.unwrap_or(0), limit).await?;
        let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = rows.last().filter(|_| full).map(|row| row.seq);
        Ok(AuditPage { records: rows.into_iter().map(entry).collect(), next })
    }
}

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
        details: record.map(|record| record.details).unwrap_or_default(),
        canonical: row.record,
        hash: row.hash.0,
    }
}
