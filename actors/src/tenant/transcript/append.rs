//! Appending: one batch is one transaction under the fence, and of two that go on from one record one wins.

use ocmt_crypto::{envelope, kind::Kind};
use ocmt_store::tables::{Conversation, TranscriptRecord};

use super::{MOST_BYTES, MOST_RECORDS, key, load, pruned, retention, tag, unsigned};
use crate::{
    api::transcript::{AppendTranscript, Appended, MAX_BATCH, MAX_RECORD},
    authorize::Action,
    effect::Effect,
    error::ActorError,
    tenant::quota,
    work::{Handle, Work},
};

/// The version that a key will have which waits in the vault's inbox.
const UNFILED: i64 = 1;
const CHANGED: ActorError = ActorError::Aborted("the conversation has another record there");

impl Handle for AppendTranscript {
    async fn handle(self, work: &mut Work) -> Result<Appended, ActorError> {
        let row = load(work, Action::WriteVault, self.conversation).await?;
        let (next_sequence, fresh) = to(work, row, self, By::Owner).await?;
        work.details.push(("records".to_owned(), fresh.to_string()));
        Ok(Appended { next_sequence })
    }
}

/// Who appends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// A client of the conversation's owner.
    Owner,
    /// A cell, maybe before a client has filed the key that it made.
    Cell,
}

/// Appends to a conversation: the sequence that the next record must have, and how many records were not there.
pub(super) async fn to(
    work: &mut Work,
    row: Conversation,
    ask: AppendTranscript,
    by: By,
) -> Result<(u64, usize), ActorError> {
    if !(1..=MAX_BATCH).contains(&ask.records.len()) {
        return Err(ActorError::invalid("records", format!("must be 1 to {MAX_BATCH}")));
    }
    let first = i64::try_from(ask.first_sequence).unwrap_or(0);
    if first < 1 {
        return Err(ActorError::invalid("first_sequence", "begins at 1"));
    }
    if first > row.next_sequence {
        let why = format!("the next record has sequence {}: send from there", row.next_sequence);
        return Err(ActorError::precondition("TRANSCRIPT_GAP", why));
    }
    if before(work, &row, first).await? != ask.previous_tag {
        return Err(CHANGED);
    }
    let known = usize::try_from(row.next_sequence - first).unwrap_or(usize::MAX).min(ask.records.len());
    let (known, fresh) = ask.records.split_at(known);
    are_there(work, &row, first, known).await?;
    if fresh.is_empty() {
        return Ok((unsigned(row.next_sequence), 0));
    }
    let epoch = epoch(work, &row, by).await?;
    let finishes = check(&row, fresh, epoch)?;
    let next_sequence = store(work, row, fresh, epoch, finishes).await?;
    work.then(Effect::Appended(ask.conversation));
    Ok((next_sequence, fresh.len()))
}

/// The present epoch of a conversation's key: its version.
async fn epoch(work: &mut Work, row: &Conversation, by: By) -> Result<i64, ActorError> {
    match key(work, row.vault_id, row.key_object).await {
        Ok(key) => Ok(key.version),
        // the key of a conversation stays as long as it: one that is not there was not filed yet, as its first version
        Err(ActorError::FailedPrecondition { .. }) if by == By::Cell => Ok(UNFILED),
        Err(error) => Err(error),
    }
}

/// The tag of the record before `first`.
async fn before(work: &mut Work, row: &Conversation, first: i64) -> Result<Vec<u8>, ActorError> {
    if first == row.next_sequence {
        return Ok(row.last_tag.clone());
    }
    if first == row.first_sequence {
        return Ok(row.before_tag.clone());
    }
    if first < row.first_sequence {
        return Err(pruned());
    }
    let before = work.tx.get::<TranscriptRecord>((row.conversation_id, first - 1)).await?;
    before.map(|before| tag(&before.record)).ok_or_else(damaged)
}

