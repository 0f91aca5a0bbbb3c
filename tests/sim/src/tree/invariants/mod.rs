//! What must hold in the world of the actors' tree. One invariant a file: those over the history and what is
//! stored at its end ([`check`]), and those that are looked at while it goes on, each by itself.

mod acknowledged_writes_are_there;
mod nobody_reads_the_past;
mod one_history;
pub(super) mod one_making_lives;
pub(super) mod rows_say_what_lives;
mod timers_fire_once;
pub(super) mod without_a_lease_all_is_paused;

use std::collections::BTreeMap;

use ocmt_types::Digest32;

use super::{ledger::Books, seen::Seen};
use crate::oracle::Event;

/// Everything of the history that does not hold.
pub(super) fn check(events: &[(u64, Event)], books: &Books) -> Vec<String> {
    let seen: Vec<(u64, &Seen)> = events.iter().filter_map(of_tree).collect();
    [
        acknowledged_writes_are_there::check(&seen, books),
        nobody_reads_the_past::check(&seen),
        one_history::check(&seen),
        timers_fire_once::check(books),
    ]
    .concat()
}

fn of_tree((at, event): &(u64, Event)) -> Option<(u64, &Seen)> {
    match event {
        Event::Tree(seen) => Some((*at, seen)),
        _ => None,
    }
}

/// The tenant of each call, and what a write of a vault was to leave.
fn asked(seen: &[(u64, &Seen)]) -> BTreeMap<u64, (u64, Option<Digest32>)> {
    let of = |(_, seen): &(u64, &Seen)| match seen {
        Seen::Asked { op, tenant, object, .. } => Some((*op, (*tenant, *object))),
        _ => None,
    };
    seen.iter().filter_map(of).collect()
}
