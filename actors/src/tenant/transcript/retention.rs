//! Retention: a transcript goes when nothing was added to it for as long as the tenant's policy says.
//!
//! The last record stays, and with the row the tag of the record before it. A later record is bound to the last one's
//! tag, and whoever goes on must have opened it: so the conversation can be continued, under the right key alone. It
//! is gone whole when its owner deletes it.

use ocmt_crypto::audit::Outcome;
use ocmt_store::tables::{Conversation, Timer};

use super::{steps, tag};
use crate::{
    audit,
    error::ActorError,
    tenant::{quota, session_row},
    work::Work,
};

/// The timer that looks for what is due; one of each tenant.
pub(crate) const TIMER: &str = "transcript.retention";

/// Sets the timer if the policy wants one and there is none: an earlier one sets the next itself.
pub(super) async fn arm(work: &mut Work) -> Result<(), ActorError> {
    let (_, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
    let Some(retention) = policy.transcript_retention() else { return Ok(()) };
    if work.tx.get::<Timer>((TIMER.to_owned(), String::new())).await?.is_some() {
        return Ok(());
    }
    let due = work.now + retention;
    work.set_timer(TIMER, "", due, &[]).await
}

/// The policy is another: look at once.
pub(in crate::tenant) async fn changed(work: &mut Work) -> Result<(), ActorError> {
    let now = work.now;
    work.set_timer(TIMER, "", now, &[]).await
}

/// Takes what is due of one conversation, and comes again for the next.
pub(in crate::tenant) async fn fire(work: &mut Work) -> Result<(), ActorError> {
    let (_, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
    let Some(retention) = policy.transcript_retention() else { return Ok(()) };
    let kept = Conversation::pruned.eq(false).asc(Conversation::updated_at);
    let Some(row) = work.tx.first::<Conversation>(kept).await? else { return Ok(()) };
    let due = row.updated_at + retention;
    if due > work.now {
        return work.set_timer(TIMER, "", due, &[]).await;
    }
    take(work, row).await?;
    changed(work).await
}

async fn take(work: &mut Work, row: Conversation) -> Result<(), ActorError> {
    // the last one stays
    let until = row.next_sequence - 2;
    let mut next = Conversation { pruned: until < row.first_sequence, ..row };
    if !next.pruned {
        let conversation = next.conversation_id;
        let last = steps::some(work, conversation, next.first_sequence, until, next.pruned_bytes).await?;
        quota::count_bytes(work, next.pruned_bytes - last.total_bytes).await?;
        let taken = last.sequence + 1 - next.first_sequence;
        next.pruned = last.sequence == until;
        next.first_sequence = last.sequence + 1;
        next.before_tag = tag(&last.record);
        next.pruned_bytes = last.total_bytes;
        let details = vec![("records".to_owned(), taken.to_string())];
        let object = format!("conversation/{conversation}");
        audit::note(work, "transcript.pruned", object, Outcome::Allowed, details).await?;
    }
    work.tx.update(&next).await?;
    Ok(())
}
