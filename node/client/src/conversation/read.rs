//! Reading: each record is opened in its place, or nothing of it is shown.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use ocmt_crypto::transcript::{Anchor, TranscriptReader};
use ocmt_proto::v1 as pb;
use ocmt_types::ConversationId;
use tonic::{Code, Streaming};
use zeroize::Zeroizing;

use super::{Conversation, Keys, TranscriptFault, check_end};
use crate::{Client, ClientError, client::present, vault::Vault};

/// Bytes of a tag, at the end of a record.
pub(super) const TAG: usize = 16;
/// How often a stream that broke is taken up, and records are sent, at most: longer than a cluster takes to give a dead
/// node's tenants to others.
pub(super) const TRIES: u32 = 18;

/// Before the next of so many tries.
pub(super) fn pause(tries: u32) -> Duration {
    (Duration::from_millis(100) * tries).min(Duration::from_secs(1))
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first record, which has to be there.
    First,
    /// At the first record that retention left.
    FirstLeft,
    /// At the last record that the vault knows of: what is needed to go on.
    LastKnown,
}

/// A record, opened.
pub struct Record {
    /// Its place, from 1.
    pub sequence: u64,
    /// What was said.
    pub text: Zeroizing<Vec<u8>>,
    /// Whether it is the final one.
    pub last: bool,
    /// As it is stored.
    pub sealed: Bytes,
}

/// Records in order, as they come.
pub struct Reading {
    client: Client,
    /// How it stood when reading began.
    conversation: Conversation,
    reader: TranscriptReader,
    stream: Streaming<pb::ReadTranscriptResponse>,
    waiting: VecDeque<Bytes>,
    follow: bool,
    /// Whether the vault has an anchor of it: then it need not be finished.
    anchored: bool,
    /// Records that the vault knows of.
    pinned: u64,
}

impl Vault {
    /// Reads a conversation; with `follow` it goes on as records come.
    ///
    /// # Errors
    /// [`ClientError::Transcript`] if what is shown is not what the vault knows of.
    pub async fn read_conversation(
        &self,
        id: ConversationId,
        start: Start,
        follow: bool,
    ) -> Result<Reading, ClientError> {
        let keys = self.keys_of_conversation(id).await?;
        self.read_under(id, keys, self.anchor_of(id), (start, follow)).await
    }

    /// Reads a conversation under these keys, of which this much is known; without, it has to be finished.
    pub(super) async fn read_under(
        &self,
        id: ConversationId,
        keys: Keys,
        known: Option<Anchor>,
        (start, follow): (Start, bool),
    ) -> Result<Reading, ClientError> {
        let pinned = known.unwrap_or(Anchor::START);
        // the record before the first wanted one comes too: what follows is bound to its tag
        let from = match start {
            Start::LastKnown => pinned.count.saturating_sub(1),
            Start::First | Start::FirstLeft => 0,
        };
        let opened = match open(self.client(), id, from, follow).await {
            // it ends before what the vault knows of: seen from its beginning, that can be told
            Err(error) if from > 0 && error.code() == Some(Code::InvalidArgument) => {
                open(self.client(), id, 0, false).await
            }
            opened => opened,
        };
        let (conversation, mut waiting, first, stream) = opened?;
        check_end(&conversation, &pinned)?;
        let mut at = Anchor::START;
        if from > 0 && first == from {
            let before = waiting.pop_front().ok_or(TranscriptFault::Record(from))?;
            at = Anchor { count: from, last_tag: tag(&before, from)? };
        } else if first > 1 {
            let before = first.saturating_sub(1);
            if first != conversation.first_sequence {
                return Err(
                    TranscriptFault::Order { expected: conversation.first_sequence, shown: first }.into()
                );
            }
            if start == Start::First {
                return Err(TranscriptFault::Pruned { before }.into());
            }
            at = Anchor { count: before, last_tag: tag(&conversation.before_tag, before)? };
            if before == pinned.count && at != pinned {
                return Err(TranscriptFault::Record(before).into());
            }
        }
        let reader = TranscriptReader::after(self.place(id), keys, at).pinned_to(pinned);
        let (client, anchored) = (self.client().clone(), known.is_some());
        let pinned = pinned.count;
        Ok(Reading { client, conversation, reader, stream, waiting, follow, anchored, pinned })
    }
}

impl Reading {
    /// How it stood when reading began.
    pub fn conversation(&self) -> &Conversation {
        &self.conversation
    }

