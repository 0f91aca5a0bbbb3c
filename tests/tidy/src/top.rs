//! What may stand at the top of the repository: the given folders and root files, nothing else.

use std::collections::BTreeSet;

use crate::Finding;

const ALLOWED: [&str; 25] = [
    ".cargo",
    ".ci",
    ".config",
    ".github",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "actors",
    "clippy.toml",
    "cluster",
    "deny.toml",
    "docs",
    "migrations",
    "node",
    "proto",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "tests",
];

/// Every entry at the top that is not among the allowed ones.
pub fn check(paths: &[String]) -> Vec<Finding> {
    let entries: BTreeSet<&str> = paths.iter().filter_map(|path| path.split('/').next()).collect();
    entries
        .into_iter()
        .filter(|entry| !ALLOWED.contains(entry))
        .map(|entry| Finding::at(entry, 0, "does not belong at the top: put it into the crate it serves"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stray_file_or_folder_at_the_top_is_found_and_deeper_ones_are_not() {
        let paths = ["Cargo.toml", "node/src/main.rs", "docs/todo/x.md", "notes.txt", "scripts/run"];
        let found = check(&paths.map(str::to_owned));
        let names: Vec<&str> = found.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(names, ["notes.txt", "scripts"]);
    }
}
