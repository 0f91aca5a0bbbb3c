//! Which members of a policy a change names.

use super::*;

#[test]
fn only_what_is_named_is_changed() {
    let change = PolicyChange { stop_after: Some(Duration::from_secs(7)), ..PolicyChange::default() };
    assert_eq!(change.paths(), ["hibernation.stop_after"]);
    let change = PolicyChange { require_mfa: Some(false), ..PolicyChange::default() };
    assert_eq!(change.paths(), ["sessions.require_mfa"]);
    assert!(PolicyChange::default().paths().is_empty());
}
