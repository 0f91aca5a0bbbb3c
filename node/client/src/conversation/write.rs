//! Writing: a record is sealed once, and what was sealed is sent until it is there, byte for byte.

use bytes::Bytes;
use ocmt_crypto::transcript::{Anchor, TranscriptWriter};
use ocmt_proto::v1::{self as pb, append_transcript_request::Part};
use ocmt_types::ConversationId;
use tonic::Code;

use super::{
    Start,
    read::{TAG, TRIES, pause},
};
use crate::{Client, ClientError, client::idempotency_key, vault::Vault};

/// Most records and bytes of one batch: with its frame it stays below a message.
const BATCH: usize = 64;
const BATCH_BYTES: usize = (4 << 20) - (512 << 10);

/// Appends to a conversation. Made only where the key was shown to be the one of the last record.
pub struct Writer {
    client: Client,
    id: ConversationId,
    writer: TranscriptWriter,
    /// Where the records begin that are not known to be there.
    stored: Anchor,
    /// Those, sealed.
    unsent: Vec<Bytes>,
    finished: bool,
}

impl Vault {
    /// Goes on with a conversation: opens what came after the vault's last note of it, and checks that all of it is
    /// there.
    ///
    /// # Errors
    /// [`ClientError::Transcript`]; [`ClientError::Usage`] if it is finished.
    pub async fn write_conversation(&self, id: ConversationId) -> Result<Writer, ClientError> {
        let mut reading = self.read_conversation(id, Start::LastKnown, false).await?;
        while reading.next().await?.is_some() {}
        if reading.is_finished() {
            return Err(ClientError::Usage(format!("conversation {id} is finished: open another one")));
        }
        let stored = reading.anchor();
        let writer = if stored == Anchor::START {
            let keys = self.keys_of_conversation(id).await?;
            let (epoch, key) = keys.into_iter().next_back().ok_or(ClientError::Answer("keys"))?;
            TranscriptWriter::begin(self.place(id), epoch, key)
        } else {
            TranscriptWriter::resume(reading.reader())?
        };
        let client = self.client().clone();
        Ok(Writer { client, id, writer, stored, unsent: Vec::new(), finished: false })
    }
}

impl Writer {
    /// Which conversation.
    pub fn id(&self) -> ConversationId {
        self.id
    }

    /// How far the conversation has come with certainty: for [`Vault::note_conversation`].
    pub fn stored(&self) -> Anchor {
        self.stored
    }

    /// Whether its final record is there.
    pub fn is_finished(&self) -> bool {
        self.finished && self.unsent.is_empty()
    }

    /// Seals a record to be sent with the next [`Writer::flush`]. After a `last` one nothing follows.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] for one that is too long, or after the last.
    pub fn push(&mut self, text: &[u8], last: bool) -> Result<(), ClientError> {
        let sealed = self.writer.append(text, last, &mut rand::rng())?;
        self.unsent.push(sealed.into());
        self.finished = last;
        Ok(())
    }

    /// Bytes that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.unsent.iter().map(Bytes::len).sum()
    }

    /// Sends what waits. Cut off anywhere, it sends the same again: what is there already is passed over.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `CHANGED_MEANWHILE` if somebody else went on from the same record, and with
    /// `KEY_EPOCH` if the vault was re-keyed meanwhile: begin again with [`Vault::write_conversation`]. After any
    /// other error, what waits still waits.
    pub async fn flush(&mut self) -> Result<u64, ClientError> {
        let mut tries = 0;
        while !self.unsent.is_empty() {
            tries += 1;
            match self.send().await {
                Ok(()) => tries = 0,
                Err(error) if tries < TRIES && may_repeat(&error) => {
                    tokio::time::sleep(pause(tries)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.stored.count)
    }

    async fn send(&mut self) -> Result<(), ClientError> {
        let start = pb::TranscriptStart {
            conversation_id: self.id.to_string(),
            first_sequence: self.stored.count.saturating_add(1),
            previous_tag: match self.stored.count {
                0 => Bytes::new(),
                _ => Bytes::copy_from_slice(&self.stored.last_tag),
            },
            idempotency_key: idempotency_key(),
        };
        // a batch is there whole or not at all: so what is there is known after each
        let sent = batch(&self.unsent);
        let records = self.unsent.get(..sent).unwrap_or_default().to_vec();
        let parts = [Part::Start(start), Part::Batch(pb::TranscriptBatch { records })];
        let parts = parts.map(|part| pb::AppendTranscriptRequest { part: Some(part) });
        let answer = self.client.transcripts().append_transcript(tokio_stream::iter(parts)).await?;
        let there = answer.into_inner().next_sequence.saturating_sub(1);
        let last = self.unsent.get(sent.saturating_sub(1)).and_then(|record| record.last_chunk::<TAG>());
        let (count, last_tag) = (self.stored.count.saturating_add(sent as u64), last.copied());
        if there < count {
            return Err(ClientError::Answer("next_sequence"));
        }
        self.stored = Anchor { count, last_tag: last_tag.ok_or(ClientError::Answer("record"))? };
        self.unsent.drain(..sent);
        Ok(())
    }
}

/// How many of these go into one batch.
fn batch(records: &[Bytes]) -> usize {
    let mut bytes = 0;
    let fit = records.iter().take(BATCH).take_while(|record| {
        bytes += record.len();
        bytes <= BATCH_BYTES
    });
    fit.count().max(1)
}

/// Whether the same bytes may be sent again: they are skipped where they are there.
fn may_repeat(error: &ClientError) -> bool {
    error.is_retryable()
        || matches!(error.code(), Some(Code::Unknown | Code::Cancelled | Code::DeadlineExceeded))
}
