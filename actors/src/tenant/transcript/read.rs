//! Reading: a page of sealed records from a place.

use ocmt_store::tables::{Conversation, TranscriptRecord};

use super::{info, load, pruned, unsigned};
use crate::{
    api::transcript::{MAX_BATCH, MAX_RECORD, ReadTranscript, TranscriptPage},
    authorize::Action,
    error::ActorError,
    work::{Handle, Work},
};

/// Of one answer, in bytes of records: with its frame it stays below 4 MiB.
const MOST: usize = (4 << 20) - (128 << 10);
/// Of one answer to a cell, which looks at little, and has little memory.
const MOST_OF_CELL: usize = 768 << 10;

impl Handle for ReadTranscript {
    async fn handle(self, work: &mut Work) -> Result<TranscriptPage, ActorError> {
        let row = load(work, Action::ReadVault, self.conversation).await?;
        work.of_stream = self.continues;
        let from = i64::try_from(self.from).unwrap_or(i64::MAX).max(1);
        if from > row.next_sequence {
            return Err(ActorError::invalid("from_sequence", "is behind the end of the conversation"));
        }
        if self.continues && from < row.first_sequence {
            return Err(pruned());
        }
        let from = from.max(row.first_sequence);
        let records = page(work, &row, from, MOST).await?;
        let behind = from.saturating_add(i64::try_from(records.len()).unwrap_or(0));
        Ok(TranscriptPage {
            first_sequence: unsigned(from),
            ended: row.finished && behind == row.next_sequence,
            more: behind < row.next_sequence,
            records,
            conversation: if self.continues { None } else { Some(info(work, row).await?) },
        })
    }
}

/// Records for a cell that goes on behind them: from a place that is there, or one behind the last.
pub(super) async fn for_cell(
    work: &mut Work,
    row: &Conversation,
    from: u64,
) -> Result<Vec<Vec<u8>>, ActorError> {
    let from = i64::try_from(from).unwrap_or(i64::MAX).max(1);
    if from < row.first_sequence {
        return Err(pruned());
    }
    if from > row.next_sequence {
        return Err(ActorError::precondition("TRANSCRIPT_GAP", "the conversation ends before that record"));
    }
    page(work, row, from, MOST_OF_CELL).await
}

/// As many as fit into `most` bytes. Each step fetches no more than would fit if all were of the largest size.
async fn page(
    work: &mut Work,
    row: &Conversation,
    from: i64,
    most: usize,
) -> Result<Vec<Vec<u8>>, ActorError> {
    let (mut records, mut bytes, mut next) = (Vec::new(), 0_usize, from);
    loop {
        let fits = most.saturating_sub(bytes) / MAX_RECORD;
        let step = u32::try_from(fits.min(MAX_BATCH - records.len())).unwrap_or(0);
        if step == 0 || next >= row.next_sequence {
            return Ok(records);
        }
        let of = TranscriptRecord::conversation_id.eq(row.conversation_id);
        let rows = work.tx.find(of.after(&(row.conversation_id, next - 1)).limit(step)).await?;
        if rows.is_empty() {
            return Err(ActorError::unavailable("STORE_DAMAGED", "a stored record is missing"));
        }
        for found in rows {
            if found.sequence != next {
                return Err(ActorError::unavailable("STORE_DAMAGED", "a stored record is missing"));
            }
            next += 1;
            bytes += found.record.len();
            records.push(found.record);
        }
    }
}
