//! Holds the house in order: rules that no compiler and no lint checks.
//!
//! Each module is one rule as a pure function from text to [`Finding`]s, with tests that plant a
//! violation and see it found. The files in `tests/` run one rule each over the tracked files of this
//! repository, so that a broken rule is one red test with a name that says which.

pub mod actors;
pub mod asvs;
pub mod book;
pub mod cryptography;
pub mod dependencies;
pub mod evidence;
pub mod length;
pub mod links;
pub mod logs;
pub mod manifests;
pub mod pinned;
pub mod places;
pub mod scripts;
pub mod selects;
pub mod shells;
pub mod tokens;
pub mod top;
pub mod tree;
pub mod unfinished;

use std::fmt;

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Path from the repository's root.
    pub path: String,
    /// Line, counted from 1; 0 when it is about the whole file.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// A finding at a line of a file.
    pub fn at(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// Fails the running test with every finding on a line of its own.
///
/// # Panics
/// When there is a finding: that is how a tidy test says no.
#[track_caller]
pub fn assert_none(findings: &[Finding]) {
    let list: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "\n{} to mend:\n{}\n", list.len(), list.join("\n"));
}
