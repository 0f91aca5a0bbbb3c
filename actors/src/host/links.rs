//! A connection whose client is at one node and whose cell is at another: the two ends of the link.
//!
//! The owner of the tenant has let the client in and watches over the session ([`near_end`]); the host has the
//! cell ([`far_end`]). Frames pass one to one in both directions, with the link's back-pressure. How the
//! session stands travels beside the frames, as an order: a full link does not hold up the word that it is
//! over. A host that hears nothing for the time it was last given ends the connection by itself
//! ([`Links`]), so that a session which nobody can vouch for ends within `Limits::pinned_for`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{BufMut as _, Bytes, BytesMut};
use ocmt_types::{Deadline, NodeId};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    ending::{Ender, ending},
    gateway::{FRAMES_AHEAD, Gateway, GatewayEnd, Way},
    pin::Pinned,
    wire::{self, ChannelId, Opened, Sent, SessionWord},
};
use crate::{env::Env, error::ActorError, ports::RemoteChannel, supervisor};

/// First byte of what the host sends: a frame of the cell.
const FRAME: u8 = 0;
/// First byte of the last thing the host sends; the second says why it is over.
const END: u8 = 1;
/// Telling the host how the session stands.
const TELL_WITHIN: Duration = Duration::from_secs(5);

/// The channels of other nodes' clients at this host, and how the session behind each stands.
#[derive(Default)]
pub(crate) struct Links(Mutex<HashMap<ChannelId, watch::Sender<Option<Duration>>>>);

impl Links {
    /// A channel whose session is good for so long unless more is said.
    pub(super) fn begin(self: &Arc<Self>, id: [u8; 16], good_for: Duration) -> (ChannelId, LinkSession) {
        let channel = ChannelId(id);
        let (tell, said) = watch::channel(Some(good_for));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(channel, tell);
        (channel, LinkSession { said, channel, links: Arc::clone(self) })
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The opener says how the session stands. A channel that is over hears nothing.
    pub(super) fn told(&self, word: SessionWord, at_most: Duration) {
        let links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tell) = links.get(&word.channel) {
            tell.send_replace(word.good_for_ms.map(|ms| Duration::from_millis(ms).min(at_most)));
        }
    }
}

/// What the host knows of the session behind a channel.
pub(crate) struct LinkSession {
    said: watch::Receiver<Option<Duration>>,
    channel: ChannelId,
    links: Arc<Links>,
}

impl LinkSession {
    /// Ready when the session is over, or when nobody has vouched for it for too long. Not to be asked again
    /// and again: each asking counts the time anew.
    pub(super) async fn over(&mut self) -> GatewayEnd {
        loop {
            let Some(good_for) = *self.said.borrow_and_update() else { return GatewayEnd::SessionOver };
            match timeout(good_for, self.said.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return GatewayEnd::Moved,
            }
        }
    }
}

impl Drop for LinkSession {
    fn drop(&mut self) {
        self.links.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.channel);
    }
}

/// At the host: the connection to the cell, as a channel for the other node.
pub(super) fn far_end(opened: Vec<u8>, gateway: Gateway) -> RemoteChannel {
    let Gateway { to_cell, mut from_cell, mut ended, wake: _ } = gateway;
    let (to_host, mut from_owner) = mpsc::channel::<Bytes>(FRAMES_AHEAD);
    let (to_owner, from_host) = mpsc::channel::<Bytes>(FRAMES_AHEAD);
    let up = supervisor::task(async move {
        while let Some(frame) = from_owner.recv().await {
            if to_cell.send(frame).await.is_err() {
                return;
            }
        }
    });
    // ends with the connection, which ends when either side goes away
    supervisor::detach(async move {
        let _up = up;
        let passed = async {
            while let Some(frame) = from_cell.recv().await {
                to_owner.send(tagged(FRAME, &frame)).await.ok()?;
            }
            Some(())
        };
        let mut revoked = ended.clone();
        let end = tokio::select! {
            biased;
            end = revoked.revoked() => end,
            passed = passed => match passed {
                Some(()) => ended.why().await.unwrap_or(GatewayEnd::CellClosed),
                None => return,
            },
        };
        let _ = to_owner.send(tagged(END, &[code(end)])).await;
    });
    RemoteChannel { opened, to_host, from_host }
}

