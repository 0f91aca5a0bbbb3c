//! Each tenant has one history by (epoch, counter): each change of its vault is the next one, made by the life
//! that owns the tenant at that moment; epochs only grow, and each is one life's.

use std::collections::BTreeMap;

use super::Seen;

/// Gaps, forks and writes of those who do not own what they write.
pub(super) fn check(seen: &[(u64, &Seen)]) -> Vec<String> {
    let (mut last, mut lives) = (BTreeMap::new(), BTreeMap::new());
    let mut found = Vec::new();
    for (at, seen) in seen {
        let Seen::Committed { tenant, epoch, counter, by, owner } = seen else { continue };
        if by.is_none() || by != owner {
            found.push(format!(
                "at {at} ms a life that does not own tenant {tenant} wrote its vault, manifest {counter}"
            ));
        }
        if *lives.entry((tenant, epoch)).or_insert(*owner) != *owner {
            found.push(format!("at {at} ms two lives have tenant {tenant} in epoch {epoch}"));
        }
        let before = last.insert(*tenant, (*epoch, *counter));
        if let Some((was_epoch, was)) = before
            && (*epoch < was_epoch || *counter != was + 1)
        {
            found.push(format!(
                "at {at} ms tenant {tenant} came from ({was_epoch}, {was}) to ({epoch}, {counter})"
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use ocmt_types::Incarnation;

    use super::*;

    fn committed(epoch: i64, counter: u64, by: u8, owner: u8) -> Seen {
        let life = |n| Some(Incarnation([n; 16]));
        Seen::Committed { tenant: 1, epoch, counter, by: life(by), owner: life(owner) }
    }

    #[test]
    fn gaps_forks_and_stale_owners_are_found() {
        let judge = |after: Seen| {
            let first = committed(1, 1, 1, 1);
            check(&[(1, &first), (2, &after)]).len()
        };
        assert_eq!(judge(committed(1, 2, 1, 1)), 0);
        assert_eq!(judge(committed(2, 2, 2, 2)), 0);
        assert_eq!(judge(committed(2, 3, 2, 2)), 1, "a gap");
        assert_eq!(judge(committed(2, 1, 2, 2)), 1, "a fork");
        assert_eq!(judge(committed(1, 2, 2, 2)), 1, "two lives in an epoch");
        assert_eq!(judge(committed(2, 2, 1, 2)), 1, "a stale owner");
        assert_eq!(judge(committed(0, 2, 2, 2)), 1, "an epoch that goes back");
    }
}
