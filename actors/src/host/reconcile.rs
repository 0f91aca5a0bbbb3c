//! A host that starts: what its engine has is held against what its rows say, before it takes work.
//!
//! Names and labels at the engine carry container and generation. What no row knows, or knows as another
//! generation, is removed first: an older making of a container that still ran would work on the same volume
//! beside the next one. Only then are orders taken ([`Gate`]). After that the owners of what lives, or of what
//! is not as its row says, are told; their orders bring the ownership under which the truth is written.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use ocmt_runtime::{ContainerRef, Observed, RuntimeError, State};
use ocmt_store::{
    MAX_LIMIT, StoreError,
    tables::{Container, ContainerState, DesiredState},
};
use ocmt_types::{ContainerId, TenantId};
use ractor::ActorRef;

use super::{HostMessage, container::for_callers, message::Order, owner};
use crate::{env::Env, error::ActorError};

/// Who does not answer is asked again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// So many are removed, or asked about, at the same time.
const AT_ONCE: usize = 16;

/// Casts what the engine says, as long as there is somebody to hear it.
pub(super) async fn listen(env: Arc<Env>, host: ActorRef<HostMessage>) {
    let mut events = env.runtime.events();
    while let Some(event) = events.next().await {
        if host.cast(HostMessage::Event(event)).is_err() {
            return;
        }
    }
}

/// What the first look through the engine said.
pub(crate) enum Reconciled {
    /// It could not be looked through yet: nothing can be done here, for this reason.
    NotYet(ActorError),
    /// Done, but for these containers: another making of them could not be removed yet.
    But(HashSet<ContainerId>),
}

