//! `NodeSupervisor`: the root of the tree on one node.
//!
//! Started by [`crate::System`], supervised by nobody: it does nothing that can fail but start its
//! children again. Its children are the branches: tenants, this machine's containers, alerts, the reminder. Branches reach
//! each other through it alone, so that a branch that was restarted is found.

mod message;

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};

pub(crate) use message::NodeMessage;

use crate::{
    alert::{AlertDispatcher, AlertMessage},
    env::Env,
    error::ActorError,
    host::{HostMessage, HostSupervisor},
    reminder::{ReminderActor, ReminderMessage},
    supervisor::{self, RestartPolicy},
    tenants::{TenantSupervisor, TenantsMessage},
};

/// The actor; what it holds is in [`NodeState`].
pub(crate) struct NodeSupervisor;

/// The branches of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Branch {
    Tenants,
    Host,
    Alerts,
    Reminder,
}

impl Branch {
    const ALL: [Self; 4] = [Self::Tenants, Self::Host, Self::Alerts, Self::Reminder];
}

pub(crate) struct NodeState {
    env: Arc<Env>,
    tenants: Child<TenantsMessage>,
    host: Child<HostMessage>,
    alerts: Child<AlertMessage>,
    reminder: Child<ReminderMessage>,
}

struct Child<M> {
    actor: Option<ActorRef<M>>,
    restarts: RestartPolicy,
}

impl<M> Default for Child<M> {
    fn default() -> Self {
        Self { actor: None, restarts: RestartPolicy::default() }
    }
}

impl<M> Child<M> {
    fn is(&self, id: ActorId) -> bool {
        self.actor.as_ref().is_some_and(|actor| actor.get_id() == id)
    }
}

impl Actor for NodeSupervisor {
    type Msg = NodeMessage;
    type State = NodeState;
    type Arguments = Arc<Env>;

    async fn pre_start(
        &self,
        myself: ActorRef<NodeMessage>,
        env: Arc<Env>,
    ) -> Result<NodeState, ActorProcessingErr> {
        env.root.send_replace(Some(myself.clone()));
        let mut state = NodeState {
            env,
            tenants: Child::default(),
            host: Child::default(),
            alerts: Child::default(),
            reminder: Child::default(),
        };
        for branch in Branch::ALL {
            state.start(branch, myself.get_cell()).await?;
        }
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<NodeMessage>,
        message: NodeMessage,
        state: &mut NodeState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            NodeMessage::ToTenant(tenant, message) => {
                state.to_tenants(TenantsMessage::Deliver(tenant, message));
            }
            NodeMessage::ToHost(message) => state.to_host(message),
            NodeMessage::Mail(parcel) => state.to_alerts(AlertMessage::HandOver(parcel)),
            NodeMessage::Restart(branch) => state.restart(&myself, branch).await,
            NodeMessage::Drain(drain) => state.to_tenants(TenantsMessage::Drain(drain)),
            NodeMessage::Release(tenant, patience, reply) => {
                state.to_tenants(TenantsMessage::Release(tenant, patience, reply));
            }
            NodeMessage::Resume => state.to_tenants(TenantsMessage::Resume),
            NodeMessage::Abort(reply) => state.to_tenants(TenantsMessage::Abort(reply)),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<NodeMessage>,
        event: SupervisionEvent,
        state: &mut NodeState,
    ) -> Result<(), ActorProcessingErr> {
        let Some(exit) = supervisor::exit_of(&event, "node") else {
            return Ok(());
        };
        let now = state.env.now();
        let (branch, not_before) = if state.tenants.is(exit.child) {
            state.tenants.actor = None;
            (Branch::Tenants, state.tenants.restarts.failed(now))
        } else if state.host.is(exit.child) {
            state.host.actor = None;
            (Branch::Host, state.host.restarts.failed(now))
        } else if state.alerts.is(exit.child) {
            state.alerts.actor = None;
            (Branch::Alerts, state.alerts.restarts.failed(now))
        } else if state.reminder.is(exit.child) {
            state.reminder.actor = None;
            (Branch::Reminder, state.reminder.restarts.failed(now))
        } else {
            return Ok(());
        };
        restart_after(&myself, branch, not_before.since(now));
        Ok(())
    }
}

impl NodeState {
    async fn start(&mut self, branch: Branch, root: ActorCell) -> Result<(), ActorProcessingErr> {
        let env = Arc::clone(&self.env);
        match branch {
            Branch::Tenants => {
                self.tenants.actor =
                    Some(TenantSupervisor::spawn_linked(None, TenantSupervisor, env, root).await?.0);
            }
            Branch::Host => {
                self.host.actor =
                    Some(HostSupervisor::spawn_linked(None, HostSupervisor, env, root).await?.0);
            }
            Branch::Alerts => {
                self.alerts.actor =
                    Some(AlertDispatcher::spawn_linked(None, AlertDispatcher, env, root).await?.0);
            }
            Branch::Reminder => {
                self.reminder.actor =
                    Some(ReminderActor::spawn_linked(None, ReminderActor, env, root).await?.0);
            }
        }
        Ok(())
    }

    async fn restart(&mut self, myself: &ActorRef<NodeMessage>, branch: Branch) {
        if let Err(error) = self.start(branch, myself.get_cell()).await {
            tracing::error!(?branch, %error, "branch of the tree does not start");
            restart_after(myself, branch, Duration::from_secs(1));
        }
    }

    fn to_tenants(&self, message: TenantsMessage) {
        match &self.tenants.actor {
            Some(actor) => {
                let _ = actor.cast(message);
            }
            None => message.refuse(ActorError::unavailable(
                "RESTARTING",
                "the supervisor of tenants is restarting; repeat",
            )),
        }
    }

    fn to_host(&self, message: HostMessage) {
        match &self.host.actor {
            Some(actor) => {
                let _ = actor.cast(message);
            }
            None => message.refuse(ActorError::unavailable(
                "RESTARTING",
                "the supervisor of containers is restarting; repeat",
            )),
        }
    }

    fn to_alerts(&self, message: AlertMessage) {
        if let Some(actor) = &self.alerts.actor {
            let _ = actor.cast(message);
        }
    }
}

fn restart_after(myself: &ActorRef<NodeMessage>, branch: Branch, wait: Duration) {
    let myself = myself.clone();
    supervisor::detach(async move {
        tokio::time::sleep(wait).await;
        let _ = myself.cast(NodeMessage::Restart(branch));
    });
}
