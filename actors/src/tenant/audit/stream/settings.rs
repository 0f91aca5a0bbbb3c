//! Where the stream leads: set, shown, taken away.

use ocmt_store::tables::{AuditRetention, AuditStream};
use ocmt_types::{Id as _, RequestId};

use super::{OBJECT, TIMER, last, place};
use crate::{
    api::{
        audit::{GetAuditStream, RemoveAuditStream, SetAuditStream, StreamInfo},
        users::Done,
    },
    authorize::{Action, Object},
    error::ActorError,
    tenant::alert::{self, Inside},
    work::{Handle, Work},
};

impl Handle for SetAuditStream {
    async fn handle(self, work: &mut Work) -> Result<StreamInfo, ActorError> {
        work.authorize(Action::ChangePolicy, &Object::TENANT)?;
        let tenant_id = work.ownership.tenant;
        let before = work.tx.get::<AuditStream>(()).await?;
        let kept = match &before {
            // with its key lost it can be set anew, where all of it is given
            Some(row) => match alert::open(&work.env, &place(&tenant_id), &row.wrapped) {
                Err(lost) if self.target.is_none() || self.secret.is_none() => return Err(lost),
                known => known.ok(),
            },
            None => None,
        };
        let (target, secret) = kept.map_or((None, None), |kept| (Some(kept.target), kept.secret));
        let target = self.target.map(|it| it.expose().clone()).or(target);
        let secret = self.secret.map(|it| it.expose().clone()).or(secret);
        let target = target.ok_or_else(|| ActorError::invalid("target", "is missing"))?;
        if secret.is_none() {
            return Err(ActorError::invalid("secret", "is needed: what posts are signed with"));
        }
        let hint = alert::https(&target)?;
        let last = last(work).await?;
        let pruned = work.tx.get::<AuditRetention>(()).await?.map_or(0, |row| row.cut);
        let sent = match (self.from, &before) {
            (Some(from), _) if from < 1 || from > last + 1 => {
                return Err(ActorError::OutOfRange("the audit has no such record yet"));
            }
            (Some(from), _) if from <= pruned => {
                return Err(ActorError::OutOfRange("records up to there were pruned: begin behind the cut"));
            }
            (Some(from), _) => from - 1,
            (None, Some(row)) => row.sent,
            // what comes first is the record of this call
            (None, None) => last,
        };
        let wrapped = alert::seal(work, &place(&tenant_id), &Inside { target, secret }).await?;
        let fresh = AuditStream {
            tenant_id,
            revision: 0,
            hint,
            wrapped,
            sent,
            failures: 0,
            failing_since: None,
            said: String::new(),
            told_at: None,
            taken_at: None,
            updated_at: work.now,
        };
        let row = match before {
            // it fails until it is seen not to
            Some(row) => {
                AuditStream { hint: fresh.hint, wrapped: fresh.wrapped, sent, updated_at: work.now, ..row }
            }
            None => fresh,
        };
        let row = AuditStream { revision: revision(work), ..row };
        work.tx.upsert(&row).await?;
        work.env.streams.known.forget(tenant_id);
        work.set_timer(TIMER, "", work.now, &[]).await?;
        work.object = OBJECT.to_owned();
        work.details = vec![("to".to_owned(), row.hint.clone()), ("from".to_owned(), (sent + 1).to_string())];
        Ok(info(row, last))
    }
}

impl Handle for GetAuditStream {
    async fn handle(self, work: &mut Work) -> Result<StreamInfo, ActorError> {
        work.authorize(Action::QueryTenantAudit, &Object::TENANT)?;
        let row = work.tx.get::<AuditStream>(()).await?.ok_or(ActorError::NotFound)?;
        let last = last(work).await?;
        Ok(info(row, last))
    }
}

impl Handle for RemoveAuditStream {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        work.authorize(Action::ChangePolicy, &Object::TENANT)?;
        let row = work.tx.get::<AuditStream>(()).await?.ok_or(ActorError::NotFound)?;
        work.object = OBJECT.to_owned();
        work.details = vec![("to".to_owned(), row.hint)];
        silence(work).await?;
        Ok(Done)
    }
}

/// Nothing goes there any more.
pub(in crate::tenant) async fn silence(work: &mut Work) -> Result<(), ActorError> {
    work.tx.delete::<AuditStream>(()).await?;
    work.tx.clear_timer(TIMER, "").await?;
    work.env.streams.known.forget(work.ownership.tenant);
    Ok(())
}

/// The same under the key of now.
pub(in crate::tenant) async fn rewrap(work: &mut Work, row: AuditStream) -> Result<(), ActorError> {
    let inside = alert::open(&work.env, &place(&row.tenant_id), &row.wrapped)?;
    let wrapped = alert::seal(work, &place(&row.tenant_id), &inside).await?;
    work.tx.update(&AuditStream { wrapped, ..row }).await?;
    Ok(())
}

/// One that no stream of before had: what is on its way for one that was removed says nothing of this one.
fn revision(work: &Work) -> i64 {
    let id: RequestId = work.env.id();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&id.into_bytes()[8..]);
    i64::from_be_bytes(bytes)
}

fn info(row: AuditStream, last: i64) -> StreamInfo {
    StreamInfo {
        hint: row.hint,
        sent: row.sent,
        last,
        failing_since: row.failing_since,
        said: row.said,
        taken_at: row.taken_at,
        updated_at: row.updated_at,
    }
}
