//! One container of this machine: its life, its wake queue, its cell, its idle clock.
//!
//! Supervised by the `HostSupervisor`, started by the first order for it, a look of a timer or an adoption. Durable: the container's
//! row (what is wanted, what was seen and, wrapped, the start secret of the running cell); a fresh actor begins with a look at row and
//! engine. It outlives activations of its tenant, which another node may own: each order brings the ownership under which what follows
//! is written, the newest counts, and a write that the fence refuses makes it wait for the owner of today ([`moved`]).

mod agent;
mod archive;
mod backoff;
mod cell;
mod errand;
mod event;
mod explain;
mod flight;
pub(in crate::host) mod health;
mod inbox;
mod job;
mod moved;
mod opening;
mod ops;
mod profile;
mod relay;
pub(crate) mod row;
mod sealing;
mod seen;
mod shared;
mod state;
mod suspend;
mod waiters;
mod wake;

pub(crate) use agent::check_sandbox;
pub(crate) use cell::rewrapped;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ocmt_runtime::Exit;
use ocmt_store::tables::Container;
use ocmt_types::{ContainerId, Epoch, TenantId, Timestamp};
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::watch;

use self::{
    backoff::Backoff,
    cell::Cell,
    health::Health,
    ops::Ended,
    shared::Shared,
    state::{Do, Event, Goal, Life, Op},
    waiters::Waiter,
};
use super::{
    gateway::GatewayEnd,
    message::{Job, JobKind, Order, Turn, What},
    owner::tell,
    wire::is_barrier,
};
use crate::{
    api::container::{ContainerInfo, Wake},
    env::Scope,
    error::ActorError,
    policy::TenantPolicy,
    ports::LockReason,
    supervisor::{self, Task},
    tenant::container::info,
};

pub(crate) use moved::is_moved;
pub(crate) use ops::{for_callers, from_engine};
pub(crate) use sealing::unsealed;
pub(crate) use wake::image;

/// Activity is written down this often while there is some.
const FLUSH_EVERY: Duration = Duration::from_secs(60);

/// What a container's actor is told.
pub(crate) enum ContainerMessage {
    /// Something its tenant admitted.
    Order(Box<Order>),
    /// The operation in flight has ended.
    Ended(Box<Ended>),
    /// A client sent a frame, and the container sleeps.
    Frame,
    /// A connection is over.
    RelayEnded(u64),
    /// The engine said that it ended, or may have.
    Doubt(Option<Exit>),
    /// Other clocks apply.
    Policy(TenantId, TenantPolicy),
    /// The idle clock may be due.
    Alarm,
    /// Nobody owns the tenant who knows us, for too long.
    Unowned,
    /// What the cell sealed could not be stored: this ownership is over.
    Moved(Epoch, ActorError),
    /// Look whether it is still as it was made.
    HoldToProfile,
    /// What was found, and is written down; none if all is well again.
    Drifted(Option<String>),
}

/// What a fresh actor begins with.
pub(crate) struct ContainerStart {
    pub(crate) container: ContainerId,
    pub(crate) scope: Scope,
}

/// The actor; what it holds is in [`ContainerActorState`].
pub(crate) struct ContainerActor;

pub(crate) struct ContainerActorState {
    container: ContainerId,
    scope: Scope,
    life: Life,
    row: Option<Container>,
    cell: Option<Arc<Cell>>,
    shared: Arc<Shared>,
    /// Requests that need it running, oldest first.
    jobs: VecDeque<Job>,
    waiters: Vec<Waiter>,
    /// The operation in flight; dropping it cuts it off.
    flight: Option<(Op, Arc<AtomicBool>, Task)>,
    grace: Duration,
    lock_reason: LockReason,
    relays: HashMap<u64, Task>,
    next_relay: u64,
    relays_over: watch::Sender<Option<GatewayEnd>>,
    /// The timer row stands at this.
    armed: Option<Timestamp>,
    woken_at: Option<Timestamp>,
    flush: Option<Task>,
    /// How its last starts went.
    backoff: Backoff,
    /// Looks at the idle clock without the owner's word for it.
    alarm: Option<Task>,
    /// The last order that nothing ordered before it may follow.
    barrier: Option<Turn>,
    /// The ownership is not the current one: its owner is being asked.
    moved: Option<Task>,
    /// Takes in what its cell seals to the user's vault.
    collector: Option<inbox::Collector>,
    /// Holds it against the profile.
    profile: Option<Task>,
    /// What was found there last.
    drifted: Option<String>,
    /// What is known of its health, and the look at it.
    health: Arc<Health>,
    looking: Option<Task>,
    /// When want of memory was last written down, since the machine began.
    starved_at: Option<Duration>,
    /// Cells that run nothing: those asked for, and the way to the one that waits for its key.
    archives: archive::Archives,
}

