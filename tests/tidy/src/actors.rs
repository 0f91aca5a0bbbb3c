//! No actor has a name: names stand in a process-wide registry, past every supervisor.

use proc_macro2::{Delimiter, TokenTree};

use crate::{
    Finding,
    tokens::{arguments, group, is_ident, is_punct, line, string, walk},
    tree::Source,
};

/// ractor's spawning calls whose first argument is the name.
const LINKED: [&str; 3] = ["spawn_linked", "spawn_linked_instant", "spawn_local_linked"];
const FREE: [&str; 2] = ["spawn", "spawn_instant"];

/// Every actor of a Rust file that is given a name.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let walked = walk(&source.path, &source.text, &mut |siblings, at| {
        if names_an_actor(siblings, at) {
            let message = "an actor with a name: pass None, and keep its reference in the supervisor's map";
            findings.push(Finding::at(&source.path, line(&siblings[at]), message));
        }
    });
    findings.extend(walked.err());
    findings
}

fn names_an_actor(siblings: &[TokenTree], at: usize) -> bool {
    let linked = LINKED.iter().any(|name| is_ident(siblings, at, name));
    let free = FREE.iter().any(|name| is_ident(siblings, at, name));
    // a call through a path or a value, not a definition
    let called = at > 0 && (is_punct(siblings, at - 1, ':') || is_punct(siblings, at - 1, '.'));
    if !called || !(linked || free) {
        return false;
    }
    let Some(call) = group(siblings, at + 1, Delimiter::Parenthesis) else {
        return false;
    };
    let arguments = arguments(call.stream());
    let Some(first) = arguments.first() else {
        return false;
    };
    // other things are spawned too (tasks, processes); only ractor's calls take three arguments or more
    if arguments.len() < 3 {
        return false;
    }
    if linked { !is_none(first) } else { is_some(first) }
}

fn is_none(argument: &[TokenTree]) -> bool {
    argument.len() == 1 && is_ident(argument, 0, "None")
}

fn is_some(argument: &[TokenTree]) -> bool {
    is_ident(argument, 0, "Some") || argument.iter().any(|token| string(token).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(body: &str) -> usize {
        let text = format!("fn f() {{ {body} }}");
        check(&Source { path: "a.rs".to_owned(), text }).len()
    }

    #[test]
    fn actors_without_a_name_pass() {
        assert_eq!(findings("Actor::spawn(None, Tenant, args).await;"), 0);
        assert_eq!(findings("Actor::spawn_linked(None, Tenant, args, me.get_cell()).await;"), 0);
        assert_eq!(findings("tokio::spawn(async move { Some(1) });"), 0);
    }

    #[test]
    fn actors_with_a_name_are_found() {
        assert_eq!(findings(r#"Actor::spawn(Some("tenant".into()), Tenant, args).await;"#), 1);
        assert_eq!(findings("Tenant::spawn_linked(Some(name), Tenant, args, cell).await;"), 1);
        assert_eq!(findings("Tenant::spawn_linked(name, Tenant, args, cell).await;"), 1);
        assert_eq!(findings("select! { _ = Actor::spawn_instant(Some(n), Tenant, args) => {} }"), 1);
    }
}
