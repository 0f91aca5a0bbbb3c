//! Messages that carry secrets (`debug_redact`) get a `Debug` that shows none of their fields, so
//! that a request put into a log line or an assertion gives nothing away.

use std::fmt::Write as _;

use protox::prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor};

/// Messages of ours with at least one secret field.
pub(crate) fn messages(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    pool.all_messages()
        .filter(|message| message.package_name().starts_with("ocmt."))
        .filter(|message| message.fields().any(|field| is_secret(&field)))
        .collect()
}

fn is_secret(field: &FieldDescriptor) -> bool {
    field.options().get_field_by_name("debug_redact").is_some_and(|value| value.as_bool() == Some(true))
}

/// Their `Debug` implementations, and those of their oneofs.
pub(crate) fn generate(messages: &[MessageDescriptor]) -> String {
    let mut text = String::new();
    for message in messages {
        // `ocmt.v1` is `crate::v1`, `ocmt.cell.v1` is `crate::cell::v1`
        let module = message.package_name().replacen("ocmt", "crate", 1).replace('.', "::");
        implement(&mut text, &format!("{module}::{}", message.name()), message.name());
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let path = format!("{module}::{}::{}", snake(message.name()), camel(oneof.name()));
            implement(&mut text, &path, oneof.name());
        }
    }
    text
}

fn implement(text: &mut String, path: &str, name: &str) {
    let _ = writeln!(
        text,
        "impl std::fmt::Debug for {path} {{\n    \
         fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{\n        \
         f.debug_struct({name:?}).finish_non_exhaustive()\n    }}\n}}"
    );
}

fn snake(name: &str) -> String {
    let mut text = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

fn camel(name: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    name.split('_').map(capital).collect()
}
