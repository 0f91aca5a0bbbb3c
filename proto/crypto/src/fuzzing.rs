//! What the fuzz targets of `tests/fuzz` run, a function a target: parsers fed with anything. The first
//! byte says which parser of the target; what a parser takes, it must write again to the same bytes.
//!
//! Where a MAC, a signature or a cipher stands before a parser, it is made here under fixed keys, so that
//! the bytes reach what is behind it. Compiled for fuzzing and for this crate's own tests, which play the
//! kept corpus.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;
mod recovery;
mod texts;

use ocmt_types::{ConversationId, Digest32, Id as _, TenantId, Timestamp, VaultId};
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    audit::AuditRecord,
    codec::Reader,
    datakey::{DataKey, ObjectPlace, VaultKey, VaultScope},
    entry::{Entry, KeyHistory},
    envelope,
    export::{self, ChunkHead},
    grant,
    import::{self, FieldKeys, OldVault, Seed, read_fields},
    join,
    kdf::Stretch,
    keyring::Keyring,
    kind::Kind,
    manifest::Manifest,
    object::{VaultObject, open_body},
    seal::SealSecretKey,
    sealing_backup,
    sign::SigningKey,
    slot::KeySlot,
    succession::Succession,
    transcript::{ConversationPlace, TranscriptReader},
    unlock::{Ledger, UnlockPayload},
};

pub use cells::{cells, channels};
pub use recovery::{ceremonies, guardians};
pub use texts::texts;

/// One target: parsers that belong together.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also its folder of corpus and its file in `tests/fuzz`.
pub const TARGETS: [(&str, Target); 11] = [
    ("objects", objects),
    ("slots", slots),
    ("manifests", manifests),
    ("contents", contents),
    ("transcripts", transcripts),
    ("cells", cells),
    ("channels", channels),
    ("guardians", guardians),
    ("ceremonies", ceremonies),
    ("texts", texts),
    ("imports", imports),
];

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const KEY: [u8; 32] = [7; 32];

fn scope() -> VaultScope {
    VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) }
}

/// What was taken must be what is written again.
fn same<T>(bytes: &[u8], read: Result<T>, write: impl Fn(&T) -> Vec<u8>) {
    if let Ok(value) = read {
        assert!(write(&value) == bytes, "two forms of one thing were taken");
    }
}

fn chosen(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(which, rest)| (*which, rest))
}

/// Envelopes and vault objects, and grants of them.
pub fn objects(data: &[u8]) {
    let place = ObjectPlace { scope: scope(), object: Digest32([3; 32]), version: 1 };
    match chosen(data) {
        (0, bytes) => {
            let _ = envelope::parse(bytes);
            for kind in [Kind::OBJECT_BODY, Kind::WRAPPED_KEY, Kind::TRANSCRIPT_RECORD] {
                let _ = envelope::open(kind, &KEY, b"context", bytes);
            }
        }
        (1, bytes) => same(bytes, VaultObject::from_bytes(bytes), VaultObject::to_bytes),
        (3, bytes) => {
            let (giver, taker) = (SigningKey::from_bytes(&KEY), SealSecretKey::from_bytes(KEY));
            let signed = grant::under_a_good_signature(&place, bytes, &taker.public(), &giver);
            for grant in [bytes, &signed] {
                let _ = grant::open(&place, grant, &taker, &giver.verify_key());
            }
        }
        (_, bytes) => {
            let _ = DataKey::unwrap_from(&VaultKey::from_bytes(KEY, 1), &place, bytes);
            let _ = open_body(&DataKey::from_bytes(KEY), &place, bytes);
        }
    }
}

/// Key slots, and what is stretched for them.
pub fn slots(data: &[u8]) {
    match chosen(data) {
        (0, bytes) => {
            let mut reader = Reader::new(bytes);
            let _ = Stretch::read(&mut reader);
            let _ = sealing_backup::authority(bytes);
            let _ = join::read_keys(bytes);
        }
        (_, bytes) => {
            let slot = KeySlot::from_bytes(bytes);
            if let Ok(slot) = &slot {
                let _ = slot.verify(&scope(), &SigningKey::from_bytes(&KEY).verify_key());
            }
            same(bytes, slot, KeySlot::to_bytes);
        }
    }
}

