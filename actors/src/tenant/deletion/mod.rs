//! The end of a tenant.
//!
//! Asked for by an owner, or by an operator in two steps. Until the delay is over the tenant is served as before, so
//! that its people take with them what is theirs, and an owner or an operator stops it. Then it begins ([`erase`]):
//! nothing is served any more, containers are removed, guardians on both sides are told. When these are gone, or have
//! been waited for long enough, the rows are deleted; a record signed by this node is left with the cluster; and hosts
//! erase the volumes of whoever has such a record (`host::erase`). Each step is a transaction or is done once
//! however often it is repeated, and a durable timer goes on with what was cut off.

mod erase;

use std::time::Duration;

use ocmt_store::tables::{Deletion, Notice, TenantState, User, UserRole, UserState};

pub(super) use self::erase::{fire, record};
use super::handlers::{
    notices::{self, NoticeText},
    session_row,
};
use crate::{
    api::{
        tenant::{DeleteTenant, DeletionAsked, StopDeletion},
        users::Done,
    },
    authorize::{Action, Object},
    caller::Principal,
    error::ActorError,
    work::{Handle, Work},
};

/// Timer of a deletion. It is not held by a suspension.
pub(crate) const TIMER: &str = "tenant.deletion";
/// What the kinds of its notices begin with.
pub(crate) const NOTICES: &str = "tenant.delet";
/// What is waited for is looked at so often.
const AGAIN: Duration = Duration::from_secs(10);
/// So many people are written to, in one transaction.
const MOST_TOLD: u32 = 500;

impl Handle for DeleteTenant {
    async fn handle(self, work: &mut Work) -> Result<DeletionAsked, ActorError> {
        let action = match work.standing.caller.principal() {
            Principal::Operator(_) => Action::Administer,
            _ => Action::DeleteTenant,
        };
        work.authorize(action, &Object::TENANT)?;
        let (tenant, _) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        work.object = format!("tenant/{}", tenant.tenant_id);
        if self.confirm_name != tenant.name {
            return Err(ActorError::invalid("confirm_name", "is not the tenant's name"));
        }
        if let Some(waits) = work.tx.get::<Deletion>(()).await? {
            return Ok(DeletionAsked { deletes_at: waits.erases_at });
        }
        let row = Deletion {
            tenant_id: tenant.tenant_id,
            asked_by: work.standing.caller.label(),
            asked_at: work.now,
            erases_at: work.now + work.env.limits.deletion_delay,
            began_at: None,
            found: None,
            erased: None,
        };
        work.tx.insert(&row).await?;
        work.set_timer(TIMER, "", row.erases_at, &[]).await?;
        work.details.push(("erases_at".to_owned(), row.erases_at.millis().to_string()));
        let facts = [
            ("what", format!("the tenant {} and everything in it is to be deleted", tenant.name)),
            ("erases_at", row.erases_at.millis().to_string()),
            (
                "if it shall stay",
                "any owner stops it until then: `ocmt tenant keep`; while the tenant is suspended, whoever operates the system"
                    .to_owned(),
            ),
        ];
        tell(work, "tenant.deletion", &facts).await?;
        Ok(DeletionAsked { deletes_at: row.erases_at })
    }
}

impl Handle for StopDeletion {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        work.authorize(Action::StopDeletion, &Object::TENANT)?;
        work.object = format!("tenant/{}", work.ownership.tenant);
        stop(work).await?;
        Ok(Done)
    }
}

/// Stops a deletion that has not begun, if there is one.
pub(super) async fn stop(work: &mut Work) -> Result<(), ActorError> {
    let Some(row) = work.tx.get::<Deletion>(()).await? else { return Ok(()) };
    if row.began_at.is_some() {
        return Err(session_row::not_served(TenantState::Deleting));
    }
    work.tx.delete::<Deletion>(()).await?;
    work.tx.clear_timer(TIMER, "").await?;
    let (tenant, _) = session_row::tenant_of(&work.env, &mut work.tx).await?;
    work.details.push(("deletion".to_owned(), "stopped".to_owned()));
    let facts = [("what", format!("the deletion of the tenant {} was stopped: it stays", tenant.name))];
    tell(work, "tenant.deletion_stopped", &facts).await
}

/// A suspension holds all timers; this one goes on, and so do the letters that tell of it.
pub(super) async fn let_go(work: &mut Work) -> Result<(), ActorError> {
    let Some(row) = work.tx.get::<Deletion>(()).await? else { return Ok(()) };
    work.set_timer(TIMER, "", row.erases_at, &[]).await?;
    for notice in work.tx.find::<Notice>(Notice::handed_over_at.eq(None)).await? {
        if notice.kind.starts_with(NOTICES) && notice.next_attempt_at.is_some() {
            let now = work.now;
            work.set_timer(notices::TIMER, &notice.notice_id.to_string(), now, &[]).await?;
        }
    }
    Ok(())
}

/// Writes to everybody who loses something by it, owners and admins first: whoever took the others' roles away before
/// asking is not the only one to hear of it.
async fn tell(work: &mut Work, kind: &str, facts: &[(&str, String)]) -> Result<(), ActorError> {
    let facts: Vec<_> = facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let subject = work.ownership.tenant.to_string();
    let mut left = MOST_TOLD;
    for role in [UserRole::Owner, UserRole::Admin, UserRole::Member, UserRole::Observer] {
        if left == 0 {
            break;
        }
        let people = User::role.eq(role).and(User::state.eq(UserState::Active));
        for person in work.tx.find::<User>(people.limit(left)).await? {
            let (user, address) = (Some(person.user_id), person.email.as_str());
            notices::write(work, NoticeText { user, address, kind, subject: &subject, facts: &facts })
                .await?;
            left -= 1;
        }
    }
    Ok(())
}
