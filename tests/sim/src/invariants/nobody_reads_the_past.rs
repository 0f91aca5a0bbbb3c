//! A strict read shows at least everything that was acknowledged, or read, before it was asked for, and
//! nothing that never was.

use std::collections::BTreeMap;

use super::{Log, log_of, tenants};
use crate::oracle::Event;

/// Stale reads, and reads of what is not there.
pub(super) fn check(events: &[(u64, Event)], logs: &[Log]) -> Vec<String> {
    let tenants = tenants(events);
    let (mut known, mut floors) = (BTreeMap::new(), BTreeMap::new());
    let mut found = Vec::new();
    for (at, event) in events {
        match event {
            Event::Called { op, tenant, .. } => {
                floors.insert(*op, known.get(tenant).copied().unwrap_or(0));
            }
            Event::Wrote { op, seq, .. } | Event::Read { op, seq, .. } => {
                let tenant = tenants.get(op).map_or(0, |(tenant, _)| *tenant);
                let highest = known.entry(tenant).or_insert(0);
                *highest = (*highest).max(*seq);
                let floor = floors.get(op).copied().unwrap_or(0);
                if *seq < floor {
                    found.push(format!(
                        "at {at} ms operation {op} saw place {seq} of tenant {tenant}, and {floor} was known before it was asked"
                    ));
                }
                if let Event::Read { last, .. } = event
                    && *seq > 0
                    && usize::try_from(*seq - 1).ok().and_then(|at| log_of(logs, tenant).get(at))
                        != Some(last)
                {
                    found.push(format!("at {at} ms a read saw operation {last} at place {seq} of tenant {tenant}, which is not there"));
                }
            }
            Event::Refused { .. } | Event::Unknown { .. } | Event::Noted(_) | Event::Tree(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use ocmt_types::Incarnation;

    use super::*;

    #[test]
    fn a_stale_read_and_a_read_of_nothing_are_found() {
        let by = Incarnation([1; 16]);
        let called = |op, writes| (op, Event::Called { op, tenant: 1, writes });
        let read = |op, seq, last| (op, Event::Read { op, epoch: 1, seq, last });
        let wrote = (1, Event::Wrote { op: 1, epoch: 1, seq: 1, by });
        let logs = [vec![1]];
        let after = [called(1, true), wrote.clone(), called(2, false)];
        assert!(check(&[&after[..], &[read(2, 1, 1)]].concat(), &logs).is_empty());
        assert_eq!(check(&[&after[..], &[read(2, 0, 0)]].concat(), &logs).len(), 1, "stale");
        assert_eq!(check(&[&after[..], &[read(2, 2, 9)]].concat(), &logs).len(), 1, "never written");
        // asked before the write was acknowledged: either is right
        let during = [called(1, true), called(2, false), wrote, read(2, 0, 0)];
        assert!(check(&during, &logs).is_empty());
    }
}
