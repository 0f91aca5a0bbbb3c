//! Transcripts: what is said in a conversation, a record at a time, encrypted where it is said.
//!
//! ```text
//! final u8 (0 or 1) | envelope of kind TRANSCRIPT_RECORD
//! context = tenant 16 | conversation 16 | sequence u64 | tag of the record before 16 | final u8
//! ```
//!
//! Each record is bound to its place and to the one before it: reordering, dropping, doubling and
//! splicing are refused. What nobody can see from the records alone is a cut tail of an open
//! conversation: the manifest's [`Anchor`] shows that, up to the last one signed. Appending costs the
//! record, whatever came before. A re-keyed conversation goes on in the same chain under a later epoch.

use std::collections::BTreeMap;

use ocmt_types::{ConversationId, TenantId};
use zeroize::Zeroizing;

use crate::{CryptoError, Result, codec::Writer, datakey::DataKey, envelope, kind::Kind, locked::LockedKey};

/// The longest record, in bytes of plaintext.
pub const MAX_RECORD: usize = 256 * 1024;
/// The most records of a conversation, those that retention took among them.
pub const MAX_RECORDS: u64 = 1 << 20;

const TAG_LEN: usize = 16;

/// Whose conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationPlace {
    /// The tenant.
    pub tenant: TenantId,
    /// The conversation.
    pub conversation: ConversationId,
}

/// How far a transcript reaches: where the next record goes, and what a manifest pins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Number of records.
    pub count: u64,
    /// The tag of the last; zeros before the first.
    pub last_tag: [u8; TAG_LEN],
}

impl From<&crate::manifest::Anchor> for Anchor {
    fn from(anchor: &crate::manifest::Anchor) -> Self {
        Self { count: anchor.records, last_tag: anchor.last_tag }
    }
}

impl Anchor {
    /// Before the first record.
    pub const START: Self = Self { count: 0, last_tag: [0; TAG_LEN] };
}

/// Appends records. Made only where the key has been shown to be the right one.
pub struct TranscriptWriter {
    place: ConversationPlace,
    key_epoch: u32,
    /// In a cell it stays there until the cell locks.
    key: LockedKey,
    at: Anchor,
    finished: bool,
}

impl TranscriptWriter {
    /// Begins a new conversation.
    pub fn begin(place: ConversationPlace, key_epoch: u32, key: DataKey) -> Self {
        Self { place, key_epoch, key: key.into_locked(), at: Anchor::START, finished: false }
    }

    /// Goes on where `reader` has come to: it has opened the last record, so its keys are right. Takes
    /// the key of the latest epoch.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if nothing was read, the conversation is finished, or the reader's
    /// latest key is older than the last record's.
    pub fn resume(reader: &TranscriptReader) -> Result<Self> {
        let (epoch, key) = reader.keys.last_key_value().ok_or(CryptoError::Refused)?;
        if !reader.opened_one || reader.finished || *epoch < reader.key_epoch {
            return Err(CryptoError::Refused);
        }
        Ok(Self {
            place: reader.place,
            key_epoch: *epoch,
            key: key.duplicate().into_locked(),
            at: reader.at,
            finished: false,
        })
    }

    /// Where the next record goes.
    pub fn anchor(&self) -> Anchor {
        self.at
    }

    /// Seals the next record. After a `last` one nothing follows.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] past [`MAX_RECORD`]; [`CryptoError::Refused`] after the last.
    pub fn append(
        &mut self,
        plaintext: &[u8],
        last: bool,
        rng: &mut impl rand::CryptoRng,
    ) -> Result<Vec<u8>> {
        if plaintext.len() > MAX_RECORD {
            return Err(CryptoError::TooLarge { what: "transcript record", max: MAX_RECORD as u64 });
        }
        if self.finished {
            return Err(CryptoError::Refused);
        }
        let context = context(&self.place, &self.at, last);
        let sealed =
            envelope::seal(Kind::TRANSCRIPT_RECORD, self.key_epoch, &self.key, &context, plaintext, rng)?;
        self.at = after(self.at, &sealed)?;
        self.finished = last;
        let mut record = Vec::with_capacity(1 + sealed.len());
        record.push(u8::from(last));
        record.extend_from_slice(&sealed);
        Ok(record)
    }
}

/// Reads records in order.
pub struct TranscriptReader {
    place: ConversationPlace,
    keys: BTreeMap<u32, DataKey>,
    at: Anchor,
    /// What a manifest says of this conversation.
    pinned: Anchor,
    key_epoch: u32,
    opened_one: bool,
    finished: bool,
}

impl TranscriptReader {
    /// Reads from the first record. `keys` are the conversation's keys by epoch.
    pub fn new(place: ConversationPlace, keys: impl IntoIterator<Item = (u32, DataKey)>) -> Self {
        Self::after(place, keys, Anchor::START)
    }

