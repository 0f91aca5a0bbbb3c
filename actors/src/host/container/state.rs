//! The life of one container. Pure: events and the time come in, what to do comes out.
//!
//! Whatever happens, at most one operation is in flight ([`Life::op`]); everything else waits until it has
//! ended and is then weighed anew by [`Life::next`]: quarantine first, then removal, locks, requests that
//! need the container running, what its user asked for, and last the idle clock. An operation says itself
//! how it left the container, since only whoever called the engine can know.

use std::time::Duration;

use ocmt_store::tables::{ContainerState, DesiredState};
use ocmt_types::Timestamp;

pub(super) use super::event::{After, Clocks, Do, Event, Facts, Goal, Op};
use crate::api::container::WakeKind;

/// After a failure the idle clock rests for so long.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// One container.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub(super) phase: ContainerState,
    pub(super) op: Option<Op>,
    pub(super) held: bool,
    pub(super) goal: Goal,
    pub(super) active_at: Timestamp,
    pub(super) unlocked_until: Option<Timestamp>,
    pub(super) clocks: Clocks,
    pub(super) made: bool,
    /// The lock in flight is for the end of the lease.
    pub(super) lease_ended: bool,
    lock: bool,
    doubt: bool,
    jobs: usize,
    archives: usize,
    archive_works: bool,
    called_off: bool,
    not_before: Timestamp,
}

impl Life {
    /// Nothing is known yet: the first thing to do is [`Op::Inspect`].
    pub(super) fn unknown() -> (Self, Do) {
        let life = Self {
            phase: ContainerState::Absent,
            op: Some(Op::Inspect),
            held: false,
            goal: Goal::Rest,
            active_at: Timestamp(0),
            unlocked_until: None,
            clocks: Clocks { pause_after: Duration::MAX, stop_after: Duration::MAX },
            made: false,
            lease_ended: false,
            lock: false,
            doubt: false,
            jobs: 0,
            archives: 0,
            archive_works: false,
            called_off: false,
            not_before: Timestamp(0),
        };
        (life, Do::Begin(Op::Inspect))
    }

    /// Nothing is in flight and nothing is asked for.
    pub(super) fn is_settled(&self) -> bool {
        self.op.is_none()
            && self.jobs == 0
            && self.archives == 0
            && self.goal == Goal::Rest
            && !self.lock
            && !self.doubt
    }

    /// The snapshot in flight waits for no payload.
    pub(super) fn archive_begins(&mut self) {
        self.archive_works = self.op == Some(Op::Archive);
    }

    /// One step.
    pub(super) fn step(&mut self, event: Event, now: Timestamp) -> Vec<Do> {
        let mut out = Vec::new();
        match event {
            Event::JobQueued => {
                self.jobs += 1;
                if matches!(self.goal, Goal::Pause | Goal::Stop) {
                    self.goal = Goal::Rest;
                }
            }
            Event::ArchiveQueued => self.archives += 1,
            Event::ArchiveWorks => self.archive_begins(),
            Event::Want(goal) => self.goal = goal,
            Event::Lock => self.lock = true,
            Event::Hold => self.held = true,
            Event::Release => self.release(),
            Event::Doubt => self.doubt = true,
            Event::Look => {}
            Event::Clocks(clocks) => self.clocks = clocks,
            Event::Ended(after) => out.extend(self.ended(after, now)),
            Event::Inspected(facts) => out.extend(self.inspected(facts)),
        }
        if self.held && self.jobs > 0 {
            self.jobs = 0;
            out.push(Do::RefuseJobs);
        }
        if self.archives > 0 && self.op.is_none() && self.goal != Goal::Stop && (self.held || self.is_live())
        {
            self.archives = 0;
            out.push(Do::RefuseArchives);
        }
        out.extend(self.next(now));
        out
    }

    fn release(&mut self) {
        self.held = false;
        if self.phase == ContainerState::Held {
            self.phase = ContainerState::Stopped;
        }
    }

    fn ended(&mut self, after: After, now: Timestamp) -> Option<Do> {
        let op = self.op.take()?;
        self.called_off = false;
        self.take_after(after);
        match op {
            Op::Job => self.jobs = self.jobs.saturating_sub(1),
            Op::Archive => {
                self.archives = self.archives.saturating_sub(1);
                self.archive_works = false;
            }
            // a failed lock is told to whoever asked; its timer asks again
            Op::Lock | Op::Relock => self.lock = false,
            Op::Pause { idle: false } if self.goal == Goal::Pause => self.goal = Goal::Rest,
            Op::Stop { idle } => {
                self.lock &= !after.ok;
                if !idle && self.goal == Goal::Stop {
                    self.goal = Goal::Rest;
                }
            }
            Op::Remove if !after.ok => self.goal = Goal::Rest,
            Op::Inspect | Op::Wake(_) | Op::Pause { .. } | Op::Remove => {}
        }
        if after.ok || op == Op::Job {
            return None;
        }
        self.not_before = now + AGAIN_AFTER;
        if matches!(op, Op::Wake(_)) && self.jobs > 0 {
            self.jobs = 0;
            return Some(Do::FailJobs);
        }
        None
    }

