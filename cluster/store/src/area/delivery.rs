//! Timers, and messages between tenants: short names for what actors do with these rows all the time.

use ocmt_types::{MessageId, TenantId, Timestamp};

use crate::{
    FencedTx, StoreError,
    tables::{Inbox, Outbox, Timer},
};

impl FencedTx {
    /// Sets the timer (`kind`, `subject`), in place of an earlier one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn set_timer(
        &mut self,
        kind: &str,
        subject: &str,
        due_at: Timestamp,
        payload: &[u8],
    ) -> Result<(), StoreError> {
        let (kind, subject) = (kind.to_owned(), subject.to_owned());
        self.upsert(&Timer { tenant_id: self.tenant(), kind, subject, due_at, payload: payload.to_vec() })
            .await
    }

    /// Clears the timer; `false` if there was none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn clear_timer(&mut self, kind: &str, subject: &str) -> Result<bool, StoreError> {
        self.delete::<Timer>((kind.to_owned(), subject.to_owned())).await
    }

    /// Takes the timer if it is due at `now`: of many firings, early, late or double, exactly one gets it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn take_due_timer(
        &mut self,
        kind: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<Option<Timer>, StoreError> {
        self.take_if((kind.to_owned(), subject.to_owned()), Timer::due_at.le(now)).await
    }

    /// Writes a message to another tenant, to be delivered after the commit.
    ///
    /// # Errors
    /// [`StoreError::AlreadyExists`] if the message does; [`StoreError::Unavailable`], [`StoreError::Full`].
    pub async fn send(
        &mut self,
        message_id: MessageId,
        to_tenant: TenantId,
        kind: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.insert(&Outbox {
            tenant_id: self.tenant(),
            message_id,
            to_tenant,
            kind: kind.to_owned(),
            body: body.to_vec(),
            created_at: now,
            attempts: 0,
            next_attempt_at: now,
        })
        .await
    }

    /// The answer that was given to a message from another tenant; none if it is new.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn answered(
        &mut self,
        from_tenant: TenantId,
        message_id: MessageId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.get::<Inbox>((from_tenant, message_id)).await?.map(|row| row.answer))
    }

    /// Keeps the answer to a message with the message's effect.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it was answered in parallel: drop the transaction and look again.
    pub async fn answer(
        &mut self,
        from_tenant: TenantId,
        message_id: MessageId,
        kind: &str,
        answer: &[u8],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let row = Inbox {
            tenant_id: self.tenant(),
            from_tenant,
            message_id,
            kind: kind.to_owned(),
            answer: answer.to_vec(),
            received_at: now,
        };
        match self.insert(&row).await {
            Err(StoreError::AlreadyExists { .. }) => Err(StoreError::Conflict),
            done => done,
        }
    }
}
