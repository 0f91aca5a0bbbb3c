//! No shell between us and a program: arguments are passed as a list, so nothing in them is ever code.

use proc_macro2::{Delimiter, TokenTree};

use crate::{
    Finding,
    tokens::{group, is_ident, is_punct, line, string, walk},
    tree::Source,
};

const SHELLS: [&str; 5] = ["sh", "bash", "dash", "zsh", "ash"];

/// Every shell that a Rust file starts or writes into a command line.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let walked = walk(&source.path, &source.text, &mut |siblings, at| {
        let named = string(&siblings[at]).is_some_and(|text| names_a_shell(&text));
        if named || starts_a_shell(siblings, at) || lists_a_shell(siblings, at) {
            let message = "a shell: start the program itself with a list of arguments";
            findings.push(Finding::at(&source.path, line(&siblings[at]), message));
        }
    });
    findings.extend(walked.err());
    findings
}

/// `Command::new("bash")`.
fn starts_a_shell(siblings: &[TokenTree], at: usize) -> bool {
    let command = is_ident(siblings, at, "Command")
        && is_punct(siblings, at + 1, ':')
        && is_punct(siblings, at + 2, ':')
        && is_ident(siblings, at + 3, "new");
    let Some(call) = group(siblings, at + 4, Delimiter::Parenthesis).filter(|_| command) else {
        return false;
    };
    let program = call.stream().into_iter().next().and_then(|token| string(&token));
    // what `names_a_shell` sees by itself is not told twice
    program.is_some_and(|program| is_shell(&program) && !names_a_shell(&program))
}

/// `["bash", "-c", ..]`, with whatever makes owned strings of the two.
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
    }
}
