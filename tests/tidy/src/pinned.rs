//! What the workflows run is named by digest: a tag is moved by whoever has the other repository, a digest is not.

use crate::{Finding, tree::Source};

/// Every action that is named otherwise, or whose digest says no version to people.
pub fn check(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with(".github/") {
        return Vec::new();
    }
    let lines = source.text.lines().enumerate();
    lines
        .filter(|(_, line)| named(line).is_some_and(|(of, version)| !is_pinned(of, version)))
        .map(|(at, _)| {
            let message = "an action is named by the digest of its commit, with its version in a comment";
            Finding::at(&source.path, at + 1, message)
        })
        .collect()
}

/// What a step uses, and what is said behind it.
fn named(line: &str) -> Option<(&str, &str)> {
    let step = line.trim_start().trim_start_matches("- ").strip_prefix("uses:")?;
    Some(step.split_once('#').unwrap_or((step, "")))
}

fn is_pinned(of: &str, version: &str) -> bool {
    let of = of.trim();
    // one of this repository is the commit's own
    if of.starts_with("./") {
        return true;
    }
    let digest = of.split_once('@').map_or("", |(_, digest)| digest);
    digest.len() == 40
        && digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        && version.trim().starts_with('v')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(line: &str) -> usize {
        let text = format!("steps:\n  {line}\n");
        check(&Source { path: ".github/workflows/ci.yml".to_owned(), text }).len()
    }

    #[test]
    fn a_tag_is_found_and_a_digest_with_its_version_is_not() {
        let digest = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(findings("- uses: actions/checkout@v4"), 1);
        assert_eq!(findings("- uses: actions/checkout@main # v4"), 1);
        assert_eq!(findings(&format!("- uses: actions/checkout@{digest}")), 1);
        assert_eq!(findings(&format!("uses: actions/checkout@{digest} # v4.3.1")), 0);
        assert_eq!(findings("- uses: ./.github/actions/ours"), 0);
        assert_eq!(findings("- run: make test"), 0);
    }
}