    fn inspected(&mut self, facts: Facts) -> Option<Do> {
        self.op = None;
        self.doubt = false;
        self.called_off = false;
        self.clocks = facts.clocks;
        self.active_at = self.active_at.max(facts.active_at);
        self.take_after(facts.after);
        if facts.desired == DesiredState::Held {
            self.held = true;
            return None;
        }
        // nobody removes what is held, but a tenant that ends takes it along
        self.held &= facts.desired != DesiredState::Absent;
        if self.goal != Goal::Rest || self.jobs > 0 {
            return None;
        }
        match facts.desired {
            DesiredState::Absent => self.goal = Goal::Remove,
            // nobody can speak with this cell any more: its next start has a fresh secret
            _ if self.is_live() && !facts.reachable => self.goal = Goal::Stop,
            DesiredState::Stopped if self.is_live() => self.goal = Goal::Stop,
            DesiredState::Paused if self.phase == ContainerState::Running => self.goal = Goal::Pause,
            // a wake was cut off; what died while it ran is left alone until somebody asks
            DesiredState::Running
                if !self.is_live()
                    && matches!(facts.recorded, ContainerState::Creating | ContainerState::Waking) =>
            {
                return Some(Do::Resume);
            }
            DesiredState::Running
                if self.phase == ContainerState::Paused && facts.recorded == ContainerState::Waking =>
            {
                return Some(Do::Resume);
            }
            _ => {}
        }
        None
    }

    fn take_after(&mut self, after: After) {
        self.phase = after.phase;
        self.made = after.made;
        self.unlocked_until = if self.is_live() { after.unlocked_until } else { None };
    }

    fn is_live(&self) -> bool {
        matches!(self.phase, ContainerState::Running | ContainerState::Paused)
    }

    /// What is most urgent, if nothing is in flight.
    fn next(&mut self, now: Timestamp) -> Option<Do> {
        if let Some(op) = self.op {
            return self.call_off(op);
        }
        let op = self.urgent(now).or_else(|| self.asked()).or_else(|| self.due(now))?;
        self.lease_ended = op == Op::Relock && !self.lock;
        self.op = Some(op);
        Some(Do::Begin(op))
    }

    /// A request calls an idle suspend off, and a snapshot that waits for its key; quarantine and removal call a wake
    /// off, and any snapshot.
    fn call_off(&mut self, op: Op) -> Option<Do> {
        let waits = op == Op::Archive && !self.archive_works;
        let gives_way = op.is_idle_suspend() || waits;
        // whoever asks for another cell has lost the one before, or has another wish by now
        let another = waits && (self.archives > 1 || self.goal != Goal::Rest);
        let wanted = another || self.jobs > 0 && gives_way && !self.held && self.goal == Goal::Rest;
        let ends = matches!(op, Op::Wake(_) | Op::Archive);
        let unwanted = ends && (self.held || self.goal == Goal::Remove);
        if self.called_off || !(wanted || unwanted) {
            return None;
        }
        self.called_off = true;
        Some(Do::CallOff)
    }

    fn urgent(&mut self, now: Timestamp) -> Option<Op> {
        if self.doubt {
            return Some(Op::Inspect);
        }
        if self.held {
            self.goal = Goal::Rest;
            self.lock = false;
            if self.is_live() {
                return (now >= self.not_before).then_some(Op::Stop { idle: false });
            }
            self.phase = ContainerState::Held;
            return None;
        }
        if self.goal == Goal::Remove {
            return Some(Op::Remove);
        }
        if self.lock {
            match self.phase {
                ContainerState::Running => return Some(Op::Lock),
                ContainerState::Paused => return Some(Op::Relock),
                // what does not run holds nothing
                _ => self.lock = false,
            }
        }
        None
    }

    fn asked(&mut self) -> Option<Op> {
        if self.held {
            return None;
        }
        if self.jobs > 0 {
            return Some(match self.phase {
                ContainerState::Running => Op::Job,
                ContainerState::Paused => Op::Wake(WakeKind::Unpause),
                _ if self.made => Op::Wake(WakeKind::Start),
                _ => Op::Wake(WakeKind::Create),
            });
        }
        if self.archives > 0 && !self.is_live() {
            return Some(Op::Archive);
        }
        match (self.goal, self.phase) {
            (Goal::Pause, ContainerState::Running) => Some(Op::Pause { idle: false }),
            (Goal::Stop, ContainerState::Running | ContainerState::Paused) => Some(Op::Stop { idle: false }),
            _ => {
                self.goal = Goal::Rest;
                None
            }
        }
    }

    /// What the clock asks for.
    fn due(&self, now: Timestamp) -> Option<Op> {
        if self.held || now < self.not_before {
            return None;
        }
        let idle = now.since(self.active_at);
        match self.phase {
            ContainerState::Paused if self.unlocked_until.is_some_and(|until| until <= now) => {
                Some(Op::Relock)
            }
            ContainerState::Running | ContainerState::Paused if idle >= self.clocks.stop_after => {
                Some(Op::Stop { idle: true })
            }
            ContainerState::Running if idle >= self.clocks.pause_after => Some(Op::Pause { idle: true }),
            _ => None,
        }
    }

    /// When the clock asks next; none for what sleeps for good.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        if self.held {
            return self.is_live().then_some(self.not_before);
        }
        let due = due_at(self.phase, self.active_at, self.unlocked_until, self.clocks)?;
        Some(due.max(self.not_before))
    }
}

/// When the clock asks for something next, of a container at rest in `phase`.
pub(super) fn due_at(
    phase: ContainerState,
    active_at: Timestamp,
    unlocked_until: Option<Timestamp>,
    clocks: Clocks,
) -> Option<Timestamp> {
    match phase {
        ContainerState::Running => Some(active_at + clocks.pause_after.min(clocks.stop_after)),
        ContainerState::Paused => {
            let stop = active_at + clocks.stop_after;
            Some(unlocked_until.map_or(stop, |until| stop.min(until)))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
