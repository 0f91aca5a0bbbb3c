//! An unlock against any order of what is said, of who leaves, and any clock. Compiled for tests alone.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ocmt_types::{GuardianshipId, Id as _, Timestamp};
use proptest::prelude::*;

use crate::{
    api::recovery::CeremonyState as S,
    tenant::ceremony::state::{Event, Progress},
};

const HOLDERS: usize = 5;
const EXPIRES: Timestamp = Timestamp(1_000);

fn holder(n: usize) -> GuardianshipId {
    GuardianshipId::from_bytes([u8::try_from(n).unwrap(); 16])
}

/// As it is stored when it was asked for: there is no delay.
fn asked(needed: u32) -> Progress {
    Progress {
        stage: S::Open,
        needed,
        total: u32::try_from(HOLDERS).unwrap(),
        delay: Duration::ZERO,
        overrides: false,
        lost_mailbox: false,
        agreed: BTreeMap::new(),
        approved: BTreeMap::new(),
        denied: BTreeMap::new(),
        notified_at: Some(Timestamp(0)),
        expires_at: EXPIRES,
        released_at: None,
        ended_at: None,
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Says(Event),
    /// What they said is deleted, and there is one fewer.
    Leaves(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..HOLDERS).prop_map(|n| Step::Says(Event::Approved(holder(n), 1))),
        2 => (0..HOLDERS).prop_map(|n| Step::Says(Event::Denied(holder(n), 1))),
        3 => (0..HOLDERS).prop_map(Step::Leaves),
        2 => Just(Step::Says(Event::Look)),
        2 => Just(Step::Says(Event::Collect)),
        1 => Just(Step::Says(Event::Cancelled)),
        1 => Just(Step::Says(Event::Retired)),
        1 => Just(Step::Says(Event::Completed)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_released_but_by_enough_who_are_there_and_never_twice(
        steps in prop::collection::vec((any_step(), 0_i64..1_200), 1..40),
        needed in 2_u32..5,
    ) {
        let mut state = asked(needed);
        let (mut gone, mut yes) = (BTreeSet::new(), BTreeSet::new());
        let (mut releases, mut ends) = (0, 0);
        for (step, at) in steps {
            let event = match step {
                Step::Leaves(n) => {
                    if gone.insert(n) {
                        state.total -= 1;
                        state.approved.remove(&holder(n));
                        state.denied.remove(&holder(n));
                        yes.remove(&holder(n));
                    }
                    Event::Look
                }
                Step::Says(event) => event,
            };
            let by = match event {
                Event::Approved(by, _) | Event::Denied(by, _) => Some(by),
                _ => None,
            };
            // who is out is not heard
            if by.is_some_and(|by| gone.iter().any(|n| holder(*n) == by)) {
                continue;
            }
            let mut after = state.clone();
            let Ok(entered) = after.step(event, Timestamp(at)) else { continue };
            state = after;
            if let Event::Approved(by, _) = event {
                prop_assert!(yes.insert(by), "each counts once");
            }
            if entered.contains(&S::Released) {
                releases += 1;
                prop_assert!(yes.len() >= usize::try_from(needed).unwrap() && Timestamp(at) < EXPIRES);
                prop_assert!(yes.iter().all(|by| gone.iter().all(|n| holder(*n) != *by)), "all are there");
            }
            if event == Event::Collect {
                prop_assert!(state.released_at.is_some() && Timestamp(at) < EXPIRES);
            }
            ends += entered.iter().filter(|stage| !stage.is_live()).count();
        }
        prop_assert!(releases <= 1 && ends <= 1);
    }
}
