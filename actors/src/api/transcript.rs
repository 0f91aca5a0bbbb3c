//! Transcripts: conversations as sealed records in order. What is said stays sealed here.

use ocmt_types::{ContainerId, ConversationId, Timestamp, VaultId};
use serde::{Deserialize, Serialize};

use super::vault::Written;
use crate::call::calls;

/// The longest sealed record, in bytes.
pub const MAX_RECORD: usize = 262_272;
/// Most records of one batch, and of one page.
pub const MAX_BATCH: usize = 64;

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationInfo {
    /// Which.
    pub id: ConversationId,
    /// The vault that its key is in.
    pub vault: VaultId,
    /// The container it is with.
    pub container: Option<ContainerId>,
    /// Its present data key, wrapped under the vault key.
    pub wrapped_key: Vec<u8>,
    /// Sequence of the first record that is still here, from 1.
    pub first_sequence: u64,
    /// Tag of the record before that one; empty before the first of all.
    pub before_tag: Vec<u8>,
    /// Sequence that the next record must have.
    pub next_sequence: u64,
    /// Tag of the last record; empty if there is none.
    pub last_tag: Vec<u8>,
    /// Whether the last record was the final one.
    pub finished: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the last record came.
    pub updated_at: Timestamp,
}

/// Make a conversation. Its key is an object of the vault already.
#[derive(Debug, Clone)]
pub struct OpenConversation {
    /// The vault that its key is in.
    pub vault: VaultId,
    /// Chosen by the client.
    pub conversation: ConversationId,
    /// The wrapped key of that object.
    pub wrapped_key: Vec<u8>,
    /// The container it is with.
    pub container: Option<ContainerId>,
}

/// Append records, all or none. Those that are there already are skipped if they are the same.
#[derive(Debug, Clone)]
pub struct AppendTranscript {
    /// To which.
    pub conversation: ConversationId,
    /// Sequence of the first of `records`.
    pub first_sequence: u64,
    /// Tag of the record before it; empty before the first of all.
    pub previous_tag: Vec<u8>,
    /// Sealed, in order, 1 to [`MAX_BATCH`].
    pub records: Vec<Vec<u8>>,
}

/// Answer of [`AppendTranscript`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Sequence that the next record must have.
    pub next_sequence: u64,
}

/// Read some records.
#[derive(Debug, Clone)]
pub struct ReadTranscript {
    /// Of which.
    pub conversation: ConversationId,
    /// The first that is wanted; 0 for the first that is here.
    pub from: u64,
    /// A further page of a stream, whose opening is in the audit.
    pub continues: bool,
}

/// Answer of [`ReadTranscript`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranscriptPage {
    /// How it stands; not with a further page.
    pub conversation: Option<ConversationInfo>,
    /// Sequence of the first of `records`.
    pub first_sequence: u64,
    /// Sealed, in order; at most [`MAX_BATCH`], and as many as fit into a message.
    pub records: Vec<Vec<u8>>,
    /// Nothing more comes: all were read up to the final one.
    pub ended: bool,
    /// There is more to read now.
    pub more: bool,
}

/// The caller's conversations, last used first.
#[derive(Debug, Clone, Default)]
pub struct ListConversations {
    /// Behind this one.
    pub after: Option<(Timestamp, ConversationId)>,
    /// 1 to 100.
    pub limit: u32,
}

/// Answer of [`ListConversations`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationPage {
    /// Last used first.
    pub conversations: Vec<ConversationInfo>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<(Timestamp, ConversationId)>,
}

/// Delete a conversation with all its records and its key.
#[derive(Debug, Clone)]
pub struct DeleteConversation {
    /// Which.
    pub conversation: ConversationId,
    /// The signed manifest of the vault without its anchor and its key.
    pub manifest: Vec<u8>,
}

calls! {
    /// Calls about transcripts.
    Transcripts: TranscriptsCall of "TranscriptService" {
        write OpenConversation => ConversationInfo,
        once AppendTranscript => Appended,
        read ReadTranscript => TranscriptPage,
        read ListConversations => ConversationPage,
        write DeleteConversation => Written,
    }
}
