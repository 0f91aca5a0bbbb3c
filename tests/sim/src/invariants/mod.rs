//! What must hold of a history and of what is stored at its end. One invariant a file.

mod acknowledged_writes_are_there;
mod nobody_reads_the_past;
mod one_owner_an_epoch;

use crate::oracle::Event;

/// The log of one tenant as it is stored: the operation at each place, from 1.
pub type Log = Vec<u64>;

/// Everything that does not hold. `logs` are by tenant, from 1.
pub fn check(events: &[(u64, Event)], logs: &[Log]) -> Vec<String> {
    [
        one_owner_an_epoch::check(events),
        nobody_reads_the_past::check(events, logs),
        acknowledged_writes_are_there::check(events, logs),
    ]
    .concat()
}

/// The tenant of each call.
fn tenants(events: &[(u64, Event)]) -> std::collections::BTreeMap<u64, (u64, bool)> {
    let called = |(_, event): &(u64, Event)| match event {
        Event::Called { op, tenant, writes } => Some((*op, (*tenant, *writes))),
        _ => None,
    };
    events.iter().filter_map(called).collect()
}

fn log_of(logs: &[Log], tenant: u64) -> &[u64] {
    let at = usize::try_from(tenant).unwrap_or(0).saturating_sub(1);
    logs.get(at).map_or(&[], Vec::as_slice)
}
