//! The audit as a stream: its records posted to a webhook of the tenant's own, in their order, each at least once.
//!
//! One row says where to and how far it has come there; whoever owns the tenant moves it, in a fenced transaction. While something
//! waits to be taken there is a durable timer, so a node that dies or a tenant that sleeps loses nothing. How long a receiver
//! takes is its tenant's to choose, so what is on its way stands in nobody's lane, and receivers that fail have few places.

mod batch;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ocmt_crypto::{audit::Outcome, sealing::SealingPlace};
use ocmt_store::{
    FencedTx,
    tables::{AuditStream, Timer, User, UserRole, UserState},
};
use ocmt_types::{TenantId, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};

pub(in crate::tenant) use self::batch::hand_over;
pub(in crate::tenant) use self::settings::{rewrap, silence};
use crate::{
    audit,
    clip::clip,
    effect::Effect,
    env::Env,
    error::ActorError,
    kept::Kept,
    tenant::handlers::notices::{self, NoticeText},
    work::{SystemWork, Work},
};

/// Timer of what waits to be taken.
pub(crate) const TIMER: &str = "audit.stream";
/// Records of so long go together.
const LINGER: Duration = Duration::from_secs(1);
/// Whoever took it on has come back by then, or never does.
const UNDER_WAY: Duration = Duration::from_secs(120);
const FIRST_RETRY: Duration = Duration::from_secs(30);
const LONGEST_RETRY: Duration = Duration::from_secs(3600);
/// A receiver takes nothing for so long before the owners are told.
const TOLD_AFTER: Duration = Duration::from_secs(3600);
/// Owners that are told.
const MOST_TOLD: u32 = 16;
/// Hand-overs of this node at once, and those among them whose receivers failed the last time.
const AT_ONCE: usize = 8;
const FAILING_AT_ONCE: usize = 2;
/// Bytes of what is kept of a failure.
const LONGEST: usize = 200;

/// What this node has on its way, and whether tenants here have a stream.
pub(crate) struct Streams {
    known: Kept<bool>,
    on_their_way: Mutex<BTreeSet<TenantId>>,
    places: Semaphore,
    failing: Semaphore,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            known: Kept::default(),
            on_their_way: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
            failing: Semaphore::new(FAILING_AT_ONCE),
        }
    }
}

/// A tenant's records are on their way.
struct Turn<'a>(&'a Streams, TenantId);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.on_their_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

impl Streams {
    /// The tenant's turn; none while one is under way: two would come out of order.
    fn turn(&self, tenant: TenantId) -> Option<Turn<'_>> {
        let mut all = self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(tenant).then(|| Turn(self, tenant))
    }

    /// A place; few are for those whose receivers fail.
    async fn place(&self, fails: bool) -> (Option<SemaphorePermit<'_>>, Option<SemaphorePermit<'_>>) {
        // neither is ever closed
        let failing = if fails { self.failing.acquire().await.ok() } else { None };
        (failing, self.places.acquire().await.ok())
    }
}

/// Something was recorded: it is to be streamed, if the tenant has a stream. For when a timer was set, if one was.
pub(crate) async fn recorded(
    tx: &mut FencedTx,
    env: &Env,
    now: Timestamp,
) -> Result<Option<Timestamp>, ActorError> {
    let own = tx.ownership();
    // what this one has changed may be undone yet; and a host of the tenant's containers hears of no change
    let may_keep = own.incarnation == env.incarnation && !tx.has_written::<AuditStream>();
    let known = env.streams.known.kept(own).filter(|_| may_keep);
    let streams = match known {
        Some(known) => known,
        None => {
            let found = tx.get::<AuditStream>(()).await?.is_some();
            if may_keep {
                env.streams.known.keep(own, found);
            }
            found
        }
    };
    if !streams || tx.get::<Timer>((TIMER.to_owned(), String::new())).await?.is_some() {
        return Ok(None);
    }
    tx.set_timer(TIMER, "", now + LINGER, &[]).await?;
    Ok(Some(now + LINGER))
}

