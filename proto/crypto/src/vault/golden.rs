//! Our own vectors for the formats of a vault, and of sign-in and audit: what a third implementation must
//! open, and make from the same random bytes.
//!
//! `tests/vectors/ocmt/vault.json` is written by [`write_the_vectors`] and made anew by each test run: a
//! change of any format, or of the order in which randomness is drawn, shows as red.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pieces;
mod states;
mod words;

use std::convert::Infallible;

use data_encoding::HEXLOWER;
use ocmt_types::{Id as _, TenantId, VaultId};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::datakey::VaultScope;

const FILE: &str = "tests/vectors/ocmt/vault.json";

fn scope() -> VaultScope {
    VaultScope { tenant: TenantId::from_bytes([0x11; 16]), vault: VaultId::from_bytes([0x22; 16]) }
}

fn hex(bytes: impl AsRef<[u8]>) -> Value {
    HEXLOWER.encode(bytes.as_ref()).into()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().expect("hex text").as_bytes()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

/// Block i of its bytes is SHA-256(seed ‖ i as `u64`), i from 0.
struct FixedRng {
    seed: &'static str,
    block: u64,
    left: Vec<u8>,
}

impl FixedRng {
    fn new(seed: &'static str) -> Self {
        Self { seed, block: 0, left: Vec::new() }
    }
}

impl rand::TryRng for FixedRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes).map(|()| u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes).map(|()| u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for byte in out {
            if self.left.is_empty() {
                let block = Sha256::new().chain_update(self.seed).chain_update(self.block.to_be_bytes());
                self.left = block.finalize().iter().rev().copied().collect();
                self.block += 1;
            }
            *byte = self.left.pop().unwrap();
        }
        Ok(())
    }
}

impl rand::TryCryptoRng for FixedRng {}

fn make() -> String {
    let all = json!({
        "about": "vectors of OCMT, formats v1; every byte is specified in docs/formats.md; byte strings are lower-case hexadecimal, times milliseconds since 1970",
        "generator": "random bytes of each section: SHA-256(section name ‖ i as u64 big-endian) for i = 0, 1, ...",
        "scope": { "tenant": scope().tenant, "vault": scope().vault },
        "envelopes": pieces::envelopes(),
        "sealed_box": pieces::sealed_box(),
        "signature": pieces::signature(),
        "stretch": pieces::stretch(),
        "backup_key": pieces::backup_key(),
        "tokens": pieces::tokens(),
        "gateway_token": pieces::gateway_token(),
        "audit": pieces::audit(),
        "vault": states::vault(),
        "group_words": words::group(),
    });
    serde_json::to_string_pretty(&all).unwrap() + "\n"
}

fn stored() -> Value {
    serde_json::from_str(include_str!("../../tests/vectors/ocmt/vault.json")).unwrap()
}

/// For a new version of a format, with a word in the commit: `OCMT_WRITE_VECTORS=1` writes the file anew.
#[test]
fn the_vectors_are_what_this_code_makes() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("OCMT_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, make()).unwrap();
    }
    assert!(make() == std::fs::read_to_string(path).unwrap(), "a format has changed: see make()");
}
