//! Nothing of one machine in the tree: no path of its folders, no address of its network.

use std::net::Ipv4Addr;

use crate::{Finding, tree::Source};

/// Folders of the machines this was written on, in halves, so that this file passes its own rule.
const FOLDERS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/fa", "rm/")];
const HOMES: &str = concat!("/ho", "me/");

/// Every line that names a folder of some machine.
pub fn paths(source: &Source) -> Vec<Finding> {
    // a lock file says what cargo says
    if source.has_extension("lock") {
        return Vec::new();
    }
    let lines = source.text.lines().enumerate().filter(|(_, line)| names_a_folder(line));
    lines.map(|(at, _)| Finding::at(&source.path, at + 1, "a path of one machine")).collect()
}

fn names_a_folder(line: &str) -> bool {
    let home = line.match_indices(HOMES).any(|(at, _)| {
        let name: String =
            line[at + HOMES.len()..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '/').collect();
        name.len() > 1 && name.contains('/') && !name.starts_with('/')
    });
    home || FOLDERS.iter().any(|folder| line.match_indices(folder).any(|(at, _)| is_absolute(line, at)))
}

/// Whether the path with a folder at `at` begins at the root: a source folder of this tree may have a machine's name.
fn is_absolute(line: &str, at: usize) -> bool {
    let before = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let (head, _) = line.split_at(at);
    let path = head.len() - head.trim_end_matches(before).len();
    path == 0 || head[head.len() - path..].starts_with('/')
}

/// Every line with an address of a private network (RFC 1918).
///
/// Loopback, the documentation ranges of RFC 5737, and networks (`a.b.c.d/n`, `a.b.c.0`) are no machine's address
/// and pass. `tests` folders may hold any: what refuses private addresses is tested with them.
pub fn addresses(source: &Source) -> Vec<Finding> {
    if source.has_extension("lock") || source.path.split('/').any(|part| part == "tests") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (at, line) in source.text.lines().enumerate() {
        if line.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '/')).any(is_private_host) {
            findings.push(Finding::at(&source.path, at + 1, "an address of a private network: see RFC 5737"));
        }
    }
    findings
}

fn is_private_host(word: &str) -> bool {
    let address = word.trim_matches('.').parse::<Ipv4Addr>();
    address.is_ok_and(|address| address.is_private() && address.octets()[3] != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        for folder in FOLDERS {
            assert_eq!(paths(&source("a.md", &format!("see {folder}notes"))).len(), 1);
        }
        assert_eq!(paths(&source("a.md", &format!("see {HOMES}someone/notes"))).len(), 1);
        assert_eq!(paths(&source("a.md", &format!("{HOMES} and {HOMES}$USER, framework/, root/"))), []);
        for lead in ["/check", "file://", "~", "`"] {
            assert_eq!(paths(&source("a.md", &format!("{lead}{}x", FOLDERS[0]))).len(), 1, "{lead}");
        }
        assert_eq!(paths(&source("a.md", &format!("`actors/src{}repeat.rs`", FOLDERS[0]))), []);
        assert_eq!(paths(&source("Cargo.lock", &format!("{}x", FOLDERS[0]))), []);
    }

    #[test]
    fn private_addresses_are_found_and_ranges_and_examples_are_not() {
        assert_eq!(addresses(&source("a.md", "at 10.1.2.3:7443")).len(), 1);
        assert_eq!(addresses(&source("a.rs", "let x = \"192.168.0.17\";")).len(), 1);
        let lawful =
            "127.0.0.1 192.0.2.4 198.51.100.7 203.0.113.9 10.0.0.0/8 10.1.2.0 0.0.0.0 1.2.3 172.32.0.1";
        assert_eq!(addresses(&source("a.md", lawful)), []);
        assert_eq!(addresses(&source("node/tests/a.rs", "10.1.2.3")), []);
    }
}
