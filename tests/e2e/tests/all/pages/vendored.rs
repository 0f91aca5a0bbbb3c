//! What others wrote for these tests is what was looked at (`tests/web/vendor/README.md`).

use std::{fs, path::Path};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

#[test]
fn axe_core_is_the_one_that_was_looked_at() {
    let vendor = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/vendor");
    let said = fs::read_to_string(vendor.join("README.md")).unwrap();
    let digest = HEXLOWER.encode(&Sha256::digest(fs::read(vendor.join("axe-core/axe.min.js")).unwrap()));
    assert!(said.contains(&format!("| `axe-core/axe.min.js` | `{digest}` |")), "{digest}");
}
