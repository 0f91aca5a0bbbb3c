//! How tenants leave this node in good order: one that is moved, or all of them when the node drains.
//!
//! A tenant that leaves takes nothing new: what comes is refused unread, so the edge asks the next owner.
//! What it had taken is finished, its ownership is given up with its epoch, and only then is it gone from
//! here. Work that takes long (a container that is being made) must not hold its tenant up for as long: if
//! the tenant is not quiet within [`HOLD`], it goes on as if nothing had been, and tries again after
//! [`PAUSE`]. When the patience of whoever asked is over, it leaves all the same; what is cut off then is
//! refused by the fence, and its callers hear that the outcome is not known.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use ocmt_store::{StoreError, tables::TenantOwner};
use ocmt_types::{Deadline, Ownership, TenantId};
use ractor::ActorRef;
use tokio::sync::watch;

use super::{TenantsMessage, TenantsState, state::Slot, sweep::Draining};
use crate::{call::Reply, env::Env, error::ActorError, supervisor, tenant::TenantMessage};

/// So long at most a tenant refuses calls before it is either gone or takes them again.
pub(crate) const HOLD: Duration = Duration::from_millis(150);
/// Between two tries to leave.
const PAUSE: Duration = Duration::from_millis(300);
/// Tenants of a drain that leave at the same time.
const AT_ONCE: usize = 8;
/// A tenant that was moved away is not claimed here again for so long: the next owner comes first.
const STAYS_AWAY: Duration = Duration::from_secs(2);

/// Refused unread: the tenant is between two nodes.
pub(crate) const MOVING: ActorError = ActorError::NotOwner { owner: None };

/// Who leaves, and who waits for it.
#[derive(Default)]
pub(super) struct Departures {
    /// Tenants that are to leave.
    tenants: BTreeMap<TenantId, Departure>,
    /// Those of a drain that have not begun.
    queue: VecDeque<TenantId>,
    /// Those that refuse calls at this moment.
    under_way: HashSet<TenantId>,
    /// The node drains.
    pub(super) drain: Option<Draining>,
    /// Tenants that were moved away, until when they are not claimed again.
    away: HashMap<TenantId, Deadline>,
}

struct Departure {
    /// After this it leaves whatever runs.
    patience: Deadline,
    waiting: Vec<Reply<()>>,
}

/// The whole node is to be empty.
pub(crate) struct Drain {
    pub(crate) patience: Deadline,
    /// Tenants left.
    pub(crate) progress: watch::Sender<usize>,
    pub(crate) reply: Reply<()>,
}

impl Departures {
    pub(super) fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Whether this tenant is to leave.
    pub(super) fn concerns(&self, tenant: TenantId) -> bool {
        self.drain.is_some() || self.tenants.contains_key(&tenant)
    }

    /// Everybody who waits for it.
    pub(super) fn refuse_all(&mut self, error: &ActorError) {
        let waiting = std::mem::take(&mut self.tenants).into_values().flat_map(|departure| departure.waiting);
        waiting.for_each(|reply| reply.send(Err(error.clone())));
        if let Some(drain) = self.drain.take() {
            drain.answer(&Err(error.clone()));
        }
        self.queue.clear();
    }
}

/// Gives up a tenant that has no actor here: one that was claimed in this node's name and not called since, or
/// whose actor ended by itself. It is not claimed here meanwhile, and if it were, its epoch would be another.
fn give_back(env: &Arc<Env>, tenant: TenantId, reply: Reply<()>) {
    let env = Arc::clone(env);
    supervisor::detach(async move {
        let cluster = env.store.cluster();
        let given_up = async {
            let owner = cluster.owner(tenant).await?.filter(|it| it.incarnation == Some(env.incarnation));
            if let Some(TenantOwner { epoch, .. }) = owner {
                cluster.release(Ownership { tenant, incarnation: env.incarnation, epoch }).await?;
            }
            Ok::<_, StoreError>(())
        };
        reply.send(given_up.await.map_err(ActorError::from));
    });
}

impl TenantsState {
    /// Whether the tenant may not be activated here now.
    pub(super) fn stays_away(&mut self, tenant: TenantId) -> bool {
        if self.departures.is_draining() {
            return true;
        }
        let clock = self.env.clock.clone();
        self.departures.away.retain(|_, until| !until.has_passed(&*clock));
        self.departures.away.contains_key(&tenant)
    }

