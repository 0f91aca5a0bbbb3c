//! How another implementation is asked: JSON in and out of a program, bytes as hexadecimal.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use data_encoding::HEXLOWER;
use ocmt_crypto::{
    datakey::VaultScope,
    entry::{Attributes, Entry, EntryName},
};
use ocmt_types::{Id as _, TenantId, Timestamp, VaultId};
use serde_json::Value;
use zeroize::Zeroizing;

/// A folder of the repository.
pub(crate) fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// What the program says to this input.
pub(crate) fn fed(command: &mut Command, given: &Value) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("it does not start: tests/scripts/install.sh test");
    let mut input = child.stdin.take().unwrap();
    // who answers without reading its input closes it
    let _ = input.write_all(given.to_string().as_bytes());
    drop(input);
    child.wait_with_output().unwrap()
}

/// What it answered, if it refused nothing.
pub(crate) fn answer(output: &Output) -> Value {
    assert!(output.status.success(), "refused: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

pub(crate) fn list(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().unwrap().iter().map(unhex).collect()
}

pub(crate) fn hexes<T: AsRef<[u8]>>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    all.into_iter().map(hex).collect()
}

pub(crate) fn scope() -> VaultScope {
    VaultScope { tenant: TenantId::from_bytes([0x31; 16]), vault: VaultId::from_bytes([0x32; 16]) }
}

pub(crate) fn entry(name: &str, value: &[u8], times: [Option<i64>; 2]) -> Entry {
    let [expires_at, remind_at] = times.map(|at| at.map(Timestamp));
    let attributes = Attributes { written_at: Timestamp(1_700_000_000_123), expires_at, remind_at };
    Entry { name: EntryName::new(name).unwrap(), value: Zeroizing::new(value.to_vec()), attributes }
}
