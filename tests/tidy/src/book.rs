//! The book and the pages at the top say only what is there: no dead link, no page outside the contents, no
//! `make` target that the Makefile lacks.

use std::{collections::BTreeSet, path::Path};

use crate::{Finding, links, tree::Source};

/// The book's table of contents.
pub const CONTENTS: &str = "docs/SUMMARY.md";

/// Links whose file does not exist. `exists` is asked with paths from the root.
pub fn dead_links(page: &Source, exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
    let mut findings = Vec::new();
    for link in links::of(&page.text) {
        let Some(file) = link.file() else { continue };
        let alive = resolve(folder, file).is_some_and(|path| exists(&path));
        if !alive {
            findings.push(Finding::at(&page.path, link.line, format!("leads nowhere: {file}")));
        }
    }
    findings
}

/// `folder/target` without `.` and `..`; `None` when it leaves the repository.
fn resolve(folder: &Path, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.iter().filter_map(|part| part.to_str()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Pages under `docs` that the table of contents does not list.
pub fn missing_from_contents(contents: &Source, paths: &[String]) -> Vec<Finding> {
    let listed: BTreeSet<String> = links::of(&contents.text)
        .iter()
        .filter_map(|link| resolve(Path::new("docs"), link.file()?))
        .collect();
    paths
        .iter()
        .filter(|path| path.starts_with("docs/") && path.ends_with(".md") && *path != CONTENTS)
        .filter(|path| !listed.contains(*path))
        .map(|path| Finding::at(path, 0, format!("not listed in {CONTENTS}")))
        .collect()
}

/// `make x` in a page where the Makefile has no `x`.
pub fn missing_targets(page: &Source, makefile: &str) -> Vec<Finding> {
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .collect();
    let mut findings = Vec::new();
    for (at, line) in page.text.lines().enumerate() {
        for code in line.split('`').skip(1).step_by(2) {
            let target = code.strip_prefix("make ").and_then(|rest| rest.split_whitespace().next());
            if let Some(target) = target.filter(|target| !targets.contains(target)) {
                findings.push(Finding::at(&page.path, at + 1, format!("the Makefile has no `{target}`")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_link_is_followed_from_the_folder_of_its_page() {
        let exists = |path: &str| ["docs/a.md", "README.md"].contains(&path);
        let good = page("docs/adr/x.md", "[a](../a.md#part) [r](../../README.md) [h](#here)");
        assert_eq!(dead_links(&good, &exists), []);
        let bad = page("docs/adr/x.md", "[a](a.md) [out](../../../README.md)");
        assert_eq!(dead_links(&bad, &exists).len(), 2);
    }

    #[test]
    fn a_page_that_the_contents_do_not_list_is_found() {
        let contents = page(CONTENTS, "- [A](a.md)\n- [One](adr/0001.md)\n");
        let paths = ["docs/SUMMARY.md", "docs/a.md", "docs/adr/0001.md", "docs/lost.md", "README.md"];
        let found = missing_from_contents(&contents, &paths.map(str::to_owned));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "docs/lost.md");
    }

    #[test]
    fn a_target_that_the_makefile_lacks_is_found() {
        let makefile = "demo: ## runs\n\t@true\n";
        assert_eq!(missing_targets(&page("README.md", "run `make demo`, and make sure"), makefile), []);
        assert_eq!(missing_targets(&page("README.md", "run `make dmeo ARGS=--keep`"), makefile).len(), 1);
    }
}
