//! Connections to cells that are open, by address.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use ocmt_actors::CellError;
use tonic::{Code, Status, transport::Channel};

use super::REASON;

/// Thrown away with the first error: each start of a cell has a control token of its own.
#[derive(Default)]
pub(super) struct Open(Mutex<HashMap<SocketAddr, Channel>>);

impl Open {
    /// The one to `address`, or what `dial` makes.
    pub(super) async fn of(
        &self,
        address: SocketAddr,
        dial: impl Future<Output = Result<Channel, CellError>>,
    ) -> Result<Channel, CellError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&address).cloned();
        if let Some(channel) = known {
            return Ok(channel);
        }
        let channel = dial.await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(address, channel.clone());
        Ok(channel)
    }

    /// What a failed call means; a connection that broke is not used again.
    pub(super) fn failed(&self, address: SocketAddr, status: &Status) -> CellError {
        let transport = matches!(
            status.code(),
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded
        );
        let reason = status.metadata().get(REASON).and_then(|reason| reason.to_str().ok());
        if transport && reason.is_none() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&address);
            return CellError::Unreachable(status.message().to_owned());
        }
        CellError::Refused {
            reason: reason.unwrap_or("CELL_REFUSED").to_owned(),
            why: status.message().to_owned(),
        }
    }
}
