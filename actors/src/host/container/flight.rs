//! The one operation in flight: how it begins, and what follows from its end.

use std::sync::{Arc, atomic::AtomicBool};

use ocmt_runtime::Exit;
use ocmt_store::tables::{ContainerState, WakeCause};
use ractor::ActorRef;
use tokio::sync::{mpsc, watch};

use super::{
    ContainerActorState, ContainerMessage, archive, cell,
    job::{self, Opened, Then},
    moved,
    opening::Opening,
    ops::{self, Ctx, Ended, How},
    relay::Relay,
    seen,
    state::{self, Event, Op},
    suspend, wake,
};
use crate::{
    api::container::{WakeKind, Woken},
    error::ActorError,
    host::{
        ending::ending,
        gateway::{Connected, FRAMES_AHEAD, Gateway, GatewayEnd, Ticket},
        message::{Job, JobKind},
    },
    ports::LockReason,
    supervisor,
};

impl ContainerActorState {
    /// The next request that somebody still waits for.
    pub(super) fn begin_job(&mut self, myself: &ActorRef<ContainerMessage>) {
        let Some(job) = self.jobs.pop_front() else { return self.nothing_to_do(myself) };
        let late = job.deadline.is_some_and(|deadline| deadline.has_passed(&*self.scope.env.clock));
        let wake = job.wake;
        match job.kind {
            kind if late => kind.refuse(ActorError::DeadlineExceeded),
            kind if kind.is_abandoned() => drop(kind),
            JobKind::Nobody => {}
            JobKind::Report(reply) | JobKind::Scheduled(reply) | JobKind::ByOther(reply) => {
                reply.send(self.info().map(|container| Woken { container, wake }));
            }
            kind => return self.begin(myself, Op::Job, Some(Job { kind, ..job })),
        }
        self.nothing_to_do(myself);
    }

    /// The operation that was begun had nothing to do.
    fn nothing_to_do(&mut self, myself: &ActorRef<ContainerMessage>) {
        let after = match &self.row {
            Some(row) => ops::after(row, true, true),
            None => return,
        };
        self.step(myself, Event::Ended(after));
    }

    pub(super) fn begin(&mut self, myself: &ActorRef<ContainerMessage>, op: Op, job: Option<Job>) {
        let called_off = Arc::new(AtomicBool::new(false));
        let ctx = Ctx {
            container: self.container,
            scope: self.scope.clone(),
            row: self.row.clone(),
            cell: self.cell.clone(),
            shared: Arc::clone(&self.shared),
            called_off: Arc::clone(&called_off),
            clocks: self.life.clocks,
            made: self.life.made,
            grace: self.grace,
            cause: self.cause(),
            reason: if op == Op::Relock && self.life.lease_ended {
                LockReason::Lease
            } else {
                self.lock_reason
            },
        };
        if matches!(op, Op::Pause { .. } | Op::Stop { .. } | Op::Relock | Op::Remove) {
            // frames wait from here on, and call an idle suspend off
            self.shared.awake.send_replace(false);
            // the operation takes in what is left
            self.collector = None;
        }
        if op == Op::Remove || self.life.held {
            // the subnet of a removed one is somebody else's as soon as the engine has let go of it
            self.shared.egress.close();
        }
        self.profile = None;
        self.shared.ending.send_replace(None);
        let archive = if op == Op::Archive { self.next_archive() } else { None };
        let myself = myself.clone();
        let task = supervisor::task(async move {
            let ended = match (op, job) {
                (Op::Job, Some(job)) => job::run(&ctx, job).await,
                (Op::Archive, _) => archive::run(&ctx, archive).await,
                (Op::Inspect | Op::Job, _) => seen::inspect(&ctx).await,
                (Op::Wake(kind), _) => wake::wake(&ctx, kind).await,
                (Op::Pause { idle }, _) => suspend::pause(&ctx, idle).await,
                (Op::Stop { idle }, _) => suspend::stop(&ctx, idle).await,
                (Op::Lock | Op::Relock, _) => suspend::lock(&ctx, op).await,
                (Op::Remove, _) => suspend::remove(&ctx).await,
            };
            let _ = myself.cast(ContainerMessage::Ended(Box::new(ended)));
        });
        self.flight = Some((op, called_off, task));
    }

    /// What a wake is for. Where the user's own client is there with an unlock, nobody else is asked for one; nor is the user
    /// where it is somebody else who wakes it.
    fn cause(&self) -> Option<WakeCause> {
        let there =
            |job: &Job| matches!(job.kind, JobKind::Key(_) | JobKind::Unlock(..) | JobKind::Extend(..));
        if self.jobs.iter().any(there) {
            return None;
        }
        self.jobs.iter().find_map(|job| match job.kind {
            JobKind::ByOther(_) => None,
            JobKind::Scheduled(_) => Some(WakeCause::Schedule),
            JobKind::Connect(..) | JobKind::Nobody => Some(WakeCause::Gateway),
            _ => Some(WakeCause::Call),
        })
    }

