//! The life of a container under any order of events, and its rules one by one. Compiled for tests alone, by
//! the `#[cfg(test)]` at the module.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ocmt_store::tables::{ContainerState as Phase, DesiredState as Desired};
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::*;

const NOW: Timestamp = Timestamp(1_000_000_000);
const CLOCKS: Clocks = Clocks { pause_after: Duration::from_secs(60), stop_after: Duration::from_secs(600) };

fn after(phase: Phase, made: bool) -> After {
    After { phase, made, unlocked_until: None, ok: true }
}

fn facts(phase: Phase, desired: Desired, recorded: Phase) -> Facts {
    let made = !matches!(phase, Phase::Absent);
    Facts { after: after(phase, made), desired, recorded, active_at: NOW, clocks: CLOCKS, reachable: true }
}

/// A container of which this is known.
fn life(phase: Phase) -> Life {
    let (mut life, _) = Life::unknown();
    let desired = match phase {
        Phase::Running => Desired::Running,
        Phase::Paused => Desired::Paused,
        _ => Desired::Stopped,
    };
    let out = life.step(Event::Inspected(facts(phase, desired, phase)), NOW);
    assert_eq!(out, [], "at rest");
    life
}

/// What the engine could leave behind after `op`.
fn outcome(op: Op, before: Phase, rng: &mut StdRng) -> After {
    let ok = rng.random_bool(0.7);
    let (phase, made) = match (op, ok) {
        (Op::Wake(_), true) => (Phase::Running, true),
        (Op::Wake(_), false) => (*[Phase::Failed, Phase::Paused].choose(rng).unwrap(), rng.random()),
        // or called off
        (Op::Pause { .. }, true) => (*[Phase::Paused, Phase::Running].choose(rng).unwrap(), true),
        (Op::Stop { .. } | Op::Remove, true) => (Phase::Stopped, true),
        (Op::Lock, true) => (Phase::Running, true),
        (Op::Relock, true) => (Phase::Paused, true),
        (Op::Job | Op::Inspect, _) => (before, true),
        (Op::Archive, _) => return After { unlocked_until: None, ..after(before, rng.random()) },
        (_, false) => (*[Phase::Running, Phase::Paused, Phase::Failed].choose(rng).unwrap(), true),
    };
    After { phase, made, unlocked_until: rng.random_bool(0.3).then_some(NOW + Duration::from_secs(30)), ok }
}

/// A container's life under random events, and what must hold after each.
struct Story {
    seed: u64,
    rng: StdRng,
    life: Life,
    flight: Option<Op>,
    now: Timestamp,
    held: bool,
}

impl Story {
    fn begin(seed: u64) -> Self {
        let (life, _) = Life::unknown();
        Self {
            seed,
            rng: StdRng::seed_from_u64(seed),
            life,
            flight: Some(Op::Inspect),
            now: NOW,
            held: false,
        }
    }

    fn next_event(&mut self) -> Event {
        self.now = self.now + Duration::from_millis(u64::from(self.rng.next_u32() % 40_000));
        match (self.rng.random_range(0..16), self.flight) {
            (0..5, Some(Op::Inspect)) => {
                self.flight = None;
                self.inspected()
            }
            (0..5, Some(op)) => {
                self.flight = None;
                Event::Ended(outcome(op, self.life.phase, &mut self.rng))
            }
            (5 | 6, _) => Event::JobQueued,
            (7, _) => Event::Want(*[Goal::Pause, Goal::Stop, Goal::Remove].choose(&mut self.rng).unwrap()),
            (8, _) => Event::Lock,
            (9, _) => {
                self.held = true;
                Event::Hold
            }
            (10, _) => {
                self.held = false;
                Event::Release
            }
            (11, _) => Event::Doubt,
            (12, _) => Event::ArchiveQueued,
            (13, _) => Event::ArchiveWorks,
            _ => Event::Look,
        }
    }

    fn inspected(&mut self) -> Event {
        let rng = &mut self.rng;
        let phases = [Phase::Running, Phase::Paused, Phase::Stopped, Phase::Failed, Phase::Absent];
        let desired = if self.held {
            Desired::Held
        } else {
            *[Desired::Running, Desired::Paused, Desired::Stopped].choose(rng).unwrap()
        };
        let recorded = *[Phase::Waking, Phase::Running, Phase::Pausing].choose(rng).unwrap();
        Event::Inspected(facts(*phases.choose(rng).unwrap(), desired, recorded))
    }