/// Manifests under a good signature, and successions of the key that signs them.
pub fn manifests(data: &[u8]) {
    match chosen(data) {
        (0, body) => {
            let key = SigningKey::from_bytes(&KEY);
            let signed = Manifest::sign_body(&scope(), &key, body);
            same(&signed, Manifest::open(&signed, &scope(), &key.verify_key()), |manifest| {
                manifest.sign(&scope(), &key).expect("what was taken is within bounds")
            });
        }
        (_, bytes) => same(bytes, Succession::from_bytes(bytes), Succession::to_bytes),
    }
}

/// Plaintexts of objects, as they stand behind the cipher, and unlock payloads.
pub fn contents(data: &[u8]) {
    match chosen(data) {
        (0, bytes) => same(bytes, Entry::decode(bytes), |entry| entry.encode().expect("bounded").to_vec()),
        (1, bytes) => same(bytes, KeyHistory::decode(bytes), |history| history.encode().to_vec()),
        (2, bytes) => same(bytes, Keyring::decode(bytes), |keyring| keyring.encode().to_vec()),
        (3, bytes) => same(bytes, UnlockPayload::decode(bytes), |payload| payload.encode().to_vec()),
        (5, bytes) => same(bytes, Ledger::decode(bytes), |ledger| ledger.encode().to_vec()),
        (_, bytes) => {
            same(bytes, AuditRecord::from_bytes(bytes), |record| record.to_bytes().expect("bounded"));
        }
    }
}

/// Records of a transcript, as they come, and sealed in their place under the good key.
pub fn transcripts(data: &[u8]) {
    let place =
        ConversationPlace { tenant: scope().tenant, conversation: ConversationId::from_bytes([4; 16]) };
    let (epochs, record) = chosen(data);
    let keys = (1..=u32::from(epochs % 3)).map(|epoch| (epoch, DataKey::from_bytes(KEY)));
    let mut reader = TranscriptReader::new(place, keys);
    let before = reader.anchor();
    if reader.next(record).is_err() {
        assert!(reader.anchor() == before, "a refused record changed something");
    }
}

/// Files from elsewhere: of the implementation before this one, and exports behind their cipher.
pub fn imports(data: &[u8]) {
    let (which, bytes) = chosen(data);
    match which {
        0 => {
            if let Ok(vault) = OldVault::parse(bytes) {
                let _ = Seed::from_shares(&[]).map(|seed| vault.open_with_seed(&seed));
            }
        }
        1 => {
            if let Ok(items) = import::items_of(bytes) {
                assert!(items.len() <= bytes.len(), "more items than there are bytes");
            }
        }
        2 => {
            let _ = Seed::from_social(bytes);
            let _ = Seed::from_backup_with("", bytes, |_| Err(CryptoError::Refused));
        }
        3 => {
            let keys = FieldKeys::parse(format!(r#"{{"v1":"{}"}}"#, "07".repeat(32)).as_bytes());
            let _ = (FieldKeys::parse(bytes), read_fields(bytes, &keys.expect("a key")));
        }
        4 => {
            let lines = String::from_utf8_lossy(bytes);
            let shares: Vec<_> = lines.lines().map(|line| Zeroizing::new(line.to_owned())).collect();
            let _ = (Seed::from_shares(&shares), Seed::from_phrase(&lines));
        }
        _ => {
            if let Some(head) = bytes.first_chunk() {
                let _ = ChunkHead::parse(head);
            }
            for version in [export::Version::Entries, export::Version::Conversations] {
                let _ = export::read_records(version, bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::TARGETS;

    /// Every input that is kept goes through its target again, in the ordinary tests too.
    #[test]
    fn the_kept_corpus_breaks_nothing() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus");
        for (name, target) in TARGETS {
            let files =
                std::fs::read_dir(corpus.join(name)).unwrap_or_else(|_| panic!("no corpus of {name}"));
            let mut played = 0;
            for file in files {
                target(&std::fs::read(file.unwrap().path()).unwrap());
                played += 1;
            }
            assert!(played > 0, "the corpus of {name} is empty");
        }
    }
}
