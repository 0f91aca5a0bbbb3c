//! The machine against any order of events and any clock. Compiled for tests alone, by the `#[cfg(test)]` at
//! the module.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeMap, time::Duration};

use ocmt_types::{GuardianshipId, Id as _, Timestamp};
use proptest::prelude::*;

use super::state::{Event, Progress, Refused};
use crate::api::recovery::CeremonyState as S;

const DELAY: Duration = Duration::from_millis(100);
const EXPIRES: Timestamp = Timestamp(1_000);
const WEIGHTS: [u32; 4] = [1, 1, 2, 1];
const NEEDED: u32 = 3;

fn guardian(n: usize) -> (GuardianshipId, u32) {
    (GuardianshipId::from_bytes([u8::try_from(n).unwrap(); 16]), WEIGHTS[n])
}

fn fresh() -> Progress {
    Progress {
        stage: S::Open,
        needed: NEEDED,
        total: WEIGHTS.iter().sum(),
        delay: DELAY,
        overrides: false,
        lost_mailbox: false,
        agreed: BTreeMap::new(),
        approved: BTreeMap::new(),
        denied: BTreeMap::new(),
        notified_at: None,
        expires_at: EXPIRES,
        released_at: None,
        ended_at: None,
    }
}

/// One that goes on over a stop.
fn proposed() -> Progress {
    Progress { stage: S::Proposed, overrides: true, ..fresh() }
}

/// One whose owner has lost the mailbox too, by a guardian's word.
fn lost() -> Progress {
    Progress { stage: S::Proposed, lost_mailbox: true, ..fresh() }
}

fn rank(stage: S) -> u8 {
    match stage {
        S::Proposed => 0,
        S::Open => 1,
        S::Ready => 2,
        S::Released => 3,
        S::Completed | S::Denied | S::Vetoed | S::Locked | S::Expired | S::Cancelled => END,
    }
}

const END: u8 = 4;

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Look),
        2 => Just(Event::Notified),
        6 => (0..WEIGHTS.len()).prop_map(|n| { let (id, units) = guardian(n); Event::Approved(id, units) }),
        2 => (0..WEIGHTS.len()).prop_map(|n| { let (id, units) = guardian(n); Event::Denied(id, units) }),
        3 => (0..WEIGHTS.len()).prop_map(|n| { let (id, units) = guardian(n); Event::Agreed(id, units) }),
        1 => Just(Event::Doubted),
        1 => Just(Event::Locked),
        1 => Just(Event::Vetoed),
        1 => Just(Event::VetoedByKey),
        1 => Just(Event::Retired),
        1 => Just(Event::Cancelled),
        2 => Just(Event::Collect),
        1 => Just(Event::Completed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Clocks go back, too: then nothing is released earlier than its delay by the clock that said so.
    #[test]
    fn r8_no_release_without_units_delay_and_peace_never_backwards_never_twice(
        steps in prop::collection::vec((any_event(), 0_i64..1_200), 1..60),
        overrides in any::<bool>(),
        lost_mailbox in any::<bool>(),
    ) {
        let mut state = if overrides { proposed() } else if lost_mailbox { lost() } else { fresh() };
        state.lost_mailbox = lost_mailbox;
        let mut stopped = false;
        let mut distinct: BTreeMap<GuardianshipId, u32> = BTreeMap::new();
        let mut agreed: BTreeMap<GuardianshipId, u32> = BTreeMap::new();
        let (mut releases, mut ends) = (0, 0);
        for (event, at) in steps {
            let now = Timestamp(at);
            let before = state.clone();
            let mut after = state.clone();
            let Ok(entered) = after.step(event, now) else { continue };
            state = after;
            prop_assert!(rank(state.stage) >= rank(before.stage), "it moves forward");
            if rank(before.stage) == END {
                prop_assert_eq!(before.stage, state.stage, "an end is an end");
                prop_assert!(entered.is_empty());
            }
            if let Event::Approved(id, units) = event {
                prop_assert!(distinct.insert(id, units).is_none(), "each guardian counts once");
                prop_assert!(!stopped);
                prop_assert!(before.stage != S::Proposed, "nothing is approved before it opens");
            }
            if let Event::Agreed(id, units) = event {
                agreed.insert(id, units);
            }
            if entered.contains(&S::Open) {
                prop_assert!(overrides || lost_mailbox, "others are open from the beginning");
                let denied = |id: &GuardianshipId| before.denied.contains_key(id);
                let signed = agreed.iter().filter(|(id, _)| !denied(id)).map(|(_, units)| units).sum::<u32>();
                prop_assert!(signed >= NEEDED + u32::from(overrides), "k units sign for it first, k + 1 over a stop");
                prop_assert!(state.notified_at.is_none(), "its delay counts from then");
            }
            if let (Event::Denied(..), S::Proposed) = (event, before.stage) {
                prop_assert!(lost_mailbox, "over a stop not to sign is enough");
            }
            if overrides {
                prop_assert!(!matches!(event, Event::Vetoed | Event::Locked), "neither stops an override");
                let signed = event == Event::VetoedByKey;
                prop_assert!(!signed || before.stage == S::Proposed, "nor does a signed one that is open");
            }
            if entered.contains(&S::Released) {
                releases += 1;
                prop_assert!(distinct.values().sum::<u32>() >= NEEDED);
                prop_assert!(!stopped);
                let told = state.notified_at.expect("nobody was told and it was released");
                prop_assert!(now >= told + DELAY && now < EXPIRES);
            }
            // a deadline that has passed comes before what is said at the same time
            let by_people = matches!(event, Event::Locked | Event::Vetoed | Event::VetoedByKey | Event::Cancelled);
            stopped |= by_people || event == Event::Retired;
            if event == Event::Collect {
                prop_assert!(state.released_at.is_some(), "nothing is collected before the release");
            }
            ends += entered.iter().filter(|stage| rank(**stage) == END).count();
        }
        prop_assert!(releases <= 1 && ends <= 1);
    }
}

