//! No workflow runs what somebody else can change.

use ocmt_tidy::{assert_none, pinned, tree};

#[test]
fn every_action_of_a_workflow_is_named_by_digest() -> anyhow::Result<()> {
    let findings: Vec<_> = tree::sources()?.iter().flat_map(pinned::check).collect();
    assert_none(&findings);
    Ok(())
}
