//! A cell and a node that may lie: what is said is there once, behind what was written, or not at all.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use ocmt_crypto::{
    datakey::DataKey,
    seal::SealSecretKey,
    transcript::{Anchor, ConversationPlace, TranscriptReader, TranscriptWriter},
    unlock::{Continued, ConversationKey, NewConversation, UnlockKey, UnlockPayload},
};
use ocmt_types::{ConversationId, Digest32, IdGen, RandomIds, TenantId};
use zeroize::Zeroizing;

use super::{
    Conversations, MOST_BEGUN, MOST_SAYING, Said,
    wishes::{Got, Wanted, Wish, Wishes},
};
use crate::{CellError, tasks::Task};

fn id<I: ocmt_types::Id>() -> I {
    let ids: &dyn IdGen = &RandomIds;
    ids.id()
}

fn key(n: u8) -> DataKey {
    DataKey::from_bytes([n; 32])
}

fn payload(keys: Vec<ConversationKey>, continued: Vec<Continued>) -> UnlockPayload {
    UnlockPayload {
        unlock: id(),
        vault: id(),
        entries: Vec::new(),
        conversations: keys,
        volume_key: None,
        volume: None,
        inbox: SealSecretKey::generate(&mut rand::rng()).public(),
        unlock_key: UnlockKey::generate(&mut rand::rng()),
        channel_key: SealSecretKey::generate(&mut rand::rng()).public(),
        manifest_counter: 1,
        manifest_root: Digest32([1; 32]),
        lease_ms: 600_000,
        start_workload: true,
        may_write: Vec::new(),
        continued,
    }
}

/// A conversation as a client has written and read it.
struct Talk {
    place: ConversationPlace,
    writer: TranscriptWriter,
    records: Vec<Bytes>,
    before: Anchor,
}

impl Talk {
    fn new() -> Self {
        let place = ConversationPlace { tenant: id(), conversation: id() };
        let writer = TranscriptWriter::begin(place, 1, key(1));
        Self { place, writer, records: Vec::new(), before: Anchor::START }
    }

    fn of(count: usize) -> Self {
        let mut talk = Self::new();
        (0..count).for_each(|n| talk.write(&format!("client {n}"), false));
        talk
    }

    fn write(&mut self, text: &str, last: bool) {
        self.before = self.writer.anchor();
        self.records.push(self.writer.append(text.as_bytes(), last, &mut rand::rng()).unwrap().into());
    }

    fn id(&self) -> ConversationId {
        self.place.conversation
    }

    fn known(&self) -> Continued {
        let (conversation, at) = (self.id(), self.writer.anchor());
        Continued { conversation, at, before_tag: self.before.last_tag }
    }

    /// What a cell has that was given this conversation with these keys by epoch.
    fn given(&self, keys: &[(u32, u8)], wishes: &Arc<Wishes>) -> Conversations {
        let keys = keys.iter().map(|(key_epoch, n)| ConversationKey {
            conversation: self.id(),
            key_epoch: *key_epoch,
            key: key(*n),
        });
        let mut payload = payload(keys.collect(), vec![self.known()]);
        Conversations::of(self.place.tenant, &mut payload, wishes)
    }

    /// All that is there, opened from the first record.
    fn heard(&self, keys: &[(u32, u8)], records: &[Bytes]) -> Vec<String> {
        let keys = keys.iter().map(|(epoch, n)| (*epoch, key(*n)));
        let mut reader = TranscriptReader::new(self.place, keys);
        let open = |record: &Bytes| String::from_utf8(reader.next(record).unwrap().to_vec()).unwrap();
        records.iter().map(open).collect()
    }
}

/// What a node does with a wish.
type Answers = Box<dyn FnMut(&mut Vec<Bytes>, &Wanted) -> Got + Send>;

/// A node and what it has.
struct Node {
    records: Arc<Mutex<Vec<Bytes>>>,
    /// What it was asked to append.
    asked: Arc<Mutex<Vec<Bytes>>>,
    _task: Task,
}

