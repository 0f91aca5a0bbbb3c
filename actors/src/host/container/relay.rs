//! Frames between one client and the cell. Each direction has its own back-pressure; what ends one ends both.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use ocmt_types::Clock;
use ractor::ActorRef;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use super::{ContainerMessage, Shared};
use crate::{
    host::gateway::{GatewayEnd, Ticket},
    ports::CellChannel,
};

/// The session hears of use at most this often.
const TELL_USE: Duration = Duration::from_secs(30);
/// A frame for a sleeping container waits this long for its wake.
const WAKE_WITHIN: Duration = Duration::from_secs(60);

/// One connection.
pub(super) struct Relay {
    pub(super) id: u64,
    pub(super) ticket: Box<Ticket>,
    pub(super) cell: CellChannel,
    pub(super) from_client: mpsc::Receiver<Bytes>,
    pub(super) to_client: mpsc::Sender<Bytes>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) actor: ActorRef<ContainerMessage>,
    pub(super) over: watch::Receiver<Option<GatewayEnd>>,
    pub(super) ended: oneshot::Sender<GatewayEnd>,
}

impl Relay {
    /// Runs until something ends it, and says what.
    pub(super) async fn run(self) {
        let Self { id, ticket, cell, from_client, to_client, shared, clock, actor, mut over, ended } = self;
        let frames = AtomicU64::new(0);
        let seen = || {
            frames.fetch_add(1, Ordering::Relaxed);
            shared.touch(clock.now());
        };
        let end = tokio::select! {
            biased;
            end = told(&mut over) => end,
            end = session(ticket, &frames) => end,
            end = up(from_client, cell.to_cell, &shared, &actor, &seen) => end,
            end = down(cell.from_cell, to_client, &seen) => end,
        };
        // a cell that locks by itself closes its channels a moment before anybody could say why
        let end = match end {
            GatewayEnd::CellClosed if shared.lease_is_over(clock.now()) => GatewayEnd::Locked,
            end => end,
        };
        let _ = ended.send(end);
        let _ = actor.cast(ContainerMessage::RelayEnded(id));
    }
}

async fn told(over: &mut watch::Receiver<Option<GatewayEnd>>) -> GatewayEnd {
    match over.wait_for(Option::is_some).await {
        Ok(end) => (*end).unwrap_or(GatewayEnd::Stopped),
        Err(_) => GatewayEnd::Stopped,
    }
}

/// Ready when the session is over, or nobody can tell any more. Use is told to it in batches.
async fn session(ticket: Box<Ticket>, frames: &AtomicU64) -> GatewayEnd {
    let mut session = match *ticket {
        Ticket::Session(session) => session,
        // its use is told where it was let in
        Ticket::Link(mut session) => return session.over().await,
    };
    let (mut told, vouch) = (0, session.vouch());
    loop {
        if let Ok(end) = timeout(TELL_USE, session.over()).await {
            return end;
        }
        let now = frames.load(Ordering::Relaxed);
        if now != told {
            told = now;
            vouch.used();
        }
    }
}

async fn up(
    mut from_client: mpsc::Receiver<Bytes>,
    to_cell: mpsc::Sender<Bytes>,
    shared: &Shared,
    actor: &ActorRef<ContainerMessage>,
    seen: &(impl Fn() + Sync),
) -> GatewayEnd {
    let mut awake = shared.awake.subscribe();
    while let Some(frame) = from_client.recv().await {
        seen();
        if !*awake.borrow_and_update() {
            let _ = actor.cast(ContainerMessage::Frame);
            match timeout(WAKE_WITHIN, awake.wait_for(|awake| *awake)).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return GatewayEnd::WakeFailed,
            }
        }
        if to_cell.send(frame).await.is_err() {
            return GatewayEnd::CellClosed;
        }
    }
    GatewayEnd::ClientClosed
}

async fn down(
    mut from_cell: mpsc::Receiver<Bytes>,
    to_client: mpsc::Sender<Bytes>,
    seen: &(impl Fn() + Sync),
) -> GatewayEnd {
    while let Some(frame) = from_cell.recv().await {
        seen();
        if to_client.send(frame).await.is_err() {
            return GatewayEnd::ClientClosed;
        }
    }
    GatewayEnd::CellClosed
}
