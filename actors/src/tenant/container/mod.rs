//! What a tenant decides about its containers: who may do what, in the frame of all work; then the host's
//! actor of the container does it.
//!
//! A call that acts has two parts. Its [`Admission`] runs in the tenant's lane like any handler (caller,
//! permission, stored repeats, audit, and what is wanted from now on, in one transaction). The order it
//! leads to then travels to the container's actor with the caller's reply, and is answered there: cast if this
//! node is the container's host, else sent to the node that is. A repeat of a stored admission is decided again: its
//! order may have been lost, and the right to it may have been taken away since. Where the order has a timer of its
//! own a repeat orders nothing: it waits until the container is settled and hears how it is. One of what has come
//! to its end and is found no more, a connection, hears how it ended.

mod acts;
mod connect;
pub(crate) mod events;
mod group_cell;
mod place;
mod reads;
pub(crate) mod schedule;
pub(crate) mod snapshot;
pub(super) mod timers;
mod unlock;
pub(crate) mod watch;

use ocmt_store::tables::{Container, DesiredState};
use ocmt_types::{ContainerId, Deadline, RequestId};
use ractor::ActorRef;
use serde::{Deserialize, Serialize};

pub(crate) use connect::ended;
pub(crate) use reads::info;
pub(crate) use timers::{lock as lock_cell, lock_cells_of};

use super::{TenantMessage, TenantState, group, message::Adopt};
use crate::{
    api::{
        connections::ConnectionsCall,
        container::{ContainerCall, Wake, Woken},
    },
    authorize::{Action, Object},
    call::{Call, Incoming, Repeat, Reply},
    effect::Effect,
    env::Scope,
    error::ActorError,
    host::{
        HostMessage,
        message::{At, Job, JobKind, Order, Turn, What},
        remote,
    },
    node::NodeMessage,
    work::{self, Outcome, Piece, Work},
};

/// The part of a call that the tenant decides.
pub(super) trait Admission: Call {
    /// What the order is made of.
    type Pass: Send + 'static;
    /// What a repeat gets: stored passes know that they are repeats.
    const REPEAT: Repeat;
    /// Decides, and writes what is wanted from now on.
    fn admit(self, work: &mut Work) -> impl Future<Output = Result<Self::Pass, ActorError>> + Send;
    /// A pass as it is stored.
    fn store(pass: &Self::Pass) -> Option<Vec<u8>>;
    /// A stored pass.
    fn stored(bytes: &[u8]) -> Option<Self::Pass>;
    /// Decides on a repeat: the pass, if its caller would be admitted today.
    fn again(
        pass: Self::Pass,
        work: &mut Work,
    ) -> impl Future<Output = Result<Self::Pass, ActorError>> + Send;
    /// What a repeat of something that has come to its end is answered with, without an order.
    fn answered(_: &Self::Pass) -> Option<Self::Answer> {
        None
    }
    /// The order.
    fn order(pass: Self::Pass, about: About, reply: Reply<Self::Answer>) -> (At, What);
}

/// What an order knows of its call.
#[derive(Clone, Copy)]
pub(super) struct About {
    pub(super) request: RequestId,
    pub(super) deadline: Deadline,
    pub(super) since: std::time::Duration,
}

impl About {
    fn job(self, kind: JobKind) -> What {
        What::Job(Job { kind, deadline: Some(self.deadline), since: self.since, wake: Wake::NONE })
    }
}

/// The pass of an act that is stored for repeats.
#[derive(Serialize, Deserialize)]
pub(super) struct Act {
    at: At,
    /// The request that was admitted: another one is a repeat of it.
    by: RequestId,
    grace_ms: u64,
    /// Nothing is left to do but to say how it is.
    settled: bool,
    /// Whoever asks is its user.
    #[serde(default)]
    own: bool,
}

impl Act {
    fn on(row: &Container, work: &Work) -> Self {
        let own = work.standing.caller.person() == Some(row.user_id);
        Self { at: row.into(), by: work.standing.caller.request, grace_ms: 0, settled: false, own }
    }