    /// Reads what follows `anchor`, which the caller trusts (from a manifest).
    pub fn after(
        place: ConversationPlace,
        keys: impl IntoIterator<Item = (u32, DataKey)>,
        anchor: Anchor,
    ) -> Self {
        let keys = keys.into_iter().collect();
        let pinned = Anchor::START;
        Self { place, keys, at: anchor, pinned, key_epoch: 0, opened_one: false, finished: false }
    }

    /// Holds what is read against a manifest's anchor: the record that it counts as last must have its
    /// tag, and [`TranscriptReader::check_tail`] refuses a transcript that ends before it.
    #[must_use]
    pub fn pinned_to(mut self, anchor: Anchor) -> Self {
        self.pinned = anchor;
        self
    }

    /// Opens the next record.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is not the one that follows, damaged, under an unknown key, or
    /// after the last. Nothing was changed by it.
    pub fn next(&mut self, record: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let (last, sealed) = match record.split_first() {
            Some((0, sealed)) => (false, sealed),
            Some((1, sealed)) => (true, sealed),
            _ => return Err(CryptoError::Refused),
        };
        let epoch = envelope::parse(sealed)?.key_epoch;
        let too_long = sealed.len() > MAX_RECORD + envelope::overhead(Kind::TRANSCRIPT_RECORD);
        if self.finished || epoch < self.key_epoch || too_long {
            return Err(CryptoError::Refused);
        }
        let key = self.keys.get(&epoch).ok_or(CryptoError::Refused)?;
        let context = context(&self.place, &self.at, last);
        let plaintext = envelope::open_at(Kind::TRANSCRIPT_RECORD, epoch, key.expose(), &context, sealed)?;
        let at = after(self.at, sealed)?;
        if at.count == self.pinned.count && at.last_tag != self.pinned.last_tag {
            return Err(CryptoError::Refused);
        }
        self.at = at;
        self.key_epoch = epoch;
        self.opened_one = true;
        self.finished = last;
        Ok(plaintext.into())
    }

    /// After the last record that was there: whether all that the manifest knows of was.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if the tail was cut off.
    pub fn check_tail(&self) -> Result<()> {
        if self.at.count >= self.pinned.count { Ok(()) } else { Err(CryptoError::Refused) }
    }

    /// How far it has come.
    pub fn anchor(&self) -> Anchor {
        self.at
    }

    /// Whether the conversation was finished: then nothing can have been cut off.
    pub fn is_finished(&self) -> bool {
        self.finished
    }
}

fn context(place: &ConversationPlace, at: &Anchor, last: bool) -> Vec<u8> {
    let mut out = Writer::with_capacity(64);
    out.id(place.tenant).id(place.conversation).u64(at.count);
    out.fixed(&at.last_tag).u8(u8::from(last));
    out.into_vec()
}

