//! Every crate is held to the lints of the workspace.

use ocmt_tidy::{assert_none, manifests, tree};

#[test]
fn every_manifest_takes_the_lints_of_the_workspace() -> anyhow::Result<()> {
    let sources = tree::sources()?;
    let manifests = sources.iter().filter(|source| source.path.ends_with("Cargo.toml"));
    let findings: Vec<_> = manifests.filter_map(manifests::check).collect();
    assert_none(&findings);
    Ok(())
}
