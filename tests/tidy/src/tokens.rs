//! Walking the tokens of a Rust file, macros' insides included, comments and doc comments left out.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::Finding;

/// Calls `visit` for every token with its siblings and its place among them, outermost first.
///
/// # Errors
/// A finding when the text is not Rust.
pub fn walk(path: &str, text: &str, visit: &mut dyn FnMut(&[TokenTree], usize)) -> Result<(), Finding> {
    let stream: TokenStream = text
        .parse()
        .map_err(|error: proc_macro2::LexError| Finding::at(path, error.span().start().line, "not Rust"))?;
    walk_stream(stream, visit);
    Ok(())
}

fn walk_stream(stream: TokenStream, visit: &mut dyn FnMut(&[TokenTree], usize)) {
    let siblings: Vec<TokenTree> = stream.into_iter().collect();
    for (at, token) in siblings.iter().enumerate() {
        visit(&siblings, at);
        if let TokenTree::Group(group) = token
            && !is_doc(group)
        {
            walk_stream(group.stream(), visit);
        }
    }
}

/// `[doc = "..."]`, which is what a doc comment becomes.
fn is_doc(group: &Group) -> bool {
    group.delimiter() == Delimiter::Bracket
        && matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(first)) if first == "doc")
}

/// The line a token begins on, counted from 1.
pub fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

/// Whether the token at `at` is this identifier.
pub fn is_ident(siblings: &[TokenTree], at: usize, name: &str) -> bool {
    matches!(siblings.get(at), Some(TokenTree::Ident(ident)) if *ident == name)
}

/// Whether the token at `at` is this punctuation character.
pub fn is_punct(siblings: &[TokenTree], at: usize, mark: char) -> bool {
    matches!(siblings.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

/// The group at `at`, if it is one with this delimiter.
pub fn group(siblings: &[TokenTree], at: usize, delimiter: Delimiter) -> Option<&Group> {
    match siblings.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

/// What a string literal says; `None` for any other token.
pub fn string(token: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = token else {
        return None;
    };
    match syn::Lit::new(literal.clone()) {
        syn::Lit::Str(text) => Some(text.value()),
        _ => None,
    }
}

/// The arguments of a call or macro: the tokens between its commas.
pub fn arguments(stream: TokenStream) -> Vec<Vec<TokenTree>> {
    let mut arguments = vec![Vec::new()];
    for token in stream {
        if matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',') {
            arguments.push(Vec::new());
        } else if let Some(last) = arguments.last_mut() {
            last.push(token);
        }
    }
    arguments.retain(|argument| !argument.is_empty());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_inside_macros_are_seen_and_doc_comments_are_not() {
        let mut seen = Vec::new();
        let text = "/// said\nfn a() { select! { x => { inner() } } }";
        walk("a.rs", text, &mut |siblings, at| {
            if let TokenTree::Ident(ident) = &siblings[at] {
                seen.push(ident.to_string());
            }
            if let Some(text) = string(&siblings[at]) {
                seen.push(text);
            }
        })
        .expect("Rust");
        assert!(seen.contains(&"inner".to_owned()));
        assert!(!seen.iter().any(|text| text.contains("said")));
    }

    #[test]
    fn what_is_not_rust_is_a_finding() {
        assert!(walk("a.rs", "fn a( {", &mut |_, _| {}).is_err());
    }
}