    pub(super) fn ended(&mut self, myself: &ActorRef<ContainerMessage>, ended: Ended) {
        let Some((op, _, _)) = self.flight.take() else { return };
        let Ended { op: done, how, row, cell, error, then } = ended;
        let lived = self.row.as_ref().is_some_and(|row| ops::is_live(row.observed));
        match how {
            How::Gone => return self.leave(myself, &ActorError::NotFound),
            How::Lost => {
                let error = error.unwrap_or(ActorError::OutcomeUnknown);
                if moved::is_moved(&error) {
                    return self.moved(myself, &error);
                }
                tracing::debug!(container = %self.container, ?op, %error, "container's actor stops: the truth is to be read anew");
                return self.leave(myself, &error);
            }
            How::Inspected(facts) => {
                self.seen(&facts);
                self.take(row, cell);
                self.shared.touch(facts.active_at);
                self.after_move(myself);
                self.step(myself, Event::Inspected(facts));
            }
            How::After(after) => {
                self.went(op, &after, error.as_ref());
                let before = self.row.as_ref().map(|row| row.version);
                self.take(row, cell);
                // whatever writes the row sets the timer too
                if self.row.as_ref().map(|row| row.version) != before {
                    self.armed = self.row.as_ref().and_then(|row| {
                        state::due_at(row.observed, row.active_at, row.unlocked_until, self.life.clocks)
                    });
                }
                self.answer_for(op, done, after.ok, error.as_ref());
                self.after_move(myself);
                self.follow(then, myself);
                self.step(myself, Event::Ended(after));
                let doubtful = error
                    .is_some_and(|error| cell::raises_doubt(&error) || error.is_refusal() && op != Op::Job);
                if doubtful {
                    self.step(myself, Event::Doubt);
                }
            }
        }
        if lived && !self.row.as_ref().is_some_and(|row| ops::is_live(row.observed)) {
            self.look_for_due(myself);
        }
        // a frame that came while it was being frozen would wait for the next one
        if self.life.phase == ContainerState::Paused
            && self.life.op.is_none()
            && self.row.as_ref().is_some_and(|row| self.shared.active_at() > row.active_at)
            && !self.relays.is_empty()
        {
            self.frame(myself);
        }
    }

    /// What does not live may be left alone for now.
    pub(super) fn may_start(&self) -> Result<(), ActorError> {
        if matches!(self.life.phase, ContainerState::Running | ContainerState::Paused) {
            return Ok(());
        }
        self.backoff.check(self.scope.env.clock.boottime())
    }

    /// How a start went, or that it was put to rest.
    fn went(&mut self, op: Op, after: &state::After, error: Option<&ActorError>) {
        let now = self.scope.env.clock.boottime();
        // what was refused was not tried, and an engine that is away says nothing of the container
        let own = |error: &ActorError| !error.is_refusal() && error.reason() != "ENGINE_DOWN";
        match op {
            Op::Wake(WakeKind::Start | WakeKind::Create) if after.ok => self.backoff.started(now),
            Op::Wake(_) if !after.ok && error.is_some_and(own) => self.backoff.ended(now),
            Op::Stop { .. } | Op::Remove => self.backoff.rested(now),
            _ => {}
        }
    }

    pub(super) fn doubt(&mut self, myself: &ActorRef<ContainerMessage>, exit: Option<Exit>) {
        if let Some(exit) = exit {
            if exit.oom && exit.code.is_none() && !self.starves() {
                return;
            }
            tracing::debug!(container = %self.container, code = exit.code, oom = exit.oom, "engine says that it ended");
        }
        self.step(myself, Event::Doubt);
    }

    /// The engine says that what lived does not.
    fn seen(&mut self, facts: &state::Facts) {
        let lived = self.row.as_ref().is_some_and(|row| ops::is_live(row.observed));
        if lived && facts.after.phase == ContainerState::Failed {
            self.backoff.ended(self.scope.env.clock.boottime());
        }
    }

    /// Frames pass while it runs; what does not live has no connections.
    fn after_move(&mut self, myself: &ActorRef<ContainerMessage>) {
        let phase = self.row.as_ref().map(|row| row.observed);
        self.shared.awake.send_replace(phase == Some(ContainerState::Running));
        self.listen(myself);
        if !phase.is_some_and(ops::is_live) {
            self.end_relays(GatewayEnd::Stopped);
            self.shared.egress.close();
        } else if let Some(cell) = self.cell.as_ref().filter(|_| !self.life.held) {
            self.shared.egress.open(&self.scope, self.container, cell.target.address, Some(myself));
        }
    }

    pub(super) fn end_relays(&mut self, end: GatewayEnd) {
        self.relays_over.send_replace(Some(end));
        self.relays_over = watch::Sender::new(None);
    }

    fn follow(&mut self, then: Then, myself: &ActorRef<ContainerMessage>) {
        let Then::Relay(opened) = then else { return };
        let Opened { channel, way, ticket, reply, wake } = *opened;
        let Ticket { tie, token } = *ticket;
        let (to_cell, from_client) = mpsc::channel(FRAMES_AHEAD);
        let (to_client, from_cell) = mpsc::channel(FRAMES_AHEAD);
        let (ended, end) = ending();
        let id = self.next_relay;
        self.next_relay += 1;
        let relay = Relay {
            id,
            tie,
            way,
            from_client,
            to_client,
            shared: Arc::clone(&self.shared),
            clock: Arc::clone(&self.scope.env.clock),
            actor: myself.clone(),
            over: self.relays_over.subscribe(),
            ended,
        };
        let gateway = Gateway { wake, to_cell, from_cell, ended: end };
        let task = match (channel, self.cell.clone()) {
            (Some(channel), _) => {
                reply.send(Ok(Connected(gateway)));
                supervisor::task(relay.run(channel))
            }
            (None, Some(cell)) => {
                let (env, shared) = (Arc::clone(&self.scope.env), Arc::clone(&self.shared));
                let over = self.relays_over.subscribe();
                let opening = Opening { env, cell, shared, token, actor: myself.clone(), over, reply };
                supervisor::task(opening.run(relay, gateway))
            }
            (None, None) => {
                return reply
                    .send(Err(ActorError::unavailable("CELL_UNREACHABLE", "the cell is gone; repeat")));
            }
        };
        self.relays.insert(id, task);
    }
}
