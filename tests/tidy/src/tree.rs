//! The files of this repository, as git lists them: tracked, and new ones that nothing ignores.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

/// A file that is text.
#[derive(Debug, Clone)]
pub struct Source {
    /// Path from the repository's root, with `/`.
    pub path: String,
    /// Its text as it stands on disk.
    pub text: String,
}

impl Source {
    /// Whether the name ends in `.extension`.
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|e| e == extension)
    }
}

const LIST: [&str; 5] = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The paths of all files that are on disk and not ignored, sorted. A new one is held to the rules before it is added.
///
/// # Errors
/// When git does not list them: the rules hold for a repository, not for a loose copy of its files.
pub fn paths() -> Result<Vec<String>> {
    let root = root();
    let listed = Command::new("git").args(LIST).current_dir(&root).output().context("running git")?;
    ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).context("a file name that is not UTF-8")?;
    let mut paths: Vec<String> = names
        .split('\0')
        .filter(|name| !name.is_empty() && root.join(name).is_file())
        .map(str::to_owned)
        .collect();
    paths.sort();
    ensure!(!paths.is_empty(), "git lists no files");
    Ok(paths)
}

/// All text files of those. Binary ones (archives, pictures) are left out.
///
/// # Errors
/// As [`paths`], or when a file cannot be read.
pub fn sources() -> Result<Vec<Source>> {
    let root = root();
    let mut sources = Vec::new();
    for path in paths()? {
        let bytes = std::fs::read(root.join(&path)).with_context(|| format!("reading {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source { path, text });
        }
    }
    Ok(sources)
}

/// What Semgrep has to find is planted there: no crate has it, and no rule of ours is for it.
const PLANTED: &str = "tests/semgrep/rules.rs";

/// The tracked Rust files.
///
/// # Errors
/// As [`sources`].
pub fn rust_sources() -> Result<Vec<Source>> {
    let mut sources = sources()?;
    sources.retain(|source| source.has_extension("rs") && source.path != PLANTED);
    Ok(sources)
}
