//! The top of the repository holds the given folders and files, nothing else.

use ocmt_tidy::{assert_none, top, tree};

#[test]
fn nothing_stray_stands_at_the_top() -> anyhow::Result<()> {
    assert_none(&top::check(&tree::paths()?));
    Ok(())
}
