//! What the fuzz targets of `tests/fuzz` run, a function a target: parsers fed with anything. The first
//! byte says which parser of the target; what a parser takes, it must write again to the same bytes.
//!
//! Where a MAC, a signature or a cipher stands before a parser, it is made here under fixed keys, so that
//! the bytes reach what is behind it. Compiled for fuzzing and for this crate's own tests, which play the
//! kept corpus.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ocmt_types::{
    AuthorizationId, ContainerId, ConversationId, Digest32, Id as _, NodeId, SnapshotId, TenantId, Timestamp,
    UnlockId, VaultId,
};

use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    audit::{
        AuditRecord,
        checkpoint::{Checkpoint, NoteKey, open_note},
        introduction::Introduction,
    },
    backup_code::BackupCode,
    backup_key::BackupKey,
    cell::{AgentPolicyStatement, CellKeyOffer, CellKeyStatement, CellPlace, GatewayAuthority, StartSecret},
    ceremony::{Approval, Ceremony, ReleaseStatement, StopStatement},
    channel,
    codec::{Reader, Writer},
    connect::{Answer, ProviderName, ProviderSettings, Tokens},
    datakey::{DataKey, ObjectPlace, VaultKey, VaultScope},
    entry::{Entry, KeyHistory},
    envelope,
    export::{self, ChunkHead},
    gateway_token::{self, GatewayKeys},
    guardian::{DrillChallenge, GuardianSet, Unit, test_set::Circle},
    import::{self, FieldKeys, OldVault, Seed, read_fields},
    join::{self, JoinToken},
    kdf::Stretch,
    keyring::Keyring,
    kind::Kind,
    mac,
    manifest::Manifest,
    object::{VaultObject, open_body},
    pkce::Verifier,
    seal::SealSecretKey,
    sealing::SealingKeys,
    sealing_backup,
    shared::{SHARED_WRITE, SharedPlace, SharedWrite, WRITE_GRANT, WriteGrant},
    sign::{SigningKey, VerifyKey},
    slot::KeySlot,
    snapshot::{ChunkOpener, FRAME_HEAD, Frame, SnapshotPayload, SnapshotPlace},
    succession::Succession,
    token::Token,
    totp::TotpSecret,
    transcript::{ConversationPlace, TranscriptReader},
    unlock::{InboxItem, InboxPlace, Lease, Ledger, UnlockKey, UnlockPayload},
};

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

