//! The judge is judged: it finds what it is there to find, and agrees with a search over all orders.

use ocmt_cluster_tests::{
    check::{Violation, linearizable},
    history::{Call, Op, State, Swapped},
};
use proptest::prelude::*;
use stateright::semantics::{ConsistencyTester as _, LinearizabilityTester, SequentialSpec};

const FIRST: State = State { version: 1, content: 100 };

fn read(invoked: u64, returned: u64, version: u64, content: u64) -> Op {
    Op { invoked, returned: Some(returned), call: Call::Read(State { version, content }) }
}

fn swap(invoked: u64, returned: u64, expected: u64, content: u64, ended: Swapped) -> Op {
    let returned = (ended != Swapped::Unknown).then_some(returned);
    Op { invoked, returned, call: Call::Swap { expected, content, ended } }
}

#[test]
fn a_history_of_one_vault_passes() {
    let ops = [
        read(1, 2, 1, 100),
        swap(3, 6, 1, 7, Swapped::Done),
        // it may have seen either while the write was on its way
        read(4, 5, 2, 7),
        swap(7, 8, 1, 8, Swapped::Refused),
        swap(9, 0, 2, 9, Swapped::Unknown),
        read(10, 11, 2, 7),
        // the write without an answer came through in the end
        read(12, 13, 3, 9),
    ];
    assert_eq!(linearizable(FIRST, &ops), Ok(()));
}

#[test]
fn a_lost_write_two_writers_and_a_stale_read_are_found() {
    // acknowledged, then gone: somebody else wrote the same version
    let lost = [swap(1, 2, 1, 7, Swapped::Done), swap(3, 4, 1, 8, Swapped::Done)];
    assert_eq!(linearizable(FIRST, &lost), Err(Violation::TwoContents(2)));
    let replaced = [swap(1, 2, 1, 7, Swapped::Done), read(3, 4, 2, 8)];
    assert_eq!(linearizable(FIRST, &replaced), Err(Violation::TwoContents(2)));
    // an old owner that still serves
    let stale = [swap(1, 2, 1, 7, Swapped::Done), read(3, 4, 1, 100)];
    assert_eq!(linearizable(FIRST, &stale), Err(Violation::Stale(2)));
    let back = [swap(1, 9, 1, 7, Swapped::Done), read(2, 3, 2, 7), read(4, 5, 1, 100)];
    assert_eq!(linearizable(FIRST, &back), Err(Violation::Stale(2)));
    // refused, and there all the same
    let refused = [swap(1, 2, 1, 7, Swapped::Refused), read(3, 4, 2, 7)];
    assert_eq!(linearizable(FIRST, &refused), Err(Violation::FromNowhere(2)));
    let for_nothing = [swap(1, 2, 1, 7, Swapped::Refused), read(3, 4, 1, 100)];
    assert_eq!(linearizable(FIRST, &for_nothing), Err(Violation::RefusedWrongly(1)));
}

/// The vault as a sequential object, for the search.
#[derive(Debug, Clone, PartialEq)]
struct Vault(State);

#[derive(Debug, Clone, PartialEq)]
enum Ask {
    Read,
    Swap { expected: u64, content: u64 },
}

#[derive(Debug, Clone, PartialEq)]
enum Told {
    State(State),
    Swapped(bool),
}

impl SequentialSpec for Vault {
    type Op = Ask;
    type Ret = Told;
    fn invoke(&mut self, ask: &Ask) -> Told {
        match ask {
            Ask::Read => Told::State(self.0),
            Ask::Swap { expected, .. } if *expected != self.0.version => Told::Swapped(false),
            Ask::Swap { expected, content } => {
                self.0 = State { version: expected + 1, content: *content };
                Told::Swapped(true)
            }
        }
    }
}

fn by_search(ops: &[Op]) -> bool {
    let mut tester = LinearizabilityTester::new(Vault(FIRST));
    let mut events: Vec<(u64, usize, bool)> = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        events.push((op.invoked, at, true));
        events.extend(op.returned.map(|returned| (returned, at, false)));
    }
    events.sort_unstable();
    for (_, at, begins) in events {
        // each call is a thread of its own: who made it says nothing about its place
        let taken = match (begins, ops[at].call) {
            (true, Call::Read(_)) => tester.on_invoke(at, Ask::Read),
            (true, Call::Swap { expected, content, .. }) => {
                tester.on_invoke(at, Ask::Swap { expected, content })
            }
            (false, Call::Read(state)) => tester.on_return(at, Told::State(state)),
            (false, Call::Swap { ended, .. }) => tester.on_return(at, Told::Swapped(ended == Swapped::Done)),
        };
        taken.unwrap();
    }
    tester.is_consistent()
}

/// Up to seven calls with overlapping spans over the versions 1 to 4; contents tell writers apart.
fn histories() -> impl Strategy<Value = Vec<Op>> {
    let call = (0_u8..4, 1_u64..4, 0_u64..5, any::<prop::sample::Index>(), any::<prop::sample::Index>());
    prop::collection::vec(call, 1..8).prop_map(|calls| {
        let moments = 2 * calls.len() + 4;
        let mut free: Vec<u64> = (1..=u64::try_from(moments).unwrap()).collect();
        let mut ops = Vec::new();
        for (serial, (kind, version, of, a, b)) in calls.into_iter().enumerate() {
            let (one, other) = (free.remove(a.index(free.len())), free.remove(b.index(free.len())));
            let (invoked, returned) = (one.min(other), one.max(other));
            let content = u64::try_from(serial).unwrap();
            ops.push(match kind {
                // some read what was there first, some what one of the first writers wrote
                0 => read(invoked, returned, version, if version == 1 { FIRST.content } else { of }),
                1 => swap(invoked, returned, version, content, Swapped::Refused),
                2 => swap(invoked, returned, version, content, Swapped::Unknown),
                _ => swap(invoked, returned, version, content, Swapped::Done),
            });
        }
        ops
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_check_agrees_with_a_search_over_all_orders(ops in histories()) {
        prop_assert_eq!(linearizable(FIRST, &ops).is_ok(), by_search(&ops), "{:?}", ops);
    }
}
