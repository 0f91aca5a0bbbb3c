//! What a workload says in conversations, through the real binary: sealed, only in those that its unlock names or that it
//! has begun, and acknowledged only when it is stored.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;
use common::{
    Client, Options, Script, TestCell, find, id, level, marks_in_memory,
    user::{Ready, User},
};
use ocmt_crypto::{
    datakey::DataKey,
    entry::EntryName,
    transcript::{Anchor, ConversationPlace, TranscriptReader, TranscriptWriter},
    unlock::{Continued, InboxItem, InboxPlace, NEW_CONVERSATIONS, NewConversation},
};
use ocmt_proto::cell::v1::{
    ExchangeTranscriptsRequest, LockReason, LockRequest, TakeInboxItemsRequest, TranscriptAnswer,
    TranscriptDone, TranscriptRefused, TranscriptShown, TranscriptWish, transcript_answer::Answer,
    transcript_wish::Wish,
};
use ocmt_types::ConversationId;

const CANARY: &str = "canary-of-a-conversation-71be";

/// A host that keeps what the cell says.
#[derive(Default)]
struct Host {
    records: BTreeMap<String, Vec<Bytes>>,
    /// Sealed keys of conversations that were begun.
    keys: Vec<(String, Bytes)>,
}

impl Host {
    async fn wishes(client: &mut Client, answers: Vec<TranscriptAnswer>, wait: i64) -> Vec<TranscriptWish> {
        let wait = Some(prost_types::Duration { seconds: wait, nanos: 0 });
        let request = ExchangeTranscriptsRequest { answers, wait };
        client.exchange_transcripts(request).await.unwrap().into_inner().wishes
    }

    /// Does all that the cell wants, until `said` is there.
    async fn serve(&mut self, client: &mut Client, said: impl Fn() -> Option<String>) -> String {
        let mut answers = Vec::new();
        let serving = async {
            loop {
                let wishes = Self::wishes(client, std::mem::take(&mut answers), 1).await;
                answers = wishes.into_iter().map(|wish| self.answer(wish)).collect();
                if let Some(said) = said().filter(|_| answers.is_empty()) {
                    return said;
                }
            }
        };
        tokio::time::timeout(common::SOON, serving).await.unwrap()
    }

    fn answer(&mut self, wish: TranscriptWish) -> TranscriptAnswer {
        let id = wish.conversation_id;
        let answer = match wish.wish.unwrap() {
            Wish::Begin(begun) => {
                self.keys.push((id, begun.sealed));
                Answer::Done(TranscriptDone {})
            }
            Wish::Look(look) => {
                let there = self.records.entry(id).or_default();
                let (first_sequence, next_sequence) = (look.from_sequence, there.len() as u64 + 1);
                let records =
                    there.iter().skip(usize::try_from(first_sequence).unwrap() - 1).cloned().collect();
                Answer::Shown(TranscriptShown { first_sequence, records, next_sequence })
            }
            Wish::Append(piece) => {
                let there = self.records.entry(id).or_default();
                assert_eq!(piece.sequence, there.len() as u64 + 1);
                there.push(piece.record);
                Answer::Done(TranscriptDone {})
            }
        };
        TranscriptAnswer { wish_id: wish.wish_id, answer: Some(answer) }
    }
}

/// A workload that does this, `say ID` being what it says with and `note` where it writes down how that went.
fn script(out: &Path, text: &str) -> Script {
    Script::new(&format!(
        "say() {{ \"$OCMT_CELL\" conversation say \"$@\"; }}\nnote() {{ cat >> '{}'; }}\n{text}\nexec sleep 600\n",
        out.display()
    ))
}

fn said(out: &Path, lines: usize) -> Option<String> {
    std::fs::read_to_string(out).ok().filter(|text| text.lines().count() == lines && text.ends_with('\n'))
}

fn user() -> User {
    let mut user = User::new();
    user.may_write = vec![EntryName::new(NEW_CONVERSATIONS).unwrap()];
    user
}

