//! What a browser needs of a module: comments and indentation are for whoever reads the source.

/// The module without indentation, empty lines and comments that have their lines to themselves. What is inside a template
/// literal stays as it is.
pub(super) fn lean(module: &str) -> String {
    let mut lean = String::with_capacity(module.len());
    let (mut comment, mut literal) = (false, false);
    for line in module.lines() {
        let mut text = line;
        if !literal {
            text = text.trim_start();
            if let Some(begun) = text.strip_prefix("/*") {
                (comment, text) = (true, begun);
            }
            if comment {
                let Some((_, behind)) = text.split_once("*/") else { continue };
                (comment, text) = (false, behind.trim_start());
            }
            if text.is_empty() || text.starts_with("//") {
                continue;
            }
        }
        literal ^= text.matches('`').count() % 2 == 1;
        lean.push_str(text);
        lean.push('\n');
    }
    lean
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn comments_and_indentation_go_and_template_literals_stay() {
        let module = "// About `it.\n\nimport { a } from \"./a.js\";\n/** One line, of `b`. */\nconst b = `\n  // no comment\n\n  /* nor this */\n  `;\n/**\n * Of more\n * lines.\n */\nfunction c() {\n  // why\n  return \"//\" + /* what */ a * b; // behind it\n}\n  /* before */ c();\n";
        let kept = "import { a } from \"./a.js\";\nconst b = `\n  // no comment\n\n  /* nor this */\n  `;\nfunction c() {\nreturn \"//\" + /* what */ a * b; // behind it\n}\nc();\n";
        assert_eq!(lean(module), kept);
        assert_eq!(lean(kept), kept);
    }

    /// What `lean` does not tell apart does not occur in what goes through it.
    #[test]
    fn no_module_has_more_than_is_known_of_here() {
        let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/js");
        let mut looked_at = 0;
        for folder in ["core", "page"] {
            for entry in fs::read_dir(web.join(folder)).unwrap() {
                let entry = entry.unwrap();
                let (name, text) =
                    (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap());
                let lean = lean(&text);
                let odd = lean.lines().filter(|line| line.matches('`').count() % 2 == 1).count();
                // the one template literal of more than a line: words, which are split at what is between them
                let literal = if name == "english.js" { 2 } else { 0 };
                assert_eq!(odd, literal, "{name}: a template literal of more than one line");
                for line in lean.lines() {
                    assert!(!line.ends_with('\\'), "{name}: a string of more than one line: {line}");
                    assert!(line.matches("/*").count() == line.matches("*/").count(), "{name}: {line}");
                    assert!(
                        line == line.trim_start() && !line.is_empty() && !line.starts_with("//"),
                        "{name}: {line}"
                    );
                }
                assert_eq!(lean.matches('`').count() % 2, 0, "{name}");
                looked_at += 1;
            }
        }
        assert!(looked_at > 40, "{looked_at}");
    }
}
