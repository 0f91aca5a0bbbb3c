//! Conversations in an export: its second version, and the golden file of that.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use data_encoding::HEXLOWER;
use ocmt_types::{ContainerId, ConversationId, Id as _, Timestamp};
use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use super::{
    tests::{about, entry, passphrase, read},
    vector::published,
    *,
};
use crate::transcript::{MAX_RECORD, MAX_RECORDS};

const FILE: &str = "tests/vectors/ocmt/export-conversations.json";

pub(super) fn spoken(id: u8) -> ExportedConversation {
    ExportedConversation {
        id: ConversationId::from_bytes([id; 16]),
        container: None,
        first_sequence: 1,
        created_at: None,
        updated_at: None,
    }
}

/// A conversation and what was said in it; whether the last record is final.
type Talk = (ExportedConversation, Vec<Vec<u8>>, bool);

/// What follows the header of an export of one entry and these conversations, and what opens it.
fn seal(talks: &[Talk]) -> (Opener, Vec<u8>) {
    let rng = &mut rand::rng();
    let (mut sealer, _) =
        Sealer::begin_with_conversations(&about(), &passphrase(), Cost::LEAST, rng).unwrap();
    let opener = Opener::under(sealer.key.duplicate(), sealer.version);
    let mut file = Vec::new();
    file.extend(sealer.entry(1, &entry("name", b"value".to_vec(), (1, None, None)), rng).unwrap());
    for (head, said, finished) in talks {
        file.extend(sealer.conversation(head, rng).unwrap());
        for (at, text) in said.iter().enumerate() {
            file.extend(sealer.said(text, *finished && at + 1 == said.len(), rng).unwrap());
        }
    }
    let mut file: Vec<u8> = file.concat();
    file.extend(sealer.finish(rng).unwrap());
    (opener, file)
}

fn talks_of(read: Vec<Exported>) -> Vec<Talk> {
    let mut talks = Vec::new();
    for one in read {
        match one {
            Exported::Entry(_) => assert!(talks.is_empty(), "entries come first"),
            Exported::Conversation(head) => talks.push((head, Vec::new(), false)),
            Exported::Said(Said { text, last }) => {
                let talk = talks.last_mut().unwrap();
                talk.1.push(text.to_vec());
                talk.2 = last;
            }
        }
    }
    talks
}