impl Actor for ContainerActor {
    type Msg = ContainerMessage;
    type State = ContainerActorState;
    type Arguments = ContainerStart;

    async fn pre_start(
        &self,
        myself: ActorRef<ContainerMessage>,
        start: ContainerStart,
    ) -> Result<ContainerActorState, ActorProcessingErr> {
        let (life, first) = Life::unknown();
        let mut state = ContainerActorState {
            container: start.container,
            scope: start.scope,
            life,
            row: None,
            cell: None,
            shared: Arc::default(),
            jobs: VecDeque::new(),
            waiters: Vec::new(),
            flight: None,
            grace: Duration::ZERO,
            lock_reason: LockReason::Lease,
            relays: HashMap::new(),
            next_relay: 0,
            relays_over: watch::Sender::new(None),
            armed: None,
            woken_at: None,
            flush: None,
            alarm: None,
            barrier: None,
            backoff: Backoff::default(),
            moved: None,
            collector: None,
            profile: None,
            drifted: None,
            health: Arc::default(),
            looking: None,
            starved_at: None,
            archives: archive::Archives::default(),
        };
        state.carry_out(&myself, vec![first]);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<ContainerMessage>,
        message: ContainerMessage,
        state: &mut ContainerActorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ContainerMessage::Order(order) => state.order(&myself, *order),
            ContainerMessage::Ended(ended) => state.ended(&myself, *ended),
            ContainerMessage::Frame => state.frame(&myself),
            ContainerMessage::RelayEnded(relay) => drop(state.relays.remove(&relay)),
            ContainerMessage::Doubt(exit) => state.doubt(&myself, exit),
            ContainerMessage::Policy(tenant, policy) => state.policy(&myself, tenant, &policy),
            ContainerMessage::Alarm => state.step(&myself, Event::Look),
            ContainerMessage::Unowned => state.unowned(&myself),
            ContainerMessage::HoldToProfile => {
                state.hold_to_profile(&myself);
                state.look_after();
            }
            ContainerMessage::Drifted(why) => state.drifted(&myself, why),
            ContainerMessage::Moved(epoch, error) if epoch == state.scope.ownership.epoch => {
                state.moved(&myself, &error);
            }
            ContainerMessage::Moved(..) => {}
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ContainerMessage>,
        _: SupervisionEvent,
        _: &mut ContainerActorState,
    ) -> Result<(), ActorProcessingErr> {
        // it has no children
        Ok(())
    }
}

impl ContainerActorState {
    fn order(&mut self, myself: &ActorRef<ContainerMessage>, order: Order) {
        if let Err(error) = self.take_ownership(myself, &order) {
            return order.what.refuse(error);
        }
        let event = match order.what {
            What::Job(job) => {
                if let Err(error) = self.may_start() {
                    return job.kind.refuse(error);
                }
                self.shared.touch(self.scope.env.now());
                self.jobs.push_back(job);
                Event::JobQueued
            }
            What::Pause(reply) => self.wait(Waiter::Pause(reply), Event::Want(Goal::Pause)),
            What::Stop(grace, reply) => {
                self.grace = grace;
                self.wait(Waiter::Stop(reply), Event::Want(Goal::Stop))
            }
            What::Remove(reply) => self.wait(Waiter::Remove(reply), Event::Want(Goal::Remove)),
            What::Hold(reply) => {
                self.step(myself, Event::Hold);
                self.wait(Waiter::Hold(reply), Event::Doubt)
            }
            What::Release(reply) => {
                self.drifted = None;
                self.step(myself, Event::Release);
                // the row was changed by the admission
                self.wait(Waiter::Settle(reply), Event::Doubt)
            }
            What::Report(reply) => self.wait(Waiter::Report(reply), Event::Doubt),
            What::Settle(reply) => self.wait(Waiter::Settle(reply), Event::Doubt),
            What::Lock(reason, reply) => {
                self.lock_reason = reason;
                reply.map_or(Event::Lock, |reply| self.wait(Waiter::Lock(reply), Event::Lock))
            }
            What::ArchiveKey(errand, reply) => return self.ask_for_cell(myself, errand, reply),
            What::Archive(order, reply) => return self.hand_over(myself, (order, reply)),
            What::SnapshotDue => return self.look_for_due(myself),
            What::Explain(reply) => return self.explain(reply),
            What::Look => {
                // the row of the timer was taken
                self.armed = None;
                Event::Look
            }
            What::Doubt => Event::Doubt,
        };
        self.step(myself, event);
    }

