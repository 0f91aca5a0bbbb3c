//! The egress proxy of a container of this machine: open while the container lives, held to its policy as it is in the
//! store, and its book written into the tenant's audit.
//!
//! The policy is read anew for every connection, and every [`TICK`] while there are any: so a change holds for new
//! connections at once and ends open ones within that time, on whichever node it was made. A host that cannot read
//! it allows nothing new, and ends what is open after `Limits::pinned_for`.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use ocmt_crypto::audit::Outcome as AuditOutcome;
use ocmt_runtime::{
    CellAddress,
    egress::{Allowed, Batch, Book, Door, Outlet, Policies, Policy, Proxy, Used},
};
use ocmt_store::tables::{Container, EgressPolicyRow, EgressUse};
use ocmt_types::{ContainerId, TenantId};
use ractor::ActorRef;
use tokio::{sync::Notify, time::timeout};

use crate::{
    audit,
    env::{Env, Scope},
    error::ActorError,
    host::container::{ContainerMessage, is_moved},
    supervisor::{self, Task},
    work::{SystemWork, Work, run_system},
};

/// How often open connections are held against the policy.
pub(crate) const TICK: Duration = Duration::from_secs(2);
/// The book is written down at the next tick, and then this often at most: while a container goes on, twice as long each
/// time, up to the longer one, and where nothing comes of what it asks for, the longest. So it fills no audit.
const WRITTEN_EVERY: Duration = Duration::from_secs(30);
const WRITTEN_WHILE_BUSY: Duration = Duration::from_secs(300);
const WRITTEN_WHILE_REFUSED: Duration = Duration::from_secs(3600);
/// The last batch is tried so often, in these steps.
const LAST_TRIES: usize = 20;
const LAST_STEP: Duration = Duration::from_secs(3);
/// What moves while the proxy goes down is in the last batch too.
const GOES_DOWN: Duration = Duration::from_millis(100);
/// The store answers within this, or nothing is known.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// An address that cannot be listened at (the proxy before this one is still going) is tried again after this.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Details of one record.
const DETAILS: usize = 12;

/// The way out of one container; closed at first.
#[derive(Default)]
pub(crate) struct Egress(Mutex<Option<Open>>);

struct Open {
    door: Door,
    keeper: Arc<Keeper>,
    closed: Arc<Notify>,
    _serving: Task,
}

impl Egress {
    /// Sees to it that the proxy of this container is open, and written down under this ownership. Whoever is told of a
    /// lost ownership is told by `actor`.
    pub(crate) fn open(
        &self,
        scope: &Scope,
        container: ContainerId,
        cell: CellAddress,
        actor: Option<&ActorRef<ContainerMessage>>,
    ) {
        let runtime = &scope.env.runtime;
        let (Some(outlet), Some(door)) = (runtime.outlet(), runtime.door(cell)) else { return self.close() };
        let mut held = self.held();
        if let Some(open) = held.as_ref().filter(|open| open.door == door) {
            return open.keeper.own(scope, actor);
        }
        let known = held.take().map(|open| Arc::clone(&open.keeper));
        let keeper = known.unwrap_or_else(|| Arc::new(Keeper::new(scope, container, Arc::clone(&outlet))));
        keeper.own(scope, actor);
        let proxy = Proxy::new(outlet, scope.ownership.tenant, keeper.clone(), Arc::clone(&keeper.book));
        let closed = Arc::new(Notify::new());
        // it ends when it is told to, and not before the book is written
        supervisor::detach(Arc::clone(&keeper).watch(Arc::clone(&closed)));
        *held = Some(Open { door, keeper, closed, _serving: supervisor::task(serve(proxy, door)) });
    }

    /// Closes it, and every connection with it.
    pub(crate) fn close(&self) {
        drop(self.held().take());
    }

    fn held(&self) -> MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.closed.notify_one();
    }
}

