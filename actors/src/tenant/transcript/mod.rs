//! Transcripts: conversations of a person's own vault, kept as sealed records.
//!
//! A conversation's row says where it stands, so that appending costs the records and nothing of what came before.
//! Its key is an object of the vault: rotation takes it over with all others, in the one transaction that switches
//! the vault, and while the conversation is there the object stays. The node cannot see whether a record was sealed
//! for its place, which is bound into the record and for the reader to check. What it holds to is the order: a batch
//! names its first sequence and the tag of the record before, and one of two that go on from the same record wins.

mod append;
pub(crate) mod cell;
pub(crate) mod follow;
mod open;
mod read;
mod remove;
pub(super) mod retention;
pub(super) mod steps;

use ocmt_store::tables::{Conversation, VaultObject};
use ocmt_types::{ConversationId, Digest32, VaultId};
use ractor::ActorRef;

use super::{TenantMessage, TenantState};

use crate::{
    api::transcript::{ConversationInfo, TranscriptsCall},
    authorize::{Action, Object},
    error::ActorError,
    work::Work,
};

pub(super) use remove::keeps_keys;

/// Most records of a conversation.
pub(crate) const MOST_RECORDS: i64 = 1 << 20;
/// Most bytes of its records that are here.
pub(crate) const MOST_BYTES: i64 = 1 << 32;

const TAG_LEN: usize = 16;

impl TenantState {
    /// One line per method.
    pub(super) fn transcripts(&mut self, myself: &ActorRef<TenantMessage>, call: TranscriptsCall) {
        match call {
            TranscriptsCall::OpenConversation(call) => self.work(myself, call),
            TranscriptsCall::AppendTranscript(call) => self.work(myself, call),
            TranscriptsCall::ReadTranscript(call) => self.work(myself, call),
            TranscriptsCall::ListConversations(call) => self.work(myself, call),
            TranscriptsCall::DeleteConversation(call) => self.work(myself, call),
        }
    }
}

/// A conversation of the caller's own.
async fn load(
    work: &mut Work,
    action: Action,
    conversation: ConversationId,
) -> Result<Conversation, ActorError> {
    let found = work.tx.get::<Conversation>(conversation).await?;
    let row = work.authorize_found(action, found, |row| Object::of(row.owner_user))?;
    work.object = format!("conversation/{conversation}");
    Ok(row)
}

/// The head of the object that holds a conversation's key: its version is the key epoch of records.
async fn key(work: &mut Work, vault: VaultId, object: Digest32) -> Result<VaultObject, ActorError> {
    let no_key =
        || ActorError::precondition("CONVERSATION_KEY", "the vault does not hold the conversation's key");
    work.tx.get::<VaultObject>((vault, object)).await?.ok_or_else(no_key)
}

async fn info(work: &mut Work, row: Conversation) -> Result<ConversationInfo, ActorError> {
    // one that is missing makes this one unreadable, and no other
    let key = work.tx.get::<VaultObject>((row.vault_id, row.key_object)).await?;
    Ok(ConversationInfo {
        id: row.conversation_id,
        vault: row.vault_id,
        container: row.container_id,
        wrapped_key: key.map(|key| key.wrapped_key).unwrap_or_default(),
        first_sequence: unsigned(row.first_sequence),
        before_tag: row.before_tag,
        next_sequence: unsigned(row.next_sequence),
        last_tag: row.last_tag,
        finished: row.finished,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

/// The tag that the record after this one is bound to: the end of its envelope.
fn tag(record: &[u8]) -> Vec<u8> {
    record[record.len().saturating_sub(TAG_LEN)..].to_vec()
}

fn unsigned(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

fn pruned() -> ActorError {
    ActorError::precondition(
        "TRANSCRIPT_PRUNED",
        "these records were removed by the tenant's retention: read the conversation again",
    )
}