    /// One event, and everything that must hold of what follows from it.
    fn step(&mut self, event: Event) {
        let seed = self.seed;
        for what in self.life.step(event, self.now) {
            match what {
                Do::Begin(op) => {
                    assert_eq!(self.flight, None, "seed {seed}: {op:?} begins beside another operation");
                    let lives = matches!(self.life.phase, Phase::Running | Phase::Paused);
                    assert!(op != Op::Archive || !lives, "seed {seed}: a snapshot of what runs");
                    let lawful = !self.held || matches!(op, Op::Inspect | Op::Stop { .. });
                    assert!(lawful, "seed {seed}: {op:?} of a held container");
                    self.flight = Some(op);
                }
                Do::CallOff => assert!(self.flight.is_some(), "seed {seed}: nothing to call off"),
                Do::Resume => assert!(!self.held, "seed {seed}: a held container goes on"),
                Do::RefuseJobs => assert!(self.held, "seed {seed}: refused without a hold"),
                Do::RefuseArchives => {
                    let lives = matches!(self.life.phase, Phase::Running | Phase::Paused);
                    assert!(self.held || lives, "seed {seed}: no snapshot of what rests");
                }
                Do::FailJobs => {}
            }
        }
        assert_eq!(self.life.op, self.flight, "seed {seed}");
        let waits =
            self.life.jobs > 0 || self.life.archives > 0 || self.life.goal != Goal::Rest || self.life.doubt;
        let done = self.flight.is_some() || self.held || !waits;
        assert!(done, "seed {seed}: something is asked for and nothing is done");
    }

    /// Left alone, a held container comes to rest.
    fn rest(&mut self) {
        for _ in 0..20 {
            self.now = self.now + Duration::from_secs(31);
            let event = match self.flight.take() {
                Some(Op::Inspect) => Event::Inspected(facts(Phase::Running, Desired::Held, Phase::Running)),
                Some(_) => Event::Ended(after(Phase::Stopped, true)),
                None => Event::Look,
            };
            for what in self.life.step(event, self.now) {
                if let Do::Begin(op) = what {
                    self.flight = Some(op);
                }
            }
        }
        assert_eq!((self.life.phase, self.flight), (Phase::Held, None), "seed {}", self.seed);
    }
}

#[test]
fn whatever_happens_there_is_one_operation_at_a_time_and_nothing_wakes_what_is_held() {
    for seed in 0..3_000 {
        let mut story = Story::begin(seed);
        for _ in 0..80 {
            let event = story.next_event();
            story.step(event);
        }
        if story.held {
            story.rest();
        }
    }
}

#[test]
fn a_request_wakes_in_the_way_that_is_needed() {
    for (phase, kind) in [
        (Phase::Paused, WakeKind::Unpause),
        (Phase::Stopped, WakeKind::Start),
        (Phase::Failed, WakeKind::Start),
        (Phase::Absent, WakeKind::Create),
    ] {
        assert_eq!(life(phase).step(Event::JobQueued, NOW), [Do::Begin(Op::Wake(kind))]);
    }
    assert_eq!(life(Phase::Running).step(Event::JobQueued, NOW), [Do::Begin(Op::Job)]);
}

#[test]
fn a_request_calls_an_idle_suspend_off_once_and_no_suspend_that_was_asked_for() {
    let mut idle = life(Phase::Running);
    let later = NOW + CLOCKS.pause_after;
    assert_eq!(idle.step(Event::Look, later), [Do::Begin(Op::Pause { idle: true })]);
    assert_eq!(idle.step(Event::JobQueued, later), [Do::CallOff]);
    assert_eq!(idle.step(Event::JobQueued, later), []);
    idle.active_at = later;
    assert_eq!(idle.step(Event::Ended(after(Phase::Running, true)), later), [Do::Begin(Op::Job)]);

    let mut asked = life(Phase::Running);
    assert_eq!(asked.step(Event::Want(Goal::Pause), NOW), [Do::Begin(Op::Pause { idle: false })]);
    assert_eq!(asked.step(Event::JobQueued, NOW), []);
    assert_eq!(
        asked.step(Event::Ended(after(Phase::Paused, true)), NOW),
        [Do::Begin(Op::Wake(WakeKind::Unpause))],
        "the later request is served after it"
    );
}

#[test]
fn a_snapshot_that_waits_for_its_key_gives_way_and_one_that_has_it_does_not() {
    let mut waiting = life(Phase::Stopped);
    assert_eq!(waiting.step(Event::ArchiveQueued, NOW), [Do::Begin(Op::Archive)]);
    assert_eq!(waiting.step(Event::JobQueued, NOW), [Do::CallOff]);
    let ended = Event::Ended(after(Phase::Stopped, true));
    assert_eq!(waiting.step(ended, NOW), [Do::Begin(Op::Wake(WakeKind::Start))]);
    assert_eq!(waiting.step(Event::ArchiveQueued, NOW), []);
    let ended = Event::Ended(after(Phase::Running, true));
    assert_eq!(waiting.step(ended, NOW), [Do::RefuseArchives, Do::Begin(Op::Job)]);

    let mut working = life(Phase::Stopped);
    working.step(Event::ArchiveQueued, NOW);
    assert_eq!(working.step(Event::ArchiveWorks, NOW), []);
    assert_eq!(working.step(Event::JobQueued, NOW), []);
    assert_eq!(working.step(Event::ArchiveQueued, NOW), []);
    assert_eq!(working.step(Event::Hold, NOW), [Do::RefuseJobs, Do::CallOff]);

    let mut again = life(Phase::Stopped);
    again.step(Event::ArchiveQueued, NOW);
    assert_eq!(again.step(Event::ArchiveQueued, NOW), [Do::CallOff], "the one before was lost");
}

