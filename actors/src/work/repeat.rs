//! Repeats by idempotency key: what was answered the first time, and whether it may be given out again.

use ocmt_store::{Idempotent, RequestKey};
use ocmt_types::{Digest32, Id as _, MessageId};

use super::{Done, Piece, Work};
use crate::{audit, call::IdempotencyKey, error::ActorError};

/// Gives out a stored answer. One that is carried out again is decided again, and written down.
pub(super) async fn repeated<P: Piece>(
    mut work: Work,
    stored: &[u8],
) -> Result<(Result<P::Answer, ActorError>, Done), ActorError> {
    let answer = P::decode(stored).ok_or(ActorError::Internal(work.standing.caller.request))?;
    let (answer, orders) = P::again(answer, &mut work).await?;
    if !orders {
        return Ok((Ok(answer), Done::default()));
    }
    work.details.push(("repeat".to_owned(), "true".to_owned()));
    audit::success(&mut work, P::METHOD).await?;
    work.tx.commit().await?;
    Ok((Ok(answer), Done { effects: work.effects, answer_after: None }))
}

/// What is stored under the key.
pub(super) async fn look_up(
    work: &mut Work,
    key: &IdempotencyKey,
    method: &'static str,
) -> Result<Idempotent, ActorError> {
    if !(16..=64).contains(&key.key.len()) {
        return Err(ActorError::invalid("idempotency_key", "must be 16 to 64 bytes"));
    }
    let request = RequestKey {
        principal: work.standing.caller.label(),
        key: key.key.clone(),
        method,
        request_hash: Digest32(key.request_hash),
    };
    work.under_key = Some(letter_of(&request));
    Ok(work.tx.idempotent(request).await?)
}

/// The same for a repeat, and another for every other request, key and asker.
fn letter_of(request: &RequestKey) -> MessageId {
    let RequestKey { principal, key, method, request_hash } = request;
    let parts =
        [principal.as_bytes(), key, method.as_bytes(), &request_hash.0].map(|part| audit::sha256(part).0);
    let digest = audit::sha256(parts.as_flattened()).0;
    MessageId::from_bytes(std::array::from_fn(|n| digest[n]))
}
