//! `TenantSupervisor`: activates tenants on demand, puts idle ones to sleep, starts failed ones again.
//!
//! Supervised by the node's root. Nothing of it is durable: a tenant is activated by claiming it in
//! the store, under a new epoch each time, so that whatever an earlier activation still has in
//! flight is refused there. It is the only sender to tenants' actors; so what it has not sent
//! cannot be lost when a tenant falls asleep.

mod leave;
mod message;
mod state;
mod sweep;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

use ocmt_store::{Claim, StoreError};
use ocmt_types::{Ownership, TenantId};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};

use leave::Departures;
pub(crate) use leave::{Drain, HOLD, MOVING};
pub(crate) use message::TenantsMessage;
use state::{Slot, Tenants};

use crate::{
    call::Reply,
    env::Env,
    error::ActorError,
    supervisor,
    tenant::{Activation, CLEAN, TenantActor, TenantMessage},
};

/// How often a claim is tried that met another one, or whose outcome is unknown.
const CLAIMS: usize = 3;

/// The actor; what it holds is in [`TenantsState`].
pub(crate) struct TenantSupervisor;

pub(crate) struct TenantsState {
    env: Arc<Env>,
    tenants: Tenants,
    by_actor: HashMap<ActorId, TenantId>,
    /// Who is to leave this node.
    departures: Departures,
    /// The node is nobody any more: answered when no actor is left.
    aborted: Option<Vec<Reply<()>>>,
}

impl Actor for TenantSupervisor {
    type Msg = TenantsMessage;
    type State = TenantsState;
    type Arguments = Arc<Env>;

    async fn pre_start(
        &self,
        _: ActorRef<TenantsMessage>,
        env: Arc<Env>,
    ) -> Result<TenantsState, ActorProcessingErr> {
        Ok(TenantsState {
            env,
            tenants: Tenants::default(),
            by_actor: HashMap::new(),
            departures: Departures::default(),
            aborted: None,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<TenantsMessage>,
        message: TenantsMessage,
        state: &mut TenantsState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TenantsMessage::Deliver(tenant, message) => state.deliver(&myself, tenant, message),
            TenantsMessage::Claimed(tenant, claimed) => state.claimed(&myself, tenant, claimed).await,
            TenantsMessage::WantsSleep(ownership) => state.wants_sleep(ownership),
            TenantsMessage::Leaves(ownership, actor) => {
                drop(state.tenants.close(ownership));
                let _ = actor.cast(TenantMessage::Unread);
            }
            TenantsMessage::StaysAwake(ownership) => state.stays_awake(&myself, ownership),
            TenantsMessage::Release(tenant, patience, reply) => {
                state.release(&myself, tenant, patience, reply);
            }
            TenantsMessage::LeaveAgain(tenant) => state.leave(&myself, tenant),
            TenantsMessage::Released(tenant, result) => state.released(&myself, tenant, &result),
            TenantsMessage::Sweep => state.sweep(&myself),
            TenantsMessage::Swept(result) => state.swept(&myself, result),
            TenantsMessage::Drain(drain) => state.drain(&myself, drain),
            TenantsMessage::Resume => state.resume(),
            TenantsMessage::Abort(reply) => state.abort(reply),
        }
        state.count();
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<TenantsMessage>,
        event: SupervisionEvent,
        state: &mut TenantsState,
    ) -> Result<(), ActorProcessingErr> {
        let clean =
            matches!(&event, SupervisionEvent::ActorTerminated(_, _, Some(reason)) if reason == CLEAN);
        if let Some(exit) = supervisor::exit_of(&event, "tenants")
            && let Some(tenant) = state.by_actor.remove(&exit.child)
        {
            state.gone(&myself, tenant, exit.failed, clean);
        }
        state.count();
        Ok(())
    }
}

impl TenantsState {
    fn deliver(&mut self, myself: &ActorRef<TenantsMessage>, tenant: TenantId, message: TenantMessage) {
        if self.aborted.is_some() {
            return message.refuse(ActorError::no_lease());
        }
        let stays_away = self.stays_away(tenant);
        match self.tenants.slot(tenant) {
            Some(slot @ Slot::Awake { .. }) => slot.send(message),
            Some(Slot::Claiming { parked, .. } | Slot::FallingAsleep { parked, .. }) => parked.push(message),
            Some(Slot::Leaving { .. } | Slot::Releasing) => message.refuse(MOVING),
            None if stays_away => {
                message.refuse(MOVING);
                self.sweep_again(myself);
            }
            None => match self.tenants.may_start(tenant, self.env.now()) {
                Ok(()) => self.claim(myself, tenant, vec![message]),
                Err(error) => message.refuse(error),
            },
        }
    }

