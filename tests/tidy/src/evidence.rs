//! A page that names a test as evidence names one that is there.
//!
//! Evidence is written as two code spans side by side: the file and the function, as in `` `path/to/file.rs` `name` ``.

use crate::{Finding, tree::Source};

/// A file and a function that a page names together, with the line where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Of the page, from 1.
    pub line: usize,
    /// From the root.
    pub path: String,
    /// Its name.
    pub function: String,
}

/// Everything that `page` names.
pub fn of(page: &Source) -> Vec<Named> {
    (1..).zip(page.text.lines()).flat_map(|(line, text)| in_line(line, text)).collect()
}

fn in_line(line: usize, text: &str) -> Vec<Named> {
    // code spans are the odd pieces between backticks
    let pieces: Vec<&str> = text.split('`').collect();
    let mut named = Vec::new();
    for at in (1..pieces.len()).step_by(2) {
        let (Some(between), Some(function)) = (pieces.get(at + 1), pieces.get(at + 2)) else { continue };
        let whole = at + 3 < pieces.len();
        if whole && *between == " " && is_source(pieces[at]) && is_name(function) {
            named.push(Named { line, path: pieces[at].to_owned(), function: (*function).to_owned() });
        }
    }
    named
}

fn is_source(span: &str) -> bool {
    span.ends_with(".rs") && span.contains('/')
}

fn is_name(span: &str) -> bool {
    span.contains('_') && span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// What the page names and the tree lacks. `text` gives a file's text by its path from the root.
pub fn missing(page: &Source, text: &dyn Fn(&str) -> Option<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Named { line, path, function } in of(page) {
        let message = match text(&path) {
            None => format!("there is no file {path}"),
            Some(code) if !has_function(&code, &function) => format!("{path} has no `fn {function}`"),
            Some(_) => continue,
        };
        findings.push(Finding::at(&page.path, line, message));
    }
    findings
}

fn has_function(code: &str, name: &str) -> bool {
    let declared = format!("fn {name}");
    code.match_indices(&declared).any(|(at, _)| code[at + declared.len()..].starts_with(['(', '<']))
}

/// Rows of the page's tables that name no evidence. A row is left out by a reason: a cell that begins with `Not ours:`.
pub fn rows_without(page: &Source) -> Vec<Finding> {
    let named = of(page);
    let is_shown = |line: usize| named.iter().any(|one| one.line == line);
    let mut findings = Vec::new();
    let mut in_table = false;
    for (line, text) in (1..).zip(page.text.lines()) {
        let is_row = text.starts_with('|');
        let is_rule = is_row && text.chars().all(|c| "|-: ".contains(c));
        if in_table && is_row && !is_shown(line) && !text.contains("| Not ours: ") {
            findings.push(Finding::at(
                &page.path,
                line,
                "a row without a test, and without a reason for none",
            ));
        }
        in_table = is_rule || (in_table && is_row);
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Source {
        Source { path: "docs/page.md".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_test_that_is_not_there_is_found_and_one_that_is_is_not() {
        let text = |path: &str| (path == "a/b.rs").then(|| "fn holds() {}\nfn holds_more<T>() {}".to_owned());
        let all = page("x `a/b.rs` `holds_more` and `a/b.rs` `holds_mo`\nnothing\n`c/d.rs` `gone_too`");
        let found: Vec<_> = missing(&all, &text).into_iter().map(|one| (one.line, one.message)).collect();
        let lines: Vec<_> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3], "{found:?}");
        assert!(found[0].1.contains("holds_mo`"), "{found:?}");
    }

    #[test]
    fn spans_that_are_not_side_by_side_name_nothing() {
        assert_eq!(
            of(&page("`a/b.rs`, `some_field` and `a/b.rs` (`some_other`), `a/b.rs` `unclosed_one")),
            []
        );
    }

    #[test]
    fn a_row_without_a_test_and_without_a_reason_is_found() {
        let table = page(
            "| a | test |\n|---|---|\n| 1 | `a/b.rs` `it_holds` |\n| 2 | said |\n| 3 | Not ours: why |\n\n| x | y |",
        );
        assert_eq!(rows_without(&table).iter().map(|one| one.line).collect::<Vec<_>>(), [4]);
    }
}
