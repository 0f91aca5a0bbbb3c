//! What a cell wants of its conversations' transcripts: it calls nobody, so its host asks.

use std::time::Duration;

use ocmt_types::{ConversationId, MessageId, UnlockId};

use super::{CellCall, CellInboxItem, CellTarget};

/// Something that a cell wants.
#[derive(Clone, PartialEq, Eq)]
pub struct CellWant {
    /// Chosen by the cell; the same however often it is given.
    pub wish: MessageId,
    /// The unlock it is in.
    pub unlock: UnlockId,
    /// Which conversation.
    pub conversation: ConversationId,
    /// What.
    pub what: CellWanted,
}

/// What a cell wants of a conversation.
#[derive(Clone, PartialEq, Eq)]
pub enum CellWanted {
    /// Make it, and keep its sealed key for the vault.
    Begin(CellInboxItem),
    /// Show records from this sequence on.
    Look(u64),
    /// Append a record.
    Append {
        /// Its sequence.
        sequence: u64,
        /// Tag of the record before; empty before the first.
        previous_tag: Vec<u8>,
        /// Sealed.
        record: Vec<u8>,
    },
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CellGot {
    /// Made, or appended: durable.
    Done,
    /// Records that are there, in order.
    Shown {
        /// Sequence of the first of them.
        first_sequence: u64,
        /// Sealed.
        records: Vec<Vec<u8>>,
        /// Sequence that the next record must have.
        next_sequence: u64,
    },
    /// Not done.
    Refused {
        /// Stable word.
        reason: String,
        /// In words for the workload.
        why: String,
    },
}

/// The part of [`super::CellLink`] that is about transcripts.
pub trait CellTranscripts: Send + Sync {
    /// Hands over what became of wishes, which the cell forgets with it, and asks for what it wants, oldest first, at most
    /// 32. With nothing to want it answers after `wait`, at most 30 s.
    fn exchange_transcripts<'a>(
        &'a self,
        cell: &'a CellTarget,
        answers: Vec<(MessageId, CellGot)>,
        wait: Duration,
    ) -> CellCall<'a, Vec<CellWant>>;
}