    fn claim(&mut self, myself: &ActorRef<TenantsMessage>, tenant: TenantId, parked: Vec<TenantMessage>) {
        let (env, myself) = (Arc::clone(&self.env), myself.clone());
        let task = supervisor::task(async move {
            let claimed = claim(&env, tenant).await;
            let _ = myself.cast(TenantsMessage::Claimed(tenant, claimed));
        });
        self.tenants.insert(tenant, Slot::Claiming { parked, _task: task });
    }

    async fn claimed(
        &mut self,
        myself: &ActorRef<TenantsMessage>,
        tenant: TenantId,
        claimed: Result<Ownership, ActorError>,
    ) {
        let Some(Slot::Claiming { parked, .. }) = self.tenants.remove(tenant) else {
            return;
        };
        let started = match claimed {
            Ok(ownership) => self.start(myself, ownership).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(actor) => parked.into_iter().for_each(|message| {
                let _ = actor.cast(message);
            }),
            Err(error) => parked.into_iter().for_each(|message| message.refuse(error.clone())),
        }
        if self.departures.concerns(tenant) {
            self.leave(myself, tenant);
        }
    }

    async fn start(
        &mut self,
        myself: &ActorRef<TenantsMessage>,
        ownership: Ownership,
    ) -> Result<ActorRef<TenantMessage>, ActorError> {
        let start = Activation { env: Arc::clone(&self.env), ownership, supervisor: myself.clone() };
        let (actor, _) = TenantActor::spawn_linked(None, TenantActor, start, myself.get_cell())
            .await
            .map_err(|_| ActorError::unavailable("RESTARTING", "the tenant could not be started; repeat"))?;
        self.env.meters.activated();
        self.by_actor.insert(actor.get_id(), ownership.tenant);
        self.tenants.insert(ownership.tenant, Slot::Awake { actor: actor.clone(), ownership });
        Ok(actor)
    }

    fn wants_sleep(&mut self, ownership: Ownership) {
        if let Some(actor) = self.tenants.close(ownership) {
            let _ = actor.cast(TenantMessage::Passivate);
        }
    }

    fn stays_awake(&mut self, myself: &ActorRef<TenantsMessage>, ownership: Ownership) {
        let tenant = ownership.tenant;
        match self.tenants.remove(tenant) {
            Some(Slot::Leaving { actor, ownership: current }) if current == ownership => {
                self.tenants.insert(tenant, Slot::Awake { actor, ownership });
                self.leaves_later(myself, ownership);
            }
            Some(Slot::FallingAsleep { actor, ownership: current, parked }) if current == ownership => {
                for message in parked {
                    let _ = actor.cast(message);
                }
                self.tenants.insert(tenant, Slot::Awake { actor, ownership });
                self.leave(myself, tenant);
            }
            Some(other) => self.tenants.insert(tenant, other),
            None => {}
        }
    }

