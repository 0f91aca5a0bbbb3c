//! What is wrong with a transcript that a node shows.

use ocmt_types::ConversationId;

/// The node shows something else than was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TranscriptFault {
    /// The vault knows of it.
    #[error(
        "the node does not show conversation {0}, which your vault knows of: it was left out, or deleted on another device since the vault was opened"
    )]
    Missing(ConversationId),
    /// Records at the end are not there.
    #[error(
        "conversation {conversation} ends after {shown} records, and your vault knows of {known}: the end was cut off"
    )]
    Cut {
        /// Which.
        conversation: ConversationId,
        /// Records that the vault knows of.
        known: u64,
        /// Records that the node shows.
        shown: u64,
    },
    /// It was finished, and its final record is not there.
    #[error("conversation {0} was finished, and its final record is not there: the end was cut off")]
    Unfinished(ConversationId),
    /// Records at the beginning are not there.
    #[error(
        "records 1 to {before} of the conversation are not there: your tenant's retention took them, or somebody else. Read what is left with --pruned"
    )]
    Pruned {
        /// The last that is missing.
        before: u64,
    },
    /// A record that is not the one that was written there.
    #[error(
        "record {0} is not the one that was written there: it was changed, moved, doubled or left out, or is of another conversation"
    )]
    Record(u64),
    /// The node numbers records otherwise than they were written.
    #[error("the node shows record {shown} where record {expected} has to come")]
    Order {
        /// What has to come.
        expected: u64,
        /// What came.
        shown: u64,
    },
}
