//! For the tests of what pages show: text of somebody who means harm, and whether it stayed text.

#![allow(clippy::unwrap_used)]

use std::{fs::OpenOptions, io::Write as _};

use askama::Template;

use super::{frame::Frame, words::Words};

/// Markup, and ways out of an attribute.
pub(super) const EVIL: &str = "<script>x</script>\" onload=\"x' onload='x";

/// It is shown, as text and nothing else.
pub(super) fn harmless(page: &impl Template) {
    let page = page.render().unwrap();
    let shown = page.replace("<script type=\"module\"", "");
    assert!(
        !shown.contains("<script") && !page.contains("\" onload") && !page.contains("' onload"),
        "{page}"
    );
    let places = page.matches("&#60;script&#62;").count();
    assert!(places > 0, "{page}");
    tell(places);
}

/// Adds to the figures of the pages how many places of one were tried, where somebody asks for them (docs/pages.md).
fn tell(places: usize) {
    if let Ok(file) = std::env::var("OCMT_FIGURES") {
        let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
        file.write_all(format!("injection\tplaces of a page's template\t{places}\n").as_bytes()).unwrap();
    }
}

/// A page's frame, in English.
pub(super) fn frame() -> Frame {
    Frame::new(Words::wanted(&"/".parse().unwrap(), &http::HeaderMap::new()), true)
}
