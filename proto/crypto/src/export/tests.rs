//! Any set of entries comes back; nothing else does.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ocmt_types::{Id as _, TenantId, Timestamp, VaultId};
use proptest::prelude::*;

use super::{conversations::spoken, *};
use crate::entry::{Attributes, EntryName};

pub(super) fn about() -> About {
    About {
        tenant: TenantId::from_bytes([0x11; 16]),
        vault: VaultId::from_bytes([0x22; 16]),
        at: Timestamp(1_800_000_000_000),
        counter: 9,
    }
}

pub(super) fn passphrase() -> Passphrase {
    Passphrase::new("an export's own passphrase").unwrap()
}

/// A whole export.
fn seal(entries: &[(u64, Entry)]) -> (Opener, Vec<u8>) {
    let rng = &mut rand::rng();
    let (sealer, header) = Sealer::begin(&about(), &passphrase(), Cost::LEAST, rng).unwrap();
    let opener = Opener::under(sealer.key.duplicate(), sealer.version);
    (opener, finish(sealer, header, entries))
}

fn finish(mut sealer: Sealer, header: Vec<u8>, entries: &[(u64, Entry)]) -> Vec<u8> {
    let rng = &mut rand::rng();
    let mut file = header;
    for (version, entry) in entries {
        file.extend(sealer.entry(*version, entry, rng).unwrap().unwrap_or_default());
    }
    file.extend(sealer.finish(rng).unwrap());
    file
}

/// Reads what follows a header, as the client does it from a file.
pub(super) fn read(mut opener: Opener, mut file: &[u8]) -> Result<Vec<Exported>> {
    let mut entries = Vec::new();
    while !file.is_empty() {
        let (head, rest) = file.split_first_chunk().ok_or(CryptoError::Refused)?;
        let head = ChunkHead::parse(head)?;
        let (sealed, rest) = rest.split_at_checked(head.length).ok_or(CryptoError::Refused)?;
        entries.extend(opener.chunk(head, sealed)?);
        file = rest;
    }
    if opener.is_over() { Ok(entries) } else { Err(CryptoError::Refused) }
}

pub(super) fn entry(name: &str, value: Vec<u8>, times: (i64, Option<i64>, Option<i64>)) -> Entry {
    let (written_at, expires_at, remind_at) =
        (Timestamp(times.0), times.1.map(Timestamp), times.2.map(Timestamp));
    let attributes = Attributes { written_at, expires_at, remind_at };
    Entry { name: EntryName::new(name).unwrap(), value: Zeroizing::new(value), attributes }
}

/// The entries of an export that has nothing else.
pub(super) fn entries_of(read: Vec<Exported>) -> Vec<ExportedEntry> {
    let entry = |one| match one {
        Exported::Entry(entry) => entry,
        Exported::Conversation(_) | Exported::Said(_) => panic!("no entry"),
    };
    read.into_iter().map(entry).collect()
}

fn same(read: Vec<Exported>, written: &[(u64, Entry)]) -> bool {
    let read = entries_of(read);
    read.len() == written.len()
        && read.iter().zip(written).all(|(read, (version, entry))| {
            let (one, other) = (&read.entry, entry);
            read.version == *version
                && one.name == other.name
                && *one.value == *other.value
                && one.attributes == other.attributes
        })
}

/// Version, name, value and times.
type Parts = (u64, String, Vec<u8>, (i64, Option<i64>, Option<i64>));

fn entries() -> impl Strategy<Value = Vec<Parts>> {
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..50),
        (any::<u8>(), 0..=65_536_usize).prop_map(|(byte, length)| vec![byte; length]),
    ];
    let times = any::<(i64, Option<i64>, Option<i64>)>();
    proptest::collection::vec((1..u64::MAX, "\\PC{0,40}", value, times), 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_set_of_entries_comes_back_as_it_was(parts in entries()) {
        let entries: Vec<_> = parts
            .into_iter()
            .enumerate()
            .map(|(at, (version, name, value, times))| (version, entry(&format!("{at} {name}"), value, times)))
            .collect();
        let (opener, file) = seal(&entries);
        prop_assert!(same(read(opener, &file[HEADER_LEN..]).unwrap(), &entries));
    }

    #[test]
    fn arbitrary_records_neither_open_nor_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for version in [Version::Entries, Version::Conversations] {
            let _ = read_records(version, &bytes);
        }
    }
}

fn some() -> Vec<(u64, Entry)> {
    // four chunks
    let value = |byte| vec![byte; 60_000];
    (0..60).map(|at| (at + 1, entry(&format!("n{at}"), value(7), (5, None, Some(6))))).collect()
}

#[test]
fn no_flipped_bit_no_prefix_and_no_byte_more_is_taken() {
    let (opener, file) = seal(&[(3, entry("name", b"value".to_vec(), (1, Some(2), None)))]);
    let chunks = &file[HEADER_LEN..];
    assert_eq!(read(opener.again(), chunks).unwrap().len(), 1);
    let refused = |bytes: &[u8]| matches!(read(opener.again(), bytes), Err(CryptoError::Refused));
    let mut bytes = chunks.to_vec();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(&bytes), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    for len in 0..chunks.len() {
        assert!(refused(&chunks[..len]), "prefix of {len}");
    }
    assert!(refused(&[chunks, &[0]].concat()) && refused(&[chunks, chunks].concat()));
}