    fn frame(&mut self, myself: &ActorRef<ContainerMessage>) {
        if self.moved.is_some() {
            return;
        }
        if *self.shared.awake.borrow() || self.jobs.iter().any(|job| matches!(job.kind, JobKind::Nobody)) {
            return;
        }
        self.queue_for_nobody(myself);
    }

    fn queue_for_nobody(&mut self, myself: &ActorRef<ContainerMessage>) {
        let env = &self.scope.env;
        let since = env.clock.boottime();
        self.jobs.push_back(Job { kind: JobKind::Nobody, deadline: None, since, wake: Wake::NONE });
        self.step(myself, Event::JobQueued);
    }

    fn policy(&mut self, myself: &ActorRef<ContainerMessage>, tenant: TenantId, policy: &TenantPolicy) {
        if tenant != self.scope.ownership.tenant {
            return;
        }
        if let Some(clocks) = self.row.as_ref().and_then(|row| row::clocks_of(row, policy).ok()) {
            self.step(myself, Event::Clocks(clocks));
        }
        self.look_at_policy();
    }

    /// One step of the pure state, and what follows from it.
    fn step(&mut self, myself: &ActorRef<ContainerMessage>, event: Event) {
        if self.moved.is_some() {
            // the look that the next ownership begins with sees it all
            return;
        }
        let now = self.scope.env.now();
        self.life.active_at = self.life.active_at.max(self.shared.active_at());
        let what = self.life.step(event, now);
        self.carry_out(myself, what);
        self.settle();
        self.arm(myself);
    }

    fn carry_out(&mut self, myself: &ActorRef<ContainerMessage>, what: Vec<Do>) {
        for what in what {
            match what {
                Do::Begin(Op::Job) => self.begin_job(myself),
                Do::Begin(op) => self.begin(myself, op, None),
                Do::CallOff => {
                    if let Some((_, called_off, _)) = &self.flight {
                        called_off.store(true, Ordering::SeqCst);
                    }
                }
                Do::Resume => self.queue_for_nobody(myself),
                Do::RefuseJobs => self.refuse_jobs(&ActorError::precondition(
                    "CONTAINER_HELD",
                    "the container is held: it must be released first",
                )),
                Do::RefuseArchives => self.archives.refuse(&ActorError::precondition(
                    "CONTAINER_RUNNING",
                    "snapshots are of a container that does not run and is not held: stop it first",
                )),
                // answered with the error of the wake, in `ended`
                Do::FailJobs => {}
            }
        }
    }

    fn take(&mut self, row: Option<Container>, cell: Option<Arc<Cell>>) {
        if let Some(row) = row {
            let until = row.unlocked_until.map_or(i64::MAX, |until| until.0);
            self.shared.unlocked_until.store(until, Ordering::SeqCst);
            self.row = Some(row);
        }
        self.cell = cell;
    }

    fn info(&self) -> Result<ContainerInfo, ActorError> {
        let row = self.row.as_ref().ok_or(ActorError::NotFound)?;
        let mut info = info(&self.scope.env, row)?;
        info.active_at = info.active_at.max(self.shared.active_at());
        Ok(info)
    }

    /// Sees to it that the timer row stands at the next time of the idle clock, and that activity is
    /// written down now and then.
    fn arm(&mut self, myself: &ActorRef<ContainerMessage>) {
        let (Some(row), true) = (&self.row, self.life.op.is_none()) else { return };
        let due = self.life.next_due();
        self.alarm = due.map(|due| self.alarm_at(myself, due));
        let lags = self.shared.active_at() > row.active_at + FLUSH_EVERY;
        if due.is_none() || (self.armed.is_some() && self.armed <= due && !lags) {
            return;
        }
        self.armed = due;
        let rearm = row::Rearm { container: self.container, active_at: self.shared.active_at(), due };
        let scope = self.scope.clone();
        self.flush = Some(supervisor::task(async move {
            match crate::work::run_system(&scope, rearm).await {
                Ok(((), effects)) => tell(&scope, effects),
                // the row of the timer still stands at a time of before, and is looked at then
                Err(error) => tracing::debug!(%error, "timer of a container was not set"),
            }
        }));
    }
}
