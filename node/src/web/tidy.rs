//! That nothing in the pages is left over, doubled, or in the wrong language: templates, words, styles and modules are read as files.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// All files of a folder of this crate with such an ending: name and text.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut all: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|it| it == ending));
    all.sort();
    assert!(!all.is_empty(), "{}", folder.display());
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    all.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// Without whatever stands between these two.
fn without(text: &str, from: &str, to: &str) -> String {
    let mut parts = text.split(from);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |left, part| format!("{left} {}", part.split_once(to).map_or("", |(_, rest)| rest)))
}

fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect()
}

/// Whether a name stands in a text by itself, and not as a part of another.
fn names(text: &str, name: &str) -> bool {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$' || c == '-');
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        !inside(before.chars().next_back()) && !inside(after.chars().next())
    })
}

#[test]
fn templates_say_nothing_but_what_languages_have_words_for() {
    /// The name, and keys as they stand on keyboards.
    const SAME: [&str; 5] = ["OCMT", "Tab", "Esc", "C", "D"];
    /// Attributes that are read or heard.
    const SAID: [&str; 4] = ["aria-label=\"", "placeholder=\"", "title=\"", "alt=\""];
    for (name, text) in files("templates", "html") {
        let text = without(&without(&text, "{{", "}}"), "{%", "%}");
        for said in SAID {
            let values = text.split(said).skip(1).map(|rest| rest.split('"').next().unwrap());
            for value in values {
                assert!(words(value).is_empty(), "{name}: {said}{value}");
            }
        }
        // commands are the same in every language
        let text = without(&without(&text, "<code>", "</code>"), "<", ">");
        let own: Vec<&str> = words(&text).into_iter().filter(|word| !SAME.contains(word)).collect();
        assert!(own.is_empty(), "{name}: {own:?}");
    }
}

#[test]
fn what_each_language_says_is_of_that_language() {
    type Sections = BTreeMap<String, BTreeMap<String, String>>;
    const ENGLISH: [&str; 16] = [
        "the", "and", "of", "is", "you", "your", "not", "with", "to", "for", "this", "that", "are", "has",
        "been", "who",
    ];
    const GERMAN: [&str; 15] = [
        "und", "nicht", "ist", "der", "das", "ein", "eine", "für", "sie", "ihr", "wird", "oder", "mit",
        "von", "zu",
    ];
    /// Words that both have.
    const BOTH: [&str; 10] = [
        "frame.passkeys",
        "code.code",
        "vault.name",
        "keys.kind1",
        "passkey.title",
        "own.container",
        "container.one",
        "terminal.title",
        "pairing.channel",
        "node.version",
    ];
    let read = |text: &str| toml::from_str::<Sections>(text).unwrap();
    let [(_, de), (_, en)] = <[_; 2]>::try_from(files("templates/words", "toml")).unwrap();
    let (de, en) = (read(&de), read(&en));
    for (sections, foreign) in [(&de, &ENGLISH[..]), (&en, &GERMAN[..])] {
        for (section, all) in sections {
            for (key, said) in all {
                // commands are the same in both
                let said = said.split('`').step_by(2).collect::<String>().to_lowercase();
                let found: Vec<&str> = words(&said).into_iter().filter(|it| foreign.contains(it)).collect();
                assert!(found.is_empty(), "{section}.{key}: {found:?}");
            }
        }
    }
    for (section, all) in &de {
        for (key, said) in all {
            let (named, english) = (format!("{section}.{key}"), en.get(section).and_then(|all| all.get(key)));
            let untranslated = english == Some(said) && !words(said).is_empty();
            assert_eq!(untranslated, BOTH.contains(&named.as_str()), "{named}: {said}");
        }
    }
}

#[test]
fn nothing_is_shown_to_people_as_a_program_writes_it_for_its_maker() {
    for folder in ["src/web", "src/web/guardian", "src/web/own", "src/web/console"] {
        for (name, text) in files(folder, "rs") {
            let served = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let is_test = name.ends_with("tests.rs") || name == "tidy.rs";
            assert!(is_test || !served.contains(":?}"), "{folder}/{name} shows what is for debugging");
        }
    }
}

/// Selectors of the stylesheet with the conditions that they stand under.
fn rules(styles: &str) -> Vec<String> {
    let (mut rules, mut under, mut text) = (Vec::new(), Vec::new(), String::new());
    for c in styles.chars() {
        match c {
            '{' => {
                under.push(text.trim().to_owned());
                rules.push(under.join(" { "));
                text.clear();
            }
            '}' => {
                under.pop();
                text.clear();
            }
            ';' => text.clear(),
            c => text.push(c),
        }
    }
    // a condition by itself is no rule
    rules.retain(|rule: &String| !rule.rsplit(" { ").next().unwrap().starts_with('@'));
    rules
}

#[test]
fn no_rule_of_the_stylesheet_stands_twice_or_is_of_what_no_page_has() {
    let styles = files("web", "css").remove(0).1;
    let rules = rules(&styles);
    let mut seen = BTreeSet::new();
    for rule in &rules {
        assert!(seen.insert(rule), "{rule} stands twice");
    }
    assert!(seen.len() > 50);
    let pages: String = ["templates", "web/js/page", "web/js/core"]
        .into_iter()
        .flat_map(|folder| files(folder, if folder == "templates" { "html" } else { "js" }))
        .map(|(_, text)| text)
        .collect();
    // colours of a terminal are named with their number
    let numbered =
        |name: &str| pages.contains(&format!("{}$", name.trim_end_matches(|c: char| c.is_ascii_digit())));
    let is_there = |name: &str| names(&pages, name) || numbered(name);
    for rule in &rules {
        let selector = rule.rsplit(" { ").next().unwrap();
        for sign in ['.', '#'] {
            let named = selector.split(sign).skip(1).map(|rest| {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'));
                &rest[..end.unwrap_or(rest.len())]
            });
            for name in named.filter(|name| name.starts_with(|c: char| c.is_alphabetic())) {
                assert!(is_there(name), "{rule}: nothing is {sign}{name}");
            }
        }
    }
}

#[test]
fn what_a_module_exports_is_imported_somewhere() {
    let modules: Vec<(String, String)> =
        ["web/js/page", "web/js/core", "../tests/web"].into_iter().flat_map(|it| files(it, "js")).collect();
    let mut counted = 0;
    for (at, (name, text)) in modules.iter().enumerate() {
        for line in text.lines().filter_map(|line| line.strip_prefix("export ")) {
            let line = line.trim_start_matches("async ");
            let after =
                ["const ", "function* ", "function ", "class "].iter().find_map(|it| line.strip_prefix(it));
            let Some(after) = after else { continue };
            let exported = words_of_code(after);
            counted += 1;
            let is_used =
                modules.iter().enumerate().any(|(other, (_, text))| other != at && names(text, exported));
            assert!(is_used, "{name}: nobody imports {exported}");
        }
    }
    assert!(counted > 100, "{counted}");
}

/// The name that a piece of code begins with.
fn words_of_code(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
    &text[..end.unwrap_or(text.len())]
}
