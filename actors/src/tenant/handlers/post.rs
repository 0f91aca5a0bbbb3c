//! What a message of another tenant does here, and what its answer does at the sender. One line per kind.

use ocmt_store::tables::{Outbox, TenantState};
use ocmt_types::{MessageId, TenantId};

use super::{
    super::post::{TIMER, retry_at},
    session_row,
};
use crate::{effect::Effect, error::ActorError, tenant::CEREMONY_SAID, work::Work};

/// Takes a message. The answer is kept with the effect; an error means that nothing was done.
pub(crate) async fn take(
    work: &mut Work,
    from: TenantId,
    kind: &str,
    body: &[u8],
) -> Result<Vec<u8>, ActorError> {
    let (tenant, _) = session_row::tenant_of(&work.env, &mut work.tx).await?;
    if tenant.state == TenantState::Deleting {
        return Err(ActorError::NotFound);
    }
    if tenant.state != TenantState::Active {
        // no refusal: the sender keeps it and tries again
        return Err(ActorError::unavailable("NOT_TAKEN_NOW", "the other tenant takes nothing at the moment"));
    }
    match kind {
        recovery if is_of_recovery(recovery) => super::super::recovery::take(work, from, kind, body).await,
        #[cfg(test)]
        "test.echo" => crate::tests::post::echo(work, from, body).await,
        _ => {
            tracing::warn!(tenant = %work.ownership.tenant, %from, kind, bytes = body.len(), "message of unknown kind");
            // a node of a newer version may take the tenant any time: the sender tries again
            Err(ActorError::unavailable("LETTER_UNREADABLE", "a message of another version of this program"))
        }
    }
}

/// A message of ours was taken, or refused for good. Its outbox row is gone with this transaction.
pub(crate) async fn delivered(
    work: &mut Work,
    row: &Outbox,
    result: &Result<Vec<u8>, ActorError>,
) -> Result<(), ActorError> {
    match row.kind.as_str() {
        kind if is_of_recovery(kind) => super::super::recovery::delivered(work, row, result).await,
        #[cfg(test)]
        "test.echo" => crate::tests::post::echoed(work, row, result).await,
        kind => {
            tracing::debug!(tenant = %work.ownership.tenant, kind, taken = result.is_ok(), "message was settled");
            Ok(())
        }
    }
}

/// How the audit trail names a refused message.
pub(crate) fn name_of(kind: &str) -> &'static str {
    match kind {
        CEREMONY_SAID => CEREMONY_SAID,
        recovery if is_of_recovery(recovery) => "guardian.message",
        _ => "message",
    }
}

fn is_of_recovery(kind: &str) -> bool {
    kind.starts_with("guardian.") || kind.starts_with("ceremony.")
}

/// The timer of a message that was not delivered.
pub(crate) async fn retry(work: &mut Work, message: &str) -> Result<(), ActorError> {
    let Ok(message) = message.parse::<MessageId>() else {
        return Ok(());
    };
    let Some(mut row) = work.tx.get::<Outbox>(message).await? else {
        return Ok(());
    };
    row.attempts += 1;
    row.next_attempt_at = retry_at(work.now, row.attempts);
    work.tx.update(&row).await?;
    work.set_timer(TIMER, &message.to_string(), row.next_attempt_at, &[]).await?;
    work.then(Effect::Posted(message));
    Ok(())
}