async fn serve(proxy: Arc<Proxy>, door: Door) {
    loop {
        let Err(error) = Arc::clone(&proxy).serve(door).await;
        tracing::warn!(at = %door.listen, %error, "egress proxy of a container cannot listen, tried again");
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Keeps one container's book.
struct Keeper {
    env: Arc<Env>,
    tenant: TenantId,
    container: ContainerId,
    outlet: Arc<Outlet>,
    book: Arc<Book>,
    owned: Mutex<(Scope, Option<ActorRef<ContainerMessage>>)>,
    /// What was taken out of the book and is not known to be written.
    pending: tokio::sync::Mutex<Option<Batch>>,
    /// Who asked for the policy so far, and the last answer with how many of them it is good for: many who wait are one
    /// question, and nobody gets an answer that is older than their question.
    asked: AtomicU64,
    answer: tokio::sync::Mutex<Option<(u64, Option<Allowed>)>>,
}

impl Policies for Keeper {
    fn allowed(&self) -> BoxFuture<'_, Option<Allowed>> {
        async move {
            let mine = self.asked.fetch_add(1, Ordering::SeqCst);
            let mut answer = self.answer.lock().await;
            if let Some((_, allowed)) = answer.as_ref().filter(|(good_for, _)| *good_for > mine) {
                return allowed.clone();
            }
            let good_for = self.asked.load(Ordering::SeqCst);
            let allowed = timeout(READ_WITHIN, self.read()).await.ok().flatten();
            *answer = Some((good_for, allowed.clone()));
            allowed
        }
        .boxed()
    }
}

/// A stored policy; none if it cannot be read.
pub(crate) fn policy(row: &EgressPolicyRow) -> Option<Policy> {
    let read = serde_json::from_slice(&row.policy);
    read.inspect_err(
        |error| tracing::error!(subject = row.subject, %error, "stored egress policy cannot be read"),
    )
    .ok()
}

fn used(row: Option<&EgressUse>) -> Used {
    let bytes = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
    row.map_or_else(Used::default, |row| Used {
        day: row.day,
        sent: bytes(row.sent),
        received: bytes(row.received),
    })
}

impl Keeper {
    fn new(scope: &Scope, container: ContainerId, outlet: Arc<Outlet>) -> Self {
        Self {
            env: Arc::clone(&scope.env),
            tenant: scope.ownership.tenant,
            container,
            outlet,
            book: Book::new(Arc::clone(&scope.env.clock)),
            owned: Mutex::new((scope.clone(), None)),
            pending: tokio::sync::Mutex::default(),
            asked: AtomicU64::new(0),
            answer: tokio::sync::Mutex::default(),
        }
    }

    fn own(&self, scope: &Scope, actor: Option<&ActorRef<ContainerMessage>>) {
        let mut owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner);
        let actor = actor.cloned().or_else(|| owned.1.take());
        *owned = (scope.clone(), actor);
    }

    async fn read(&self) -> Option<Allowed> {
        let _turn = self.outlet.turn().await?;
        match self.env.store.cluster().egress(self.tenant, self.container).await {
            Ok(stored) => {
                let tenant = stored.tenant.as_ref().map_or_else(|| Some(Policy::default()), policy)?;
                let container = match stored.container.as_ref() {
                    Some(row) => Some(policy(row)?),
                    None => None,
                };
                Some(Allowed { tenant, container, used: used(stored.used.as_ref()) })
            }
            Err(error) => {
                tracing::debug!(container = %self.container, %error, "egress policy was not read");
                None
            }
        }
    }

    async fn watch(self: Arc<Self>, closed: Arc<Notify>) {
        let (mut unknown, mut written, mut every) = (None, None, WRITTEN_EVERY);
        loop {
            tokio::select! {
                biased;
                () = closed.notified() => return self.finish().await,
                () = tokio::time::sleep(TICK) => {}
            }
            self.hold(&mut unknown).await;
            let now = self.env.clock.boottime();
            if written.is_some_and(|at| now.saturating_sub(at) < every) {
                continue;
            }
            (written, every) = match self.write_down().await {
                Some(Wrote::Nothing) => (None, WRITTEN_EVERY),
                None => (Some(now), WRITTEN_EVERY),
                Some(Wrote::Refusals) => (Some(now), (every * 2).min(WRITTEN_WHILE_REFUSED)),
                Some(Wrote::Traffic) => (Some(now), (every * 2).min(WRITTEN_WHILE_BUSY)),
            };
        }
    }

    /// Holds open connections against the policy of now; `unknown` is since when that cannot be read.
    async fn hold(&self, unknown: &mut Option<Duration>) {
        if !self.book.is_live() {
            *unknown = None;
            return;
        }
        let now = self.env.clock.boottime();
        if let Some(allowed) = self.allowed().await {
            *unknown = None;
            self.book.hold_to(&allowed, self.outlet.bounds());
        } else if now.saturating_sub(*unknown.get_or_insert(now)) >= self.env.limits.pinned_for {
            self.book.end_all();
        }
    }

    /// The proxy is closed: what is in the book is written all the same.
    async fn finish(&self) {
        tokio::time::sleep(GOES_DOWN).await;
        for _ in 0..LAST_TRIES {
            if self.write_down().await.is_some() {
                return;
            }
            tokio::time::sleep(LAST_STEP).await;
        }
        tracing::warn!(container = %self.container, "the last of a container's egress was not written down");
    }

    /// Writes the book down. None if that failed: then it is kept, and comes first the next time.
    async fn write_down(&self) -> Option<Wrote> {
        let mut pending = self.pending.lock().await;
        let batch = pending.get_or_insert_with(|| self.book.drain()).clone();
        let wrote = if batch.is_empty() {
            Wrote::Nothing
        } else if batch.allowed.is_empty() {
            Wrote::Refusals
        } else {
            Wrote::Traffic
        };
        if !batch.is_empty() {
            let (scope, actor) = self.owned.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Err(error) = run_system(&scope, Note { container: self.container, batch }).await {
                tracing::debug!(container = %self.container, %error, "egress of a container was not written down, tried again");
                // whoever owns the tenant now is asked, also if it sleeps
                if let Some(actor) = actor.filter(|_| is_moved(&error)) {
                    let _ = actor.cast(ContainerMessage::Moved(scope.ownership.epoch, error));
                }
                return None;
            }
        }
        *pending = None;
        Some(wrote)
    }
}

