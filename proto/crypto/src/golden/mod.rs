//! Our own vectors for cell, channel, transcripts and recovery: what a third implementation must open.
//!
//! `tests/vectors/ocmt/cell-and-recovery.json` was written once, and is opened here: a change of any
//! format shows as red, and is then a new version of that format.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cell;
mod channel;
mod recovery;
mod shared;
mod snapshot;
mod transcript;

use data_encoding::HEXLOWER;
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

const FILE: &str = "tests/vectors/ocmt/cell-and-recovery.json";
const ABOUT: &str = "vectors of OCMT, formats v1; every byte is specified in docs/formats-cell-and-recovery.md; \
    byte strings are lower-case hexadecimal, times milliseconds since 1970";

fn hex(bytes: impl AsRef<[u8]>) -> Value {
    HEXLOWER.encode(bytes.as_ref()).into()
}

/// The bytes of a field.
fn bytes(value: &Value, field: &str) -> Vec<u8> {
    let text = value[field].as_str().unwrap_or_else(|| panic!("no field {field}"));
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn array<const N: usize>(value: &Value, field: &str) -> [u8; N] {
    bytes(value, field).try_into().unwrap()
}

/// The byte strings of a list.
fn list(value: &Value, field: &str) -> Vec<Vec<u8>> {
    let items = value[field].as_array().unwrap();
    items.iter().map(|item| HEXLOWER.decode(item.as_str().unwrap().as_bytes()).unwrap()).collect()
}

fn make() -> Value {
    let rng = &mut StdRng::seed_from_u64(0x4f43_4d54);
    json!({
        "about": ABOUT,
        "cell": cell::make(rng),
        "channel": channel::make(rng),
        "transcript": transcript::make(rng),
        "recovery": recovery::make(rng),
        "shared": shared::make(rng),
    })
}

fn check(all: &Value) {
    cell::check(&all["cell"]);
    channel::check(&all["channel"]);
    transcript::check(&all["transcript"]);
    recovery::check(&all["recovery"]);
    shared::check(&all["shared"]);
}

#[test]
fn the_published_vectors_open() {
    check(&serde_json::from_str(include_str!("../../tests/vectors/ocmt/cell-and-recovery.json")).unwrap());
}

/// With `OCMT_WRITE_VECTORS` set it also writes the file anew: only for a new version of a format.
#[test]
fn vectors_made_anew_open() {
    let all = make();
    check(&all);
    if std::env::var_os("OCMT_WRITE_VECTORS").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
        std::fs::write(path, serde_json::to_string_pretty(&all).unwrap() + "\n").unwrap();
    }
}