impl Node {
    fn new(records: Vec<Bytes>, wishes: &Arc<Wishes>, mut answers: Answers) -> Self {
        let (records, asked) = (Arc::new(Mutex::new(records)), Arc::new(Mutex::new(Vec::new())));
        let (there, wishes, seen) = (Arc::clone(&records), Arc::clone(wishes), Arc::clone(&asked));
        let task = Task::start(async move {
            loop {
                for wish in wishes.take(Duration::from_secs(20)).await {
                    if let Wanted::Append { record, .. } = &wish.wanted {
                        seen.lock().unwrap().push(record.clone());
                    }
                    let got = answers(&mut there.lock().unwrap(), &wish.wanted);
                    wishes.settle(wish.id, got);
                }
            }
        });
        Self { records, asked, _task: task }
    }

    fn honest(records: Vec<Bytes>, wishes: &Arc<Wishes>) -> Self {
        Self::new(records, wishes, Box::new(honest))
    }

    fn has(&self) -> Vec<Bytes> {
        self.records.lock().unwrap().clone()
    }
}

fn tag(record: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&record[record.len() - 16..])
}

/// As the store does it.
fn honest(records: &mut Vec<Bytes>, wanted: &Wanted) -> Got {
    let next = records.len() as u64 + 1;
    match wanted {
        Wanted::Begin { .. } => Got::Done,
        Wanted::Look(from) => {
            let shown = records.iter().skip(usize::try_from(*from).unwrap() - 1).take(2).cloned();
            Got::Shown { first: *from, records: shown.collect(), next }
        }
        Wanted::Append { sequence, previous_tag, record } => {
            let before = records.last().map(|last| tag(last)).unwrap_or_default();
            if *sequence == next && *previous_tag == before {
                records.push(record.clone());
                return Got::Done;
            }
            let there = usize::try_from(*sequence).ok().and_then(|at| records.get(at - 1));
            if there == Some(record) { Got::Done } else { changed() }
        }
    }
}

fn changed() -> Got {
    Got::Refused { reason: "CHANGED_MEANWHILE".to_owned(), why: "another record is there".to_owned() }
}

async fn say(conversations: &Conversations, conversation: ConversationId, text: &str) -> Said {
    let text = Zeroizing::new(text.as_bytes().to_vec());
    conversations.say(conversation, text, false).unwrap().await.unwrap()
}

#[tokio::test]
async fn what_is_said_stands_behind_what_was_read_and_what_came_since() {
    for read in [0, 1, 2, 5] {
        let (mut talk, wishes) = (Talk::of(read), Arc::default());
        let conversations = talk.given(&[(1, 1)], &wishes);
        // more than a page of it
        (0..5).for_each(|n| talk.write(&format!("since {n}"), false));
        let node = Node::honest(talk.records.clone(), &wishes);
        for n in 0..3 {
            let said = say(&conversations, talk.id(), &format!("cell {n}")).await;
            assert_eq!(said, Ok(read as u64 + 6 + n), "{read}");
        }
        let heard = talk.heard(&[(1, 1)], &node.has());
        assert_eq!(heard[read + 5..], ["cell 0", "cell 1", "cell 2"]);
    }
}

#[tokio::test]
async fn where_somebody_else_was_faster_it_stands_behind_theirs_once() {
    let (talk, wishes) = (Talk::of(2), Arc::default());
    let conversations = talk.given(&[(1, 1)], &wishes);
    // a client writes between the cell's look and its record, each time
    let (place, mut other, mut rivals) = (talk.place, talk, 0);
    let node = Node::new(
        other.records.clone(),
        &wishes,
        Box::new(move |records, wanted| {
            if matches!(wanted, Wanted::Append { .. }) && rivals < 3 {
                rivals += 1;
                other.write(&format!("rival {rivals}"), false);
                records.push(other.records.last().unwrap().clone());
            }
            honest(records, wanted)
        }),
    );
    assert_eq!(say(&conversations, place.conversation, "cell").await, Ok(6));
    let heard = Talk { place, ..Talk::new() }.heard(&[(1, 1)], &node.has());
    assert_eq!(heard, ["client 0", "client 1", "rival 1", "rival 2", "rival 3", "cell"]);
}