    /// The order that brings it to running.
    fn wake(&self, about: About, reply: Reply<Woken>) -> What {
        about.job(if self.own { JobKind::Report(reply) } else { JobKind::ByOther(reply) })
    }

    fn is_repeat(&self, about: About) -> bool {
        self.by != about.request
    }
}

fn store(act: &Act) -> Option<Vec<u8>> {
    serde_json::to_vec(act).ok()
}

fn stored(bytes: &[u8]) -> Option<Act> {
    serde_json::from_slice(bytes).ok()
}

/// An admission in the frame of all work.
struct Admit<C>(C);

impl<C: Admission> Piece for Admit<C> {
    type Answer = C::Pass;
    const METHOD: &'static str = C::METHOD;
    const REPEAT: Repeat = <C as Admission>::REPEAT;
    fn encode(pass: &C::Pass) -> Option<Vec<u8>> {
        C::store(pass)
    }
    fn decode(bytes: &[u8]) -> Option<C::Pass> {
        C::stored(bytes)
    }
    async fn again(pass: C::Pass, work: &mut Work) -> Result<(C::Pass, bool), ActorError> {
        Ok((C::again(pass, work).await?, true))
    }
    async fn work(self, work: &mut Work) -> Result<C::Pass, ActorError> {
        self.0.admit(work).await
    }
}

async fn admit<C: Admission>(scope: Scope, incoming: Incoming<C>) -> Outcome {
    let Incoming { request, caller, meta, mut reply } = incoming;
    reply.taken_up();
    let about = About { request: caller.request, deadline: meta.deadline, since: scope.env.clock.boottime() };
    match work::perform(&scope, Admit(request), &caller, &meta).await {
        Ok((pass, mut effects)) => {
            if let Some(answer) = C::answered(&pass) {
                let answer: work::Answer = Box::new(move |instead| reply.send(instead.map(|()| answer)));
                return Outcome { effects, answer: Some(answer), ..Outcome::default() };
            }
            let (at, what) = C::order(pass, about, reply);
            effects.push(Effect::Container(at, Box::new(what)));
            Outcome { effects, ..Outcome::default() }
        }
        Err(error) => {
            let terminal = error.is_terminal();
            let answer: work::Answer = Box::new(move |instead| reply.send(instead.and(Err(error))));
            Outcome { answer: Some(answer), terminal, ..Outcome::default() }
        }
    }
}

/// A container of the caller, or one that the rule of the action lets him reach. Unknown and foreign ones
/// answer alike.
pub(super) async fn load(
    work: &mut Work,
    action: Action,
    container: ContainerId,
) -> Result<Container, ActorError> {
    let found = work.tx.get::<Container>(container).await?;
    let through = match &found {
        Some(row) => group::through(work, row).await?,
        None => None,
    };
    let row = work.authorize_found(action, found, |row| Object { through, ..Object::of(row.user_id) })?;
    work.object = format!("container/{container}");
    Ok(row)
}

/// A repeat of an act on the container as it stands now. A removal whose container is gone is done.
async fn again(work: &mut Work, action: Action, act: Act) -> Result<Act, ActorError> {
    let container = act.at.container;
    if action == Action::RemoveContainer && work.tx.get::<Container>(container).await?.is_none() {
        work.object = format!("container/{container}");
    } else {
        load(work, action, container).await?;
    }
    Ok(act)
}

/// As [`load`], for what a held container refuses.
async fn load_free(work: &mut Work, action: Action, container: ContainerId) -> Result<Container, ActorError> {
    free(load(work, action, container).await?)
}

/// A container that is neither held nor going.
pub(super) fn free(row: Container) -> Result<Container, ActorError> {
    match row.desired {
        DesiredState::Held => Err(ActorError::precondition(
            "CONTAINER_HELD",
            "the container is held: it must be released first",
        )),
        DesiredState::Absent => Err(ActorError::NotFound),
        DesiredState::Running | DesiredState::Paused | DesiredState::Stopped => Ok(row),
    }
}

