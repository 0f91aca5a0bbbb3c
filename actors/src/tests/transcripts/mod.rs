//! Transcripts: the order of records, who may, how they end, and what rotation and retention leave.

mod attacks;
mod ends;
mod follow;
mod limits;
mod model;
mod nodes;
mod retention;
mod rotate;

use ocmt_crypto::{
    manifest,
    object::conversation_key_id,
    transcript::{Anchor, ConversationPlace, TranscriptReader, TranscriptWriter},
    vault::UnlockedVault,
};
use ocmt_types::{ConversationId, IdGen, RandomIds};

const MOST: i64 = crate::tenant::transcript::MOST_RECORDS;

use super::{
    kit::{Kit, Person},
    vault::{vault_of, writes},
};
use crate::{
    ActorError, Caller,
    api::{
        transcript::{
            AppendTranscript, Appended, ConversationInfo, ListConversations, OpenConversation, ReadTranscript,
        },
        vault::{BatchPutEntries, GetEntry},
    },
};

/// Somebody with a vault and a conversation in it.
struct Talk {
    person: Person,
    open: UnlockedVault,
    id: ConversationId,
    writer: TranscriptWriter,
}

impl Talk {
    async fn of(kit: &Kit, person: Person) -> Self {
        let mut open = vault_of(kit, &person).await;
        let (id, writer) = begin(kit, &person, &mut open).await;
        Self { person, open, id, writer }
    }

    async fn founded(kit: &Kit, email: &str) -> Self {
        Self::of(kit, kit.founder(email).await).await
    }

    fn caller(&self) -> &Caller {
        &self.person.caller
    }

    fn place(&self) -> ConversationPlace {
        ConversationPlace { tenant: self.person.tenant, conversation: self.id }
    }

    /// The next records, sealed, with where they belong.
    fn seal(&mut self, texts: &[&[u8]], last: bool) -> AppendTranscript {
        let at = self.writer.anchor();
        let mut records = Vec::new();
        for (n, text) in texts.iter().enumerate() {
            let last = last && n + 1 == texts.len();
            records.push(self.writer.append(text, last, &mut rand::rng()).unwrap());
        }
        batch(self.id, &at, records)
    }

    async fn say(&mut self, kit: &Kit, texts: &[&[u8]]) -> Result<Appended, ActorError> {
        let batch = self.seal(texts, false);
        kit.call(self.caller(), batch).await
    }

    /// The present key object, as it is stored.
    async fn keys(&self, kit: &Kit) -> Vec<(u32, ocmt_crypto::datakey::DataKey)> {
        let (vault, object) = (self.open.scope().vault, conversation_key_id(self.id));
        let found = kit.call(self.caller(), GetEntry { vault, object, version: 0 }).await.unwrap();
        let versions = self.open.key_versions(&found.objects[0]).unwrap();
        let all = versions.earlier.into_iter().chain([versions.current]);
        all.map(|(version, key)| (u32::try_from(version).unwrap(), key)).collect()
    }

    /// A writer of somebody who has read all that is there.
    async fn resumed(&self, kit: &Kit) -> TranscriptWriter {
        let mut keys = self.keys(kit).await;
        let records = all(kit, self.caller(), self.id, 1).await.unwrap();
        if records.is_empty() {
            let (epoch, key) = keys.pop().unwrap();
            return TranscriptWriter::begin(self.place(), epoch, key);
        }
        let mut reader = TranscriptReader::new(self.place(), keys);
        records.iter().for_each(|record| drop(reader.next(record).unwrap()));
        TranscriptWriter::resume(&reader).unwrap()
    }

    /// What is there, opened from its first record.
    async fn heard(&self, kit: &Kit) -> Vec<Vec<u8>> {
        let mut reader = TranscriptReader::new(self.place(), self.keys(kit).await);
        let records = all(kit, self.caller(), self.id, 1).await.unwrap();
        records.iter().map(|record| reader.next(record).unwrap().to_vec()).collect()
    }
}

fn batch(conversation: ConversationId, at: &Anchor, records: Vec<Vec<u8>>) -> AppendTranscript {
    let previous_tag = if at.count == 0 { Vec::new() } else { at.last_tag.to_vec() };
    AppendTranscript { conversation, first_sequence: at.count + 1, previous_tag, records }
}

