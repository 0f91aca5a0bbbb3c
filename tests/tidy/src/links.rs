//! The links of a Markdown page: where they lead, code left out.

/// A link and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Line, counted from 1.
    pub line: usize,
    /// What stands in the parentheses.
    pub target: String,
}

impl Link {
    /// The file it leads to, without the anchor; `None` when it leaves the repository or stays on the page.
    pub fn file(&self) -> Option<&str> {
        let outside = self.target.contains("://") || self.target.starts_with("mailto:");
        let path = self.target.split('#').next().unwrap_or_default();
        (!outside && !path.is_empty()).then_some(path)
    }
}

/// All links of a page, in order.
pub fn of(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    let mut fenced = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let prose = without_code(line);
            links.extend(targets(&prose).map(|target| Link { line: at + 1, target: target.to_owned() }));
        }
    }
    links
}

/// The line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("")
}

fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_and_code_is_not() {
        let text =
            "[a](b.md) and ![c](d/e.png#x)\n```\n[no](no.md)\n```\n`[no](no.md)` [f](https://example.org)";
        let found = of(text);
        let targets: Vec<(usize, &str)> = found.iter().map(|l| (l.line, l.target.as_str())).collect();
        assert_eq!(targets, [(1, "b.md"), (1, "d/e.png#x"), (5, "https://example.org")]);
        assert_eq!(found[1].file(), Some("d/e.png"));
        assert_eq!(found[2].file(), None);
    }

    #[test]
    fn anchors_of_the_same_page_and_addresses_lead_to_no_file() {
        for target in ["#here", "mailto:someone@example.org", "http://example.org/a"] {
            assert_eq!(Link { line: 1, target: target.to_owned() }.file(), None);
        }
    }
}
