//! The canary search: are marked secrets anywhere the control plane keeps things?
//!
//! A mark is looked for as it is, in hexadecimal, and in base64 at each of the three alignments it can
//! have inside a longer text, in both alphabets. Files, folders and the memory of a process are searched.

mod memory;
mod pattern;
mod tree;

use std::{fmt, io, path::PathBuf};

pub use pattern::Marks;

/// One place that held a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which mark, by the name it was given; never its value.
    pub mark: String,
    /// In which form.
    pub form: &'static str,
    /// Where.
    pub place: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) in {}", self.mark, self.form, self.place)
    }
}

/// What was searched and found.
#[derive(Debug, Default)]
pub struct Report {
    /// Where marks were found; empty is what one hopes for.
    pub findings: Vec<Finding>,
    /// Bytes that were searched: a search that looked at nothing proves nothing.
    pub bytes: u64,
}

/// A place could not be searched, so nothing can be said of it.
#[derive(Debug, thiserror::Error)]
#[error("cannot search {place}: {source}")]
pub struct SearchError {
    /// Which place.
    pub place: String,
    /// Why not.
    pub source: io::Error,
}

/// A place to search.
#[derive(Debug, Clone)]
pub enum Place {
    /// A file, or all files below a folder.
    Tree(PathBuf),
    /// The memory of a process.
    Process(u32),
    /// Text at hand, such as the answer of an engine, with a name for it.
    Text(String, Vec<u8>),
}

/// Searches all places for all marks.
///
/// # Errors
/// [`SearchError`] if a place could not be read.
pub fn search(marks: &Marks, places: &[Place]) -> Result<Report, SearchError> {
    let mut report = Report::default();
    for place in places {
        match place {
            Place::Tree(path) => tree::search(marks, path, &mut report)?,
            Place::Process(pid) => memory::search(marks, *pid, &mut report)?,
            Place::Text(name, text) => marks.scan(text, name, &mut report),
        }
    }
    report.findings.sort_by(|a, b| (&a.place, &a.mark).cmp(&(&b.place, &b.mark)));
    report.findings.dedup();
    Ok(report)
}
