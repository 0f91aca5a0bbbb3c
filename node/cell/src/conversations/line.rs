//! One conversation that the cell writes, by one task that has its keys.
//!
//! A record is sealed for its place, behind a record that this cell has opened or sealed itself: a wrong key never writes,
//! and a node that shows an older end, other records or none is found out before anything is said. What was sealed goes out
//! byte for byte until it is there. Where somebody else was faster the cell reads on, and says it behind theirs.

use std::sync::Arc;

use bytes::Bytes;
use ocmt_crypto::{
    transcript::{Anchor, ConversationPlace, TranscriptReader, TranscriptWriter},
    unlock::{Continued, ConversationKeys},
};
use ocmt_types::{ConversationId, TenantId, UnlockId};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use zeroize::Zeroizing;

use super::wishes::{Got, Wanted, Wishes};
use crate::CellError;

/// How often somebody else may be faster.
const TRIES: usize = 16;
const CHANGED: &str = "CHANGED_MEANWHILE";
const LIES: CellError = CellError::Invalid(
    "the node shows other records than were written in this conversation: nothing was appended",
);

/// The sequence of what was said, or why it was not.
pub type Said = Result<u64, String>;

/// Something to say.
pub(super) struct Job {
    pub(super) text: Zeroizing<Vec<u8>>,
    /// Nothing follows.
    pub(super) last: bool,
    pub(super) said: oneshot::Sender<Said>,
    /// Its place among all that wait.
    pub(super) _seat: OwnedSemaphorePermit,
}

/// A conversation and how far it has come.
pub(super) struct Line {
    place: ConversationPlace,
    unlock: UnlockId,
    keys: ConversationKeys,
    /// As far as is known for certain.
    known: Continued,
    /// Behind that.
    writer: Option<TranscriptWriter>,
    finished: bool,
    wishes: Arc<Wishes>,
}

impl Line {
    pub(super) fn new(
        tenant: TenantId,
        unlock: UnlockId,
        known: Continued,
        keys: ConversationKeys,
        wishes: Arc<Wishes>,
    ) -> Self {
        let place = ConversationPlace { tenant, conversation: known.conversation };
        Self { place, unlock, keys, known, writer: None, finished: false, wishes }
    }

    /// One that the cell has just begun, with nothing in it.
    pub(super) fn begun(
        tenant: TenantId,
        unlock: UnlockId,
        conversation: ConversationId,
        keys: ConversationKeys,
        wishes: Arc<Wishes>,
    ) -> Self {
        let known = Continued { conversation, at: Anchor::START, before_tag: [0; 16] };
        Self::new(tenant, unlock, known, keys, wishes)
    }

    /// Says what comes, one after the other.
    pub(super) async fn serve(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.recv().await {
            let said = self.say(&job.text, job.last).await;
            // whoever wanted it may be gone
            let _ = job.said.send(said);
        }
    }

    async fn say(&mut self, text: &[u8], last: bool) -> Said {
        for _ in 0..TRIES {
            if self.writer.is_none() && !self.finished {
                self.catch_up(None).await?;
            }
            let Some(mut writer) = self.writer.take() else {
                return Err("the conversation is finished: begin another one".to_owned());
            };
            let before = writer.anchor();
            let sealed = writer.append(text, last, &mut rand::rng()).map_err(|error| error.to_string())?;
            let record = Bytes::from(sealed);
            let wanted = Wanted::Append {
                sequence: before.count.saturating_add(1),
                previous_tag: previous_tag(&before),
                record: record.clone(),
            };
            match self.ask(wanted).await? {
                Got::Done => {
                    let (at, before_tag) = (writer.anchor(), before.last_tag);
                    self.known = Continued { at, before_tag, ..self.known };
                    self.finished = last;
                    self.writer = Some(writer).filter(|_| !last);
                    return Ok(at.count);
                }
                Got::Refused { reason, .. } if reason == CHANGED => {
                    // a node that says so of a record that it has would get it said twice
                    if let Some(sequence) = self.catch_up(Some(&record)).await? {
                        return Ok(sequence);
                    }
                }
                Got::Refused { why, .. } => return Err(why),
                Got::Shown { .. } => return Err(LIES.to_string()),
            }
        }
        Err("others go on with this conversation all the time: try again".to_owned())
    }

    /// Reads from the last record that is known, which has to be there, to the end. The sequence of `mine`, if that is
    /// among what came.
    async fn catch_up(&mut self, mine: Option<&Bytes>) -> Result<Option<u64>, String> {
        let lies = || LIES.to_string();
        let keys = self.keys.all();
        let mut reader =
            TranscriptReader::after(self.place, keys, self.known.before()).pinned_to(self.known.at);
        let (mut before, mut found) = (reader.anchor(), None);
        let mut from = self.known.at.count.max(1);
        loop {
            let (first, records, next) = match self.ask(Wanted::Look(from)).await? {
                Got::Shown { first, records, next } => (first, records, next),
                Got::Refused { why, .. } => return Err(why),
                Got::Done => return Err(lies()),
            };
            if first != from {
                return Err(lies());
            }
            for record in &records {
                before = reader.anchor();
                reader.next(record).map_err(|_| lies())?;
                if mine == Some(record) {
                    found = Some(reader.anchor().count);
                }
            }
            from = from.saturating_add(records.len() as u64);
            if from >= next {
                break;
            }
            if records.is_empty() {
                return Err(lies());
            }
        }
        reader.check_tail().map_err(|_| lies())?;
        self.known = Continued { at: reader.anchor(), before_tag: before.last_tag, ..self.known };
        self.finished = reader.is_finished();
        self.writer = match self.keys.latest() {
            _ if self.finished => None,
            Some((epoch, key)) if reader.anchor() == Anchor::START => {
                Some(TranscriptWriter::begin(self.place, epoch, key))
            }
            Some(_) => Some(TranscriptWriter::resume(&reader).map_err(|_| lies())?),
            None => return Err(lies()),
        };
        Ok(found)
    }

    async fn ask(&self, wanted: Wanted) -> Result<Got, String> {
        let asked = self.wishes.ask(self.unlock, self.place.conversation, wanted).await;
        asked.map_err(|error| error.to_string())
    }
}

fn previous_tag(at: &Anchor) -> Bytes {
    if at.count == 0 { Bytes::new() } else { Bytes::copy_from_slice(&at.last_tag) }
}
