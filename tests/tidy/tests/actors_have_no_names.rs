//! Actors are reached through their supervisors, never by a name.

use ocmt_tidy::{actors, assert_none, tree};

#[test]
fn no_actor_is_given_a_name() -> anyhow::Result<()> {
    let findings: Vec<_> = tree::rust_sources()?.iter().flat_map(actors::check).collect();
    assert_none(&findings);
    Ok(())
}