#[test]
fn a_failed_wake_fails_those_who_wait_and_the_next_request_tries_again() {
    let mut life = life(Phase::Stopped);
    life.step(Event::JobQueued, NOW);
    life.step(Event::JobQueued, NOW);
    let failed = After { ok: false, ..after(Phase::Failed, true) };
    assert_eq!(life.step(Event::Ended(failed), NOW), [Do::FailJobs]);
    assert_eq!(life.step(Event::JobQueued, NOW), [Do::Begin(Op::Wake(WakeKind::Start))]);
}

#[test]
fn the_clock_pauses_then_stops_and_early_late_or_double_looks_do_no_harm() {
    let mut life = life(Phase::Running);
    assert_eq!(life.step(Event::Look, NOW + CLOCKS.pause_after - Duration::from_millis(1)), []);
    let late = NOW + CLOCKS.pause_after * 2;
    assert_eq!(life.step(Event::Look, late), [Do::Begin(Op::Pause { idle: true })]);
    assert_eq!(life.step(Event::Look, late), [], "double");
    assert_eq!(life.step(Event::Ended(after(Phase::Paused, true)), late), []);
    assert_eq!(life.next_due(), Some(NOW + CLOCKS.stop_after));
    assert_eq!(life.step(Event::Look, NOW + CLOCKS.stop_after), [Do::Begin(Op::Stop { idle: true })]);
    assert_eq!(life.step(Event::Ended(after(Phase::Stopped, true)), NOW + CLOCKS.stop_after), []);
    assert_eq!((life.next_due(), life.step(Event::Look, NOW + CLOCKS.stop_after * 9)), (None, vec![]));
}

#[test]
fn a_lease_that_ends_in_a_frozen_cell_thaws_locks_and_freezes_it() {
    let mut life = life(Phase::Running);
    let until = NOW + Duration::from_secs(100);
    life.step(Event::Want(Goal::Pause), NOW);
    life.step(Event::Ended(After { unlocked_until: Some(until), ..after(Phase::Paused, true) }), NOW);
    assert_eq!(life.next_due(), Some(until));
    assert_eq!(life.step(Event::Look, until - Duration::from_millis(1)), []);
    assert_eq!(life.step(Event::Look, until), [Do::Begin(Op::Relock)]);
    assert!(life.lease_ended);
    assert_eq!(life.step(Event::Ended(after(Phase::Paused, true)), until), []);
    assert_eq!(life.next_due(), Some(NOW + CLOCKS.stop_after));
}

#[test]
fn after_a_failure_the_clock_rests_for_a_while() {
    let mut life = life(Phase::Running);
    let later = NOW + CLOCKS.pause_after;
    life.step(Event::Look, later);
    assert_eq!(life.step(Event::Ended(After { ok: false, ..after(Phase::Running, true) }), later), []);
    assert_eq!(life.step(Event::Look, later), []);
    assert_eq!(life.step(Event::Look, later + AGAIN_AFTER), [Do::Begin(Op::Pause { idle: true })]);
}

#[test]
fn what_was_cut_off_goes_on_from_the_row_and_what_died_is_left_alone() {
    let first = |facts| {
        let (mut life, _) = Life::unknown();
        life.step(Event::Inspected(facts), NOW)
    };
    assert_eq!(first(facts(Phase::Stopped, Desired::Running, Phase::Waking)), [Do::Resume]);
    assert_eq!(first(facts(Phase::Absent, Desired::Running, Phase::Creating)), [Do::Resume]);
    assert_eq!(first(facts(Phase::Stopped, Desired::Stopped, Phase::Running)), []);
    assert_eq!(
        first(facts(Phase::Running, Desired::Paused, Phase::Pausing)),
        [Do::Begin(Op::Pause { idle: false })]
    );
    assert_eq!(
        first(facts(Phase::Running, Desired::Stopped, Phase::Stopping)),
        [Do::Begin(Op::Stop { idle: false })]
    );
    assert_eq!(first(facts(Phase::Running, Desired::Absent, Phase::Stopping)), [Do::Begin(Op::Remove)]);
    assert_eq!(
        first(facts(Phase::Running, Desired::Held, Phase::Running)),
        [Do::Begin(Op::Stop { idle: false })]
    );
    let unreachable = Facts { reachable: false, ..facts(Phase::Running, Desired::Running, Phase::Running) };
    assert_eq!(first(unreachable), [Do::Begin(Op::Stop { idle: false })]);
}