    /// The next record; none at the end, which is the one that the vault knows of or a later one.
    ///
    /// # Errors
    /// [`ClientError::Transcript`] for a record that is not the one that was written there, and for an end that is
    /// none; [`ClientError::Refused`], also when the session has ended.
    pub async fn next(&mut self) -> Result<Option<Record>, ClientError> {
        loop {
            if let Some(sealed) = self.waiting.pop_front() {
                let sequence = self.reader.anchor().count.saturating_add(1);
                let text = self.reader.next(&sealed).map_err(|_| TranscriptFault::Record(sequence))?;
                return Ok(Some(Record { sequence, text, last: self.reader.is_finished(), sealed }));
            }
            if self.reader.is_finished() || !self.more().await? {
                self.end()?;
                return Ok(None);
            }
        }
    }

    /// How far it has come.
    pub fn anchor(&self) -> Anchor {
        self.reader.anchor()
    }

    /// Whether the final record was read.
    pub fn is_finished(&self) -> bool {
        self.reader.is_finished()
    }

    pub(super) fn reader(&self) -> &TranscriptReader {
        &self.reader
    }

    /// More records; false at the end of the stream.
    async fn more(&mut self) -> Result<bool, ClientError> {
        let broke = match self.stream.message().await {
            Ok(Some(page)) => return self.take(page).map(|()| true),
            Ok(None) if !self.follow => return Ok(false),
            // a follower's stream ends behind the final record alone
            Ok(None) => ClientError::Answer("the stream ended"),
            Err(status) => ClientError::from(status),
        };
        self.resume(broke).await.map(|()| true)
    }

    /// Opens the stream again behind what was read.
    async fn resume(&mut self, mut why: ClientError) -> Result<(), ClientError> {
        for tries in 1..=TRIES {
            if !may_resume(&why) {
                break;
            }
            tokio::time::sleep(pause(tries)).await;
            let from = self.reader.anchor().count.saturating_add(1);
            match open(&self.client, self.conversation.id, from, self.follow).await {
                Ok((_, waiting, first, stream)) => {
                    self.in_order(first)?;
                    (self.stream, self.waiting) = (stream, waiting);
                    return Ok(());
                }
                Err(again) => why = again,
            }
        }
        Err(why)
    }

    fn take(&mut self, page: pb::ReadTranscriptResponse) -> Result<(), ClientError> {
        if !page.records.is_empty() {
            self.in_order(page.first_sequence)?;
        }
        self.waiting.extend(page.records);
        Ok(())
    }

    fn in_order(&self, shown: u64) -> Result<(), TranscriptFault> {
        let expected = self.reader.anchor().count.saturating_add(1);
        if shown == expected { Ok(()) } else { Err(TranscriptFault::Order { expected, shown }) }
    }

    /// Whether all that the vault knows of, and all that the node said there is, was there.
    fn end(&self) -> Result<(), TranscriptFault> {
        let (conversation, shown) = (self.conversation.id, self.reader.anchor().count);
        if self.reader.check_tail().is_err() || shown < self.conversation.records {
            let known = self.pinned.max(self.conversation.records);
            return Err(TranscriptFault::Cut { conversation, known, shown });
        }
        if !self.anchored && !self.reader.is_finished() {
            return Err(TranscriptFault::Unfinished(conversation));
        }
        Ok(())
    }
}

/// Whether a stream that ended like this may be taken up where it was.
fn may_resume(error: &ClientError) -> bool {
    error.is_retryable()
        || matches!(error, ClientError::Answer(_))
        || matches!(error.code(), Some(Code::Unknown | Code::Cancelled))
}

type Opened = (Conversation, VecDeque<Bytes>, u64, Streaming<pb::ReadTranscriptResponse>);

/// Opens a stream; the conversation and the first records come with its first message.
async fn open(client: &Client, id: ConversationId, from: u64, follow: bool) -> Result<Opened, ClientError> {
    let request = pb::ReadTranscriptRequest { conversation_id: id.to_string(), from_sequence: from, follow };
    let mut stream = client.transcripts().read_transcript(request).await?.into_inner();
    let first = present(stream.message().await?, "first message")?;
    let conversation = Conversation::from_wire(present(first.conversation, "conversation")?)?;
    if conversation.id != id {
        return Err(ClientError::Answer("conversation_id"));
    }
    Ok((conversation, first.records.into(), first.first_sequence, stream))
}

/// Whether the node has a conversation of this id for the caller.
pub(super) async fn is_there(client: &Client, id: ConversationId) -> Result<bool, ClientError> {
    match open(client, id, 0, false).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(Code::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

fn tag(record: &[u8], sequence: u64) -> Result<[u8; TAG], TranscriptFault> {
    record.last_chunk::<TAG>().copied().ok_or(TranscriptFault::Record(sequence))
}