#[tokio::test]
async fn a_node_that_denies_what_it_has_stored_does_not_get_it_twice() {
    let (talk, wishes) = (Talk::of(1), Arc::default());
    let conversations = talk.given(&[(1, 1)], &wishes);
    let mut denies = true;
    let node = Node::new(
        talk.records.clone(),
        &wishes,
        Box::new(move |records, wanted| {
            let got = honest(records, wanted);
            if matches!(wanted, Wanted::Append { .. }) && std::mem::take(&mut denies) {
                changed()
            } else {
                got
            }
        }),
    );
    assert_eq!(say(&conversations, talk.id(), "once").await, Ok(2));
    assert_eq!(say(&conversations, talk.id(), "next").await, Ok(3));
    assert_eq!(talk.heard(&[(1, 1)], &node.has()), ["client 0", "once", "next"]);
}

/// What a node makes of the true records.
type Lie = fn(&[Bytes], &[Bytes]) -> Vec<Bytes>;

#[tokio::test]
async fn a_node_that_shows_other_records_gets_none() {
    let lies: [(&str, Lie); 7] = [
        ("drops the last", |all, _| all[..3].to_vec()),
        ("drops all", |_, _| Vec::new()),
        ("drops one", |all, _| [&all[..4], &all[5..]].concat()),
        ("swaps two", |all, _| [&all[..4], &all[5..6], &all[4..5]].concat()),
        ("doubles one", |all, _| [&all[..5], &all[4..]].concat()),
        ("splices", |all, other| [&all[..4], &other[4..5], &all[5..]].concat()),
        ("shows another one", |_, other| other.to_vec()),
    ];
    for (what, lie) in lies {
        let (mut talk, wishes) = (Talk::of(4), Arc::default());
        let conversations = talk.given(&[(1, 1)], &wishes);
        (4..6).for_each(|n| talk.write(&format!("client {n}"), false));
        // of the same key, so that its place alone tells
        let shown = lie(&talk.records, &Talk::of(6).records);
        let node = Node::honest(shown, &wishes);
        let said = say(&conversations, talk.id(), "nobody hears it").await;
        assert!(said.unwrap_err().contains("shows other records"), "{what}");
        assert!(node.asked.lock().unwrap().is_empty(), "{what}: it got a record");
    }
    // what the cell has said itself is known to it too: an older end is refused
    let (talk, wishes) = (Talk::of(2), Arc::default());
    let conversations = talk.given(&[(1, 1)], &wishes);
    let older = talk.records.clone();
    let mut appends = 0;
    let node = Node::new(
        talk.records.clone(),
        &wishes,
        Box::new(move |records, wanted| {
            appends += u32::from(matches!(wanted, Wanted::Append { .. }));
            if appends == 2 {
                *records = older.clone();
                appends = 3;
            }
            honest(records, wanted)
        }),
    );
    assert_eq!(say(&conversations, talk.id(), "first").await, Ok(3));
    assert!(say(&conversations, talk.id(), "second").await.unwrap_err().contains("shows other records"));
    assert_eq!(node.has().len(), 2, "nothing was written behind the older end");
}

/// Who has the key writes another record in the place of the last that the cell was told of: all but its tag fits.
#[tokio::test]
async fn a_node_that_shows_another_last_record_of_the_same_key_gets_none() {
    let (mut talk, wishes) = (Talk::of(2), Arc::default());
    let (mut fork, mut reader) = (talk.records.clone(), TranscriptReader::new(talk.place, [(1, key(1))]));
    fork.iter().for_each(|record| drop(reader.next(record).unwrap()));
    let mut rival = TranscriptWriter::resume(&reader).unwrap();
    fork.push(rival.append(b"rewritten", false, &mut rand::rng()).unwrap().into());
    talk.write("as it was read", false);
    let conversations = talk.given(&[(1, 1)], &wishes);
    let node = Node::honest(fork.clone(), &wishes);
    let said = say(&conversations, talk.id(), "nobody hears it").await;
    assert!(said.unwrap_err().contains("shows other records"));
    assert!(node.asked.lock().unwrap().is_empty(), "it got a record");
    assert_eq!(talk.heard(&[(1, 1)], &fork)[2], "rewritten", "it is whole by itself");
}