fn heads() -> impl Strategy<Value = ExportedConversation> {
    let times = any::<(Option<i64>, Option<i64>)>();
    (any::<[u8; 16]>(), proptest::option::of(any::<[u8; 16]>()), 1..MAX_RECORDS - 20, times).prop_map(
        |(id, container, first_sequence, (created, updated))| ExportedConversation {
            id: ConversationId::from_bytes(id),
            container: container.map(ContainerId::from_bytes),
            first_sequence,
            created_at: created.map(Timestamp),
            updated_at: updated.map(Timestamp),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_set_of_conversations_comes_back_as_it_was(
        mut talks in proptest::collection::vec(
            (heads(), proptest::collection::vec(
                (any::<u8>(), prop_oneof![0..40_usize, 200_000..=MAX_RECORD]).prop_map(|(byte, length)| vec![byte; length]),
                0..8,
            ), any::<bool>()),
            0..6,
        )
    ) {
        talks.sort_by_key(|talk| talk.0.id);
        talks.dedup_by_key(|talk| talk.0.id);
        for talk in &mut talks {
            talk.2 &= !talk.1.is_empty();
        }
        let (opener, file) = seal(&talks);
        prop_assert!(talks_of(read(opener, &file).unwrap()) == talks);
    }
}

#[test]
fn no_flipped_bit_no_prefix_and_no_byte_more_of_a_conversation_is_taken() {
    let (opener, file) = seal(&[(spoken(3), vec![b"one".to_vec(), Vec::new()], true)]);
    assert_eq!(read(opener.again(), &file).unwrap().len(), 4);
    let refused = |bytes: &[u8]| matches!(read(opener.again(), bytes), Err(CryptoError::Refused));
    let mut bytes = file.clone();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(&bytes), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    for len in 0..file.len() {
        assert!(refused(&file[..len]), "prefix of {len}");
    }
    assert!(refused(&[file.as_slice(), &[0]].concat()));
}

/// Written and read a chunk at a time: no chunk, and so nothing in memory, grows with the conversation.
#[test]
fn a_conversation_of_100_000_records_goes_through_in_bounded_chunks() {
    let rng = &mut rand::rng();
    let (mut sealer, _) =
        Sealer::begin_with_conversations(&about(), &passphrase(), Cost::LEAST, rng).unwrap();
    let mut opener = Opener::under(sealer.key.duplicate(), sealer.version);
    let (mut chunks, mut said) = (0, 0_u32);
    let mut take = |chunk: Vec<u8>| {
        chunks += 1;
        assert!(chunk.len() <= CHUNK_HEAD_LEN + MAX_CHUNK + envelope::overhead(Kind::EXPORT_CHUNK));
        let (head, sealed) = chunk.split_first_chunk().unwrap();
        for one in opener.chunk(ChunkHead::parse(head).unwrap(), sealed).unwrap() {
            let Exported::Said(Said { text, last }) = one else { continue };
            assert_eq!((text.as_slice(), last), (said.to_be_bytes().repeat(15).as_slice(), said == 99_999));
            said += 1;
        }
    };
    sealer.conversation(&spoken(1), rng).unwrap();
    for at in 0..100_000_u32 {
        if let Some(chunk) = sealer.said(&at.to_be_bytes().repeat(15), at == 99_999, rng).unwrap() {
            take(chunk);
        }
    }
    take(sealer.finish(rng).unwrap());
    assert_eq!((chunks, said, opener.is_over()), (7, 100_000, true));
}

fn taken(version: Version, records: &[Vec<u8>]) -> bool {
    let (key, rng) = (DataKey::generate(&mut rand::rng()), &mut rand::rng());
    let sealed =
        envelope::seal(Kind::EXPORT_CHUNK, 0, key.expose(), &context(0, true), &records.concat(), rng);
    let sealed = sealed.unwrap();
    let head = ChunkHead { last: true, length: sealed.len() };
    Opener::under(key, version).chunk(head, &sealed).is_ok()
}

/// Below the encryption: what an owner of the passphrase could write, and no reader takes.
#[test]
fn conversations_out_of_order_without_an_end_or_of_another_version_are_refused() {
    let about_bytes = || {
        let mut out = Writer::new();
        about().write(&mut out);
        out.into_vec()
    };
    let entry_bytes = || record::entry(1, &entry("a", vec![1], (0, None, None))).unwrap().to_vec();
    let head = |id| record::conversation(&spoken(id)).to_vec();
    let from =
        |first_sequence| record::conversation(&ExportedConversation { first_sequence, ..spoken(1) }).to_vec();
    let said = |last| record::said(b"said", last).unwrap().to_vec();
    let end = |entries, conversations, said| {
        let mut out = Writer::new();
        Tally { entries, conversations, said }.write(Version::Conversations, &mut out);
        out.into_vec()
    };
    let good = [about_bytes(), entry_bytes(), head(1), said(false), said(true), head(2), end(1, 2, 2)];
    assert!(taken(Version::Conversations, &good));
    assert!(!taken(Version::Entries, &good), "a version 1 has none");
    assert!(taken(Version::Conversations, &[about_bytes(), end(0, 0, 0)]));
    assert!(taken(Version::Conversations, &[about_bytes(), from(MAX_RECORDS), said(false), end(0, 1, 1)]));
    let short_end = vec![255, 0, 0, 0, 4, 0, 0, 0, 0];
    let mut bad_flag = said(false);
    bad_flag[5] = 2;
    for records in [
        vec![about_bytes(), head(1), entry_bytes(), end(1, 1, 0)],
        vec![about_bytes(), head(1), head(1), end(0, 2, 0)],
        vec![about_bytes(), head(1), head(1), end(0, 1, 0)],
        vec![about_bytes(), said(false), end(0, 0, 1)],
        vec![about_bytes(), head(1), said(true), said(false), end(0, 1, 2)],
        vec![about_bytes(), head(1), said(true), said(true), end(0, 1, 2)],
        vec![about_bytes(), head(1), said(false), end(0, 1, 0)],
        vec![about_bytes(), head(1), said(false), end(0, 0, 1)],
        vec![about_bytes(), head(1), said(false), end(0, 1, 2)],
        vec![about_bytes(), head(1), said(false)],
        vec![about_bytes(), end(0, 0, 0), head(1)],
        vec![head(1), about_bytes(), end(0, 1, 0)],
        vec![about_bytes(), from(0), end(0, 1, 0)],
        vec![about_bytes(), from(MAX_RECORDS), said(false), said(false), end(0, 1, 2)],
        vec![about_bytes(), from(MAX_RECORDS + 1), said(false), end(0, 1, 1)],
        vec![about_bytes(), from(u64::MAX), said(false), end(0, 1, 1)],
        vec![about_bytes(), short_end],
        vec![about_bytes(), head(1), bad_flag, end(0, 1, 1)],
        vec![about_bytes(), vec![4, 0, 4, 0, 2]],
    ] {
        assert!(!taken(Version::Conversations, &records));
    }
}

#[test]
fn what_does_not_belong_there_is_not_written() {
    let rng = &mut rand::rng();
    let (mut plain, header) = Sealer::begin(&about(), &passphrase(), Cost::LEAST, rng).unwrap();
    assert_eq!(header[5], 1, "programs of before read what has no conversation");
    assert_eq!(plain.conversation(&spoken(1), rng), Err(CryptoError::Refused));
    assert_eq!(plain.said(b"", false, rng), Err(CryptoError::Refused));
    let begun = Sealer::begin_with_conversations(&about(), &passphrase(), Cost::LEAST, rng);
    let (mut sealer, header) = begun.unwrap();
    assert_eq!(header[5], 2);
    assert_eq!(sealer.said(b"", false, rng), Err(CryptoError::Refused));
    sealer.conversation(&spoken(1), rng).unwrap();
    assert_eq!(sealer.entry(1, &entry("a", vec![1], (0, None, None)), rng), Err(CryptoError::Refused));
    let long = vec![0; MAX_RECORD + 1];
    assert!(matches!(sealer.said(&long, false, rng), Err(CryptoError::TooLarge { .. })));
}

/// What a program says of a file of a later version, and what programs of before said of this one: refused, before
/// Argon2id.
#[test]
fn a_later_version_is_told_from_damage() {
    let rng = &mut rand::rng();
    let begun = Sealer::begin_with_conversations(&about(), &passphrase(), Cost::LEAST, rng);
    let header: [u8; HEADER_LEN] = begun.unwrap().1.try_into().unwrap();
    assert!(check_version(&header).is_ok() && read_header(&header).is_ok());
    let mut later = header;
    later[5] = 3;
    assert!(Opener::begin(&later, &passphrase()).is_err());
    assert_eq!(check_version(&later), Err(CryptoError::UnsupportedVersion));
    later[4] = Kind::EXPORT_CHUNK.0;
    assert!(check_version(&later).is_ok(), "nothing is said of what is no export");
    let mut other = header;
    other[5] = 1;
    let other = Opener::begin(&other, &passphrase()).unwrap();
    let (_, file) = seal(&[]);
    assert!(read(other, &file).is_err(), "the version is in the key");
}

fn talks() -> Vec<Talk> {
    let whole = ExportedConversation {
        container: Some(ContainerId::from_bytes([0x44; 16])),
        created_at: Some(Timestamp(1_700_000_000_000)),
        updated_at: Some(Timestamp(1_700_000_060_000)),
        ..spoken(0x33)
    };
    let pruned = ExportedConversation { first_sequence: 41, ..spoken(0x34) };
    vec![
        (whole, vec!["café".into(), Vec::new(), vec![0, 0xff]], true),
        (pruned, vec![b"the last that is left".to_vec()], false),
        (spoken(0x35), Vec::new(), false),
    ]
}

/// The vector: two chunks, the first cut off early on purpose.
fn make() -> Value {
    let rng = &mut StdRng::seed_from_u64(0x4558_5432);
    let begun = Sealer::begin_with_conversations(&about(), &passphrase(), Cost::LEAST, rng);
    let (mut sealer, mut file) = begun.unwrap();
    let entry = entry("API_KEY", b"first value".to_vec(), (1_700_000_000_000, None, None));
    assert!(sealer.entry(1, &entry, rng).unwrap().is_none());
    for (at, (head, said, finished)) in talks().iter().enumerate() {
        assert!(sealer.conversation(head, rng).unwrap().is_none());
        for (n, text) in said.iter().enumerate() {
            assert!(sealer.said(text, *finished && n + 1 == said.len(), rng).unwrap().is_none());
            if (at, n) == (0, 1) {
                file.extend(sealer.chunk(false, rng).unwrap());
            }
        }
    }
    file.extend(sealer.finish(rng).unwrap());
    let told = |(head, said, finished): &Talk| {
        json!({
            "id": head.id,
            "container": head.container,
            "first_sequence": head.first_sequence,
            "created_at": head.created_at.map(|at| at.0),
            "updated_at": head.updated_at.map(|at| at.0),
            "said": said.iter().map(|text| HEXLOWER.encode(text)).collect::<Vec<_>>(),
            "finished": finished,
        })
    };
    json!({
        "about": "an export of OCMT with conversations, format v2, docs/formats.md; byte strings are lower-case hexadecimal, times milliseconds since 1970",
        "passphrase": std::str::from_utf8(passphrase().expose()).unwrap(),
        "tenant": about().tenant,
        "vault": about().vault,
        "at": about().at.0,
        "counter": about().counter,
        "entries": [{
            "name": "API_KEY",
            "version": 1,
            "value": HEXLOWER.encode(b"first value"),
            "written_at": 1_700_000_000_000_i64,
            "expires_at": null,
            "remind_at": null,
        }],
        "conversations": talks().iter().map(told).collect::<Vec<_>>(),
        "file": HEXLOWER.encode(&file),
    })
}

#[test]
fn the_published_export_with_conversations_opens_for_ever() {
    assert!(talks_of(published(FILE, make)) == talks());
}