/// Holds engine and rows against each other, and ends when all owners that need to know have been told.
pub(super) async fn reconcile(env: Arc<Env>, host: ActorRef<HostMessage>) {
    let mut said = String::new();
    let (observed, rows) = loop {
        match look(&env).await {
            Ok(found) => break found,
            Err(NoLook { why, told }) => {
                // once for each reason: an engine may be away for as long as the node runs
                if said != why {
                    tracing::warn!(error = %why, "no container is touched until engine and rows were held against each other, tried again every second");
                    said = why;
                }
                let _ = host.cast(HostMessage::Reconciled(Reconciled::NotYet(told)));
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    };
    let mut strays =
        observed.iter().filter(|seen| is_stray(seen, &rows)).map(|seen| seen.container).collect();
    remove(&env, &mut strays).await;
    let blocked = strays.iter().map(|stray: &ContainerRef| stray.container).collect();
    let _ = host.cast(HostMessage::Reconciled(Reconciled::But(blocked)));
    let told = tell_owners(&env, &observed, &rows);
    let retried = async {
        while !strays.is_empty() {
            tokio::time::sleep(AGAIN_AFTER).await;
            remove(&env, &mut strays).await;
            let blocked = strays.iter().map(|stray| stray.container).collect();
            let _ = host.cast(HostMessage::Reconciled(Reconciled::But(blocked)));
        }
    };
    futures_util::join!(told, retried);
}

/// In order: who is told first is no chance.
type Rows = BTreeMap<ContainerId, Container>;

/// Why engine and rows could not be read: for the log of this host, and for callers.
struct NoLook {
    why: String,
    told: ActorError,
}

impl From<RuntimeError> for NoLook {
    fn from(error: RuntimeError) -> Self {
        Self { why: error.to_string(), told: for_callers(&error) }
    }
}

impl From<StoreError> for NoLook {
    fn from(error: StoreError) -> Self {
        Self { why: error.to_string(), told: error.into() }
    }
}

/// The engine first: what it has was written down before it was made.
async fn look(env: &Env) -> Result<(Vec<Observed>, Rows), NoLook> {
    let observed = env.runtime.list().await?;
    let mut rows = Rows::new();
    let mut after = None;
    loop {
        let page = env.store.cluster().hosted(env.node, after, MAX_LIMIT).await?;
        after = page.last().map(|row| row.container_id);
        rows.extend(page.into_iter().map(|row| (row.container_id, row)));
        if after.is_none() {
            return Ok((observed, rows));
        }
    }
}

fn is_stray(seen: &Observed, rows: &Rows) -> bool {
    rows.get(&seen.container.container)
        .is_none_or(|row| row.generation != seen.container.generation || row.tenant_id != seen.labels.tenant)
}

/// Removes them, and leaves those that the engine does not let go.
async fn remove(env: &Env, strays: &mut Vec<ContainerRef>) {
    let kept = stream::iter(strays.iter().copied()).map(async |stray| {
        tracing::warn!(container = %stray, "container that no row knows is removed");
        match env.runtime.remove(&stray).await {
            Ok(()) | Err(RuntimeError::NotFound(_)) => None,
            Err(error) => {
                tracing::warn!(container = %stray, %error, "stray container could not be removed, tried again");
                Some(stray)
            }
        }
    });
    *strays = kept.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
}

/// Owners of what lives, and of what is not as its row says.
async fn tell_owners(env: &Arc<Env>, observed: &[Observed], rows: &Rows) {
    let at_engine: HashMap<ContainerRef, State> =
        observed.iter().map(|seen| (seen.container, seen.state)).collect();
    let told = rows.values().filter_map(|row| {
        let container = ContainerRef { container: row.container_id, generation: row.generation };
        let seen = at_engine.get(&container).copied();
        needs_a_look(row, seen).then_some((row.tenant_id, container))
    });
    stream::iter(told.collect::<Vec<_>>())
        .for_each_concurrent(AT_ONCE, async |(tenant, container)| tell_owner(env, tenant, container).await)
        .await;
}

fn needs_a_look(row: &Container, seen: Option<State>) -> bool {
    let at_rest = matches!(
        row.observed,
        ContainerState::Absent | ContainerState::Stopped | ContainerState::Failed | ContainerState::Held
    );
    let lives = matches!(seen, Some(State::Running | State::Paused));
    lives || !at_rest || row.desired == DesiredState::Absent
}

async fn tell_owner(env: &Arc<Env>, tenant: TenantId, container: ContainerRef) {
    while let Err(error) = owner::adopt(env, tenant, container).await {
        if error.is_final() {
            return;
        }
        tracing::debug!(%container, %error, "owner of a container was not told of it yet");
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Whether orders are taken. Nobody else starts anything here.
pub(super) enum Gate {
    /// The first look is not done: orders wait, or hear why it cannot be done.
    Closed { parked: Vec<Order>, why: Option<ActorError> },
    /// It is.
    Open { blocked: HashSet<ContainerId> },
}

impl Gate {
    pub(super) fn closed() -> Self {
        Self::Closed { parked: Vec::new(), why: None }
    }

    /// The order, if it may be carried out now.
    pub(super) fn pass(&mut self, order: Order) -> Option<Order> {
        match self {
            Self::Open { blocked } if blocked.contains(&order.container) => {
                order.what.refuse(ActorError::unavailable(
                    "RECONCILING",
                    "an older making of this container is being removed; repeat",
                ));
                None
            }
            Self::Open { .. } => Some(order),
            Self::Closed { why: Some(why), .. } => {
                order.what.refuse(why.clone());
                None
            }
            // bounded by the permits that orders carry
            Self::Closed { parked, .. } => {
                parked.push(order);
                None
            }
        }
    }

    /// What was said: orders that may be carried out now.
    pub(super) fn step(&mut self, said: Reconciled) -> Vec<Order> {
        match (said, &mut *self) {
            (Reconciled::NotYet(error), Self::Closed { parked, why }) => {
                for order in parked.drain(..) {
                    order.what.refuse(error.clone());
                }
                *why = Some(error);
                Vec::new()
            }
            // what is open stays open: its containers are looked at one by one
            (Reconciled::NotYet(_), Self::Open { .. }) => Vec::new(),
            (Reconciled::But(blocked), _) => match std::mem::replace(self, Self::Open { blocked }) {
                Self::Closed { parked, .. } => parked,
                Self::Open { .. } => Vec::new(),
            },
        }
    }
}
