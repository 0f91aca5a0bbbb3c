//! Every crate takes the workspace's lints: a crate that forgot them is checked by none.

use crate::{Finding, tree::Source};

/// A finding if the manifest of a crate does not say `[lints] workspace = true`.
pub fn check(source: &Source) -> Option<Finding> {
    let manifest: toml::Table = match source.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return Some(Finding::at(&source.path, 0, format!("not TOML: {error}"))),
    };
    let package = manifest.get("package");
    // the fuzz targets are a workspace of their own: nothing shares its lints with them
    let fuzzes = manifest.contains_key("workspace")
        && package.and_then(|package| package.get("metadata")?.get("cargo-fuzz")?.as_bool()) == Some(true);
    let is_crate = package.is_some() && !fuzzes;
    let shared =
        manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
    (is_crate && shared != Some(true))
        .then(|| Finding::at(&source.path, 0, "without `[lints] workspace = true` no lint holds here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(text: &str) -> Option<Finding> {
        check(&Source { path: "a/Cargo.toml".to_owned(), text: text.to_owned() })
    }

    #[test]
    fn a_crate_without_the_shared_lints_is_found() {
        assert_eq!(finding("[package]\nname = 'a'\n[lints]\nworkspace = true\n"), None);
        assert_eq!(finding("[workspace]\nmembers = []\n"), None);
        assert!(finding("[package]\nname = 'a'\n").is_some());
        let fuzz = "[package]\nname = 'a'\n[package.metadata]\ncargo-fuzz = true\n";
        assert!(finding(fuzz).is_some(), "only as a workspace of its own");
        assert_eq!(finding(&format!("{fuzz}[workspace]\n")), None);
        assert!(finding("[package]\nname = 'a'\n[lints]\nworkspace = false\n").is_some());
        assert!(finding("[package\n").is_some());
    }
}
