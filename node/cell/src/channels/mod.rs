//! The user's sealed channels: who may open one, how many there are, and how each outlives its
//! connection.
//!
//! A [`Transport`] is one call of the node (one WebSocket of the user's client). A channel is older
//! and younger than its transports: it begins with a Hello, is carried on by a Resume over another
//! transport within [`RESUME_WITHIN`], and ends with the unlock at the latest. [`driver`] runs one
//! channel, [`streams`] is what it is connected to.

mod driver;
mod exec;
mod logs;
mod streams;
mod tcp;
mod terminal;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use ocmt_crypto::channel::{CellChannels, FirstFrame, MAX_FRAME, first_frame};
use ocmt_types::{ChannelId, Clock};
use tokio::{
    sync::{mpsc, watch},
    time,
};
use tokio_stream::Stream;

pub use terminal::become_command;

use crate::{CellError, activity::Activity, children::Children, logs::Logs, tasks::Task};

/// Channels that are open at the same time.
pub const MAX_LIVE: usize = 16;
/// Those included that are closed and wait for their client to acknowledge it.
const MAX_KEPT: usize = 64;
/// How long a channel waits for its client to resume.
pub const RESUME_WITHIN: Duration = Duration::from_secs(60);
/// How long the drivers may take to say goodbye when the cell locks.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);

/// Frames from the client, as they come in.
pub type Inbound = std::pin::Pin<Box<dyn Stream<Item = Bytes> + Send>>;
/// Frames to the client, or the reason why there will be none.
pub type Outbound = mpsc::Sender<Result<Bytes, Ending>>;

/// One connection of a client, relayed by the node.
pub struct Transport {
    /// Frames from the client after the first.
    pub inbound: Inbound,
    /// Frames to the client; bounded, so that a slow client slows its stream.
    pub outbound: Outbound,
}

/// Why a transport ends before its client did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The cell is locked or locks now.
    Locked,
    /// A frame was damaged, forged or out of order: connect again and resume.
    BrokenFrame,
    /// There is no such channel, or the Hello or Resume was not its owner's.
    Refused,
    /// [`MAX_LIVE`] channels are open.
    TooMany,
    /// No first frame came.
    Silent,
}

/// What a channel may be connected to, and what counts it.
#[derive(Clone)]
pub struct Surroundings {
    /// Starts exec children.
    pub children: Arc<Children>,
    /// The workload's output.
    pub logs: Arc<Logs>,
    /// Counts frames.
    pub activity: Arc<Activity>,
    /// For the time of activity.
    pub clock: Arc<dyn Clock>,
}

/// The channels of one unlock; dropped, with the keys, at the lock.
pub struct Channels {
    surroundings: Surroundings,
    locking: watch::Sender<bool>,
    open: Mutex<Open>,
}

struct Open {
    acceptor: CellChannels,
    live: HashMap<ChannelId, Live>,
}

struct Live {
    attach: mpsc::Sender<(Bytes, Transport)>,
    closed: Arc<AtomicBool>,
    task: Task,
}

impl Open {
    fn not_closed(&self) -> usize {
        self.live.values().filter(|live| !live.closed.load(Ordering::Relaxed)).count()
    }
}

impl Channels {
    /// Takes channels that `acceptor` opens.
    pub fn new(acceptor: CellChannels, surroundings: Surroundings) -> Arc<Self> {
        let open = Open { acceptor, live: HashMap::new() };
        Arc::new(Self { surroundings, locking: watch::Sender::new(false), open: Mutex::new(open) })
    }

    /// Connects a transport whose first frame is a Hello or a Resume.
    ///
    /// # Errors
    /// [`Ending`]: nothing was connected.
    pub async fn connect(self: &Arc<Self>, first: Bytes, transport: Transport) -> Result<(), Ending> {
        if first.len() > MAX_FRAME {
            return Err(Ending::Refused);
        }
        match first_frame(&first).map_err(|_| Ending::Refused)? {
            FirstFrame::Hello(id) => self.open(id, &first, transport),
            FirstFrame::Resume(id) => {
                let attach =
                    self.lock().live.get(&id).map(|live| live.attach.clone()).ok_or(Ending::Refused)?;
                attach.send((first, transport)).await.map_err(|_| Ending::Refused)
            }
        }
    }

    fn open(self: &Arc<Self>, id: ChannelId, hello: &[u8], transport: Transport) -> Result<(), Ending> {
        let mut open = self.lock();
        if *self.locking.borrow() {
            return Err(Ending::Locked);
        }
        if open.live.len() >= MAX_KEPT || open.not_closed() >= MAX_LIVE {
            return Err(Ending::TooMany);
        }
        let (channel, accept) = open.acceptor.accept(hello, &mut rand::rng()).map_err(|_| Ending::Refused)?;
        let (attach, attached) = mpsc::channel(1);
        let driver = driver::Driver::new(
            channel,
            accept.into(),
            transport,
            attached,
            self.surroundings.clone(),
            self.locking.subscribe(),
        );
        let closed = driver.closed();
        let leaving = Leaving { channels: Arc::downgrade(self), id };
        let task = Task::start(async move {
            let _leaving = leaving;
            driver.run().await;
        });
        open.live.insert(id, Live { attach, closed, task });
        Ok(())
    }

    /// How many are open.
    pub fn live(&self) -> usize {
        self.lock().not_closed()
    }

    /// Ends all, telling their clients that the cell locks; when this returns none holds a key.
    pub async fn end_all(&self) {
        let live: Vec<Live> = {
            let mut open = self.lock();
            self.locking.send_replace(true);
            open.live.drain().map(|(_, live)| live).collect()
        };
        // one bound for all of them: a client that does not read does not hold up the lock
        let all_gone = async {
            for live in &live {
                live.attach.closed().await;
            }
        };
        let _ = time::timeout(GOODBYE_WITHIN, all_gone).await;
        for live in live {
            live.task.end().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a channel off the list when its driver ends, however it ends.
struct Leaving {
    channels: Weak<Channels>,
    id: ChannelId,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(channels) = self.channels.upgrade() {
            let left = channels.lock().live.remove(&self.id);
            // dropped outside of the lock
            drop(left);
        }
    }
}

impl From<Ending> for tonic::Status {
    fn from(ending: Ending) -> Self {
        let (code, reason, message) = match ending {
            Ending::Locked => return CellError::Locked.into(),
            Ending::BrokenFrame => (
                tonic::Code::Aborted,
                "CHANNEL_BROKEN",
                "a frame was damaged or out of order: connect again and resume",
            ),
            Ending::Refused => (
                tonic::Code::PermissionDenied,
                "CHANNEL_REFUSED",
                "no such channel, or not by the user's channel key",
            ),
            Ending::Silent => (tonic::Code::DeadlineExceeded, "CHANNEL_SILENT", "no first frame within 10 s"),
            Ending::TooMany => {
                (tonic::Code::ResourceExhausted, "CHANNEL_LIMIT", "16 channels are open: close one")
            }
        };
        let mut status = Self::new(code, message);
        status.metadata_mut().insert("ocmt-cell-reason", tonic::metadata::MetadataValue::from_static(reason));
        status
    }
}
