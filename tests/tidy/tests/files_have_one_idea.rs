//! Files and functions stay short enough to be read in one go.

use ocmt_tidy::{assert_none, length, tree};

#[test]
fn no_file_is_too_long() -> anyhow::Result<()> {
    let findings: Vec<_> = tree::sources()?.iter().filter_map(length::file).collect();
    assert_none(&findings);
    Ok(())
}

#[test]
fn no_function_is_too_long() -> anyhow::Result<()> {
    let findings: Vec<_> = tree::rust_sources()?.iter().flat_map(length::functions).collect();
    assert_none(&findings);
    Ok(())
}
