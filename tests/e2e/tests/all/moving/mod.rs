//! What goes into a vault from files and out into one, through a real node.

pub(crate) mod command;
mod conversations;
mod cut;

use std::{fs::File, io::Write as _, path::PathBuf};

use ocmt_client::vault::{
    Key, Vault,
    import::{EarlierFile, ExportFile, Source},
};
use ocmt_crypto::{
    entry::{Attributes, Entry, EntryName},
    export::{About, Sealer},
    import::{Item, ItemKind},
    kdf::{Cost, Passphrase},
    vault::Rollback,
};
use ocmt_testkit::Person;
use ocmt_types::{Id as _, TenantId, Timestamp, VaultId};

const PASSPHRASE: &str = "violin ledger umbrella quartz";

/// Where a vector of the earlier implementation is.
fn vector(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../proto/crypto/tests/vectors/ocmt-v1").join(name)
}

fn item(name: &str, value: Vec<u8>) -> Item {
    Item { kind: ItemKind::Memory, name: EntryName::new(name).unwrap(), value: value.into() }
}

/// A file of the earlier implementation with so many entries.
fn earlier(label: &str, count: usize) -> Source {
    let items = (0..count).map(|at| item(&format!("{label} {at:03}"), format!("value {at}").into_bytes()));
    Source::Earlier(EarlierFile::new(label.as_bytes(), items.collect()))
}

fn entry(name: &str, value: &[u8], expires_at: Option<i64>) -> Entry {
    let attributes = Attributes {
        written_at: Timestamp(1_600_000_000_000),
        expires_at: expires_at.map(Timestamp),
        remind_at: None,
    };
    Entry { name: EntryName::new(name).unwrap(), value: value.to_vec().into(), attributes }
}

/// An export as some other program may write it.
fn sealed(entries: &[Entry]) -> Vec<u8> {
    let rng = &mut rand::rng();
    let (tenant, vault) = (TenantId::from_bytes([1; 16]), VaultId::from_bytes([2; 16]));
    let about = About { tenant, vault, at: Timestamp(1), counter: 1 };
    let passphrase = Passphrase::new(PASSPHRASE).unwrap();
    let (mut sealer, mut file) = Sealer::begin(&about, &passphrase, Cost::LEAST, rng).unwrap();
    for entry in entries {
        file.extend(sealer.entry(1, entry, rng).unwrap().unwrap_or_default());
    }
    file.extend(sealer.finish(rng).unwrap());
    file
}

fn export(bytes: &[u8]) -> Result<Source, ocmt_client::ClientError> {
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    ExportFile::open(file, &Passphrase::new(PASSPHRASE).unwrap()).map(Source::Export)
}

/// Another look at somebody's vault, from the same device or another.
async fn again(person: &Person, device: &ocmt_client::state::LocalState) -> Vault {
    let key = Key::Passphrase(Passphrase::new("tramway-Okapi-39-lantern").unwrap());
    person.client.unlock_vault(None, key, device, Rollback::Refuse).await.unwrap()
}

async fn vault(person: &Person) -> Vault {
    person.vault("tramway-Okapi-39-lantern").await.unwrap()
}

/// Name, version, value, times of everything in a vault.
async fn all(vault: &Vault) -> Vec<(String, u64, Vec<u8>, Attributes)> {
    let mut all = Vec::new();
    let take = |version: u64, entry: &Entry| {
        all.push((entry.name.expose().to_owned(), version, entry.value.to_vec(), entry.attributes));
        Ok(())
    };
    vault.each_entry(take, &mut |_, _| {}).await.unwrap();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}
