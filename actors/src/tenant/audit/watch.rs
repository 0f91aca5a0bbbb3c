//! WatchAudit: records as they are committed. Who may read them is decided anew for each piece that is told.

use std::sync::Arc;

use ocmt_crypto::audit::Actor;
use ocmt_store::{Filter, actor_text, tables::AuditRow};
use ocmt_types::{Timestamp, UserId};

use super::{entry, query};
use crate::{
    api::audit::{AuditEvent, AuditFilter, EventAt, WatchAudit},
    authorize::{Action, Object, authorize},
    call::CallMeta,
    caller::Caller,
    env::Scope,
    error::ActorError,
    system::System,
    tenant::today,
    watch::{Following, Log, Told, too_old},
    work::{Handle, Work},
};

/// Records read at once.
const AT_ONCE: u32 = 64;

/// The trail, for one reader.
pub struct Records {
    scope: Scope,
    user: UserId,
    action: Action,
    filter: AuditFilter,
    next: i64,
}

impl Handle for WatchAudit {
    async fn handle(self, work: &mut Work) -> Result<Following<Records, AuditEvent>, ActorError> {
        let user = work.user()?.user;
        let action = query::action(user, None, &self.filter);
        work.authorize(action, &Object::TENANT)?;
        // who reads the own alone learns of no other record, not even that it is there
        let own = || AuditRow::actor.eq(actor_text(Actor::User(user)));
        let seen = if action == Action::QueryOwnAudit { own() } else { Filter::all() };
        let last = work.tx.first::<AuditRow>(seen.desc(AuditRow::seq)).await?;
        let last =
            last.map_or(EventAt { seq: 0, at: Timestamp(0) }, |row| EventAt { seq: row.seq, at: row.at });
        let (next, begun) = match self.from {
            None => (last.seq + 1, Some(AuditEvent { entry: None, at: last })),
            Some(EventAt { seq: 0, .. }) => (1, None),
            Some(from) => {
                let row = work.tx.get::<AuditRow>(from.seq).await?;
                // another record of that number: the store was restored from a copy of before
                if row.is_none_or(|row| row.at != from.at) {
                    return Err(too_old());
                }
                (from.seq.saturating_add(1), None)
            }
        };
        let scope = Scope::new(Arc::clone(&work.env), work.ownership);
        let hint = work.env.audit_hints.watch(work.ownership.tenant, user)?;
        let log = Records { scope, user, action, filter: self.filter, next };
        Ok(Following { log, begun, hint })
    }
}

impl Log for Records {
    type Event = AuditEvent;
    async fn read(&mut self) -> Result<Vec<AuditEvent>, ActorError> {
        loop {
            let mut tx = self.scope.read().await?;
            let rows = tx.audit_page(Filter::all(), self.next - 1, AT_ONCE).await?;
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            let env = &self.scope.env;
            let tenant = self.scope.ownership.tenant;
            let standing = today::standing(&mut tx, tenant, self.user, env.request_id(), env.now()).await?;
            let reads = standing.is_some_and(|who| authorize(&who, self.action, &Object::TENANT).is_ok());
            if !reads {
                return Err(ActorError::PermissionDenied("the audit is not yours to read any more"));
            }
            let mut told = Vec::new();
            for row in rows {
                if row.seq != self.next {
                    return Err(too_old());
                }
                self.next += 1;
                let at = EventAt { seq: row.seq, at: row.at };
                let entry = entry(row);
                if self.filter.matches(&entry) {
                    told.push(AuditEvent { entry: Some(entry), at });
                }
            }
            if !told.is_empty() {
                return Ok(told);
            }
        }
    }
}

impl System {
    /// Watches the audit. The records end with the session, with an error when the tenant moves (watch again behind the
    /// last one), and when the receiver is dropped.
    ///
    /// # Errors
    /// [`ActorError::OutOfRange`] for a place that is not kept any more; what reading the audit says.
    pub async fn watch_audit(
        &self,
        caller: Caller,
        meta: CallMeta,
        ask: WatchAudit,
    ) -> Result<Told<AuditEvent>, ActorError> {
        self.follow(caller, meta, ask).await
    }
}