/// Envelopes and vault objects.
pub fn objects(data: &[u8]) {
    match chosen(data) {
        (0, bytes) => {
            let _ = envelope::parse(bytes);
            for kind in [Kind::OBJECT_BODY, Kind::WRAPPED_KEY, Kind::TRANSCRIPT_RECORD] {
                let _ = envelope::open(kind, &KEY, b"context", bytes);
            }
        }
        (1, bytes) => same(bytes, VaultObject::from_bytes(bytes), VaultObject::to_bytes),
        (_, bytes) => {
            let place = ObjectPlace { scope: scope(), object: Digest32([3; 32]), version: 1 };
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

/// What cells and their hosts and clients say to each other, under good MACs.
pub fn cells(data: &[u8]) {
    let place =
        CellPlace { tenant: scope().tenant, container: ContainerId::from_bytes([5; 16]), generation: 1 };
    let (start, key) = (StartSecret::from_bytes(KEY), UnlockKey::from_bytes(KEY));
    let under = |mac_key: &[u8; 32], body: &[u8]| [body, mac::tag(mac_key, body).as_slice()].concat();
    match chosen(data) {
        (0, body) => {
            let bytes = under(&start.offer_key().expect("32 bytes"), body);
            same(&bytes, CellKeyOffer::open(&bytes, &start, &place, NOW), |offer| {
                offer.seal(&start).expect("as it was")
            });
        }
        (1, bytes) => {
            let _ = CellKeyStatement::claimed_node(bytes);
            let _ = AgentPolicyStatement::claimed_node(bytes);
        }
        (2, body) => {
            let bytes = under(&key.lease_key().expect("32 bytes"), body);
            let mut lease = Lease::begin(UnlockId::from_bytes([6; 16]), 1_000, NOW);
            let before = lease.ends();
            if lease.extend(&bytes, &key, NOW).is_err() {
                assert!(lease.ends() == before, "a refused extension changed something");
            }
        }
        (4, body) => {
            let git = ProviderName::new("git").expect("a name");
            let (unlock, flow) =
                (UnlockId::from_bytes([6; 16]), (AuthorizationId::from_bytes([7; 16]), &git));
            let sealed = Answer::sealed_for_fuzzing(body, unlock, flow, &key);
            let _ = Answer::open(&sealed, unlock, flow, &key);
        }
        (5, bytes) => {
            if let Ok(settings) = ProviderSettings::decode(bytes) {
                let _ = settings.encode();
            }
        }
        (6, bytes) => {
            if let Ok(tokens) = Tokens::decode(bytes) {
                let _ = tokens.encode();
            }
        }
        (9, body) => shared(body),
        (10, body) => {
            let stated = under(&start.gateway_key().expect("32 bytes"), body);
            let _ = GatewayAuthority::of(&start, place).expect("32 bytes").admit(&stated, "v4.public.", NOW);
        }
        (7, bytes) => same(bytes, SnapshotPayload::decode(bytes), |payload| payload.encode().to_vec()),
        (8, bytes) => {
            let (head, rest) = bytes.split_first_chunk().unwrap_or((&[0; FRAME_HEAD], bytes));
            let _ = Frame::read_head(*head);
            let (tenant, snapshot) = (scope().tenant, SnapshotId::from_bytes([8; 16]));
            let place = SnapshotPlace { tenant, snapshot };
            let mut opener = ChunkOpener::new(place, &DataKey::from_bytes(KEY));
            assert!(opener.open(rest).is_ok() == opener.is_finished() || rest.len() > 200_000);
        }
        (_, body) => {
            let bytes = under(&key.inbox_key().expect("32 bytes"), body);
            if let Ok(claimed) = InboxPlace::claimed(&bytes) {
                let _ = InboxItem::open(&bytes, &claimed, &SealSecretKey::from_bytes(KEY), &key);
            }
        }
    }
}

/// What givers and takers of shares sign, under good signatures.
fn shared(body: &[u8]) {
    let key = SigningKey::from_bytes(&KEY);
    let grant = [body, &key.sign(WRITE_GRANT, body).0].concat();
    same(&grant, WriteGrant::open(&grant, &key.verify_key()), |grant| grant.sign(&key));
    let sent = [body, &key.sign(SHARED_WRITE, body).0].concat();
    if let Ok(write) = SharedWrite::verify(&sent, &key.verify_key()) {
        assert!(SharedPlace::claimed(&sent) == Ok(write.place), "two places of one write");
        let _ = write.open(&SealSecretKey::from_bytes(KEY));
    }
}

/// Frames of the sealed channel, and what their records say.
pub fn channels(data: &[u8]) {
    let _ = channel::first_frame(data);
    channel::parse_anything(data);
}

/// Guardian sets, units, and drills.
pub fn guardians(data: &[u8]) {
    match chosen(data) {
        (0, bytes) => {
            let _ = GuardianSet::claimed_owner(bytes);
        }
        (1, body) => {
            // 64 bytes stand for the signature, which `claimed_owner` does not look at
            let _ = GuardianSet::claimed_owner(&[body, &[0; 64]].concat());
        }
        (2, bytes) => same(bytes, Unit::read(bytes), |unit| {
            let mut out = Writer::new();
            unit.write(&mut out);
            out.into_vec()
        }),
        (_, bytes) => same(bytes, DrillChallenge::decode(bytes), DrillChallenge::encode),
    }
}

/// Ceremonies and all that is said on them.
pub fn ceremonies(data: &[u8]) {
    let subject = Digest32([8; 32]);
    match chosen(data) {
        (0, bytes) => same(bytes, Ceremony::decode(bytes), Ceremony::encode),
        (1, bytes) => {
            let _ = ReleaseStatement::claimed_node(bytes);
            let _ = ReleaseStatement::verify(bytes, NodeId::from_bytes([9; 16]), &VerifyKey(KEY), &subject);
        }
        (2, bytes) => {
            let _ = StopStatement::verify_retirement(bytes, &subject, &VerifyKey(KEY));
        }
        (_, bytes) => {
            thread_local!(static CIRCLE: Circle = Circle::new(1, 2, &[1, 1, 1]));
            let release = SealSecretKey::from_bytes(KEY).public();
            CIRCLE.with(|circle| {
                let _ = Approval::verify(bytes, &subject, &release, &circle.dealt.set);
                let _ = StopStatement::verify_guardian(bytes, &subject, &circle.dealt.set);
            });
        }
    }
}

/// What people and programs type, paste or put into headers.
pub fn texts(data: &[u8]) {
    let (which, bytes) = chosen(data);
    let _ = SealingKeys::generation_of(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match which {
        0 => same(bytes, Token::parse(text), |token| token.expose().as_bytes().to_vec()),
        1 => same(bytes, JoinToken::parse(text), |token| token.expose().as_bytes().to_vec()),
        2 => {
            if let Ok(key) = BackupKey::parse(text) {
                let again = key.to_text();
                assert!(BackupKey::parse(&again).is_ok_and(|same| *same.to_text() == *again));
            }
            if let Ok(code) = BackupCode::parse(text) {
                assert!(BackupCode::parse(&code.to_text()).is_ok_and(|same| same.hash() == code.hash()));
            }
        }
        3 => {
            let _ = (Verifier::parse(text), TotpSecret::from_base32(text));
        }
        9 => {
            same(bytes, Checkpoint::parse(text), |checkpoint| checkpoint.text().into_bytes());
            same(bytes, Introduction::parse(text), |said| said.text().into_bytes());
            same(bytes, NoteKey::parse(text), |key| key.to_text().into_bytes());
            let key = SigningKey::from_bytes(&KEY).verify_key();
            let known = [NoteKey::of_node(NodeId::from_bytes([4; 16]), key)];
            let _ = (open_note(text, &known), Introduction::open(text, &known));
        }
        _ => {
            let current = SigningKey::from_bytes(&KEY).verify_key();
            let container = ContainerId::from_bytes([5; 16]);
            let _ = gateway_token::verify(text, container, &GatewayKeys { current, previous: None }, NOW);
            let _ = gateway_token::routing_tag(text);
        }
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
