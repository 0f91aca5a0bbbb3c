//! Log lines keep to one style and hold no secret.

use ocmt_tidy::{assert_none, logs, tree};

#[test]
fn log_lines_are_lower_case_and_hold_no_secret() -> anyhow::Result<()> {
    let findings: Vec<_> = tree::rust_sources()?.iter().flat_map(logs::check).collect();
    assert_none(&findings);
    Ok(())
}
