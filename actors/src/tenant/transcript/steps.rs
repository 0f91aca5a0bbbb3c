//! Removing records in steps. A conversation may have gigabytes: one statement for all of it takes longer than the
//! database lets one take, and holds up everybody else meanwhile.

use ocmt_store::{
    Filter,
    tables::{Conversation, TranscriptRecord},
};
use ocmt_types::ConversationId;

use crate::{error::ActorError, work::Work};

/// The timer that removes what a deleted conversation left; one of each.
pub(crate) const ERASE: &str = "transcript.erase";
/// Most of one step.
const ROWS: i64 = 10_000;
const BYTES: i64 = 16 << 20;
/// Most conversations of one step.
const CONVERSATIONS: usize = 200;

/// Removes some records from `first` on, none behind `last`: the last one that went. `before` is the bytes of what came
/// before the first.
pub(super) async fn some(
    work: &mut Work,
    conversation: ConversationId,
    first: i64,
    last: i64,
    before: i64,
) -> Result<TranscriptRecord, ActorError> {
    let mut rows = ROWS;
    let end = loop {
        let until = last.min(first.saturating_add(rows - 1));
        let found = work.tx.get::<TranscriptRecord>((conversation, until)).await?;
        match found {
            Some(found) if until <= first || found.total_bytes - before <= BYTES => break found,
            None if until <= first => {
                return Err(ActorError::unavailable("STORE_DAMAGED", "a stored record is missing"));
            }
            Some(_) | None => rows = ((until - first + 1) / 2).max(1),
        }
    };
    let of = TranscriptRecord::conversation_id.eq(conversation);
    work.tx.delete_all(of.and(TranscriptRecord::sequence.le(end.sequence))).await?;
    Ok(end)
}

/// What a deleted conversation left goes from now on.
pub(super) async fn begin(work: &mut Work, conversation: ConversationId) -> Result<(), ActorError> {
    let now = work.now;
    work.set_timer(ERASE, &conversation.to_string(), now, &[]).await
}

/// The next step, and the one after it.
pub(in crate::tenant) async fn fire(work: &mut Work, subject: &str) -> Result<(), ActorError> {
    let Ok(conversation) = subject.parse::<ConversationId>() else { return Ok(()) };
    if work.tx.get::<Conversation>(conversation).await?.is_some() {
        return Ok(());
    }
    let left = work.tx.first(TranscriptRecord::conversation_id.eq(conversation).limit(1)).await?;
    let Some(first) = left else { return Ok(()) };
    from(work, &first).await?;
    begin(work, conversation).await
}

/// A step through all that the tenant has; whether nothing is left.
pub(in crate::tenant) async fn all(work: &mut Work) -> Result<bool, ActorError> {
    let mut bytes = 0;
    for _ in 0..CONVERSATIONS {
        let Some(first) = work.tx.first::<TranscriptRecord>(Filter::all().limit(1)).await? else {
            return Ok(true);
        };
        bytes += from(work, &first).await?;
        if bytes >= BYTES {
            break;
        }
    }
    Ok(false)
}

/// Removes some from this record on; how many bytes.
async fn from(work: &mut Work, first: &TranscriptRecord) -> Result<i64, ActorError> {
    let before = first.total_bytes - i64::try_from(first.record.len()).unwrap_or(0);
    let end = some(work, first.conversation_id, first.sequence, i64::MAX, before).await?;
    Ok(end.total_bytes - before)
}