#[tokio::test]
async fn a_wrong_key_never_writes() {
    let (talk, wishes) = (Talk::of(2), Arc::default());
    let conversations = talk.given(&[(1, 9)], &wishes);
    let node = Node::honest(talk.records.clone(), &wishes);
    assert!(say(&conversations, talk.id(), "cell").await.is_err());
    assert!(node.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn after_a_rekeying_it_goes_on_under_the_present_key() {
    let (talk, wishes) = (Talk::of(2), Arc::default());
    let conversations = talk.given(&[(3, 3), (1, 1)], &wishes);
    let node = Node::honest(talk.records.clone(), &wishes);
    assert_eq!(say(&conversations, talk.id(), "cell").await, Ok(3));
    assert_eq!(talk.heard(&[(1, 1), (3, 3)], &node.has())[2], "cell");
    let mut of_before = TranscriptReader::new(talk.place, [(1, key(1))]);
    let opened: Vec<bool> = node.has().iter().map(|record| of_before.next(record).is_ok()).collect();
    assert_eq!(opened, [true, true, false]);
}

#[tokio::test]
async fn nothing_follows_the_final_record() {
    let (mut talk, wishes) = (Talk::of(1), Arc::default());
    let conversations = talk.given(&[(1, 1)], &wishes);
    let node = Node::honest(talk.records.clone(), &wishes);
    let last = conversations.say(talk.id(), Zeroizing::new(b"bye".to_vec()), true).unwrap();
    assert_eq!(last.await.unwrap(), Ok(2));
    assert!(say(&conversations, talk.id(), "more").await.unwrap_err().contains("is finished"));
    assert_eq!(node.has().len(), 2);
    // nor one of somebody else's
    let wishes = Arc::default();
    let conversations = talk.given(&[(1, 1)], &wishes);
    talk.write("theirs", true);
    let _node = Node::honest(talk.records.clone(), &wishes);
    assert!(say(&conversations, talk.id(), "more").await.unwrap_err().contains("is finished"));
}

#[tokio::test]
async fn what_is_begun_is_written_under_its_key_and_all_of_it_ends_with_the_unlock() {
    let (talk, wishes) = (Talk::new(), Arc::<Wishes>::default());
    let tenant: TenantId = talk.place.tenant;
    let conversations = Conversations::of(tenant, &mut payload(Vec::new(), Vec::new()), &wishes);
    let unknown = conversations.say(talk.id(), Zeroizing::default(), false);
    assert!(matches!(unknown, Err(CellError::Invalid(_))));
    let new = || NewConversation { conversation: talk.id(), key: key(1) };
    conversations.add(new()).unwrap();
    assert_eq!(conversations.list(), [talk.id()]);
    {
        let node = Node::honest(Vec::new(), &wishes);
        assert_eq!(say(&conversations, talk.id(), "first").await, Ok(1));
        assert_eq!(talk.heard(&[(1, 1)], &node.has()), ["first"]);
    }
    for _ in 0..MOST_BEGUN {
        conversations.reserve().unwrap();
    }
    assert!(matches!(conversations.reserve(), Err(CellError::Invalid(_))));

    // the node is away: so many wait, and the one under way is given again byte for byte
    let text = || Zeroizing::new(b"waits".to_vec());
    let mut waiting: Vec<_> =
        (0..MOST_SAYING).map(|_| conversations.say(talk.id(), text(), false).unwrap()).collect();
    assert!(matches!(conversations.say(talk.id(), text(), false), Err(CellError::Exhausted(_))));
    let given: Vec<Wish> = wishes.take(Duration::from_secs(20)).await;
    assert!(matches!(given[..], [Wish { wanted: Wanted::Append { sequence: 2, .. }, .. }]));
    assert!(wishes.take(Duration::ZERO).await == given);
    let long = Zeroizing::new(vec![0; 256 * 1024 + 1]);
    assert!(matches!(conversations.say(talk.id(), long, false), Err(CellError::Invalid(_))));

    conversations.end().await;
    assert!(waiting.remove(0).await.is_err(), "nobody is told that it is stored");
    assert!(wishes.take(Duration::ZERO).await.is_empty());
    assert!(conversations.list().is_empty());
    assert!(matches!(conversations.add(new()), Err(CellError::Locked)));
}