/// A flipped bit of a header is refused, or gives another key than the one that the chunks are under.
#[test]
fn no_flipped_bit_of_a_header_gives_the_key() {
    let (opener, file) = seal(&[]);
    let header: [u8; HEADER_LEN] = *file.first_chunk().unwrap();
    let stretched = read_header(&header).unwrap();
    let mut tried = 0;
    for bit in 0..HEADER_LEN * 8 {
        let mut flipped = header;
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(stretch) = read_header(&flipped) else { continue };
        assert!(stretch != stretched);
        // whoever leaves the costs in the header changes their bytes and, by the info, the key: one is tried
        if tried == 0 {
            tried += 1;
            let other = Opener::begin(&flipped, &passphrase()).unwrap();
            assert!(matches!(read(other, &file[HEADER_LEN..]), Err(CryptoError::Refused)));
        }
    }
    assert!(tried == 1 && read(opener, &file[HEADER_LEN..]).is_ok());
    for (at, cost) in [(6, u32::MAX), (6, 8), (10, 1), (10, 11), (14, 0), (14, 17), (18, 15), (18, 64)] {
        let mut costly = header;
        costly[at..at + 4].copy_from_slice(&cost.to_be_bytes());
        assert!(Opener::begin(&costly, &passphrase()).is_err());
    }
}

#[test]
fn the_right_passphrase_opens_and_another_does_not() {
    let rng = &mut rand::rng();
    let (sealer, header) = Sealer::begin(&about(), &passphrase(), Cost::LEAST, rng).unwrap();
    let file = finish(sealer, header, &some());
    let header = file.first_chunk().unwrap();
    let mut opener = Opener::begin(header, &passphrase()).unwrap();
    assert!(same(read(opener.again(), &file[HEADER_LEN..]).unwrap(), &some()));
    let other = Opener::begin(header, &Passphrase::new("another").unwrap()).unwrap();
    assert!(matches!(read(other, &file[HEADER_LEN..]), Err(CryptoError::Refused)));
    let head = ChunkHead::parse(file[HEADER_LEN..].first_chunk().unwrap()).unwrap();
    let sealed = &file[HEADER_LEN + CHUNK_HEAD_LEN..][..head.length];
    assert!(opener.about().is_none());
    opener.chunk(head, sealed).unwrap();
    assert_eq!((opener.about(), opener.is_over()), (Some(about()), false));
}

#[test]
fn chunks_are_neither_left_out_nor_moved_nor_taken_from_another_export() {
    let (opener, file) = seal(&some());
    let mut chunks = Vec::new();
    let mut left = &file[HEADER_LEN..];
    while let Some(head) = left.first_chunk() {
        let length = CHUNK_HEAD_LEN + ChunkHead::parse(head).unwrap().length;
        assert!(length <= CHUNK_HEAD_LEN + MAX_CHUNK + 40);
        chunks.push(&left[..length]);
        left = &left[length..];
    }
    assert_eq!(chunks.len(), 4);
    let opens = |order: &[&[u8]]| read(opener.again(), &order.concat()).is_ok();
    let [a, b, c, d] = chunks[..] else { panic!("four") };
    assert!(opens(&[a, b, c, d]));
    let (_, other) = seal(&some());
    for order in [
        // the same records in another order: their place alone tells
        &[a, c, b, d][..],
        &[a, b, d],
        &[a, d],
        &[b, c, d],
        &[a, b, c],
        &[a, b, b, c, d],
        &[a, a, b, c, d],
        &[b, a, c, d],
        &[a, b, d, c],
        &[d],
        &[a, b, c, d, d],
    ] {
        assert!(!opens(order));
    }
    assert!(!opens(&[a, b, c, &other[other.len() - d.len()..]]));
}

/// Below the encryption: what an owner of the passphrase could write, and no reader takes.
#[test]
fn records_out_of_order_of_unknown_types_or_twice_are_refused() {
    let about_bytes = || {
        let mut out = Writer::new();
        about().write(&mut out);
        out.into_vec()
    };
    let entry_bytes = |name: &str| record::entry(1, &entry(name, vec![1], (0, None, None))).unwrap().to_vec();
    let end_bytes = |count: u32| {
        let mut out = Writer::new();
        Tally { entries: count, ..Tally::default() }.write(Version::Entries, &mut out);
        out.into_vec()
    };
    let taken = |records: &[Vec<u8>]| {
        let (key, rng) = (DataKey::generate(&mut rand::rng()), &mut rand::rng());
        let records = records.concat();
        let context = context(0, true);
        let sealed = envelope::seal(Kind::EXPORT_CHUNK, 0, key.expose(), &context, &records, rng).unwrap();
        let head = ChunkHead { last: true, length: sealed.len() };
        Opener::under(key, Version::Entries).chunk(head, &sealed).is_ok()
    };
    assert!(taken(&[about_bytes(), entry_bytes("a"), entry_bytes("b"), end_bytes(2)]));
    assert!(taken(&[about_bytes(), end_bytes(0)]));
    for records in [
        vec![],
        vec![end_bytes(0)],
        vec![about_bytes()],
        vec![about_bytes(), entry_bytes("a")],
        vec![about_bytes(), entry_bytes("a"), end_bytes(2)],
        vec![entry_bytes("a"), about_bytes(), end_bytes(1)],
        vec![about_bytes(), about_bytes(), end_bytes(0)],
        vec![about_bytes(), entry_bytes("a"), entry_bytes("a"), end_bytes(1)],
        vec![about_bytes(), entry_bytes("a"), entry_bytes("a"), end_bytes(2)],
        vec![about_bytes(), end_bytes(0), entry_bytes("a")],
        vec![about_bytes(), record::conversation(&spoken(3)).to_vec(), end_bytes(0)],
        vec![about_bytes(), vec![3, 0, 0, 0, 0], end_bytes(0)],
        vec![about_bytes(), vec![9, 0, 0, 0, 0], end_bytes(0)],
        vec![about_bytes(), vec![2, 0xff, 0xff, 0xff, 0xff]],
    ] {
        assert!(!taken(&records));
    }
}
