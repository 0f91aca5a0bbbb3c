//! For the tests of what pages show: text of somebody who means harm, and whether it stayed text.

#![allow(clippy::unwrap_used)]

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
    assert!(page.contains("&#60;script&#62;"), "{page}");
}

/// A page's frame, in English.
pub(super) fn frame() -> Frame {
    Frame::new(Words::wanted(&"/".parse().unwrap(), &http::HeaderMap::new()), true)
}