/// The timer: hands over what waits, and comes again if nobody comes back.
pub(crate) async fn fire(work: &mut Work) -> Result<(), ActorError> {
    let Some(row) = work.tx.get::<AuditStream>(()).await? else { return Ok(()) };
    if row.sent >= last(work).await? {
        return Ok(());
    }
    work.set_timer(TIMER, "", work.now + UNDER_WAY, &[]).await?;
    work.then(Effect::StreamAudit { fails: row.failures > 0 });
    Ok(())
}

/// The number of the last record.
async fn last(work: &mut Work) -> Result<i64, ActorError> {
    Ok(work.tx.audit_head().await?.map_or(0, |head| head.seq))
}

/// What became of a hand-over.
struct HandedOver {
    /// Of the row that it was done by: one that was changed since is another.
    revision: i64,
    from: i64,
    /// The last record of it, and whether it held as much as one holds.
    upto: i64,
    full: bool,
    result: Result<(), String>,
}

impl SystemWork for HandedOver {
    type Output = ();
    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        let Some(row) = work.tx.get::<AuditStream>(()).await? else { return Ok(()) };
        if row.revision != self.revision || row.sent != self.from {
            // what was set meanwhile had no turn while this was under way
            let now = work.now;
            return work.set_timer(TIMER, "", now, &[]).await;
        }
        match self.result {
            Ok(()) => taken(work, row, self.upto, self.full).await,
            Err(said) => failed(work, row, &said).await,
        }
    }
}

async fn taken(work: &mut Work, row: AuditStream, upto: i64, full: bool) -> Result<(), ActorError> {
    let hint = row.hint.clone();
    let row = AuditStream {
        sent: upto,
        failures: 0,
        failing_since: None,
        said: String::new(),
        taken_at: Some(work.now),
        ..row
    };
    let was_told = row.told_at.is_some();
    work.tx.update(&AuditStream { told_at: None, ..row }).await?;
    if was_told {
        let details = vec![("to".to_owned(), hint)];
        audit::note(work, "audit.stream_up", OBJECT.to_owned(), Outcome::Allowed, details).await?;
    }
    if last(work).await? > upto {
        let wait = if full { Duration::ZERO } else { LINGER };
        return work.set_timer(TIMER, "", work.now + wait, &[]).await;
    }
    work.tx.clear_timer(TIMER, "").await?;
    Ok(())
}

/// Nothing is ever given up: the records stay, and the receiver may come back.
async fn failed(work: &mut Work, row: AuditStream, said: &str) -> Result<(), ActorError> {
    let since = row.failing_since.unwrap_or(work.now);
    let tells = row.told_at.is_none() && work.now >= since + TOLD_AFTER;
    let row = AuditStream {
        failures: row.failures.saturating_add(1),
        failing_since: Some(since),
        said: clip(said, LONGEST),
        told_at: if tells { Some(work.now) } else { row.told_at },
        ..row
    };
    work.tx.update(&row).await?;
    if tells {
        tell(work, &row, since).await?;
    }
    work.set_timer(TIMER, "", work.now + pause(row.failures), &[]).await
}

/// Owners hear of it, and the audit has it.
async fn tell(work: &mut Work, row: &AuditStream, since: Timestamp) -> Result<(), ActorError> {
    let behind = last(work).await? - row.sent;
    let facts = vec![
        ("to".to_owned(), row.hint.clone()),
        ("since_at".to_owned(), since.millis().to_string()),
        ("said".to_owned(), row.said.clone()),
        ("waiting".to_owned(), behind.to_string()),
    ];
    let owners = User::role.eq(UserRole::Owner).and(User::state.eq(UserState::Active));
    for owner in work.tx.find::<User>(owners.limit(MOST_TOLD)).await? {
        let text = NoticeText {
            user: Some(owner.user_id),
            address: &owner.email,
            kind: "audit.stream_down",
            subject: OBJECT,
            facts: &facts,
        };
        notices::write(work, text).await?;
    }
    audit::note(work, "audit.stream_down", OBJECT.to_owned(), Outcome::Failed, facts).await
}

/// What records name it by: a tenant has one.
const OBJECT: &str = "audit_stream";

fn pause(failures: i64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(0).min(12);
    FIRST_RETRY.saturating_mul(1 << doublings).min(LONGEST_RETRY)
}

fn place(tenant: &TenantId) -> SealingPlace<'_> {
    SealingPlace { purpose: "audit stream", row: tenant.as_bytes() }
}
