//! No test is switched off, no code is a placeholder, no note to self is left.

use ocmt_tidy::{assert_none, tree, unfinished};

#[test]
fn no_test_is_switched_off_and_no_code_is_a_placeholder() -> anyhow::Result<()> {
    let findings: Vec<_> = tree::rust_sources()?.iter().flat_map(unfinished::code).collect();
    assert_none(&findings);
    Ok(())
}

#[test]
fn no_note_to_self_is_left() -> anyhow::Result<()> {
    let findings: Vec<_> = tree::sources()?.iter().flat_map(unfinished::notes).collect();
    assert_none(&findings);
    Ok(())
}