fn approve(state: &mut Progress, n: usize, at: i64) -> Result<Vec<S>, Refused> {
    let (id, units) = guardian(n);
    state.step(Event::Approved(id, units), Timestamp(at))
}

#[test]
fn units_are_counted_not_guardians() {
    let mut state = fresh();
    state.step(Event::Notified, Timestamp(0)).unwrap();
    approve(&mut state, 0, 1).unwrap();
    assert_eq!(approve(&mut state, 0, 2), Err(Refused::Decided));
    assert_eq!(approve(&mut state, 2, 3).unwrap(), [S::Ready]);
    assert_eq!(state.next_look(), Some(Timestamp(100)));
    assert_eq!(state.step(Event::Look, Timestamp(99)).unwrap(), []);
    assert_eq!(state.step(Event::Look, Timestamp(100)).unwrap(), [S::Released]);
}

#[test]
fn a_delay_that_passed_first_waits_for_the_last_unit() {
    let mut state = fresh();
    state.step(Event::Notified, Timestamp(0)).unwrap();
    approve(&mut state, 0, 500).unwrap();
    assert_eq!(approve(&mut state, 2, 501).unwrap(), [S::Ready, S::Released]);
    assert_eq!(approve(&mut state, 1, 502), Err(Refused::Released));
    assert_eq!(state.step(Event::Vetoed, Timestamp(502)), Err(Refused::Released));
}

#[test]
fn a_ceremony_that_nobody_could_be_told_of_never_matures() {
    let mut state = fresh();
    approve(&mut state, 0, 1).unwrap();
    assert_eq!(approve(&mut state, 2, 2).unwrap(), [S::Ready]);
    assert_eq!(state.step(Event::Look, Timestamp(999)).unwrap(), []);
    assert_eq!(state.step(Event::Look, EXPIRES).unwrap(), [S::Expired]);
}