/// What was in a batch.
enum Wrote {
    Nothing,
    Refusals,
    Traffic,
}

/// Writes a batch into the tenant's audit, and what was used today.
struct Note {
    container: ContainerId,
    batch: Batch,
}

impl SystemWork for Note {
    type Output = ();

    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        // of one that was removed meanwhile nothing is counted any more
        if work.tx.get::<Container>(self.container).await?.is_some() {
            self.count(work).await?;
        }
        let object = format!("container/{}", self.container);
        let allowed = self.batch.allowed.into_iter().map(|(place, tally)| {
            let said =
                format!("connections {}, bytes out {}, in {}", tally.connections, tally.sent, tally.received);
            (place, said)
        });
        let refused = self
            .batch
            .refused
            .into_iter()
            .map(|((place, why), times)| (place, format!("{why}, {times} times")));
        let (allowed, refused): (Vec<_>, Vec<_>) = (allowed.collect(), refused.collect());
        for (outcome, details) in [(AuditOutcome::Allowed, allowed), (AuditOutcome::Denied, refused)] {
            for details in details.chunks(DETAILS) {
                audit::note(work, "container.egress", object.clone(), outcome, details.to_vec()).await?;
            }
        }
        Ok(())
    }
}

impl Note {
    async fn count(&self, work: &mut Work) -> Result<(), ActorError> {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let (id, now) = (self.container, self.batch.used);
        let next = EgressUse {
            tenant_id: work.ownership.tenant,
            container_id: id,
            day: now.day,
            sent: bytes(now.sent),
            received: bytes(now.received),
        };
        let Some(before) = work.tx.get::<EgressUse>(id).await? else {
            return Ok(work.tx.insert(&next).await?);
        };
        if before.day > next.day {
            return Ok(());
        }
        let (sent, received) = if before.day == next.day {
            (next.sent.max(before.sent), next.received.max(before.received))
        } else {
            (next.sent, next.received)
        };
        work.tx.update(&EgressUse { sent, received, ..next }).await?;
        Ok(())
    }
}
