//! Nothing half done: no test that is switched off, no placeholder, no note to self.

use proc_macro2::{Delimiter, TokenTree};

use crate::{
    Finding,
    tokens::{group, is_ident, is_punct, line, walk},
    tree::Source,
};

/// Written in two halves, so that this file passes its own rule.
const NOTES: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];
const PLACEHOLDERS: [&str; 2] = ["todo", "unimplemented"];

/// Kinds of files that people write notes into.
const WRITTEN: [&str; 6] = ["rs", "proto", "sql", "sh", "toml", "md"];

/// Tests switched off and placeholders in a Rust file.
pub fn code(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let walked = walk(&source.path, &source.text, &mut |siblings, at| {
        if let Some(message) = unfinished(siblings, at) {
            findings.push(Finding::at(&source.path, line(&siblings[at]), message));
        }
    });
    findings.extend(walked.err());
    findings
}

fn unfinished(siblings: &[TokenTree], at: usize) -> Option<&'static str> {
    if is_punct(siblings, at, '#')
        && let Some(attribute) = group(siblings, at + 1, Delimiter::Bracket)
        && matches!(attribute.stream().into_iter().next(), Some(TokenTree::Ident(name)) if name == "ignore")
    {
        return Some("a test that does not run: mend it or take it out");
    }
    let placeholder = PLACEHOLDERS.iter().any(|name| is_ident(siblings, at, name));
    (placeholder && is_punct(siblings, at + 1, '!'))
        .then_some("a placeholder: build it, or answer with an error that says it is not there yet")
}

/// Notes to self in a text file.
pub fn notes(source: &Source) -> Vec<Finding> {
    if !WRITTEN.iter().any(|extension| source.has_extension(extension)) {
        return Vec::new();
    }
    let words = |line: &str| -> Vec<String> {
        line.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect()
    };
    source
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| words(line).iter().any(|word| NOTES.contains(&word.as_str())))
        .map(|(at, _)| Finding::at(&source.path, at + 1, "a note to self: do it, or open an issue"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source { path: "a.rs".to_owned(), text: text.to_owned() }
    }

    // What is planted for the finder is put together here, so that no search of this tree finds it as text.
    #[test]
    fn tests_switched_off_and_placeholders_are_found() {
        let (off, later) = (concat!("ig", "nore"), [concat!("to", "do"), concat!("unimple", "mented")]);
        assert_eq!(code(&source(&format!("#[test] #[{off}] fn a() {{}}"))).len(), 1);
        assert_eq!(code(&source(&format!("#[{off} = \"slow\"] fn a() {{}}"))).len(), 1);
        for name in later {
            assert_eq!(code(&source(&format!("fn a() {{ {name}!() }}"))).len(), 1, "{name}");
            let inside = format!("fn a() {{ select! {{ _ = b => {name}!(\"later\") }} }}");
            assert_eq!(code(&source(&inside)).len(), 1, "{name}");
            let words = format!("/// {name}!() in words\nfn {off}() {{ let {name} = 1; }}");
            assert_eq!(code(&source(&words)), [], "{name}");
        }
    }

    #[test]
    fn notes_to_self_are_found_as_whole_words() {
        for note in NOTES {
            assert_eq!(notes(&source(&format!("// {note}: later\n"))).len(), 1);
        }
        assert_eq!(notes(&source(&format!("mktemp a.{0}{0}\n", NOTES[1]))), []);
    }
}
