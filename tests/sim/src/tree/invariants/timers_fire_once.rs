//! Every timer that was due has fired, and once in effect: none is overdue at the end, and each invitation of a
//! guardian, which a timer sends to the guardian's tenant, has gone there once.

use super::super::{client::TENANTS, ledger::Books};

/// Timers that have not fired, and those that have twice.
pub(super) fn check(books: &Books) -> Vec<String> {
    let mut found = Vec::new();
    for n in 1..=TENANTS {
        let book = books.of(n);
        found.extend(book.overdue.iter().map(|timer| format!("{timer} of tenant {n} is overdue")));
        for other in (1..=TENANTS).filter(|other| *other != n) {
            let asked = book.asked.get(&other).copied().unwrap_or(0);
            let mut letters = books.of(other).came.remove(&n).unwrap_or_default();
            letters.extend(book.sending.get(&other).into_iter().flatten());
            if letters.len() != asked {
                let letters = letters.len();
                found.push(format!(
                    "tenant {n} has asked {asked} guardians of tenant {other}, in {letters} letters"
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_that_did_not_fire_or_fired_twice_are_found() {
        assert!(check(&Books::with_invitations(2, 2)).is_empty());
        assert_eq!(check(&Books::with_invitations(2, 1)).len(), 1, "lost");
        assert_eq!(check(&Books::with_invitations(2, 3)).len(), 1, "twice");
    }
}
