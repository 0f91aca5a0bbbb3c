//! What a browser calls itself, in two words that people know.

/// Of a `User-Agent`; the order matters, since most say that they are the others too.
const BROWSERS: [(&str, &str); 6] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrom", "Chrome"),
    ("Safari/", "Safari"),
];
const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

/// What one is kept as that says neither; pages have words of their own for it.
pub(super) const UNKNOWN: &str = "a browser";

/// `Firefox, Linux`. Nothing of the text itself is kept.
pub(super) fn name(agent: &str) -> String {
    let found = |known: &[(&str, &'static str)]| {
        known.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    match (found(&BROWSERS), found(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => UNKNOWN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_named_in_two_words_and_nothing_else_of_it_is_kept() {
        let linux = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)";
        assert_eq!(name(&format!("{linux} Chrome/156.0.0.0 Safari/537.36")), "Chrome, Linux");
        assert_eq!(name(&format!("{linux} Chrome/156.0.0.0 Safari/537.36 Edg/156.0")), "Edge, Linux");
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1";
        assert_eq!(name(phone), "Safari, iPhone");
        assert_eq!(name("<script>alert(1)</script>"), "a browser");
    }
}
