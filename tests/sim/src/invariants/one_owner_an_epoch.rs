//! In one epoch of a tenant one life acknowledges writes, and each place of the log is acknowledged once.

use std::collections::BTreeMap;

use super::tenants;
use crate::oracle::Event;

/// Epochs with two owners, and places that were given twice.
pub(super) fn check(events: &[(u64, Event)]) -> Vec<String> {
    let (tenants, mut owners, mut places) = (tenants(events), BTreeMap::new(), BTreeMap::new());
    let mut found = Vec::new();
    for (at, event) in events {
        let Event::Wrote { op, epoch, seq, by } = event else {
            continue;
        };
        let tenant = tenants.get(op).map_or(0, |(tenant, _)| *tenant);
        if *owners.entry((tenant, *epoch)).or_insert(*by) != *by {
            found.push(format!("at {at} ms two lives wrote tenant {tenant} in epoch {epoch}"));
        }
        if *places.entry((tenant, *seq)).or_insert(*op) != *op {
            found.push(format!("at {at} ms place {seq} of tenant {tenant} was acknowledged to two writes"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use ocmt_types::Incarnation;

    use super::*;

    fn wrote(op: u64, epoch: i64, seq: u64, by: u8) -> [(u64, Event); 2] {
        let by = Incarnation([by; 16]);
        [(op, Event::Called { op, tenant: 1, writes: true }), (op, Event::Wrote { op, epoch, seq, by })]
    }

    #[test]
    fn two_owners_and_lost_updates_are_found() {
        assert!(check(&[wrote(1, 1, 1, 1), wrote(2, 2, 2, 2)].concat()).is_empty());
        assert_eq!(check(&[wrote(1, 1, 1, 1), wrote(2, 1, 2, 2)].concat()).len(), 1);
        assert_eq!(check(&[wrote(1, 1, 1, 1), wrote(2, 2, 1, 2)].concat()).len(), 1);
    }
}