/// At the owner of the tenant: the channel to the host, as a connection for the client.
pub(super) fn near_end(
    env: &Arc<Env>,
    (host, way): (NodeId, Way),
    channel: RemoteChannel,
    session: Pinned,
) -> Result<Gateway, ActorError> {
    let opened: Opened = wire::open(&channel.opened)?;
    let (to_cell, from_client) = mpsc::channel(FRAMES_AHEAD);
    let (to_client, from_cell) = mpsc::channel(FRAMES_AHEAD);
    let (ended, end) = ending();
    let near = NearEnd { env: Arc::clone(env), host, way, channel: opened.channel, session };
    supervisor::detach(async move {
        let RemoteChannel { to_host, from_host, .. } = channel;
        near.run(Frames { from_client, to_host, from_host, to_client }, ended).await;
    });
    Ok(Gateway { wake: opened.wake, to_cell, from_cell, ended: end })
}

struct NearEnd {
    env: Arc<Env>,
    host: NodeId,
    way: Way,
    channel: ChannelId,
    session: Pinned,
}

struct Frames {
    from_client: mpsc::Receiver<Bytes>,
    to_host: mpsc::Sender<Bytes>,
    from_host: mpsc::Receiver<Bytes>,
    to_client: mpsc::Sender<Bytes>,
}

impl NearEnd {
    /// Runs until something ends it, and says what. The session is watched for longer: until the last frame has gone out.
    async fn run(self, frames: Frames, ended: Ender) {
        let Self { env, host, way, channel, mut session } = self;
        let passed = AtomicU64::new(0);
        let vouch = session.vouch();
        let end = tokio::select! {
            biased;
            end = session.over() => end,
            end = down(frames.from_host, frames.to_client) => end,
            end = up(frames.from_client, frames.to_host, way, &passed) => end,
            never = keep_telling(&env, host, channel, &vouch, &passed) => match never {},
        };
        ended.tell(end);
        if end.is_revocation() {
            // the link was dropped with this; where it does not carry that, this does
            tell(&env, host, channel, None).await;
        } else {
            ended.watch(session.over()).await;
        }
    }
}

async fn up(
    mut from_client: mpsc::Receiver<Bytes>,
    to_host: mpsc::Sender<Bytes>,
    way: Way,
    passed: &AtomicU64,
) -> GatewayEnd {
    while let Some(frame) = from_client.recv().await {
        if way.is_use(&frame) {
            passed.fetch_add(1, Ordering::Relaxed);
        }
        if to_host.send(frame).await.is_err() {
            // the other direction says why
            return std::future::pending().await;
        }
    }
    GatewayEnd::ClientClosed
}

async fn down(mut from_host: mpsc::Receiver<Bytes>, to_client: mpsc::Sender<Bytes>) -> GatewayEnd {
    while let Some(frame) = from_host.recv().await {
        match frame.first() {
            Some(&FRAME) => {
                if to_client.send(frame.slice(1..)).await.is_err() {
                    return GatewayEnd::ClientClosed;
                }
            }
            Some(&END) => return end(frame.get(1).copied()),
            Some(_) | None => return GatewayEnd::CellClosed,
        }
    }
    // the link was lost: the client connects again and finds out
    GatewayEnd::CellClosed
}

/// Tells the session of its use, and the host that it is still good, as long as both can be said.
async fn keep_telling(
    env: &Arc<Env>,
    host: NodeId,
    channel: ChannelId,
    session: &super::pin::Vouch,
    passed: &AtomicU64,
) -> std::convert::Infallible {
    let mut told = 0;
    loop {
        tokio::time::sleep(env.limits.pinned_for / 4).await;
        let now = passed.load(Ordering::Relaxed);
        if now != told {
            told = now;
            session.used();
        }
        tell(env, host, channel, Some(session.good_for())).await;
    }
}

