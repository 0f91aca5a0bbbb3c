//! The golden export: written once, opened for ever.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use data_encoding::HEXLOWER;
use ocmt_types::Timestamp;
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use super::{
    tests::{about, entries_of, passphrase, read},
    *,
};
use crate::entry::{Attributes, EntryName};

const FILE: &str = "tests/vectors/ocmt/export.json";

fn entries() -> [(u64, Entry); 3] {
    let entry = |name: &str, value: &[u8], expires_at, remind_at| {
        let attributes = Attributes { written_at: Timestamp(1_700_000_000_000), expires_at, remind_at };
        Entry { name: EntryName::new(name).unwrap(), value: Zeroizing::new(value.to_vec()), attributes }
    };
    [
        (1, entry("API_KEY", b"first value", None, None)),
        (7, entry("café", &[0, 0xff, 0x80], Some(Timestamp(1_900_000_000_000)), None)),
        (2, entry("empty", b"", Some(Timestamp(-1)), Some(Timestamp(0)))),
    ]
}

/// The vector: two chunks, the first cut off early on purpose.
fn make() -> Value {
    let rng = &mut StdRng::seed_from_u64(0x4558_504f);
    let (mut sealer, mut file) = Sealer::begin(&about(), &passphrase(), Cost::LEAST, rng).unwrap();
    for (at, (version, entry)) in entries().iter().enumerate() {
        assert!(sealer.entry(*version, entry, rng).unwrap().is_none());
        if at == 1 {
            file.extend(sealer.chunk(false, rng).unwrap());
        }
    }
    file.extend(sealer.finish(rng).unwrap());
    let listed = entries().map(|(version, entry)| {
        json!({
            "name": entry.name.expose(),
            "version": version,
            "value": HEXLOWER.encode(&entry.value),
            "written_at": entry.attributes.written_at.0,
            "expires_at": entry.attributes.expires_at.map(|at| at.0),
            "remind_at": entry.attributes.remind_at.map(|at| at.0),
        })
    });
    json!({
        "about": "an export of OCMT, format v1, docs/formats.md; byte strings are lower-case hexadecimal, times milliseconds since 1970",
        "passphrase": std::str::from_utf8(passphrase().expose()).unwrap(),
        "tenant": about().tenant,
        "vault": about().vault,
        "at": about().at.0,
        "counter": about().counter,
        "entries": listed,
        "file": HEXLOWER.encode(&file),
    })
}

/// What is in the export of a golden file, which has the facts that `make` has. With `OCMT_WRITE_VECTORS` set it writes the
/// file anew: only for a new version of the format.
pub(super) fn published(golden: &str, make: fn() -> Value) -> Vec<Exported> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(golden);
    if std::env::var_os("OCMT_WRITE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&make()).unwrap() + "\n").unwrap();
    }
    let stored: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let file = HEXLOWER.decode(stored["file"].as_str().unwrap().as_bytes()).unwrap();
    let (header, chunks) = file.split_first_chunk::<HEADER_LEN>().unwrap();
    let mut made = make();
    // the same facts; nonces come from a generator that may be another one day
    made["file"] = stored["file"].clone();
    assert_eq!(made, stored);
    read(Opener::begin(header, &passphrase()).unwrap(), chunks).unwrap()
}

#[test]
fn the_published_export_opens_for_ever() {
    let read = entries_of(published(FILE, make));
    assert_eq!(read.len(), 3);
    for (one, (version, entry)) in read.iter().zip(entries()) {
        assert_eq!((one.version, one.entry.name.expose()), (version, entry.name.expose()));
        assert_eq!(*one.entry.value, *entry.value);
        assert_eq!(one.entry.attributes, entry.attributes);
    }
}
