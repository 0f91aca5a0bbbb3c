//! The documents name commands and options that exist.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};

use super::args::Cli;

/// A line of a page that gives a command, after its `ocmt`.
struct Given {
    place: String,
    words: Vec<String>,
}

fn pages(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, into);
        } else if path.extension().is_some_and(|end| end == "md") {
            into.push(path);
        }
    }
}

/// Commands in code spans and code blocks; what follows a pipe, a comment or another command is left out.
fn given(name: &str, text: &str) -> Vec<Given> {
    let mut found = Vec::new();
    let mut in_block = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let pieces: Vec<&str> =
            if in_block { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
        for piece in pieces {
            let Some(command) = piece.trim_start_matches(['$', ' ']).strip_prefix("ocmt ") else { continue };
            let words = command.split_whitespace();
            let words = words
                .take_while(|word| !["|", "#", "&&", ">", "\\"].contains(word) && !word.starts_with('#'));
            let words = words.map(|word| word.trim_end_matches([',', ';', ':', '.']).to_owned()).collect();
            found.push(Given { place: format!("{name}:{number}"), words });
        }
    }
    found
}

fn is_name(word: &str) -> bool {
    !word.is_empty()
        && word.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c == '|')
        && !word.starts_with('-')
}

fn has_option(command: &Command, option: &str) -> bool {
    let globals = ["json", "endpoint", "ca", "tenant", "api-key-file", "state-dir", "help", "version"];
    globals.contains(&option) || command.get_arguments().any(|one| one.get_long() == Some(option))
}

/// What is wrong with it, if anything.
fn wrong(root: &Command, given: &Given) -> Option<String> {
    let mut at = root;
    let mut words = given.words.iter().peekable();
    while at.has_subcommands() {
        let Some(word) = words.next_if(|word| is_name(word)) else { break };
        // `a|b` gives several at once
        let mut next = None;
        for name in word.split('|') {
            match at.find_subcommand(name) {
                Some(found) => next = Some(found),
                None => return Some(format!("{}: `{}` has no `{name}`", given.place, at.get_name())),
            }
        }
        at = next?;
    }
    let options = words.filter_map(|word| word.trim_matches(['[', ']', '\'']).strip_prefix("--"));
    for option in options.flat_map(|word| word.split('|')) {
        let name = option.trim_start_matches("--").split(['=', '[']).next().unwrap_or_default();
        // `--` alone ends the options, and what follows is another program's
        if name.is_empty() {
            return None;
        }
        if !has_option(at, name) {
            return Some(format!("{}: `{}` has no `--{name}`", given.place, at.get_name()));
        }
    }
    None
}

#[test]
fn every_command_that_a_page_names_exists_with_its_options() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files: Vec<PathBuf> =
        ["README.md", "SECURITY.md", "CONTRIBUTING.md"].iter().map(|name| root.join(name)).collect();
    pages(&root.join("docs"), &mut files);
    let command = Cli::command();
    let mut seen = 0;
    let mut findings = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for given in given(&file.strip_prefix(root).unwrap().display().to_string(), &text) {
            seen += 1;
            findings.extend(wrong(&command, &given));
        }
    }
    assert!(seen > 100, "only {seen} commands were found: are the pages read?");
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn a_command_and_an_option_that_are_not_there_are_found() {
    let text = "`ocmt vault put` `ocmt vault burn`\n```\n$ ocmt vault get --loudly name # --no\nocmt vault get|ls\n```";
    let command = Cli::command();
    let findings: Vec<String> = given("page", text).iter().filter_map(|one| wrong(&command, one)).collect();
    assert_eq!(findings, ["page:1: `vault` has no `burn`", "page:3: `get` has no `--loudly`"]);
}
