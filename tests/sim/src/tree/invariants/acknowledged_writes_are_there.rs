//! An entry whose write was acknowledged is in the vault, and one whose write was refused is not; what is
//! unknown may be either.

use super::{super::ledger::Books, Seen, asked};

/// Lost and undead writes.
pub(super) fn check(seen: &[(u64, &Seen)], books: &Books) -> Vec<String> {
    let asked = asked(seen);
    let mut found = Vec::new();
    for (_, seen) in seen {
        let (op, acknowledged) = match seen {
            Seen::Wrote { op, .. } => (op, true),
            Seen::Refused { op, .. } => (op, false),
            _ => continue,
        };
        let Some((tenant, Some(object))) = asked.get(op) else { continue };
        let there = books.of(*tenant).objects.contains(object);
        if acknowledged && !there {
            found.push(format!("write {op} of tenant {tenant} was acknowledged and is not in the vault"));
        }
        if !acknowledged && there {
            found.push(format!("write {op} of tenant {tenant} was refused and is in the vault"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use ocmt_types::Digest32;

    use super::*;

    #[test]
    fn lost_and_undead_writes_are_found() {
        let object = Digest32([1; 32]);
        let asked = (1, &Seen::Asked { op: 1, tenant: 1, what: "put", object: Some(object) });
        let wrote = (2, &Seen::Wrote { op: 1, counter: 2 });
        let refused = (2, &Seen::Refused { op: 1, why: String::new() });
        let (empty, full) = (Books::default(), Books::with_object(1, object));
        assert!(check(&[asked, wrote], &full).is_empty() && check(&[asked, refused], &empty).is_empty());
        assert_eq!(check(&[asked, wrote], &empty).len(), 1, "lost");
        assert_eq!(check(&[asked, refused], &full).len(), 1, "undead");
        let unknown = (2, &Seen::Unknown { op: 1 });
        assert!(check(&[asked, unknown], &full).is_empty() && check(&[asked, unknown], &empty).is_empty());
    }
}
