//! What the firing of each kind of durable timer does. One line per kind.

use std::time::Duration;

use ocmt_store::tables::{Notice, TenantState, Timer};

use super::{
    super::{
        alert,
        audit::{retention as audit_retention, stream},
        ceremony,
        container::{schedule::due as schedule, snapshot, timers as container},
        deletion, group_vault, post as delivery, recovery,
        transcript::{retention, steps},
        vault::{asked, history},
    },
    email_change, notices, post, session_row,
};
use crate::{
    error::ActorError,
    host::container::row::{LOCK, LOOK},
    work::Work,
};

/// A timer that this version of the program does not know is looked at again after this.
const UNKNOWN_WAITS: Duration = Duration::from_secs(3600);

/// The row was taken in this transaction; set it again for another firing.
pub(crate) async fn fire(work: &mut Work, timer: Timer) -> Result<(), ActorError> {
    let (tenant, _) = session_row::tenant_of(&work.env, &mut work.tx).await?;
    if !goes_on(&timer.kind, tenant.state) && !is_of_deletion(work, &timer).await? {
        return Ok(work.tx.hold_timer(&timer).await?);
    }
    match timer.kind.as_str() {
        deletion::TIMER => deletion::fire(work).await,
        delivery::TIMER => post::retry(work, &timer.subject).await,
        notices::TIMER => notices::retry(work, &timer.subject).await,
        audit_retention::TIMER => audit_retention::fire(work).await,
        stream::TIMER => stream::fire(work).await,
        alert::raise::MORE => alert::raise::more(work, &timer.subject).await,
        email_change::TIMER => email_change::take_effect::fire(work, &timer.subject).await,
        session_row::SWEEP => session_row::sweep(work).await,
        recovery::FIND => recovery::find(work, &timer).await,
        recovery::schedule::ASK => recovery::schedule::fire(work, &timer.subject).await,
        recovery::schedule::LOOK => recovery::schedule::look(work, &timer.subject).await,
        recovery::change::TIMER => recovery::change::fire(work, &timer).await,
        recovery::change::DISMISSED_TIMER => recovery::change::look(work, &timer.subject).await,
        ceremony::ground::TIMER => ceremony::stop::look(work, &timer.subject).await,
        ceremony::tell::REFUSED_TIMER => ceremony::tell::fire(work, &timer.subject).await,
        ceremony::tell::SETTLES_TIMER => ceremony::tell::settled(work, &timer.subject).await,
        group_vault::unlock::TIMER => group_vault::unlock::look(work, &timer.subject).await,
        ceremony::remind::TIMER => ceremony::remind::fire(work, &timer).await,
        retention::TIMER => retention::fire(work).await,
        steps::ERASE => steps::fire(work, &timer.subject).await,
        asked::TIMER => asked::fire(work, &timer).await,
        // what they hold has lapsed with them
        asked::LOWERED | asked::OPENED => Ok(()),
        history::TIMER => history::sweep(work, &timer.subject).await,
        LOOK => container::look(work, &timer.subject).await,
        LOCK => container::lock(work, &timer.subject).await,
        snapshot::TIMER => snapshot::fire(work, &timer.subject).await,
        snapshot::scheduled::DUE => snapshot::scheduled::fire(work, &timer.subject).await,
        snapshot::scheduled::AGAIN => snapshot::scheduled::again(work, &timer.subject).await,
        schedule::DUE => schedule::fire(work, &timer.subject).await,
        schedule::AGAIN => schedule::again(work, &timer.subject).await,
        #[cfg(test)]
        "test.count" => crate::tests::timers::count(work, &timer).await,
        unknown => {
            // a row of a newer version of this program: it is kept for that one
            tracing::warn!(tenant = %work.ownership.tenant, kind = unknown, "timer of unknown kind is looked at later");
            let later = work.now + UNKNOWN_WAITS;
            work.set_timer(unknown, &timer.subject, later, &timer.payload).await
        }
    }
}

/// Whether a timer of the kind fires in a tenant of this state. What happens to containers goes on always: they have to
/// be stopped, or removed.
fn goes_on(kind: &str, state: TenantState) -> bool {
    match state {
        TenantState::Active => true,
        TenantState::Suspended => matches!(kind, LOOK | LOCK | snapshot::TIMER | deletion::TIMER),
        // its last words are still to reach people and other tenants
        TenantState::Deleting => {
            matches!(kind, LOOK | LOCK | deletion::TIMER | delivery::TIMER | notices::TIMER)
        }
    }
}

/// Of a suspended tenant people hear that it is to be deleted, while whoever operates the system can still stop it.
async fn is_of_deletion(work: &mut Work, timer: &Timer) -> Result<bool, ActorError> {
    let Some(notice) = timer.subject.parse().ok().filter(|_| timer.kind == notices::TIMER) else {
        return Ok(false);
    };
    let notice = work.tx.get::<Notice>(notice).await?;
    Ok(notice.is_some_and(|notice| notice.kind.starts_with(deletion::NOTICES)))
}
