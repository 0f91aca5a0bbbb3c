//! What modules of the pages may not do with what others wrote: make code or elements of it, or reach into what all objects share.
//! The policy of the pages stops scripts in elements that were made of text, and not the elements.

use crate::{Finding, tree::Source};

const FOLDER: &str = "node/web/js/";
const NEVER: [&str; 9] = [
    ".innerHTML",
    ".outerHTML",
    "insertAdjacentHTML",
    "createContextualFragment",
    "DOMParser",
    "document.write",
    "eval(",
    "new Function(",
    "__proto__",
];

/// Every such place in a module of the pages.
pub fn check(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with(FOLDER) || !source.has_extension("js") {
        return Vec::new();
    }
    let lines = (1..).zip(source.text.lines());
    let named = lines.flat_map(|(line, text)| {
        let found = NEVER.iter().filter(move |never| text.contains(**never));
        found.map(move |never| (line, *never))
    });
    named
        .map(|(line, never)| {
            let message = format!("`{never}`: text is put by `textContent`, names by others into a `Map`");
            Finding::at(&source.path, line, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{assert_none, tree};

    fn at(path: &str, text: &str) -> Vec<Finding> {
        check(&Source { path: path.to_owned(), text: text.to_owned() })
    }

    #[test]
    fn an_element_made_of_text_is_found_in_a_module_of_the_pages_alone() {
        for never in NEVER {
            let text = format!("const a = 1;\nrow{never} = name;\n");
            let found = at("node/web/js/page/a.js", &text);
            assert_eq!(found.iter().map(|one| one.line).collect::<Vec<_>>(), [2], "{never}");
            assert_eq!(at("tests/web/a.js", &text), []);
        }
        assert_eq!(at("node/web/js/page/a.js", "row.textContent = name;\n"), []);
    }

    #[test]
    fn no_module_of_the_pages_makes_code_or_elements_of_text() -> anyhow::Result<()> {
        let sources = tree::sources()?;
        assert!(
            sources.iter().any(|source| source.path == "node/web/js/page/shown.js"),
            "they are elsewhere"
        );
        let findings: Vec<_> = sources.iter().flat_map(check).collect();
        assert_none(&findings);
        Ok(())
    }
}
