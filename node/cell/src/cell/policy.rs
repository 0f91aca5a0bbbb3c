//! What the agents may do, and when the workload hears of it.

use std::sync::Arc;

use bytes::Bytes;
use ocmt_crypto::{cell::DeliveredPolicy, sign::VerifyKey};

use super::Cell;
use crate::{CellError, policy::Policies, tasks};

/// A policy as it came.
pub struct Delivered {
    /// What the workload reads.
    pub document: Bytes,
    /// A node's statement of it.
    pub statement: Bytes,
    /// The key that signed the statement.
    pub signer: VerifyKey,
    /// The host stands behind that key.
    pub voucher: Bytes,
}

impl Cell {
    /// Takes what the agents may do. The first starts what was waiting for it; the workload is told of any other.
    ///
    /// # Errors
    /// As [`Policies::take`].
    pub async fn put_policy(self: &Arc<Self>, it: Delivered) -> Result<(), CellError> {
        let cell = Arc::clone(self);
        tasks::to_its_end(async move {
            // neither in the middle of an unlock nor of a lock
            let _transition = cell.transition.lock().await;
            let first = cell.policies.document().is_none();
            let Delivered { document, statement, signer, voucher } = &it;
            if !cell.policies.take(&DeliveredPolicy { document, statement, signer: *signer, voucher })? {
                return Ok(());
            }
            if !first {
                cell.workload.tell();
            } else if !cell.lock_inner().stopping {
                cell.start_locked_workload();
            }
            Ok(())
        })
        .await?
    }

    /// What the agents may do.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }
}
