//! How a log line reads: lower case, no full stop, values as fields, and never a secret.

use proc_macro2::{Delimiter, Group, TokenTree};

use crate::{
    Finding,
    tokens::{arguments, is_ident, is_punct, line, string, walk},
    tree::Source,
};

const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// Names of values that are secret themselves.
const SECRETS: [&str; 5] = ["token", "secret", "passphrase", "password", "key"];
/// And ends of names; `_key` is not among them, since a public or an idempotency key is no secret.
const SECRET_ENDS: [&str; 4] = ["_token", "_secret", "_passphrase", "_password"];
/// What may be told of a secret.
const HARMLESS: [&str; 7] = ["len", "id", "kind", "is_some", "is_none", "is_empty", "is_ok"];

/// Every log line of a Rust file that does not keep to the style.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let walked = walk(&source.path, &source.text, &mut |siblings, at| {
        if let Some(group) = log_call(siblings, at) {
            check_call(&source.path, line(&siblings[at]), group, &mut findings);
        }
    });
    findings.extend(walked.err());
    findings
}

/// The arguments of `info!(..)` or `tracing::info!(..)`, when the token at `at` is that `info`.
fn log_call(siblings: &[TokenTree], at: usize) -> Option<&Group> {
    let level = LEVELS.iter().any(|level| is_ident(siblings, at, level));
    if !level || !is_punct(siblings, at + 1, '!') {
        return None;
    }
    let of_a_path = at >= 2 && is_punct(siblings, at - 1, ':');
    if of_a_path && !(at >= 3 && is_ident(siblings, at - 3, "tracing")) {
        return None;
    }
    match siblings.get(at + 2) {
        Some(TokenTree::Group(group)) if group.delimiter() != Delimiter::None => Some(group),
        _ => None,
    }
}

fn check_call(path: &str, line: usize, group: &Group, findings: &mut Vec<Finding>) {
    let arguments = arguments(group.stream());
    let Some(message) = arguments.iter().find_map(|argument| message(argument)) else {
        findings.push(Finding::at(path, line, "a log line without a message"));
        return;
    };
    if message.starts_with(char::is_uppercase) {
        findings.push(Finding::at(path, line, format!("log message begins in upper case: {message:?}")));
    }
    if message.ends_with('.') {
        findings.push(Finding::at(path, line, format!("log message ends with a full stop: {message:?}")));
    }
    let said = inline_names(&message).into_iter().chain(arguments.iter().flat_map(|a| value_names(a)));
    for name in said.filter(|name| is_secret(name)) {
        findings.push(Finding::at(
            path,
            line,
            format!("`{name}` in a log line: log an id, a kind or a length"),
        ));
    }
}

/// The message: a string alone, or `message = "..."`.
fn message(argument: &[TokenTree]) -> Option<String> {
    match argument {
        [only] => string(only),
        [_, _, value] if is_ident(argument, 0, "message") && is_punct(argument, 1, '=') => string(value),
        _ => None,
    }
}

/// The names in `{name}` and `{name:?}`.
fn inline_names(message: &str) -> Vec<String> {
    message.split('{').skip(1).filter_map(|rest| rest.split(['}', ':']).next()).map(str::to_owned).collect()
}

/// The identifiers of an argument whose value would be logged, groups included.
fn value_names(argument: &[TokenTree]) -> Vec<String> {
    let mut names = Vec::new();
    for (at, token) in argument.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) if !tells_little(argument, at) => names.push(ident.to_string()),
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                names.extend(value_names(&inner));
            }
            _ => {}
        }
    }
    names
}

/// `token::kind(..)`, a module's name; or `token.len()` and its like.
fn tells_little(siblings: &[TokenTree], at: usize) -> bool {
    let module = is_punct(siblings, at + 1, ':') && is_punct(siblings, at + 2, ':');
    let harmless = HARMLESS.iter().any(|name| is_ident(siblings, at + 2, name));
    module || (is_punct(siblings, at + 1, '.') && harmless)
}

fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name) || SECRET_ENDS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(body: &str) -> usize {
        let text = format!("fn f() {{ {body} }}");
        check(&Source { path: "a.rs".to_owned(), text }).len()
    }

    #[test]
    fn lower_case_messages_with_fields_pass() {
        assert_eq!(findings(r#"info!(%tenant, epoch = epoch.0, "tenant activated");"#), 0);
        assert_eq!(
            findings(r#"tracing::warn!(target: "audit", error = %e, "append failed, trying again");"#),
            0
        );
        assert_eq!(
            findings(r#"debug!(key_id = %id, public_key = %p, bytes = token.len(), "token parsed");"#),
            0
        );
        assert_eq!(findings(r#"syn::Error::new(span, "Not a log line."); other::error!("Nor This.");"#), 0);
    }

    #[test]
    fn upper_case_full_stops_and_missing_messages_are_found() {
        assert_eq!(findings(r#"info!("Tenant activated");"#), 1);
        assert_eq!(findings(r#"info!("tenant activated.");"#), 1);
        assert_eq!(findings(r#"info!(message = "Tenant activated");"#), 1);
        assert_eq!(findings("info!(%tenant);"), 1);
        assert_eq!(findings(r#"tokio::select! { _ = a => { tracing::error!("Inside"); } }"#), 1);
    }

    #[test]
    fn secrets_are_found_inline_as_fields_and_as_arguments() {
        for call in [
            r#"info!("signed in with {token}");"#,
            r#"info!("opened with {passphrase:?}");"#,
            r#"info!(%token, "signed in");"#,
            r#"info!(secret = ?value, "started");"#,
            r#"info!(value = %session_token, "started");"#,
            r#"info!(value = %hex(&key), "started");"#,
        ] {
            assert_eq!(findings(call), 1, "{call}");
        }
    }
}
