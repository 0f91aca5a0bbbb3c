//! The way to the workload's port from outside the cell, where its user opted in.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{self, timeout},
};

use super::Cell;
use crate::{CellError, workload::Phase};

/// A workload that was started is waited for this long until it serves its port.
const READY_WITHIN: Duration = Duration::from_secs(40);
/// It takes a connection within this.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// A workload whose queue is full, or that is about to listen again, is tried again so often.
const TRIES: u32 = 3;
const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A connection to the workload, and its place among them.
pub struct ToWorkload {
    pub(crate) stream: TcpStream,
    pub(crate) place: OwnedSemaphorePermit,
}

/// What somebody shows who wants to the workload.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// The gateway token.
    pub token: &'a str,
    /// The keys whose tokens hold, as the host states them.
    pub keys: &'a [u8],
}

impl Cell {
    /// Connects to the workload's port, once it serves that.
    ///
    /// # Errors
    /// [`CellError::TokenRefused`] before anything else; [`CellError::Invalid`] if it may not be reached; [`CellError::Locked`] if it waits for an unlock;
    /// [`CellError::WorkloadAway`]; [`CellError::Exhausted`].
    pub async fn connect_plain(&self, shown: Shown<'_>) -> Result<ToWorkload, CellError> {
        let authority = self.gateway.as_ref().ok_or(CellError::TokenRefused)?;
        let admitted = authority.admit(shown.keys, shown.token, self.clock.now());
        admitted.map_err(|_| CellError::TokenRefused)?;
        let (port, places) = self
            .workload
            .plain_port()
            .ok_or(CellError::Invalid("this container was made without plain proxying"))?;
        let place =
            places.try_acquire_owned().map_err(|_| CellError::Exhausted("connections to the workload"))?;
        let mut phases = self.workload.phases();
        let settled = phases.wait_for(|phase| *phase != Phase::Starting);
        let phase = match timeout(READY_WITHIN, settled).await {
            Ok(Ok(phase)) => *phase,
            Ok(Err(_)) | Err(_) => Phase::Starting,
        };
        match phase {
            Phase::Ready => {}
            Phase::Starting => return Err(CellError::WorkloadAway("does not serve its port yet")),
            Phase::Exited(_) => return Err(CellError::WorkloadAway("has ended")),
            Phase::Stopped if self.status().unlocked.is_some() => {
                return Err(CellError::WorkloadAway("was not started"));
            }
            Phase::Stopped => return Err(CellError::Locked),
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        for attempt in 1.. {
            match timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Nagle's wait would cost each answer up to 40 ms
                    let _ = stream.set_nodelay(true);
                    return Ok(ToWorkload { stream, place });
                }
                Ok(Err(_)) if attempt < TRIES => time::sleep(AGAIN_AFTER).await,
                Ok(Err(_)) | Err(_) => break,
            }
        }
        Err(CellError::WorkloadAway("takes no connection on its port"))
    }
}
