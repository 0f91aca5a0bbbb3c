//! WatchContainers and WatchUnlockRequests.
//!
//! Both read the tenant's events ([`super::events`]). Who may see a container is decided anew for each piece of them
//! that is told, by the reader's role and groups of then.

use std::sync::Arc;

use ocmt_store::{
    Filter, ReadTx,
    tables::{Container, ContainerEvent, ContainerEventKind},
};
use ocmt_types::{ContainerId, Timestamp, UserId};
use ractor::ActorRef;

use super::{events, group, load, reads::info};
use crate::{
    api::container_watch::{
        ChangedContainer, ContainerChange, EventAt, UnlockRequest, WaitingCell, WatchContainers,
        WatchUnlockRequests, WatchesCall,
    },
    authorize::{Action, Object, Standing, authorize},
    call::CallMeta,
    caller::Caller,
    env::Scope,
    error::ActorError,
    system::System,
    tenant::{TenantMessage, TenantState, today},
    watch::{Following, Log, Told, too_old},
    work::{Handle, Work},
};

/// Events read at once.
const AT_ONCE: u32 = 64;

impl TenantState {
    /// One line per method.
    pub(in crate::tenant) fn watches(&mut self, myself: &ActorRef<TenantMessage>, call: WatchesCall) {
        match call {
            WatchesCall::WatchContainers(call) => self.work(myself, call),
            WatchesCall::WatchUnlockRequests(call) => self.work(myself, call),
        }
    }
}

/// The events of a tenant, for one reader.
pub(super) struct Events {
    scope: Scope,
    user: UserId,
    only: Option<ContainerId>,
    next: i64,
}

impl Handle for WatchContainers {
    async fn handle(self, work: &mut Work) -> Result<Following<Changes, ContainerChange>, ActorError> {
        let user = work.user()?.user;
        match self.container {
            Some(container) => drop(load(work, Action::ReadContainer, container).await?),
            None => work.authorize(Action::ReadContainer, &Object::of(user))?,
        }
        let begun = |at| ContainerChange { changed: None, at };
        begin(work, Changes, (user, self.container), self.from, begun).await
    }
}

impl Handle for WatchUnlockRequests {
    async fn handle(self, work: &mut Work) -> Result<Following<Waits, UnlockRequest>, ActorError> {
        let user = work.user()?.user;
        work.authorize(Action::EnterContainer, &Object::of(user))?;
        begin(work, Waits, (user, None), self.from, |at| UnlockRequest { waits: None, at }).await
    }
}

async fn begin<L, E>(
    work: &mut Work,
    log: impl FnOnce(Events) -> L,
    (user, only): (UserId, Option<ContainerId>),
    from: Option<EventAt>,
    begun: impl FnOnce(EventAt) -> E,
) -> Result<Following<L, E>, ActorError> {
    let (next, begun) = match from {
        Some(from) => (behind(work, from).await?, None),
        None => {
            let last = events::last(work).await?;
            let at = last
                .map_or(EventAt { seq: 0, at: Timestamp(0) }, |last| EventAt { seq: last.seq, at: last.at });
            (at.seq + 1, Some(begun(at)))
        }
    };
    let scope = Scope::new(Arc::clone(&work.env), work.ownership);
    let hint = work.env.container_hints.watch((work.ownership.tenant, user))?;
    Ok(Following { log: log(Events { scope, user, only, next }), begun, hint })
}

/// Behind an event that was told before, by this node or another.
async fn behind(work: &mut Work, event: EventAt) -> Result<i64, ActorError> {
    if event.seq == 0 {
        return Ok(1);
    }
    let row = work.tx.get::<ContainerEvent>(event.seq).await?;
    // another event of that number: the store was restored from a copy of before
    if row.is_none_or(|row| row.at != event.at) {
        return Err(too_old());
    }
    Ok(event.seq.saturating_add(1))
}

impl Events {
    /// The next events behind those that were read, in the transaction in which they are looked at.
    async fn read(&mut self) -> Result<(ReadTx, Vec<ContainerEvent>), ActorError> {
        let mut tx = self.scope.read().await?;
        let rows = tx.find::<ContainerEvent>(Filter::all().after(&(self.next - 1)).limit(AT_ONCE)).await?;
        for row in &rows {
            if row.seq != self.next {
                return Err(too_old());
            }
            self.next += 1;
        }
        Ok((tx, rows))
    }
}

