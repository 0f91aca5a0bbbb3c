//! Conversations of a file: what importing them will do, before it does anything.

use ocmt_crypto::{
    CryptoError, envelope,
    export::{Exported, ExportedConversation, Said},
    kind::Kind,
    manifest::MAX_ANCHORS,
    object::conversation_key_id,
    transcript::Anchor,
};
use ocmt_types::{ContainerId, ConversationId, Digest32, Id as _, VaultId};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tonic::Code;

use super::{Source, What};
use crate::{
    ClientError,
    conversation::{Reading, Record, Start},
    vault::Vault,
};

/// The most bytes of sealed records that a node keeps of one conversation.
const MOST_BYTES: u64 = 1 << 32;

/// What became of one conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToldConversation {
    /// Its id in this vault.
    pub conversation: ConversationId,
    /// Its id where it was exported.
    pub exported_as: ConversationId,
    /// Records that the file has of it.
    pub records: u64,
    /// How many of them were in this vault before.
    pub there: u64,
    /// The sequence that its first record had where it was exported: above 1 if retention took those before.
    pub exported_from: u64,
    /// Bytes of what was said.
    pub bytes: u64,
    /// Whether it was finished.
    pub finished: bool,
    /// What is done with it.
    pub what: What,
}

/// A conversation of the file. Holds nothing of what was said.
pub(super) struct PlannedConversation {
    /// Its id in the file.
    pub(super) from: ConversationId,
    /// Its id here.
    pub(super) id: ConversationId,
    /// The container that it was with, if that may be of this tenant.
    pub(super) container: Option<ContainerId>,
    /// Records of the file.
    pub(super) records: u64,
    /// How many of them are here; none if the node has no such conversation.
    pub(super) there: Option<u64>,
    /// How far it has come here, where that is as far as the file goes.
    pub(super) noted: Option<Anchor>,
    pub(super) finished: bool,
    pub(super) what: What,
    first_sequence: u64,
    bytes: u64,
}

impl PlannedConversation {
    pub(super) fn new(vault: &Vault, source: &Source, head: &ExportedConversation) -> Self {
        let container = head.container.filter(|_| source.tenant() == Some(vault.keys().scope().tenant));
        Self {
            from: head.id,
            id: id_here(source.digest(), vault.id(), head.id),
            container,
            records: 0,
            there: None,
            noted: None,
            finished: false,
            what: if source.wants_conversations() { What::New } else { What::LeftOut },
            first_sequence: head.first_sequence,
            bytes: 0,
        }
    }

    /// Counts the next record of it.
    pub(super) fn count(&mut self, said: &Said) {
        self.records += 1;
        self.bytes += said.text.len() as u64;
        self.finished = said.last;
    }

    /// Records that are to be written.
    pub(super) fn to_write(&self) -> u64 {
        if self.what.is_written() { self.records.saturating_sub(self.there.unwrap_or_default()) } else { 0 }
    }

    pub(super) fn told(&self) -> ToldConversation {
        ToldConversation {
            conversation: self.id,
            exported_as: self.from,
            records: self.records,
            there: self.there.unwrap_or_default(),
            exported_from: self.first_sequence,
            bytes: self.bytes,
            finished: self.finished,
            what: self.what,
        }
    }

    fn sealed_bytes(&self) -> u64 {
        let more = 1 + envelope::overhead(Kind::TRANSCRIPT_RECORD) as u64;
        self.bytes.saturating_add(self.records.saturating_mul(more))
    }
}

/// The id that a conversation of this file has in this vault, whenever it is imported: `docs/formats.md`, "Export".
fn id_here(file: Digest32, vault: VaultId, from: ConversationId) -> ConversationId {
    let mut hash = Sha256::new();
    hash.update(b"OCMT imported conversation v1\0");
    hash.update(file.0);
    hash.update(vault.as_bytes());
    hash.update(from.as_bytes());
    let hash: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    // the form of a random UUID, as all ids have it
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    ConversationId::from_bytes(id)
}

/// A conversation that is here, held against the file.
struct Here<'p> {
    planned: &'p mut PlannedConversation,
    reading: Reading,
    next: Option<Record>,
    /// Records of the file so far.
    at: u64,
}