fn heard(cell: &TestCell, conversation: ConversationId, key: DataKey, records: &[Bytes]) -> Vec<String> {
    let place = ConversationPlace { tenant: cell.place.tenant, conversation };
    let mut reader = TranscriptReader::new(place, [(1, key)]);
    let open = |record: &Bytes| String::from_utf8(reader.next(record).unwrap().to_vec()).unwrap();
    records.iter().map(open).collect()
}

/// The key that a cell sealed to the vault, the `sequence`th of its items.
fn key_of(cell: &TestCell, user: &User, ready: &Ready, sequence: u64, sealed: &[u8]) -> NewConversation {
    let place = InboxPlace { tenant: cell.place.tenant, vault: user.vault, unlock: ready.unlock, sequence };
    NewConversation::of(&InboxItem::open(sealed, &place, &user.inbox, &ready.key).unwrap()).unwrap()
}

#[tokio::test]
async fn a_conversation_is_begun_and_written_and_its_key_goes_to_the_vault_alone() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = script(
        &out,
        &format!(
            "id=$(\"$OCMT_CELL\" conversation begin)\n\
             for n in 1 2; do printf '{CANARY} %s' $n | say $id 2>&1 | note; done\n\
             printf bye | say $id --finish 2>&1 | note\n\
             printf more | say $id 2>&1 | note\n\
             \"$OCMT_CELL\" conversation ls | note"
        ),
    );
    let cell = TestCell::start(&Options { workload: &script.argv(), ..Options::default() });
    let (mut client, user, mut host) = (cell.client().await, user(), Host::default());
    let ready = user.unlock(&cell, &mut client, &[]).await.unwrap();
    let text = host.serve(&mut client, || said(&out, 5)).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["1", "2", "3"]);
    assert!(lines[3].contains("no record: the conversation is finished"), "{text}");
    let (id, sealed) = host.keys.remove(0);
    assert_eq!(lines[4], id);
    let new = key_of(&cell, &user, &ready, 0, &sealed);
    assert_eq!(new.conversation.to_string(), id);
    let records = &host.records[&id];
    let expected = [format!("{CANARY} 1"), format!("{CANARY} 2"), "bye".to_owned()];
    assert_eq!(heard(&cell, new.conversation, new.key.duplicate(), records), expected);
    let clear: usize = records.iter().map(|record| find(record, CANARY.as_bytes())).sum();
    assert_eq!(clear + find(&sealed, new.key.expose()), 0, "in clear");
    let request = TakeInboxItemsRequest::default();
    assert!(client.take_inbox_items(request).await.unwrap().into_inner().items.is_empty());
}