    /// An actor has ended: by itself (asleep, or its ownership ended) or by a failure.
    fn gone(&mut self, myself: &ActorRef<TenantsMessage>, tenant: TenantId, failed: bool, clean: bool) {
        let gone = self.tenants.remove(tenant);
        let leaves = matches!(gone, Some(Slot::Leaving { .. })) || self.departures.concerns(tenant);
        let (parked, ownership) = match gone {
            Some(Slot::FallingAsleep { parked, ownership, .. }) => (parked, Some(ownership)),
            Some(Slot::Awake { ownership, .. } | Slot::Leaving { ownership, .. }) => {
                (Vec::new(), Some(ownership))
            }
            Some(other @ (Slot::Claiming { .. } | Slot::Releasing)) => {
                self.tenants.insert(tenant, other);
                (Vec::new(), None)
            }
            None => (Vec::new(), None),
        };
        if failed {
            self.tenants.failed(tenant, self.env.now());
        }
        match ownership {
            Some(ownership) if leaves => self.give_up(myself, ownership),
            // another node may have it now; if somebody calls first, a new claim outdates this release
            Some(ownership) if clean => release(&self.env, ownership),
            _ => {}
        }
        for message in parked {
            self.deliver(myself, tenant, message);
        }
        self.aborted();
    }

    /// Everything stops now. Nothing is given up: whoever buries this incarnation takes over.
    fn abort(&mut self, reply: Reply<()>) {
        for slot in self.tenants.take_all() {
            match slot {
                Slot::Claiming { parked, .. } => refuse_all(parked),
                Slot::Awake { actor, .. } | Slot::Leaving { actor, .. } => actor.stop(None),
                Slot::FallingAsleep { actor, parked, .. } => {
                    actor.stop(None);
                    refuse_all(parked);
                }
                Slot::Releasing => {}
            }
        }
        self.departures.refuse_all(&ActorError::no_lease());
        self.aborted.get_or_insert_default().push(reply);
        self.aborted();
    }

    fn aborted(&mut self) {
        if self.by_actor.is_empty()
            && let Some(waiting) = &mut self.aborted
        {
            waiting.drain(..).for_each(|reply| reply.send(Ok(())));
        }
    }

    fn count(&self) {
        self.env.awake.store(self.tenants.len(), Ordering::Relaxed);
    }
}

fn refuse_all(parked: Vec<TenantMessage>) {
    parked.into_iter().for_each(|message| message.refuse(ActorError::no_lease()));
}

/// Claims the tenant if it exists. The look before the claim keeps made-up ids from writing, and has its turn
/// among looks alone.
async fn claim(env: &Env, tenant: TenantId) -> Result<Ownership, ActorError> {
    env.strict()?;
    if env.store.cluster().look().await?.owner(tenant).await?.is_none() {
        return Err(ActorError::NotFound);
    }
    for _ in 1..CLAIMS {
        match claim_once(env, tenant).await {
            // of two claims at the same time one wins; and a claim in doubt is made good by another one
            Err(StoreError::Conflict | StoreError::OutcomeUnknown(_)) => {}
            other => return judged(other),
        }
    }
    judged(claim_once(env, tenant).await)
}

async fn claim_once(env: &Env, tenant: TenantId) -> Result<Claim, StoreError> {
    env.store.cluster().claim(tenant, env.node, env.incarnation).await
}

fn judged(claim: Result<Claim, StoreError>) -> Result<Ownership, ActorError> {
    match claim {
        Ok(Claim::Taken(ownership)) => Ok(ownership),
        Ok(Claim::Owned { node_id, .. }) => Err(ActorError::NotOwner { owner: Some(node_id) }),
        Ok(Claim::NoTenant) => Err(ActorError::NotFound),
        // this node takes no tenants: it is draining, or was declared dead
        Err(StoreError::Fenced) => Err(ActorError::NotOwner { owner: None }),
        Err(error) => Err(error.into()),
    }
}

fn release(env: &Arc<Env>, ownership: Ownership) {
    let env = Arc::clone(env);
    supervisor::detach(async move {
        if let Err(error) = env.store.cluster().release(ownership).await {
            tracing::debug!(tenant = %ownership.tenant, %error, "tenant was not released, its next claim outdates it");
        }
    });
}
