//! Idempotency keys: a repeated request gets the first answer, and its effect happens once.
//!
//! The answer is kept in the same transaction as the effect, so a client that does not know the outcome of
//! a commit repeats its request with the same key and learns it.

use ocmt_types::{Digest32, Timestamp};

use crate::{FencedTx, StoreError, tables::IdempotencyRow};

/// What makes a request the same request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// Who asks, as text of the caller's choice; keys of different principals never meet.
    pub principal: String,
    /// The key the client chose.
    pub key: Vec<u8>,
    /// Which method.
    pub method: &'static str,
    /// SHA-256 of the request without the key.
    pub request_hash: Digest32,
}

/// What to do with a request.
#[derive(Debug)]
#[must_use]
pub enum Idempotent {
    /// It is new: do it, then [`FencedTx::remember`] the answer.
    Fresh(Fresh),
    /// It was done: this was the answer.
    Replay(Vec<u8>),
    /// The key was used for another request: refuse.
    Mismatch,
}

/// A new request, to be remembered with its answer.
#[derive(Debug)]
#[must_use = "an answer that is not remembered is not repeated"]
pub struct Fresh(RequestKey);

impl FencedTx {
    /// Looks a request up.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn idempotent(&mut self, request: RequestKey) -> Result<Idempotent, StoreError> {
        let seen = self.get::<IdempotencyRow>((request.principal.clone(), request.key.clone())).await?;
        Ok(match seen {
            None => Idempotent::Fresh(Fresh(request)),
            Some(row) if row.method == request.method && row.request_hash == request.request_hash => {
                Idempotent::Replay(row.response)
            }
            Some(_) => Idempotent::Mismatch,
        })
    }

    /// Keeps the answer to a new request.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the same request was answered in parallel: drop the transaction and repeat.
    pub async fn remember(
        &mut self,
        fresh: Fresh,
        response: &[u8],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Fresh(request) = fresh;
        let row = IdempotencyRow {
            tenant_id: self.tenant(),
            principal: request.principal,
            idempotency_key: request.key,
            method: request.method.to_owned(),
            request_hash: request.request_hash,
            response: response.to_vec(),
            created_at: now,
        };
        match self.insert(&row).await {
            Err(StoreError::AlreadyExists { .. }) => Err(StoreError::Conflict),
            done => done,
        }
    }

    /// Drops answers kept before `before`, and tells how many.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn forget_answers(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        self.delete_all(IdempotencyRow::created_at.le(before)).await
    }
}
