//! Those who wait for the end of something else than a job.

use ocmt_store::tables::ContainerState;
use ractor::ActorRef;

use super::{
    ContainerActorState, ContainerMessage,
    state::{Event, Op},
};
use crate::{
    api::container::{ContainerInfo, Wake, WakeKind, Woken},
    call::Reply,
    error::ActorError,
    host::gateway::GatewayEnd,
};

/// Somebody who waits.
pub(super) enum Waiter {
    Pause(Reply<ContainerInfo>),
    Stop(Reply<ContainerInfo>),
    Remove(Reply<()>),
    Hold(Reply<ContainerInfo>),
    Settle(Reply<ContainerInfo>),
    Report(Reply<Woken>),
    Lock(Reply<()>),
}

impl Waiter {
    fn refuse(self, error: ActorError) {
        match self {
            Self::Pause(reply) | Self::Stop(reply) | Self::Hold(reply) | Self::Settle(reply) => {
                reply.send(Err(error));
            }
            Self::Remove(reply) | Self::Lock(reply) => reply.send(Err(error)),
            Self::Report(reply) => reply.send(Err(error)),
        }
    }

    /// Whether the end of `op` is what it waits for.
    fn waits_for(&self, op: Op) -> bool {
        match self {
            Self::Pause(_) => matches!(op, Op::Pause { idle: false }),
            Self::Stop(_) => matches!(op, Op::Stop { .. }),
            Self::Hold(_) => matches!(op, Op::Stop { .. }),
            Self::Remove(_) => op == Op::Remove,
            Self::Lock(_) => matches!(op, Op::Lock | Op::Relock),
            Self::Settle(_) | Self::Report(_) => false,
        }
    }
}

impl ContainerActorState {
    pub(super) fn wait(&mut self, waiter: Waiter, event: Event) -> Event {
        self.waiters.push(waiter);
        event
    }

    pub(super) fn refuse_jobs(&mut self, error: &ActorError) {
        for job in self.jobs.drain(..) {
            job.kind.refuse(error.clone());
        }
    }

    /// Those who waited for this operation get its result.
    pub(super) fn answer_for(&mut self, op: Op, done: Op, ok: bool, error: Option<&ActorError>) {
        match op {
            Op::Wake(_) if ok => self.woken(done),
            Op::Wake(_) => {
                let error = error.cloned().unwrap_or(ActorError::OutcomeUnknown);
                self.refuse_jobs(&error);
            }
            _ => {}
        }
        let info = self.info();
        let (mine, others) =
            std::mem::take(&mut self.waiters).into_iter().partition(|waiter: &Waiter| waiter.waits_for(op));
        self.waiters = others;
        for waiter in mine {
            match (ok, error, waiter) {
                (false, error, waiter) => {
                    waiter.refuse(error.cloned().unwrap_or(ActorError::Aborted("the container")));
                }
                (
                    true,
                    _,
                    Waiter::Pause(reply) | Waiter::Stop(reply) | Waiter::Hold(reply) | Waiter::Settle(reply),
                ) => {
                    reply.send(info.clone());
                }
                // locked, and not sealed
                (true, Some(error), Waiter::Lock(reply)) => reply.send(Err(error.clone())),
                (true, _, Waiter::Remove(reply) | Waiter::Lock(reply)) => reply.send(Ok(())),
                // waits for no operation
                (true, _, waiter @ Waiter::Report(_)) => self.waiters.push(waiter),
            }
        }
        if ok && matches!(op, Op::Lock | Op::Relock) {
            self.end_relays(GatewayEnd::Locked);
        }
    }

    pub(super) fn woken(&mut self, done: Op) {
        let kind = match done {
            Op::Wake(kind) => kind,
            _ => WakeKind::Start,
        };
        let now = self.scope.env.clock.boottime();
        self.woken_at = Some(self.scope.env.now());
        // the one who waited longest; a schedule's wake has none who waits
        if let Some(since) = self.jobs.iter().map(|job| job.since).min() {
            self.scope.env.meters.woken(kind, now.saturating_sub(since));
        }
        for job in &mut self.jobs {
            job.wake = Wake { kind, time: now.saturating_sub(job.since) };
        }
    }

    /// Nothing is under way any more: those who still wait learn how it is.
    pub(super) fn settle(&mut self) {
        if !self.life.is_settled() || self.flight.is_some() {
            return;
        }
        let phase = self.life.phase;
        for waiter in std::mem::take(&mut self.waiters) {
            let info = self.info();
            let asleep = !matches!(phase, ContainerState::Running | ContainerState::Paused);
            match waiter {
                Waiter::Settle(reply) | Waiter::Hold(reply) => reply.send(info),
                Waiter::Report(reply) => {
                    reply.send(info.map(|container| Woken { container, wake: Wake::NONE }));
                }
                Waiter::Pause(reply) if phase == ContainerState::Paused => reply.send(info),
                Waiter::Pause(reply) if asleep => reply.send(Err(ActorError::precondition(
                    "CONTAINER_NOT_RUNNING",
                    "the container does not run: there is nothing to pause",
                ))),
                Waiter::Stop(reply) if asleep => reply.send(info),
                Waiter::Lock(reply) => reply.send(Ok(())),
                // a request came in between and woke it
                other => other.refuse(ActorError::Aborted("the container")),
            }
        }
    }

    pub(super) fn refuse_waiters(&mut self, error: &ActorError) {
        for waiter in std::mem::take(&mut self.waiters) {
            match waiter {
                Waiter::Remove(reply) if *error == ActorError::NotFound => reply.send(Ok(())),
                waiter => waiter.refuse(error.clone()),
            }
        }
    }

    /// Stops; the next order starts a fresh actor, which reads the truth.
    pub(super) fn leave(&mut self, myself: &ActorRef<ContainerMessage>, error: &ActorError) {
        let gone = *error == ActorError::NotFound;
        self.end_relays(if gone { GatewayEnd::Stopped } else { GatewayEnd::CellClosed });
        self.refuse_jobs(error);
        self.archives.refuse(error);
        self.refuse_waiters(error);
        myself.stop(Some("the truth is to be read anew".to_owned()));
    }
}