/// Puts the key of a conversation into the vault, and opens it.
async fn begin(kit: &Kit, person: &Person, open: &mut UnlockedVault) -> (ConversationId, TranscriptWriter) {
    let ids: &dyn IdGen = &RandomIds;
    let id: ConversationId = ids.id();
    let mut edit = open.edit();
    edit.create_conversation_key(id, &mut rand::rng()).unwrap();
    edit.anchor(manifest::Anchor { conversation: id, records: 0, last_tag: [0; 16] });
    let change = edit.finish().unwrap();
    let (vault, object) = (open.scope().vault, change.objects[0].clone());
    kit.call(&person.caller, BatchPutEntries(writes(open, &change))).await.unwrap();
    open.apply(change).unwrap();
    let wrapped_key = object.wrapped_key.clone();
    let ask = OpenConversation { vault, conversation: id, wrapped_key, container: None };
    let made = kit.call(&person.caller, ask).await.unwrap();
    assert_eq!((made.id, made.next_sequence, made.first_sequence), (id, 1, 1));
    let key = open.key_versions(&object).unwrap().current.1;
    let place = ConversationPlace { tenant: person.tenant, conversation: id };
    (id, TranscriptWriter::begin(place, 1, key))
}

/// All records from a sequence on, page by page.
async fn all(
    kit: &Kit,
    caller: &Caller,
    conversation: ConversationId,
    from: u64,
) -> Result<Vec<Vec<u8>>, ActorError> {
    let (mut records, mut next, mut continues) = (Vec::new(), from, false);
    loop {
        let page = kit.call(caller, ReadTranscript { conversation, from: next, continues }).await?;
        next = page.first_sequence + page.records.len() as u64;
        continues = true;
        records.extend(page.records);
        if !page.more {
            return Ok(records);
        }
    }
}

async fn shown(kit: &Kit, talk: &Talk) -> ConversationInfo {
    let ask = ReadTranscript { conversation: talk.id, from: 0, continues: false };
    kit.call(talk.caller(), ask).await.unwrap().conversation.unwrap()
}

fn reason<T>(answer: Result<T, ActorError>) -> String {
    answer.err().map(|error| error.reason().to_owned()).unwrap_or_default()
}

async fn what_is_said_is_heard(kit: Kit) {
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    let texts: Vec<Vec<u8>> = (0..200_u32).map(|n| vec![7; (n * 97 % 3_000) as usize]).collect();
    for some in texts.chunks(61) {
        let some: Vec<&[u8]> = some.iter().map(Vec::as_slice).collect();
        talk.say(&kit, &some).await.unwrap();
    }
    assert_eq!(talk.heard(&kit).await, texts);
    let at = shown(&kit, &talk).await;
    assert_eq!((at.next_sequence, at.finished), (201, false));
    assert_eq!(at.last_tag, talk.writer.anchor().last_tag);
    // from the middle, and at the end
    assert_eq!(all(&kit, talk.caller(), talk.id, 150).await.unwrap().len(), 51);
    assert!(all(&kit, talk.caller(), talk.id, 201).await.unwrap().is_empty());
    assert_eq!(reason(all(&kit, talk.caller(), talk.id, 202).await), "INVALID_ARGUMENT");
    // the largest: each page fits into a message
    let large = vec![1; ocmt_crypto::transcript::MAX_RECORD];
    talk.say(&kit, &[&large[..]; 15]).await.unwrap();
    talk.say(&kit, &[&large[..]; 15]).await.unwrap();
    let ask = ReadTranscript { conversation: talk.id, from: 201, continues: true };
    let page = kit.call(talk.caller(), ask).await.unwrap();
    assert!(page.more && page.records.iter().map(Vec::len).sum::<usize>() < 4 << 20);
    assert_eq!(all(&kit, talk.caller(), talk.id, 201).await.unwrap().len(), 30);
}

#[tokio::test]
async fn what_is_said_is_heard_in_its_order_on_all_stores() {
    what_is_said_is_heard(Kit::sim().await).await;
    what_is_said_is_heard(Kit::sqlite().await).await;
    what_is_said_is_heard(Kit::postgres().await).await;
}

#[tokio::test]
async fn conversations_are_listed_last_used_first() {
    let kit = Kit::sim().await;
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    let mut ids = vec![talk.id];
    for _ in 0..4 {
        kit.clock.advance(std::time::Duration::from_secs(1));
        ids.push(begin(&kit, &talk.person, &mut talk.open).await.0);
    }
    ids.reverse();
    kit.clock.advance(std::time::Duration::from_secs(1));
    talk.say(&kit, &[b"used"]).await.unwrap();
    ids.rotate_right(1);
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = kit.call(talk.caller(), ListConversations { after, limit: 2 }).await.unwrap();
        listed.extend(page.conversations.into_iter().map(|one| one.id));
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    assert_eq!(listed, ids);
    let bob = kit.member(&talk.person, "bob@example.com", crate::api::users::Role::Member).await;
    let none = kit.call(&bob.caller, ListConversations { after: None, limit: 50 }).await.unwrap();
    assert!(none.conversations.is_empty());
}
