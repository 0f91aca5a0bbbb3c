//! No program is started through a shell.

use ocmt_tidy::{assert_none, shells, tree};

#[test]
fn no_code_starts_a_shell() -> anyhow::Result<()> {
    let findings: Vec<_> = tree::rust_sources()?.iter().flat_map(shells::check).collect();
    assert_none(&findings);
    Ok(())
}

#[test]
fn only_listed_places_start_processes() -> anyhow::Result<()> {
    assert_none(&shells::check_starters(&tree::rust_sources()?));
    Ok(())
}