/// A repeat of what is here, byte for byte.
async fn are_there(
    work: &mut Work,
    row: &Conversation,
    first: i64,
    known: &[Vec<u8>],
) -> Result<(), ActorError> {
    for (record, sequence) in known.iter().zip(first..) {
        let stored = work.tx.get::<TranscriptRecord>((row.conversation_id, sequence)).await?;
        if stored.ok_or_else(damaged)?.record != *record {
            return Err(CHANGED);
        }
    }
    Ok(())
}

/// What can be seen of records without a key: their form, the present epoch, the end. Whether they finish it.
fn check(row: &Conversation, fresh: &[Vec<u8>], epoch: i64) -> Result<bool, ActorError> {
    if row.finished {
        let why = "the conversation has its final record: open another one";
        return Err(ActorError::precondition("TRANSCRIPT_FINISHED", why));
    }
    let (mut finished, mut last) = (false, &row.last_tag[..]);
    for record in fresh {
        let wrong = |why: &str| ActorError::invalid("records", why);
        let Some((last_one @ (0 | 1), sealed)) = record.split_first() else {
            return Err(wrong("has one that does not begin with 0 or 1"));
        };
        let header = envelope::parse(sealed).ok().filter(|header| header.kind == Kind::TRANSCRIPT_RECORD);
        let Some(header) = header.filter(|_| record.len() <= MAX_RECORD) else {
            return Err(wrong("has one that is not a sealed record"));
        };
        if finished {
            return Err(wrong("go on after the final one"));
        }
        if i64::from(header.key_epoch) != epoch {
            // what was sealed before a re-keying and never sent is sealed anew: its key is given up
            let why = format!("records are sealed under epoch {epoch} of the conversation's key by now");
            return Err(ActorError::precondition("KEY_EPOCH", why));
        }
        if sealed.ends_with(last) && !last.is_empty() {
            return Err(wrong("has one twice"));
        }
        last = &sealed[sealed.len().saturating_sub(super::TAG_LEN)..];
        finished = *last_one == 1;
    }
    Ok(finished)
}

async fn store(
    work: &mut Work,
    row: Conversation,
    fresh: &[Vec<u8>],
    epoch: i64,
    finished: bool,
) -> Result<u64, ActorError> {
    let bytes = fresh.iter().fold(0_i64, |sum, record| sum.saturating_add(length(record)));
    let mut next = row;
    let guard = Conversation::next_sequence.eq(next.next_sequence);
    let records = next.next_sequence - 1 + i64::try_from(fresh.len()).unwrap_or(i64::MAX);
    if records > MOST_RECORDS || next.total_bytes - next.pruned_bytes + bytes > MOST_BYTES {
        return Err(ActorError::exhausted(
            "TRANSCRIPT_FULL",
            format!(
                "a conversation has at most {MOST_RECORDS} records and {MOST_BYTES} bytes: open another one"
            ),
        ));
    }
    quota::store_bytes(work, bytes).await?;
    for record in fresh {
        next.total_bytes += length(record);
        let stored = TranscriptRecord {
            tenant_id: next.tenant_id,
            conversation_id: next.conversation_id,
            sequence: next.next_sequence,
            record: record.clone(),
            total_bytes: next.total_bytes,
        };
        work.tx.insert(&stored).await?;
        next.next_sequence += 1;
        next.last_tag = tag(record);
    }
    next.last_epoch = epoch;
    next.finished = finished;
    next.pruned = false;
    next.updated_at = work.now;
    if !work.tx.update_if(&next, guard).await? {
        return Err(CHANGED);
    }
    retention::arm(work).await?;
    Ok(unsigned(next.next_sequence))
}

fn length(record: &[u8]) -> i64 {
    i64::try_from(record.len()).unwrap_or(i64::MAX)
}

fn damaged() -> ActorError {
    ActorError::unavailable("STORE_DAMAGED", "a stored record is missing")
}