fn after(at: Anchor, sealed: &[u8]) -> Result<Anchor> {
    let (_, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(CryptoError::Refused)?;
    let count = at.count.checked_add(1).ok_or(CryptoError::Refused)?;
    Ok(Anchor { count, last_tag: *tag })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use ocmt_types::Id as _;
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    fn place(conversation: u8) -> ConversationPlace {
        ConversationPlace {
            tenant: TenantId::from_bytes([1; 16]),
            conversation: ConversationId::from_bytes([conversation; 16]),
        }
    }

    fn key(byte: u8) -> DataKey {
        DataKey::from_bytes([byte; 32])
    }

    fn reader(conversation: u8) -> TranscriptReader {
        TranscriptReader::new(place(conversation), [(1, key(7))])
    }

    /// Records 0..n, the last one final if `finish`.
    fn conversation(id: u8, n: u8, finish: bool) -> (Vec<Vec<u8>>, Anchor) {
        let mut rng = StdRng::seed_from_u64(u64::from(id));
        let mut writer = TranscriptWriter::begin(place(id), 1, key(7));
        let records =
            (0..n).map(|i| writer.append(&[i; 5], finish && i + 1 == n, &mut rng).unwrap()).collect();
        (records, writer.anchor())
    }

    fn read_all(mut reader: TranscriptReader, records: &[Vec<u8>]) -> Result<TranscriptReader> {
        for record in records {
            reader.next(record)?;
        }
        Ok(reader)
    }

    #[test]
    fn what_was_written_is_read() {
        let (records, anchor) = conversation(1, 5, true);
        let mut reader = reader(1);
        for (i, record) in (0..).zip(&records) {
            assert_eq!(reader.next(record).unwrap().as_slice(), [i; 5]);
        }
        assert!(reader.is_finished());
        assert_eq!(reader.anchor(), anchor);
        assert_eq!(reader.next(&records[4]).err(), Some(CryptoError::Refused), "nothing follows the last");
    }

    /// V11: reorder, drop, double, splice.
    #[test]
    fn v11_records_out_of_place_are_refused() {
        let (records, _) = conversation(1, 4, true);
        let (others, _) = conversation(2, 4, true);
        for (what, bad) in [
            ("reordered", vec![0, 2, 1, 3]),
            ("dropped in the middle", vec![0, 2, 3]),
            ("dropped at the head", vec![1, 2, 3]),
            ("doubled", vec![0, 1, 1, 2, 3]),
        ] {
            let bad: Vec<_> = bad.into_iter().map(|i: usize| records[i].clone()).collect();
            assert!(read_all(reader(1), &bad).is_err(), "{what}");
        }
        // both conversations have the same key here: what keeps them apart is the context alone
        let spliced = [&records[..2], &others[2..]].concat();
        assert!(read_all(reader(1), &spliced).is_err(), "spliced");
        assert!(read_all(reader(2), &records).is_err(), "shown as another conversation");
    }

    /// V11: two histories of one conversation, as after a restored backup, under one key: the places are
    /// the same, only the tag of the record before tells them apart.
    #[test]
    fn v11_records_of_another_history_are_refused() {
        let mut rng = StdRng::seed_from_u64(10);
        let (shared, _) = conversation(1, 2, false);
        let mut history = |said: &[u8]| {
            let read = read_all(reader(1), &shared).unwrap();
            let mut writer = TranscriptWriter::resume(&read).unwrap();
            let mut records = shared.clone();
            records.extend((0..2).map(|_| writer.append(said, false, &mut rng).unwrap()));
            records
        };
        let (one, other) = (history(b"one"), history(b"other"));
        read_all(reader(1), &one).unwrap();
        let spliced = [&one[..3], &other[3..]].concat();
        assert!(read_all(reader(1), &spliced).is_err());
    }

    /// V11: a cut tail of a finished conversation lacks the final record; of an open one, the anchor.
    #[test]
    fn v11_a_cut_tail_shows() {
        let (records, _) = conversation(1, 4, true);
        assert!(!read_all(reader(1), &records[..3]).unwrap().is_finished());
        let (records, anchor) = conversation(3, 4, false);
        let cut = read_all(reader(3).pinned_to(anchor), &records[..3]).unwrap();
        assert_eq!(cut.check_tail(), Err(CryptoError::Refused));
        read_all(reader(3).pinned_to(anchor), &records).unwrap().check_tail().unwrap();
        let other = Anchor { last_tag: [9; TAG_LEN], ..anchor };
        assert!(read_all(reader(3).pinned_to(other), &records).is_err(), "another history");
    }

    /// V11: cut off with the final flag set on what is left.
    #[test]
    fn v11_the_final_flag_cannot_be_changed() {
        let (mut records, _) = conversation(1, 2, false);
        records[1][0] = 1;
        assert!(read_all(reader(1), &records).is_err());
        let (mut records, _) = conversation(1, 2, true);
        records[1][0] = 0;
        assert!(read_all(reader(1), &records).is_err());
    }

    #[test]
    fn a_wrong_key_never_writes() {
        let (records, _) = conversation(1, 3, false);
        let mut wrong = TranscriptReader::new(place(1), [(1, key(8))]);
        assert!(wrong.next(&records[0]).is_err());
        assert!(TranscriptWriter::resume(&wrong).is_err());
        // one that opened nothing has shown nothing
        assert!(TranscriptWriter::resume(&reader(1)).is_err());
    }

    #[test]
    fn a_conversation_goes_on_under_a_later_key() {
        let mut rng = StdRng::seed_from_u64(9);
        let (mut records, middle) = conversation(1, 2, false);
        let both = || [(1, key(7)), (2, key(8))];
        let read = read_all(TranscriptReader::new(place(1), both()), &records).unwrap();
        let mut writer = TranscriptWriter::resume(&read).unwrap();
        records.push(writer.append(b"new key", true, &mut rng).unwrap());
        let all = read_all(TranscriptReader::new(place(1), both()), &records).unwrap();
        assert!(all.is_finished());
        let tail = read_all(TranscriptReader::after(place(1), [(2, key(8))], middle), &records[2..]).unwrap();
        assert!(tail.is_finished(), "readable from an anchor with the later key alone");
        assert!(TranscriptWriter::resume(&all).is_err(), "finished");
    }

    #[test]
    fn every_flipped_bit_and_every_prefix_is_refused() {
        let (records, _) = conversation(1, 1, false);
        crate::testing::assert_brittle(&records[0], |bytes| reader(1).next(bytes).is_ok());
    }
}