#[tokio::test]
async fn a_conversation_of_the_vault_is_gone_on_with_where_its_client_left_it() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let conversation: ConversationId = id();
    let script = script(
        &out,
        &format!(
            "printf cell | say {conversation} 2>&1 | note\n\
             printf other | say {} 2>&1 | note\n\
             printf none | say no-id 2>&1 | note\n\
             head -c 262145 /dev/zero | say {conversation} 2>&1 | note\n\
             \"$OCMT_CELL\" conversation begin 2>&1 | note\n\
             printf x | \"$OCMT_CELL\" put ocmt/conversations 2>&1 | note",
            id::<ConversationId>()
        ),
    );
    let cell = TestCell::start(&Options { workload: &script.argv(), ..Options::default() });
    let (mut client, mut user, mut host) = (cell.client().await, User::new(), Host::default());
    let place = ConversationPlace { tenant: cell.place.tenant, conversation };
    let mut writer = TranscriptWriter::begin(place, 1, DataKey::from_bytes([5; 32]));
    let mut write = |text: &str| {
        let record: Bytes = writer.append(text.as_bytes(), false, &mut rand::rng()).unwrap().into();
        host.records.entry(conversation.to_string()).or_default().push(record);
        writer.anchor()
    };
    let (before, at): (Anchor, Anchor) = (write("one"), write("two"));
    write("three");
    let known = Continued { conversation, at, before_tag: before.last_tag };
    user.talks = vec![(known, 1, [5; 32])];
    user.unlock(&cell, &mut client, &[]).await.unwrap();
    let text = host.serve(&mut client, || said(&out, 6)).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "4");
    for (line, why) in lines[1..].iter().zip([
        "may not write that conversation",
        "is no conversation's id",
        "longer than 256 KiB",
        "may not begin conversations",
        "kept for the keys of conversations",
    ]) {
        assert!(line.contains(why), "{line}");
    }
    let records = &host.records[&conversation.to_string()];
    let all = heard(&cell, conversation, DataKey::from_bytes([5; 32]), records);
    assert_eq!(all, ["one", "two", "three", "cell"]);
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_stored_and_a_refusal_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = script(
        &out,
        "id=$(\"$OCMT_CELL\" conversation begin)\nprintf one | say $id 2>&1 | note\nprintf two | say $id 2>&1 | note",
    );
    let cell = TestCell::start(&Options { workload: &script.argv(), ..Options::default() });
    let (mut client, user, mut host) = (cell.client().await, user(), Host::default());
    user.unlock(&cell, &mut client, &[]).await.unwrap();
    let begin = Host::wishes(&mut client, Vec::new(), 20).await.remove(0);
    let look = Host::wishes(&mut client, vec![host.answer(begin)], 20).await.remove(0);
    let append = Host::wishes(&mut client, vec![host.answer(look)], 20).await;
    // a host that never answered gets it again, byte for byte, and the workload still waits
    assert_eq!(Host::wishes(&mut client, Vec::new(), 0).await, append);
    assert_eq!(said(&out, 1), None, "acknowledged before it was stored");
    let refused = |wish: &TranscriptWish| TranscriptAnswer {
        wish_id: wish.wish_id.clone(),
        answer: Some(Answer::Refused(TranscriptRefused {
            reason: "TRANSCRIPT_FULL".to_owned(),
            why: "it is full".to_owned(),
        })),
    };
    let next = Host::wishes(&mut client, vec![refused(&append[0])], 20).await.remove(0);
    assert_eq!(level("the refusal", || said(&out, 1)).await, "no record: it is full\n");
    // a look comes before the next: what was refused was not said
    assert!(matches!(next.wish, Some(Wish::Look(_))));
    let append = Host::wishes(&mut client, vec![host.answer(next)], 20).await.remove(0);
    assert!(matches!(&append.wish, Some(Wish::Append(piece)) if piece.sequence == 1));
}

#[tokio::test]
async fn a_locked_cell_says_nothing_and_forgets_what_it_was_about_to_say() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = script(
        &out,
        &format!(
            "id=$(\"$OCMT_CELL\" conversation begin 2>&1) || echo \"$id\" | note\nprintf {CANARY} | say \"$id\" 2>/dev/null"
        ),
    );
    let options = Options { workload: &script.argv(), extra: &["--start-locked"], ..Options::default() };
    let cell = TestCell::start(&options);
    let (mut client, user, mut host) = (cell.client().await, user(), Host::default());
    assert!(level("an answer", || said(&out, 1)).await.contains("the cell is locked"));
    user.unlock(&cell, &mut client, &[]).await.unwrap();
    let begin = Host::wishes(&mut client, Vec::new(), 20).await.remove(0);
    let look = Host::wishes(&mut client, vec![host.answer(begin)], 20).await.remove(0);
    let append = Host::wishes(&mut client, vec![host.answer(look)], 20).await.remove(0);
    client.lock(LockRequest { reason: LockReason::User.into() }).await.unwrap();
    assert!(Host::wishes(&mut client, Vec::new(), 0).await.is_empty());
    // an answer that comes too late is nobody's
    assert!(Host::wishes(&mut client, vec![host.answer(append)], 0).await.is_empty());
    if common::is_root() {
        assert_eq!(marks_in_memory(cell.pid(), CANARY.as_bytes()), 0);
    }
    // the next unlock knows nothing of it
    user.unlock(&cell, &mut client, &[]).await.unwrap();
    let wishes = Host::wishes(&mut client, Vec::new(), 20).await;
    assert!(matches!(wishes[..], [TranscriptWish { wish: Some(Wish::Begin(_)), .. }]));
    assert_ne!(wishes[0].conversation_id, host.keys[0].0);
}
