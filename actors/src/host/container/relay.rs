//! Frames between one client and the cell. Each direction has its own back-pressure; what ends one ends both.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use ocmt_types::{Clock, Timestamp};
use ractor::ActorRef;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{ContainerMessage, Shared};
use crate::{
    host::{
        ending::Ender,
        gateway::{GatewayEnd, Tie, Way},
        plain::{self, Word},
    },
    ports::CellChannel,
    supervisor,
};

/// The session hears of use at most this often.
const TELL_USE: Duration = Duration::from_secs(30);
/// A frame for a sleeping container waits this long for its wake.
const WAKE_WITHIN: Duration = Duration::from_secs(60);

/// One connection.
pub(super) struct Relay {
    pub(super) id: u64,
    pub(super) tie: Tie,
    pub(super) way: Way,
    pub(super) from_client: mpsc::Receiver<Bytes>,
    pub(super) to_client: mpsc::Sender<Bytes>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) actor: ActorRef<ContainerMessage>,
    pub(super) over: watch::Receiver<Option<GatewayEnd>>,
    pub(super) ended: Ender,
}

impl Relay {
    /// Runs until something ends it, and says what. The session is watched for longer: until the last frame has gone out.
    pub(super) async fn run(self, cell: CellChannel) {
        let Self { id, tie, way, from_client, to_client, shared, clock, actor, mut over, ended } = self;
        let said = Arc::new(AtomicU64::new(0));
        let mut watched = Box::pin(session(tie, Arc::clone(&said)));
        let seen = || shared.touch(clock.now());
        let container = Container { way, shared: &shared, actor: &actor };
        let end = tokio::select! {
            biased;
            end = told(&mut over) => end,
            end = &mut watched => end,
            end = up(from_client, cell.to_cell, container, (&seen, &*said)) => end,
            end = down(cell.from_cell, to_client, way, &seen) => end,
        };
        let end = match end {
            GatewayEnd::CellClosed => why_closed(&shared, &over, clock.now()),
            end => end,
        };
        ended.tell(end);
        if !end.is_revocation() {
            supervisor::detach(ended.watch(watched));
        }
        let _ = actor.cast(ContainerMessage::RelayEnded(id));
    }

    /// There is nothing to relay.
    pub(super) fn give_up(self) {
        let _ = self.actor.cast(ContainerMessage::RelayEnded(self.id));
    }
}

async fn told(over: &mut watch::Receiver<Option<GatewayEnd>>) -> GatewayEnd {
    match over.wait_for(Option::is_some).await {
        Ok(end) => (*end).unwrap_or(GatewayEnd::Stopped),
        Err(_) => GatewayEnd::Stopped,
    }
}

/// A cell that locks closes its channels first, long before anybody hears that it is locked: a workload has its grace, and
/// a volume is sealed.
fn why_closed(shared: &Shared, over: &watch::Receiver<Option<GatewayEnd>>, now: Timestamp) -> GatewayEnd {
    // in this order: what was under way is forgotten after it was told
    let under_way = *shared.ending.borrow();
    match under_way.or(*over.borrow()) {
        Some(end) => end,
        // it locks by itself
        None if shared.lease_is_over(now) => GatewayEnd::Locked,
        None => GatewayEnd::CellClosed,
    }
}

/// Ready when the session is over, or nobody can tell any more. Use is told to it in batches: what the client `said`.
async fn session(tie: Tie, said: Arc<AtomicU64>) -> GatewayEnd {
    let mut session = match tie {
        Tie::Session(session) => session,
        // its use is told where it was let in
        Tie::Link(mut session) => return session.over().await,
    };
    let (mut told, vouch) = (0, session.vouch());
    loop {
        if let Ok(end) = timeout(TELL_USE, session.over()).await {
            return end;
        }
        let now = said.load(Ordering::Relaxed);
        if now != told {
            told = now;
            vouch.used();
        }
    }
}

/// What a relay is of.
struct Container<'a> {
    way: Way,
    shared: &'a Shared,
    actor: &'a ActorRef<ContainerMessage>,
}

async fn up(
    mut from_client: mpsc::Receiver<Bytes>,
    to_cell: mpsc::Sender<Bytes>,
    Container { way, shared, actor }: Container<'_>,
    (seen, said): (&(impl Fn() + Sync), &AtomicU64),
) -> GatewayEnd {
    let (mut awake, mut owed) = (shared.awake.subscribe(), None);
    while let Some(sent) = from_client.recv().await {
        if way.is_use(&sent) {
            said.fetch_add(1, Ordering::Relaxed);
        }
        let (word, frame) = match way {
            Way::Sealed => (Some(Word::Wakes), Some(sent)),
            Way::Plain => plain::read(sent),
        };
        match word {
            Some(Word::Wakes | Word::Counts) => seen(),
            Some(Word::Busy) => owed = Some(shared.owe()),
            Some(Word::Free) => drop(owed.take()),
            None => {}
        }
        if word == Some(Word::Wakes) && !*awake.borrow_and_update() {
            let _ = actor.cast(ContainerMessage::Frame);
            match timeout(WAKE_WITHIN, awake.wait_for(|awake| *awake)).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return GatewayEnd::WakeFailed,
            }
        }
        if let Some(frame) = frame
            && to_cell.send(frame).await.is_err()
            && way == Way::Sealed
        {
            return GatewayEnd::CellClosed;
        }
        // a workload that takes no more may still have something to say: the other direction tells its end
    }
    GatewayEnd::ClientClosed
}

async fn down(
    mut from_cell: mpsc::Receiver<Bytes>,
    to_client: mpsc::Sender<Bytes>,
    way: Way,
    seen: &(impl Fn() + Sync),
) -> GatewayEnd {
    while let Some(frame) = from_cell.recv().await {
        if way == Way::Sealed {
            seen();
        }
        if to_client.send(frame).await.is_err() {
            return GatewayEnd::ClientClosed;
        }
    }
    GatewayEnd::CellClosed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ractor::{Actor, ActorProcessingErr};

    use super::*;

    struct Nobody;

    impl Actor for Nobody {
        type Msg = ContainerMessage;
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<ContainerMessage>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }
    }

    /// What the workload prints is use of the container alone, and so is what a client confirms of it by itself.
    #[tokio::test]
    async fn only_what_the_client_says_is_use_of_its_session() {
        let (actor, _) = Nobody::spawn(None, Nobody, ()).await.unwrap();
        let shared = Shared::default();
        shared.awake.send_replace(true);
        let (seen, said) = (AtomicU64::new(0), AtomicU64::new(0));
        let see = || {
            seen.fetch_add(1, Ordering::Relaxed);
        };
        let (client, from_client) = mpsc::channel(8);
        let (to_cell, mut at_cell) = mpsc::channel(8);
        let (cell, from_cell) = mpsc::channel(8);
        let (to_client, _at_client) = mpsc::channel(8);
        for first in [5, 4, 5, 6] {
            client.send(Bytes::copy_from_slice(&[first, 1])).await.unwrap();
            cell.send(Bytes::from_static(&[4, 1])).await.unwrap();
        }
        drop((client, cell));
        let container = Container { way: Way::Sealed, shared: &shared, actor: &actor };
        assert_eq!(up(from_client, to_cell, container, (&see, &said)).await, GatewayEnd::ClientClosed);
        assert_eq!(down(from_cell, to_client, Way::Sealed, &see).await, GatewayEnd::CellClosed);
        assert_eq!((seen.into_inner(), said.into_inner()), (8, 1));
        assert_eq!(at_cell.recv().await.unwrap(), Bytes::from_static(&[5, 1]));
        actor.stop(None);
    }
}