async fn tell(env: &Arc<Env>, host: NodeId, channel: ChannelId, good_for: Option<Duration>) {
    let good_for_ms = good_for.map(|time| u64::try_from(time.as_millis()).unwrap_or(0));
    let Ok(word) = wire::seal(&Sent::Session(SessionWord { channel, good_for_ms })) else { return };
    let deadline = Deadline::after(&*env.clock, TELL_WITHIN);
    // a host that does not hear it ends the connection by itself
    if let Err(error) = env.neighbours.order(host, word, deadline).await {
        tracing::debug!(%host, %error, "host was not told of a session");
    }
}

fn tagged(tag: u8, bytes: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(bytes.len() + 1);
    frame.put_u8(tag);
    frame.put_slice(bytes);
    frame.freeze()
}

const ENDS: [(GatewayEnd, u8); 7] = [
    (GatewayEnd::SessionOver, 1),
    (GatewayEnd::Locked, 2),
    (GatewayEnd::Stopped, 3),
    (GatewayEnd::CellClosed, 4),
    (GatewayEnd::ClientClosed, 5),
    (GatewayEnd::WakeFailed, 6),
    (GatewayEnd::Moved, 7),
];

fn code(end: GatewayEnd) -> u8 {
    ENDS.iter().find(|(it, _)| *it == end).map_or(0, |(_, code)| *code)
}

/// What a newer host says and we do not know: connect again.
fn end(code: Option<u8>) -> GatewayEnd {
    ENDS.iter().find(|(_, it)| Some(*it) == code).map_or(GatewayEnd::CellClosed, |(end, _)| *end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SHORT: Duration = Duration::from_millis(40);
    const LONG: Duration = Duration::from_secs(30);

    /// Those of the workload have no way to the count at all.
    #[tokio::test]
    async fn frames_of_the_client_that_say_something_are_use_of_its_session() {
        let (to_cell, from_client) = mpsc::channel(FRAMES_AHEAD);
        let (to_host, mut at_host) = mpsc::channel(FRAMES_AHEAD);
        let passed = AtomicU64::new(0);
        for first in [4, 5, 5, 4, 6] {
            to_cell.send(Bytes::copy_from_slice(&[first, 1])).await.unwrap();
        }
        drop(to_cell);
        assert_eq!(up(from_client, to_host, Way::Sealed, &passed).await, GatewayEnd::ClientClosed);
        let mut came = 0;
        while at_host.recv().await.is_some() {
            came += 1;
        }
        assert_eq!((passed.load(Ordering::Relaxed), came), (2, 5));
    }

    #[test]
    fn every_end_has_a_code_of_its_own() {
        for (it, number) in ENDS {
            assert_eq!((code(it), end(Some(number))), (number, it));
        }
        assert_eq!((end(None), end(Some(99))), (GatewayEnd::CellClosed, GatewayEnd::CellClosed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_nobody_vouches_for_is_over_and_one_that_is_goes_on() {
        let links = Arc::new(Links::default());
        let (channel, mut session) = links.begin([1; 16], SHORT);
        timeout(LONG, session.over()).await.expect("nobody vouches for it");
        assert_eq!(timeout(SHORT * 2, session.over()).await, Ok(GatewayEnd::Moved));
        let (other, mut session) = links.begin([2; 16], SHORT);
        links.told(SessionWord { channel: other, good_for_ms: Some(1000) }, SHORT * 4);
        assert!(timeout(SHORT * 3, session.over()).await.is_err(), "it is vouched for");
        links.told(SessionWord { channel, good_for_ms: None }, SHORT);
        assert!(timeout(SHORT * 3, session.over()).await.is_err(), "another's word");
        links.told(SessionWord { channel: other, good_for_ms: None }, SHORT);
        assert_eq!(
            timeout(SHORT, session.over()).await,
            Ok(GatewayEnd::SessionOver),
            "it was said to be over"
        );
        drop(session);
        assert_eq!(links.0.lock().unwrap().len(), 1);
    }
}
