//! The table of OWASP ASVS: its figures are those of its rows, and no row says what no row may.

use std::collections::BTreeMap;

use crate::Finding;

const PATH: &str = "docs/security/asvs.md";
const STATUSES: [&str; 4] = ["met", "deviation", "n/a", "open"];

/// Holds the figures of `text` against its rows.
pub fn check(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let mut told = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        match *cells.as_slice() {
            [level, _, met, deviation, none, open] if is_level(level) => {
                told.push((number, level.to_owned(), [met, deviation, none, open]));
            }
            [req, level, status, ..] if is_requirement(req) => match STATUSES
                .iter()
                .find(|known| **known == status)
            {
                Some(status) => {
                    *counts.entry((level.to_owned(), status)).or_default() += 1;
                    *counts.entry(("all".to_owned(), status)).or_default() += 1;
                }
                None => {
                    found.push(Finding::at(PATH, number, format!("`{status}` is no status: {STATUSES:?}")));
                }
            },
            _ => {}
        }
    }
    for (number, level, said) in told {
        let real =
            STATUSES.map(|status| counts.get(&(level.clone(), status)).copied().unwrap_or(0).to_string());
        if real != said {
            found.push(Finding::at(
                PATH,
                number,
                format!("level {level} has {real:?}, and the figures say {said:?}"),
            ));
        }
    }
    found
}

fn is_level(cell: &str) -> bool {
    matches!(cell, "1" | "2" | "3" | "all")
}

/// Such as `12.1.1`.
fn is_requirement(cell: &str) -> bool {
    let numbers = cell.split('.').filter(|part| part.parse::<u32>().is_ok()).count();
    numbers == 3 && cell.split('.').count() == 3
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| level | rows | met | deviation | n/a | open |\n|---|---|---|---|---|---|\n\
                         | 1 | 2 | 1 | 0 | 0 | 1 |\n| all | 3 | 2 | 0 | 0 | 1 |\n\
                         | 1.1.1 | 1 | met | x | y |\n| 1.1.2 | 1 | open | | |\n| 1.1.3 | 2 | met | | |\n";

    #[test]
    fn figures_that_are_those_of_the_rows_are_right() {
        assert_eq!(check(TABLE), []);
    }

    #[test]
    fn a_row_that_was_changed_without_the_figures_is_found() {
        let found = check(&TABLE.replace("| 1.1.2 | 1 | open |", "| 1.1.2 | 1 | met |"));
        assert_eq!(found.iter().map(|one| one.line).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_status_that_there_is_not_is_found() {
        let found = check(&TABLE.replace("| 1.1.3 | 2 | met |", "| 1.1.3 | 2 | nearly |"));
        assert_eq!(found.iter().map(|one| one.line).collect::<Vec<_>>(), [7, 4]);
    }
}
