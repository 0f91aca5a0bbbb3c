//! This machine's containers: `HostSupervisor`, and under it a [`container`] actor for each.
//!
//! Supervised by the node's root. Nothing of it is durable but the containers' rows. It hears what the
//! engine says, and when it is new to the engine (a start of the node, a lost connection) holds all that the
//! engine has against the rows of this host ([`reconcile`]); before that it takes no work.
//! What a container is asked comes from its tenant alone, admitted and audited there (`tenant::container`):
//! cast by a tenant that is owned here, or sent by its owner's node ([`remote`] there, [`take`] here).

mod archives;
pub(crate) mod container;
mod dead_man;
pub(crate) mod egress;
pub(crate) mod elsewhere;
pub(crate) mod ending;
mod erase;
pub(crate) mod errand;
pub(crate) mod gateway;
pub(crate) mod gateway_key;
mod links;
pub(crate) mod message;
mod owner;
mod pin;
pub mod plain;
mod reconcile;
pub(crate) mod remote;
pub(crate) mod starts;
mod take;
#[cfg(test)]
pub(crate) mod tests;
mod told;
mod wire;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ocmt_runtime::{Exit, RuntimeEvent};
use ocmt_types::ContainerId;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, MessagingErr, SupervisionEvent};

pub(crate) use archives::Archives;
pub use dead_man::{dead_man, stop_all};
pub use gateway_key::GATEWAY_OVERLAP;
pub(crate) use gateway_key::{GatewayBefore, GatewayGeneration};
pub(crate) use links::Links;
pub(crate) use message::HostMessage;
use message::Order;
pub(crate) use owner::tell;
pub(crate) use starts::Starts;
pub(crate) use told::Told;

use self::container::{ContainerActor, ContainerMessage, ContainerStart};
use self::reconcile::{Gate, Reconciled};
use crate::{
    env::Env,
    error::ActorError,
    supervisor::{self, Task},
};

/// The actor; what it holds is in [`HostState`].
pub(crate) struct HostSupervisor;

pub(crate) struct HostState {
    env: Arc<Env>,
    /// In order, as all that is gone through is: a simulation repeats itself.
    containers: BTreeMap<ContainerId, ActorRef<ContainerMessage>>,
    by_actor: HashMap<ActorId, ContainerId>,
    /// Closed until the engine was held against the rows.
    gate: Gate,
    /// That, and what follows from it.
    reconciliation: Task,
    /// Ends the listening with the actor.
    _events: Task,
    _erasing: Task,
    _profile: Task,
}

impl Actor for HostSupervisor {
    type Msg = HostMessage;
    type State = HostState;
    type Arguments = Arc<Env>;

    async fn pre_start(
        &self,
        myself: ActorRef<HostMessage>,
        env: Arc<Env>,
    ) -> Result<HostState, ActorProcessingErr> {
        let events = supervisor::task(reconcile::listen(Arc::clone(&env), myself.clone()));
        let reconciliation = supervisor::task(reconcile::reconcile(Arc::clone(&env), myself.clone()));
        let erasing = supervisor::task(erase::watch(Arc::clone(&env)));
        let profile = supervisor::task(hold_to_profile(Arc::clone(&env), myself.clone()));
        Ok(HostState {
            env,
            containers: BTreeMap::new(),
            by_actor: HashMap::new(),
            gate: Gate::closed(),
            reconciliation,
            _events: events,
            _erasing: erasing,
            _profile: profile,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<HostMessage>,
        message: HostMessage,
        state: &mut HostState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            HostMessage::Order(order) => {
                if let Some(order) = state.gate.pass(*order) {
                    state.order(&myself, order).await;
                }
            }
            HostMessage::Event(event) => state.event(&myself, &event),
            HostMessage::Reconciled(said) => state.reconciled(&myself, said).await,
            HostMessage::Policy(tenant, policy) => {
                state.tell_all(|| ContainerMessage::Policy(tenant, policy.clone()));
            }
            HostMessage::HoldToProfile => state.tell_all(|| ContainerMessage::HoldToProfile),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<HostMessage>,
        event: SupervisionEvent,
        state: &mut HostState,
    ) -> Result<(), ActorProcessingErr> {
        if let Some(exit) = supervisor::exit_of(&event, "host")
            && let Some(container) = state.by_actor.remove(&exit.child)
            && state.containers.get(&container).is_some_and(|actor| actor.get_id() == exit.child)
        {
            state.containers.remove(&container);
        }
        Ok(())
    }
}

/// Again and again: what changes a container by hand tells nobody.
async fn hold_to_profile(env: Arc<Env>, myself: ActorRef<HostMessage>) {
    loop {
        tokio::time::sleep(env.limits.profile_every).await;
        if let Err(error) = env.runtime.look_after().await {
            tracing::debug!(%error, "the engine was not looked after, tried again");
        }
        let _ = myself.cast(HostMessage::HoldToProfile);
    }
}

impl HostState {
    async fn order(&mut self, myself: &ActorRef<HostMessage>, order: Order) {
        let (container, mut order) = (order.container, Box::new(order));
        if let Some(actor) = self.containers.get(&container) {
            match actor.cast(ContainerMessage::Order(order)) {
                // it has stopped, and the word of it is in our mailbox: a fresh one takes over
                Err(MessagingErr::SendErr(ContainerMessage::Order(unsent))) => order = unsent,
                _ => return,
            }
        }
        let start = ContainerStart { container, scope: order.scope.clone() };
        match ContainerActor::spawn_linked(None, ContainerActor, start, myself.get_cell()).await {
            Ok((actor, _)) => {
                self.by_actor.insert(actor.get_id(), container);
                self.containers.insert(container, actor.clone());
                let _ = actor.cast(ContainerMessage::Order(order));
            }
            Err(_) => order
                .what
                .refuse(ActorError::unavailable("RESTARTING", "the container could not be started; repeat")),
        }
    }

    async fn reconciled(&mut self, myself: &ActorRef<HostMessage>, said: Reconciled) {
        for order in self.gate.step(said) {
            self.order(myself, order).await;
        }
        self.env.reconciled.send_replace(true);
    }

    fn tell_all(&self, what: impl Fn() -> ContainerMessage) {
        for actor in self.containers.values() {
            let _ = actor.cast(what());
        }
    }

    fn event(&mut self, myself: &ActorRef<HostMessage>, event: &RuntimeEvent) {
        match event {
            RuntimeEvent::Resync => {
                self.tell_all(|| ContainerMessage::Doubt(None));
                let again = reconcile::reconcile(Arc::clone(&self.env), myself.clone());
                self.reconciliation = supervisor::task(again);
            }
            RuntimeEvent::Died { container, exit, .. } => self.doubt(container.container, *exit),
            RuntimeEvent::OutOfMemory { container, .. } => {
                self.doubt(container.container, Exit { code: None, oom: true });
            }
        }
    }

    /// A container without an actor here is looked at when somebody asks for it, or by its timer.
    fn doubt(&self, container: ContainerId, exit: Exit) {
        if let Some(actor) = self.containers.get(&container) {
            let _ = actor.cast(ContainerMessage::Doubt(Some(exit)));
        }
    }
}
