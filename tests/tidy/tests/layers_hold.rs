//! The dependencies between our crates follow the table of layers, and cryptography is where its table says.

use cargo_metadata::{DependencyKind, MetadataCommand};
use ocmt_tidy::{
    assert_none, cryptography,
    dependencies::{self, Edge},
    tree,
};

fn edges() -> anyhow::Result<Vec<Edge>> {
    let metadata = MetadataCommand::new().manifest_path(tree::root().join("Cargo.toml")).no_deps().exec()?;
    let edges: Vec<Edge> = metadata
        .workspace_packages()
        .iter()
        .flat_map(|package| {
            package.dependencies.iter().map(|dependency| Edge {
                user: package.name.to_string(),
                used: dependency.name.clone(),
                dev: dependency.kind == DependencyKind::Development,
            })
        })
        .collect();
    assert!(edges.iter().any(|edge| edge.used.starts_with("ocmt")), "cargo metadata lists none of our edges");
    Ok(edges)
}

#[test]
fn every_crate_uses_only_what_its_layer_may() -> anyhow::Result<()> {
    assert_none(&dependencies::check(&edges()?));
    Ok(())
}

#[test]
fn cryptography_is_where_the_inventory_says() -> anyhow::Result<()> {
    let edges = edges()?;
    assert_none(&cryptography::check(&edges));
    assert_none(&cryptography::stale(&edges));
    Ok(())
}