#[test]
fn denials_close_it_when_the_threshold_is_out_of_reach() {
    let mut state = fresh();
    let deny = |state: &mut Progress, n| {
        let (id, units) = guardian(n);
        state.step(Event::Denied(id, units), Timestamp(1))
    };
    assert_eq!(deny(&mut state, 0).unwrap(), []);
    assert_eq!(approve(&mut state, 0, 2), Err(Refused::Decided), "who denied has decided");
    assert_eq!(deny(&mut state, 1).unwrap(), []);
    assert_eq!(deny(&mut state, 3).unwrap(), [S::Denied]);
}

#[test]
fn an_override_opens_with_k_plus_1_units_and_only_its_sets_retirement_stops_it() {
    let mut state = proposed();
    let agree = |state: &mut Progress, n| {
        let (id, units) = guardian(n);
        state.step(Event::Agreed(id, units), Timestamp(1))
    };
    assert_eq!(agree(&mut state, 0).unwrap(), []);
    assert_eq!(agree(&mut state, 0).unwrap(), [], "the same guardian counts once");
    assert_eq!(agree(&mut state, 2).unwrap(), [], "k units are too few");
    assert_eq!(approve(&mut state, 0, 2), Err(Refused::Proposed));
    state.step(Event::Notified, Timestamp(2)).unwrap();
    assert_eq!(agree(&mut state, 1).unwrap(), [S::Open]);
    assert_eq!(state.notified_at, None, "what was told before it opened starts no delay");
    assert_eq!(agree(&mut state, 3), Err(Refused::Opened));
    for stop in [Event::Vetoed, Event::VetoedByKey, Event::Locked] {
        assert_eq!(state.clone().step(stop, Timestamp(3)), Err(Refused::Overrides));
    }
    state.step(Event::Notified, Timestamp(3)).unwrap();
    approve(&mut state, 0, 4).unwrap();
    assert_eq!(approve(&mut state, 2, 5).unwrap(), [S::Ready]);
    let mut retired = state.clone();
    assert_eq!(retired.step(Event::Retired, Timestamp(6)).unwrap(), [S::Vetoed]);
    assert_eq!(state.step(Event::Look, Timestamp(103)).unwrap(), [S::Released]);
}

#[test]
fn who_has_lost_the_mailbox_needs_k_units_to_open_and_everything_stops_it_before_and_after() {
    let mut state = lost();
    let agree = |state: &mut Progress, n| {
        let (id, units) = guardian(n);
        state.step(Event::Agreed(id, units), Timestamp(1))
    };
    let deny = |state: &mut Progress, n| {
        let (id, units) = guardian(n);
        state.step(Event::Denied(id, units), Timestamp(1))
    };
    assert_eq!(agree(&mut state, 0).unwrap(), []);
    assert_eq!(agree(&mut state, 0).unwrap(), [], "the same guardian counts once");
    assert_eq!(agree(&mut state, 1).unwrap(), [], "k - 1 units are too few");
    assert_eq!(approve(&mut state, 0, 2), Err(Refused::Proposed));
    state.step(Event::Notified, Timestamp(2)).unwrap();
    for (stop, ends) in [(Event::Vetoed, S::Vetoed), (Event::Locked, S::Locked), (Event::Retired, S::Vetoed)]
    {
        assert_eq!(state.clone().step(stop, Timestamp(3)).unwrap(), [ends]);
    }
    // whoever signed and then denies has not signed
    let mut denied = state.clone();
    assert_eq!(deny(&mut denied, 0).unwrap(), []);
    assert_eq!(agree(&mut denied, 0), Err(Refused::Decided));
    assert_eq!(agree(&mut denied, 3).unwrap(), [], "one of two signatures is left, and this one");
    assert_eq!(deny(&mut denied, 1).unwrap(), []);
    assert_eq!(deny(&mut denied, 3).unwrap(), [S::Denied], "k cannot be reached");
    assert_eq!(agree(&mut state, 3).unwrap(), [S::Open]);
    assert_eq!(state.notified_at, None, "what was told before it opened starts no delay");
    assert_eq!(state.clone().step(Event::Vetoed, Timestamp(4)).unwrap(), [S::Vetoed]);
    assert_eq!(state.clone().step(Event::Locked, Timestamp(4)).unwrap(), [S::Locked]);
}
