//! No shell between us and a program: arguments are passed as a list, so nothing in them is ever code.

use proc_macro2::{Delimiter, TokenTree};

use crate::{
    Finding,
    tokens::{group, is_ident, is_punct, line, string, walk},
    tree::Source,
};

const SHELLS: [&str; 14] = [
    "sh",
    "bash",
    "dash",
    "zsh",
    "ash",
    "ksh",
    "csh",
    "tcsh",
    "fish",
    "busybox",
    "toybox",
    "cmd",
    "powershell",
    "pwsh",
];

/// Every file of the product that starts processes, and what it starts. Whoever adds one says here why, and passes the
/// arguments as a list. Tests start what they test and engines of their own, and are not on it; scripts in `tests/scripts`
/// are shell themselves, are run by people and `make`, and nothing of the product starts them.
const STARTERS: [(&str, &str); 13] = [
    ("actors/runtime/src/docker/guard.rs", "iptables, for the guard rules of the bridges"),
    ("actors/runtime/src/docker/sized.rs", "mkfs.ext4, debugfs, mount and umount, for volumes with a size"),
    ("actors/runtime/src/process/archive.rs", "the cell that takes a snapshot, on the same runtime"),
    ("actors/runtime/src/process/launch.rs", "the cell, on the `process` runtime of development"),
    ("node/cell/src/channels/exec.rs", "what the container's user asked to run in it"),
    ("node/cell/src/channels/terminal.rs", "itself, to take a terminal, then what the user asked for"),
    ("node/cell/src/children.rs", "its own test's children"),
    ("node/cell/src/environment.rs", "its own test's child"),
    ("node/cell/src/workload.rs", "the workload"),
    ("node/client/src/hardware.rs", "the program that its user names to ask a hardware token"),
    ("node/src/canary/memory.rs", "its own test's child"),
    ("node/src/demo/private_docker.rs", "the demo's Docker engine, its iptables rules and mounts"),
    ("node/src/local/mod.rs", "a node of one's own, for the demo and the tests"),
];

/// Every shell that a Rust file starts or writes into a command line.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let walked = walk(&source.path, &source.text, &mut |siblings, at| {
        let named =
            string(&siblings[at]).is_some_and(|text| names_a_shell(&text) || text.as_bytes() == b"SHELL");
        if named || starts_a_shell(siblings, at) || lists_a_shell(siblings, at) {
            let message = "a shell: start the program itself with a list of arguments";
            findings.push(Finding::at(&source.path, line(&siblings[at]), message));
        }
    });
    findings.extend(walked.err());
    findings
}

/// Every process that a file of the product starts without being on the list, and every place on the list that starts none.
pub fn check_starters(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    for source in sources.iter().filter(|source| is_product(&source.path)) {
        let mut first = None;
        let walked = walk(&source.path, &source.text, &mut |siblings, at| {
            if makes_a_command(siblings, at) && first.is_none() {
                first = Some(line(&siblings[at]));
            }
        });
        findings.extend(walked.err());
        let Some(line) = first else { continue };
        seen.push(source.path.as_str());
        if !STARTERS.iter().any(|(path, _)| *path == source.path) {
            let message = "starts a process: say in the list of tests/tidy/src/shells.rs what and why";
            findings.push(Finding::at(&source.path, line, message));
        }
    }
    for (path, _) in STARTERS.iter().filter(|(path, _)| !seen.contains(path)) {
        findings.push(Finding::at(path, 0, "is on the list of tests/tidy/src/shells.rs and starts nothing"));
    }
    findings
}

fn is_product(path: &str) -> bool {
    !path.starts_with("tests/") && !path.contains("/tests/") && !path.contains("/examples/")
}

/// `Command::new`, of whatever library.
fn makes_a_command(siblings: &[TokenTree], at: usize) -> bool {
    is_ident(siblings, at, "Command")
        && is_punct(siblings, at + 1, ':')
        && is_punct(siblings, at + 2, ':')
        && is_ident(siblings, at + 3, "new")
}

/// `Command::new("bash")`, and what takes its program from the user's own shell.
fn starts_a_shell(siblings: &[TokenTree], at: usize) -> bool {
    let Some(call) =
        group(siblings, at + 4, Delimiter::Parenthesis).filter(|_| makes_a_command(siblings, at))
    else {
        return false;
    };
    let program = call.stream().into_iter().next().and_then(|token| string(&token));
    // what `names_a_shell` sees by itself is not told twice
    program.is_some_and(|program| is_shell(&program) && !names_a_shell(&program))
}

/// `["bash", "-c", ..]`, or `su`, `script`, `env` and the like before it, with whatever makes owned strings of the two.
fn lists_a_shell(siblings: &[TokenTree], at: usize) -> bool {
    let mut words = siblings[at..].iter().filter_map(string);
    let shell = string(&siblings[at]).is_some() && words.next().is_some_and(|word| is_shell(&word));
    shell && words.next().as_deref() == Some("-c")
}

/// The path of a shell, or a command line that begins one. The bare name passes: command completion and file
/// extensions know shells by it.
fn names_a_shell(text: &str) -> bool {
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        if is_shell(word) && words.clone().next() == Some("-c") {
            return true;
        }
    }
    text.starts_with('/') && is_shell(text)
}

fn is_shell(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    SHELLS.contains(&name) && !program.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The planted shells are put together here, so that this file passes its own rule.
    fn findings(body: &str) -> usize {
        let text = format!("fn f() {{ {} }}", body.replace('$', "h"));
        check(&Source { path: "a.rs".to_owned(), text }).len()
    }

    #[test]
    fn programs_started_by_themselves_pass() {
        assert_eq!(findings(r#"Command::new("git").args(["ls-files"]);"#), 0);
        assert_eq!(findings(r#"["bash", "fish"].contains(&name); "no shell needed";"#), 0);
    }

    #[test]
    fn shells_are_found_as_program_as_word_and_in_a_command_line() {
        assert_eq!(findings(r#"Command::new("s$").arg(line);"#), 1);
        assert_eq!(findings(r#"Command::new("bas$").arg(line);"#), 1);
        assert_eq!(findings(r#"spec.argv = vec!["/bin/s$".into()];"#), 1);
        assert_eq!(findings(r#"spec.argv = vec!["s$".into(), "-c".into()];"#), 1);
        assert_eq!(findings(r#"run("s$ -c 'echo hello'");"#), 1);
        assert_eq!(findings(r#"run("exec /bin/bas$ -c true");"#), 1);
        assert_eq!(findings(r#"Command::new("env").args(["s$", "-c", line]);"#), 1);
        assert_eq!(findings(r#"Command::new("busybox").arg("s$");"#), 1);
        assert_eq!(
            findings(
                r#"Command::new(env::var_os("S$ELL".to_owned()).unwrap());"#.replace("S$", "SH").as_str()
            ),
            1
        );
    }

    #[test]
    fn whoever_starts_processes_is_on_the_list() {
        let source = |path: &str| Source {
            path: path.to_owned(),
            text: "fn f(program: &str) { tokio::process::Command::new(program).spawn(); }".to_owned(),
        };
        let mut lawful: Vec<_> = STARTERS.iter().map(|(path, _)| source(path)).collect();
        assert_eq!(check_starters(&lawful).len(), 0);
        lawful.push(source("node/src/edge/call.rs"));
        lawful.push(source("node/tests/operators.rs"));
        assert_eq!(check_starters(&lawful).len(), 1, "a new one");
        assert_eq!(check_starters(&lawful[1..]).len(), 2, "and one that is over");
    }
}
