//! Figures of the pages, for `docs/pages.md`: counted and measured while people's ways through them are driven, and written where
//! somebody asks for them.

use std::{
    fmt::Display,
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
};

use super::browser::Browser;

/// A file that figures are added to: what, of what, how much. Nothing is written without it.
const FIGURES: &str = "OCMT_FIGURES";

/// Adds a figure.
pub(super) fn tell(what: &str, of: &str, how_much: impl Display) {
    if let Ok(file) = std::env::var(FIGURES) {
        add(&PathBuf::from(file), &format!("{what}\t{of}\t{how_much}\n"));
    }
}

/// Adds a line, whole, whichever test of several writes at the same time.
pub(super) fn add(file: &Path, line: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(line.as_bytes()).unwrap();
}

/// What somebody wrote stands in the page as they wrote it, and is nothing else: an attempt at putting code into it.
pub(super) async fn is_text(browser: &Browser, field: &str, wrote: &str) {
    let shown = browser.text("main").await;
    assert!(shown.contains(wrote), "{field}: {shown}");
    stays_text(browser, field).await;
}

/// The same of what was seen to stand there already.
pub(super) async fn stays_text(browser: &Browser, field: &str) {
    let made = "return document.querySelectorAll('main img, main script').length";
    assert_eq!(browser.run(made).await, 0, "{field} is no text");
    tell("injection", field, 1);
}