    /// One tenant is to leave.
    pub(super) fn release(
        &mut self,
        myself: &ActorRef<TenantsMessage>,
        tenant: TenantId,
        patience: Deadline,
        reply: Reply<()>,
    ) {
        let until = Deadline::after(&*self.env.clock, STAYS_AWAY);
        self.departures.away.insert(tenant, until);
        if self.tenants.slot(tenant).is_none() {
            return give_back(&self.env, tenant, reply);
        }
        let departure = self
            .departures
            .tenants
            .entry(tenant)
            .or_insert_with(|| Departure { patience, waiting: Vec::new() });
        departure.waiting.push(reply);
        self.leave(myself, tenant);
    }

    /// All are to leave.
    pub(super) fn drain(&mut self, myself: &ActorRef<TenantsMessage>, drain: Drain) {
        let tenants: Vec<TenantId> = self.tenants.ids().collect();
        for tenant in &tenants {
            self.departures
                .tenants
                .entry(*tenant)
                .or_insert_with(|| Departure { patience: drain.patience, waiting: Vec::new() });
        }
        tracing::info!(tenants = tenants.len(), "drains");
        self.departures.queue = tenants.into();
        self.departures.drain.get_or_insert_default().wait(drain);
        self.next_to_leave(myself);
    }

    /// The node takes tenants again. Those on their way out come back or leave, as it happens.
    pub(super) fn resume(&mut self) {
        let error = ActorError::unavailable("RESUMED", "the node was told to take tenants again");
        self.departures.refuse_all(&error);
    }

    /// Begins with as many of the drain's tenants as may leave at the same time.
    pub(super) fn next_to_leave(&mut self, myself: &ActorRef<TenantsMessage>) {
        while self.departures.under_way.len() < AT_ONCE
            && let Some(tenant) = self.departures.queue.pop_front()
        {
            self.leave(myself, tenant);
        }
        let left = self.tenants.len();
        let Some(drain) = &mut self.departures.drain else { return };
        drain.tell(left);
        if left == 0 && drain.is_awaited() {
            self.sweep(myself);
        }
    }

    /// Begins, if the tenant is at work; in any other state the end of that state comes back here.
    pub(super) fn leave(&mut self, myself: &ActorRef<TenantsMessage>, tenant: TenantId) {
        let Some(departure) = self.departures.tenants.get(&tenant) else { return };
        let last = departure.patience.has_passed(&*self.env.clock);
        if let Some(slot @ Slot::Awake { .. }) = self.tenants.slot(tenant)
            && let Some(actor) = slot.leave()
        {
            self.departures.under_way.insert(tenant);
            self.env.admission.close(tenant);
            if actor.cast(TenantMessage::Leave { last }).is_err() {
                tracing::debug!(%tenant, "tenant has ended by itself before it could leave");
            }
        }
        if self.tenants.slot(tenant).is_none() {
            self.left(myself, tenant, &Ok(()));
        }
    }

    /// It was not quiet in time, and takes calls again until the next try.
    pub(super) fn leaves_later(&mut self, myself: &ActorRef<TenantsMessage>, ownership: Ownership) {
        let tenant = ownership.tenant;
        self.departures.under_way.remove(&tenant);
        self.env.admission.open(tenant);
        let again = myself.clone();
        supervisor::detach(async move {
            tokio::time::sleep(PAUSE).await;
            let _ = again.cast(TenantsMessage::LeaveAgain(tenant));
        });
        self.next_to_leave(myself);
    }

    /// Its actor has ended: the ownership is given up, and nothing is taken until that is done.
    pub(super) fn give_up(&mut self, myself: &ActorRef<TenantsMessage>, ownership: Ownership) {
        self.departures.under_way.insert(ownership.tenant);
        self.tenants.insert(ownership.tenant, Slot::Releasing);
        let (env, myself) = (self.env.clone(), myself.clone());
        supervisor::detach(async move {
            let released = env.store.cluster().release(ownership).await;
            let released = released.map(drop).map_err(ActorError::from);
            let _ = myself.cast(TenantsMessage::Released(ownership.tenant, released));
        });
    }

    /// The store has taken the ownership back, or does not answer.
    pub(super) fn released(
        &mut self,
        myself: &ActorRef<TenantsMessage>,
        tenant: TenantId,
        released: &Result<(), ActorError>,
    ) {
        if let Some(Slot::Releasing) = self.tenants.slot(tenant) {
            self.tenants.remove(tenant);
        }
        self.left(myself, tenant, released);
    }

    fn left(
        &mut self,
        myself: &ActorRef<TenantsMessage>,
        tenant: TenantId,
        released: &Result<(), ActorError>,
    ) {
        self.departures.under_way.remove(&tenant);
        self.env.admission.open(tenant);
        if let Some(departure) = self.departures.tenants.remove(&tenant) {
            departure.waiting.into_iter().for_each(|reply| reply.send(released.clone()));
        }
        self.next_to_leave(myself);
    }
}
