//! The tree says nothing of the machines it was written on.

use ocmt_tidy::{assert_none, places, tree};

#[test]
fn no_file_names_a_folder_of_a_machine() -> anyhow::Result<()> {
    let findings: Vec<_> = tree::sources()?.iter().flat_map(places::paths).collect();
    assert_none(&findings);
    Ok(())
}

#[test]
fn no_file_names_an_address_of_a_private_network() -> anyhow::Result<()> {
    let findings: Vec<_> = tree::sources()?.iter().flat_map(places::addresses).collect();
    assert_none(&findings);
    Ok(())
}