/// Changes of containers.
pub struct Changes(Events);
/// Cells that wait.
pub struct Waits(Events);

impl Log for Changes {
    type Event = ContainerChange;
    async fn read(&mut self) -> Result<Vec<ContainerChange>, ActorError> {
        loop {
            let (mut tx, rows) = self.0.read().await?;
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            let Some(standing) = reader(&mut tx, &self.0).await? else { return Ok(Vec::new()) };
            let mut told = Vec::new();
            for row in rows {
                let wanted = self.0.only.is_none_or(|only| only == row.container_id);
                if wanted
                    && row.kind != ContainerEventKind::Locked
                    && sees(&mut tx, &standing, &self.0, &row).await?
                {
                    told.push(change(&mut tx, &self.0.scope, &row).await?);
                }
            }
            if !told.is_empty() {
                return Ok(told);
            }
        }
    }
}

impl Log for Waits {
    type Event = UnlockRequest;
    async fn read(&mut self) -> Result<Vec<UnlockRequest>, ActorError> {
        loop {
            let (mut tx, rows) = self.0.read().await?;
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            let mut told = Vec::new();
            for row in rows {
                told.extend(waits(&mut tx, &self.0, &row).await?);
            }
            if !told.is_empty() {
                return Ok(told);
            }
        }
    }
}

/// The reader as the stored state knows him now; none once he is nobody.
async fn reader(tx: &mut ReadTx, events: &Events) -> Result<Option<Standing>, ActorError> {
    let env = &events.scope.env;
    today::standing(tx, events.scope.ownership.tenant, events.user, env.request_id(), env.now()).await
}

async fn sees(
    tx: &mut ReadTx,
    standing: &Standing,
    events: &Events,
    row: &ContainerEvent,
) -> Result<bool, ActorError> {
    let through = group::through_of(tx, events.user, row.container_id, row.user_id).await?;
    let object = Object { through, ..Object::of(row.user_id) };
    Ok(authorize(standing, Action::ReadContainer, &object).is_ok())
}

async fn change(tx: &mut ReadTx, scope: &Scope, row: &ContainerEvent) -> Result<ContainerChange, ActorError> {
    let now = tx.get::<Container>(row.container_id).await?;
    let info = match now.filter(|_| row.kind != ContainerEventKind::Removed) {
        Some(now) => Some(info(&scope.env, &now)?),
        None => None,
    };
    let changed = ChangedContainer {
        id: row.container_id,
        user: row.user_id,
        state: row.state,
        generation: u64::try_from(row.generation).unwrap_or(0),
        info,
    };
    Ok(ContainerChange { changed: Some(changed), at: EventAt { seq: row.seq, at: row.at } })
}

/// What still waits of it, for its user alone.
async fn waits(
    tx: &mut ReadTx,
    events: &Events,
    row: &ContainerEvent,
) -> Result<Option<UnlockRequest>, ActorError> {
    let (Some(cause), Some(wait_until)) = (row.cause, row.wait_until) else { return Ok(None) };
    let now = events.scope.env.now();
    if row.user_id != events.user || wait_until <= now {
        return Ok(None);
    }
    let container = tx.get::<Container>(row.container_id).await?;
    let locked = container.is_some_and(|row| row.unlocked_until.is_none_or(|until| until <= now));
    let waits = WaitingCell { container: row.container_id, cause, wait_until };
    Ok(locked.then_some(UnlockRequest { waits: Some(waits), at: EventAt { seq: row.seq, at: row.at } }))
}

impl System {
    /// Watches containers that the caller may see. The events end with the session, with an error when the tenant moves
    /// (watch again from the last event), and when the receiver is dropped.
    ///
    /// # Errors
    /// [`ActorError::OutOfRange`] for a place that is not kept any more; what reading a container says.
    pub async fn watch_containers(
        &self,
        caller: Caller,
        meta: CallMeta,
        ask: WatchContainers,
    ) -> Result<Told<ContainerChange>, ActorError> {
        self.follow(caller, meta, ask).await
    }

    /// Watches for cells of the caller's containers that woke locked; as [`System::watch_containers`].
    ///
    /// # Errors
    /// [`ActorError::OutOfRange`] for a place that is not kept any more.
    pub async fn watch_unlock_requests(
        &self,
        caller: Caller,
        meta: CallMeta,
        ask: WatchUnlockRequests,
    ) -> Result<Told<UnlockRequest>, ActorError> {
        self.follow(caller, meta, ask).await
    }
}
