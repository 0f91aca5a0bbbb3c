//! A read of a vault shows at least everything that was acknowledged, or read, before it was asked for.

use std::collections::BTreeMap;

use super::{Seen, asked};

/// Stale reads.
pub(super) fn check(seen: &[(u64, &Seen)]) -> Vec<String> {
    let asked = asked(seen);
    let (mut known, mut floors) = (BTreeMap::new(), BTreeMap::new());
    let mut found = Vec::new();
    for (at, seen) in seen {
        match seen {
            Seen::Asked { op, tenant, .. } => {
                floors.insert(*op, known.get(tenant).copied().unwrap_or(0));
            }
            Seen::Wrote { op, counter } | Seen::Read { op, counter } => {
                let tenant = asked.get(op).map_or(0, |(tenant, _)| *tenant);
                let highest = known.entry(tenant).or_insert(0);
                *highest = (*highest).max(*counter);
                let floor = floors.get(op).copied().unwrap_or(0);
                if *counter < floor {
                    found.push(format!(
                        "at {at} ms operation {op} saw manifest {counter} of tenant {tenant}, and {floor} was known before it was asked"
                    ));
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_read_is_found_and_one_that_was_asked_before_is_not() {
        let asked = |op| Seen::Asked { op, tenant: 1, what: "read", object: None };
        let (first, second) = (asked(1), asked(2));
        let (wrote, old) = (Seen::Wrote { op: 1, counter: 5 }, Seen::Read { op: 2, counter: 4 });
        assert_eq!(check(&[(1, &first), (2, &wrote), (3, &second), (4, &old)]).len(), 1);
        assert!(check(&[(1, &first), (1, &second), (2, &wrote), (4, &old)]).is_empty());
    }
}
