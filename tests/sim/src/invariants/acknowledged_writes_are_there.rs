//! What was acknowledged is stored where it was said to be, once; what was refused is not; what is unknown
//! may be either.

use super::{Log, log_of, tenants};
use crate::oracle::Event;

/// Lost, doubled and undead writes.
pub(super) fn check(events: &[(u64, Event)], logs: &[Log]) -> Vec<String> {
    let tenants = tenants(events);
    let mut found = Vec::new();
    for (_, event) in events {
        match event {
            Event::Wrote { op, seq, .. } => {
                let tenant = tenants.get(op).map_or(0, |(tenant, _)| *tenant);
                let log = log_of(logs, tenant);
                let there =
                    usize::try_from(seq.saturating_sub(1)).ok().and_then(|at| log.get(at)) == Some(op);
                if !there || log.iter().filter(|stored| *stored == op).count() != 1 {
                    found.push(format!(
                        "write {op} was acknowledged at place {seq} of tenant {tenant} and is not there once"
                    ));
                }
            }
            Event::Refused { op } => {
                let (tenant, writes) = tenants.get(op).copied().unwrap_or((0, false));
                if writes && log_of(logs, tenant).contains(op) {
                    found.push(format!("write {op} was refused and is in the log of tenant {tenant}"));
                }
            }
            Event::Called { .. }
            | Event::Read { .. }
            | Event::Unknown { .. }
            | Event::Noted(_)
            | Event::Tree(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use ocmt_types::Incarnation;

    use super::*;

    #[test]
    fn lost_doubled_and_undead_writes_are_found() {
        let called = (1, Event::Called { op: 1, tenant: 1, writes: true });
        let wrote = (2, Event::Wrote { op: 1, epoch: 1, seq: 1, by: Incarnation([1; 16]) });
        let acknowledged = [called.clone(), wrote];
        assert!(check(&acknowledged, &[vec![1]]).is_empty());
        assert_eq!(check(&acknowledged, &[vec![]]).len(), 1, "lost");
        assert_eq!(check(&acknowledged, &[vec![1, 1]]).len(), 1, "doubled");
        let refused = [called.clone(), (2, Event::Refused { op: 1 })];
        assert_eq!(check(&refused, &[vec![1]]).len(), 1, "undead");
        let unknown = [called, (2, Event::Unknown { op: 1 })];
        assert!(check(&unknown, &[vec![1]]).is_empty() && check(&unknown, &[vec![]]).is_empty());
    }
}
