//! Field bounds: one function that holds an encoded request against the `(bounds)` options of the
//! contract, without decoding it.
//!
//! The cost is one walk over the bytes, in time linear in their number and with no allocation unless
//! something is wrong; nesting and the list of violations are bounded. Unknown fields are skipped, as
//! protobuf wants. What bounds cannot say (which fields go together, whether an id exists) is the
//! handler's.

use std::fmt;

use prost::Name;

mod check;
mod format;
pub(crate) mod rules;
mod values;
mod wire;

use check::Checker;

/// Most violations in one answer; checking ends with them.
pub const MAX_VIOLATIONS: usize = 16;

/// One field that breaks its bounds. The value itself is never shown: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field in the request, such as `objects[3].body`; empty for the message itself.
    pub field: String,
    /// What it must be, for people.
    pub description: String,
}

impl FieldViolation {
    /// The bytes are not a protobuf message of this type.
    pub(crate) fn malformed() -> Self {
        Self { field: String::new(), description: "is not a valid message of its type".to_owned() }
    }
}

impl fmt::Display for FieldViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.field.is_empty() { "the message" } else { &self.field };
        write!(f, "{name} {}", self.description)
    }
}

/// Checks an encoded request of the method with this path (`/ocmt.v1.AuthService/SignUp`).
///
/// # Errors
/// What breaks its bounds, at most [`MAX_VIOLATIONS`]; one violation without a field for an unknown
/// method or bytes that are no message.
pub fn check(path: &str, encoded: &[u8]) -> Result<(), Vec<FieldViolation>> {
    let rules = crate::methods::find(path).and_then(|method| rules::named(method.request));
    let unknown =
        || vec![FieldViolation { field: String::new(), description: "is of an unknown method".to_owned() }];
    check_rules(rules.ok_or_else(unknown)?, encoded)
}

/// Checks a request before it is sent, so that a client can name a wrong field without a round trip.
///
/// # Errors
/// As [`check`]; a message that is no request passes.
pub fn check_message<M: Name>(message: &M) -> Result<(), Vec<FieldViolation>> {
    rules::request::<M>().map_or(Ok(()), |rules| check_rules(rules, &message.encode_to_vec()))
}

pub(crate) fn check_rules(rules: &'static rules::Message, encoded: &[u8]) -> Result<(), Vec<FieldViolation>> {
    let mut checker = Checker::default();
    checker.request(rules, encoded);
    if checker.violations.is_empty() { Ok(()) } else { Err(checker.violations) }
}