impl Here<'_> {
    async fn compare(&mut self, said: &Said) -> Result<(), ClientError> {
        self.at += 1;
        let Some(record) = &self.next else { return Ok(()) };
        if record.sequence > self.at {
            // retention took it here
            return Ok(());
        }
        if *record.text != *said.text || record.last != said.last {
            let id = self.planned.id;
            return Err(ClientError::Usage(format!(
                "nothing was imported: an import of this file began conversation {id}, and something else was written there before it was finished: delete it with `ocmt conversation rm {id}`, or import with --without-conversations"
            )));
        }
        self.planned.there = Some(self.at);
        self.next = self.reading.next().await?;
        Ok(())
    }

    fn end(self) {
        let planned = self.planned;
        if self.next.is_some() {
            // it went on here
            planned.there = Some(planned.records);
        } else if planned.there == Some(planned.records) {
            planned.noted = Some(self.reading.anchor());
        } else {
            return;
        }
        planned.what = What::AlreadyThere;
    }
}

impl Vault {
    /// Holds the file's conversations against those that an earlier import of it has made: every record of them is
    /// opened once, and one at a time is in memory.
    pub(super) async fn compare_conversations(
        &self,
        source: &Source,
        planned: &mut [PlannedConversation],
    ) -> Result<(), ClientError> {
        let keys = self.ids();
        let is_there = |one: &PlannedConversation| keys.contains(&conversation_key_id(one.id));
        if !source.wants_conversations() || !planned.iter().any(is_there) {
            return Ok(());
        }
        let (mut planned, mut here) = (planned.iter_mut(), None::<Here<'_>>);
        for item in source.conversations() {
            match item? {
                Exported::Entry(_) => return Err(CryptoError::Refused.into()),
                Exported::Conversation(head) => {
                    if let Some(here) = here.take() {
                        here.end();
                    }
                    let one = planned.next().filter(|one| one.from == head.id).ok_or(CryptoError::Refused)?;
                    if is_there(one) {
                        here = self.here(one).await?;
                    }
                }
                Exported::Said(said) => {
                    if let Some(here) = &mut here {
                        here.compare(&said).await?;
                    }
                }
            }
        }
        if let Some(here) = here {
            here.end();
        }
        Ok(())
    }

    async fn here<'p>(&self, planned: &'p mut PlannedConversation) -> Result<Option<Here<'p>>, ClientError> {
        let mut reading = match self.read_conversation(planned.id, Start::FirstLeft, false).await {
            Ok(reading) => reading,
            // its key was made, and nothing more
            Err(error) if error.code() == Some(Code::NotFound) => return Ok(None),
            Err(error) => return Err(error),
        };
        planned.there = Some(0);
        let next = reading.next().await?;
        Ok(Some(Here { planned, reading, next, at: 0 }))
    }

    /// How many objects of the vault they take.
    pub(super) fn room_for_conversations(
        &self,
        planned: &[PlannedConversation],
    ) -> Result<usize, ClientError> {
        let written: Vec<_> = planned.iter().filter(|one| one.what.is_written()).collect();
        if let Some(large) = written.iter().find(|one| one.sealed_bytes() > MOST_BYTES) {
            return Err(ClientError::Usage(format!(
                "nothing was imported: conversation {} of the file is larger than the 4 GiB of a conversation: import with --without-conversations",
                large.from
            )));
        }
        let keys = self.ids();
        let is_fresh = |one: &&PlannedConversation| !keys.contains(&conversation_key_id(one.id));
        let fresh: Vec<_> = written.into_iter().filter(is_fresh).collect();
        // until its final record is there, a finished one is not finished either: one at a time
        let finished = fresh.iter().filter(|one| one.finished).count();
        let unfinished = fresh.len() - finished + finished.min(1);
        let room = MAX_ANCHORS.saturating_sub(self.keys().manifest().anchors.len());
        if unfinished > room {
            return Err(ClientError::Usage(format!(
                "nothing was imported: a vault has at most {MAX_ANCHORS} conversations that are not finished; it has room for {room} more, and the import takes {unfinished}: finish or delete some, or import with --without-conversations"
            )));
        }
        Ok(fresh.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected one was made by another program, from the document.
    #[test]
    fn an_imported_conversation_has_the_id_of_the_format() {
        let (file, vault) = (Digest32([1; 32]), VaultId::from_bytes([2; 16]));
        let id = id_here(file, vault, ConversationId::from_bytes([3; 16]));
        assert_eq!(id.to_string(), "5300b43a-ed3f-42d4-808a-8a002b9d62a5");
        let others = [
            id_here(Digest32([9; 32]), vault, ConversationId::from_bytes([3; 16])),
            id_here(file, VaultId::from_bytes([9; 16]), ConversationId::from_bytes([3; 16])),
            id_here(file, vault, ConversationId::from_bytes([9; 16])),
        ];
        assert!(others.iter().all(|other| *other != id));
    }
}
