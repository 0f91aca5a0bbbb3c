//! The tenant's audit trail: each record is chained to the one before and written in the transaction of
//! the change it tells of, so that nothing is done unlogged and nothing is logged that was not done.

use ocmt_crypto::audit::{Actor, AuditRecord};

use super::log;
use crate::{
    FencedTx, Filter, ReadTx, StoreError, gather,
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
        let Some(gathered) = &self.gathered else {
            let head = self.get::<AuditHead>(()).await?;
            return log::append(self.beneath(), tenant_id, head, record).await;
        };
        let waiting = gathered.head().cloned();
        let head = match waiting {
            Some(head) => Some(head),
            None => gather::head(self.beneath(), tenant_id).await?,
        };
        // an earlier program's records are taken in one append after the other, out of the database
        if head.as_ref().is_some_and(|head| head.tree_size < head.seq) {
            return log::append(self.beneath(), tenant_id, head, record).await;
        }
        let next = log::next(self.beneath(), tenant_id, head.as_ref(), record).await?;
        let seq = next.head.seq;
        if let Some(gathered) = &mut self.gathered {
            gathered.record(head, next.head, next.row, next.nodes);
        }
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
