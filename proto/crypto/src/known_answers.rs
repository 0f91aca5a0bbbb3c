//! Published vectors (tests/vectors/SOURCES.md), driven through our own functions, or through the crate
//! exactly as we configure it where ours bind a domain or refuse the vector's parameters.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ciphers;
mod curves;
mod derivation;
mod hpke;
mod sign_in;

use data_encoding::HEXLOWER;
use serde_json::Value;

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().expect("hex text").as_bytes()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap()
}

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().expect("a list")
}

/// All tests of a Wycheproof file, each with its group.
fn wycheproof(text: &str) -> Vec<(Value, Value)> {
    let file: Value = serde_json::from_str(text).unwrap();
    let mut all = Vec::new();
    for group in items(&file, "testGroups") {
        all.extend(items(group, "tests").iter().map(|test| (group.clone(), test.clone())));
    }
    all
}

fn is_valid(test: &Value) -> bool {
    match test["result"].as_str() {
        Some("valid") => true,
        Some("invalid") => false,
        other => panic!("unexpected result {other:?}"),
    }
}

fn has_flag(test: &Value, flag: &str) -> bool {
    items(test, "flags").iter().any(|other| other == flag)
}