impl TenantState {
    /// One line per method.
    pub(super) fn container(&mut self, myself: &ActorRef<TenantMessage>, call: ContainerCall) {
        match call {
            ContainerCall::GetContainer(call) => self.work(myself, call),
            ContainerCall::ListContainers(call) => self.work(myself, call),
            ContainerCall::IssueGatewayToken(call) => self.work(myself, call),
            ContainerCall::GetEgressPolicy(call) => self.work(myself, call),
            ContainerCall::PutEgressPolicy(call) => self.work(myself, call),
            ContainerCall::GetAgentPolicy(call) => self.work(myself, call),
            ContainerCall::PutAgentPolicy(call) => self.work(myself, call),
            ContainerCall::CreateContainer(call) => self.admit(myself, call),
            ContainerCall::StartContainer(call) => self.admit(myself, call),
            ContainerCall::WakeContainer(call) => self.admit(myself, call),
            ContainerCall::PauseContainer(call) => self.admit(myself, call),
            ContainerCall::StopContainer(call) => self.admit(myself, call),
            ContainerCall::RemoveContainer(call) => self.admit(myself, call),
            ContainerCall::HoldContainer(call) => self.admit(myself, call),
            ContainerCall::ReleaseContainer(call) => self.admit(myself, call),
            ContainerCall::ExplainIdle(call) => self.admit(myself, call),
            ContainerCall::GetCellKey(call) => self.admit(myself, call),
            ContainerCall::UnlockCell(call) => self.admit(myself, call),
            ContainerCall::ExtendUnlock(call) => self.admit(myself, call),
            ContainerCall::LockCell(call) => self.admit(myself, call),
            ContainerCall::ConnectGateway(call) => self.admit(myself, call),
        }
    }

    /// One line per method about connections.
    pub(super) fn connections(&mut self, myself: &ActorRef<TenantMessage>, call: ConnectionsCall) {
        match call {
            ConnectionsCall::BeginAuthorization(call) => self.admit(myself, call),
            ConnectionsCall::FinishAuthorization(call) => self.admit(myself, call),
            ConnectionsCall::ListConnections(call) => self.work(myself, call),
            ConnectionsCall::Disconnect(call) => self.admit(myself, call),
        }
    }

    pub(in crate::tenant) fn admit<C: Admission>(
        &mut self,
        myself: &ActorRef<TenantMessage>,
        call: Incoming<C>,
    ) {
        self.lane.push(myself, admit(self.scope.clone(), call));
    }

    /// An order for a container of this tenant goes to its host.
    pub(super) fn order(&mut self, at: At, what: What) {
        let (scope, epoch) = (self.scope.clone(), self.scope.ownership.epoch);
        self.orders += 1;
        let turn = Turn { epoch, count: self.orders };
        let order = Order { container: at.container, scope, turn, what };
        if at.host == self.scope.env.node {
            self.scope.env.to_root(NodeMessage::ToHost(HostMessage::Order(Box::new(order))));
        } else {
            remote::send(at.host, order);
        }
    }

    /// A host found a container at its engine: is it known here?
    pub(super) fn adopt(&mut self, myself: &ActorRef<TenantMessage>, adopt: Adopt) {
        let scope = self.scope.clone();
        self.lane.push(myself, async move {
            match work::run_system(&scope, timers::Known(adopt.host, adopt.container)).await {
                Ok((known, effects)) => {
                    adopt.reply.send(Ok(known));
                    Outcome { effects, ..Outcome::default() }
                }
                Err(error) => {
                    let terminal = error.is_terminal();
                    adopt.reply.send(Err(error));
                    Outcome { terminal, ..Outcome::default() }
                }
            }
        });
    }

    /// A fresh activation: containers that were not at rest are looked at.
    pub(super) fn look_at_containers(&mut self, myself: &ActorRef<TenantMessage>) {
        self.background(myself, timers::LookAtAll { elsewhere: false });
    }

    /// The policy is another: hosts elsewhere read it when they look. Ours was told.
    pub(super) fn tell_hosts_elsewhere(&mut self, myself: &ActorRef<TenantMessage>) {
        self.background(myself, timers::LookAtAll { elsewhere: true });
    }
}
