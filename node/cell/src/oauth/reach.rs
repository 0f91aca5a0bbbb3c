//! The way out to providers: over calls that the host holds open, for a cell calls nobody by itself.
//!
//! The host connects and carries bytes. TLS begins and ends in the cell ([`super::fetch`]), so the host sees names of
//! hosts and lengths. Which hosts may be reached it decides alone, and looks at the address it connects to.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use ocmt_proto::cell::v1::{
    ReachRequest, ReachResponse, ReachTarget, reach_request::Message as FromHost,
    reach_response::Message as ToHost,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::{Notify, mpsc},
    time::timeout,
};
use tonic::{Status, Streaming};

use super::Problem;
use crate::tasks::Task;

/// Calls of the host that wait to be used.
const MAX_PARKED: usize = 4;
/// From the wish to the connection.
const WITHIN: Duration = Duration::from_secs(8);
const CHUNK: usize = 16 * 1024;
const BUFFER: usize = 64 * 1024;

/// A call of the host that is not used yet.
pub struct Carrier {
    /// Answers of the call.
    pub to_host: mpsc::Sender<Result<ReachResponse, Status>>,
    /// What the host sends.
    pub from_host: Streaming<ReachRequest>,
}

/// The calls that wait.
#[derive(Default)]
pub struct Reach {
    parked: Mutex<VecDeque<Carrier>>,
    came: Notify,
}

impl Reach {
    /// Keeps a call for the next who wants out. Past [`MAX_PARKED`] the oldest ends.
    pub fn park(&self, carrier: Carrier) {
        let mut parked = self.lock();
        parked.retain(|carrier| !carrier.to_host.is_closed());
        if parked.len() >= MAX_PARKED {
            parked.pop_front();
        }
        parked.push_back(carrier);
        drop(parked);
        self.came.notify_one();
    }

    /// A connection to `host`. It lasts as long as the task beside it.
    pub(super) async fn connect(&self, host: &str, port: u16) -> Result<(DuplexStream, Task), Problem> {
        let target = ReachTarget { host: host.to_owned(), port: port.into() };
        let mut carried = false;
        let connected = timeout(WITHIN, self.connect_by_any(target, &mut carried)).await;
        connected.unwrap_or(Err(Problem::Unreachable(if carried {
            "does not answer in time"
        } else {
            "cannot be reached: the container's host does not carry"
        })))
    }

    async fn connect_by_any(
        &self,
        target: ReachTarget,
        carried: &mut bool,
    ) -> Result<(DuplexStream, Task), Problem> {
        loop {
            let next = self.lock().pop_front();
            let Some(mut carrier) = next else {
                self.came.notified().await;
                continue;
            };
            let asked = ReachResponse { message: Some(ToHost::Target(target.clone())) };
            if carrier.to_host.send(Ok(asked)).await.is_err() {
                // of a host that went away meanwhile
                continue;
            }
            *carried = true;
            let answered = carrier.from_host.message().await;
            return match answered.ok().flatten().and_then(|answer| answer.message) {
                Some(FromHost::Connected(true)) => Ok(link(carrier)),
                Some(FromHost::Failed(why)) => Err(Problem::NotReached(short(&why))),
                _ => Err(Problem::Unreachable("cannot be reached: the container's host broke off")),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Carrier>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The host's words, which end up in an error: one short line of plain text.
fn short(why: &str) -> String {
    why.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(200).collect()
}

fn link(carrier: Carrier) -> (DuplexStream, Task) {
    let (near, far) = tokio::io::duplex(BUFFER);
    let Carrier { to_host, mut from_host } = carrier;
    let (mut read, mut write) = tokio::io::split(far);
    let pump = Task::start(async move {
        let up = async {
            let mut chunk = vec![0; CHUNK];
            while let Ok(count @ 1..) = read.read(&mut chunk).await {
                let data = Bytes::copy_from_slice(chunk.get(..count).unwrap_or_default());
                if to_host.send(Ok(ReachResponse { message: Some(ToHost::Data(data)) })).await.is_err() {
                    return;
                }
            }
        };
        let down = async {
            while let Ok(Some(ReachRequest { message: Some(FromHost::Data(data)) })) =
                from_host.message().await
            {
                if write.write_all(&data).await.is_err() {
                    return;
                }
            }
            // what reads here sees the end
            let _ = write.shutdown().await;
        };
        tokio::join!(up, down);
    });
    (near, pump)
}
