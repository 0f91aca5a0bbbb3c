//! The tenant's audit trail: each record is chained to the one before and written in the transaction of
//! the change it tells of, so that nothing is done unlogged and nothing is logged that was not done.

use ocmt_crypto::audit::{Actor, AuditRecord, chain, genesis};

use crate::{
    FencedTx, Filter, ReadTx, StoreError,
    tables::{AuditHead, AuditRow},
};

impl FencedTx {
    /// Appends a record and returns its number: 1, 2, 3 … without a gap.
    ///
    /// # Errors
    /// [`StoreError::Record`] if it is too large, [`StoreError::ForeignTenant`] if it is another tenant's,
    /// [`StoreError::Conflict`] if a parallel transaction of the same owner appended; [`StoreError::Full`],
    /// [`StoreError::Unavailable`].
    pub async fn audit(&mut self, record: &AuditRecord) -> Result<i64, StoreError> {
        let tenant_id = self.tenant();
        if record.tenant != tenant_id {
            return Err(StoreError::ForeignTenant { table: "audit" });
        }
        let bytes = record.to_bytes().map_err(|error| StoreError::Record(error.to_string()))?;
        let head = self.get::<AuditHead>(()).await?;
        let (last, before) =
            head.as_ref().map_or_else(|| (0, genesis(tenant_id)), |head| (head.seq, head.hash));
        let seq = last + 1;
        let hash = chain(&before, seq.unsigned_abs(), &bytes);
        let next = AuditHead { tenant_id, seq, hash };
        let appended = if head.is_none() {
            match self.insert(&next).await {
                Err(StoreError::AlreadyExists { .. }) => false,
                done => done.map(|()| true)?,
            }
        } else {
            self.update_if(&next, AuditHead::seq.eq(last)).await?
        };
        if !appended {
            return Err(StoreError::Conflict);
        }
        self.insert(&AuditRow {
            tenant_id,
            seq,
            at: record.at,
            actor: actor(record.actor),
            action: record.action.clone(),
            object: record.object.clone(),
            record: bytes,
            hash,
        })
        .await?;
        Ok(seq)
    }
}

impl ReadTx {
    /// Records behind number `after`, oldest first, at most `limit`: the next page.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn audit_page(
        &mut self,
        filter: Filter<AuditRow>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        self.find(filter.and(AuditRow::seq.gt(after)).limit(limit)).await
    }

    /// The end of the chain; none before the first record.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn audit_head(&mut self) -> Result<Option<AuditHead>, StoreError> {
        self.get(()).await
    }
}

/// An actor as text to search by: `user/<id>`. The record's own bytes are what counts.
pub fn actor(actor: Actor) -> String {
    match actor {
        Actor::Anonymous => "anonymous".to_owned(),
        Actor::User(id) => format!("user/{id}"),
        Actor::Container(id) => format!("container/{id}"),
        Actor::Operator(id) => {
            id.iter().fold("operator/".to_owned(), |text, byte| format!("{text}{byte:02x}"))
        }
        Actor::Node(id) => format!("node/{id}"),
    }
}
