//! What the simulation runs leaves no choice to chance.

use ocmt_tidy::{assert_none, selects, tree};

#[test]
fn each_select_is_biased() -> anyhow::Result<()> {
    let findings: Vec<_> = tree::rust_sources()?.iter().flat_map(selects::check).collect();
    assert_none(&findings);
    Ok(())
}
