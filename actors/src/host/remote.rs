//! Orders for containers of other hosts: what the owner of a tenant does in place of casting them to its own.
//!
//! Each travels by itself and is answered typed. Who waits no longer takes the order back: it is not begun, if
//! it was not. What nobody waits for may be lost on the way: its timer asks again.

use std::{sync::Arc, time::Duration};

use ocmt_runtime::ARCHIVE_WITHIN;
use ocmt_types::{ContainerId, Deadline, NodeId};
use serde::de::DeserializeOwned;

use super::{
    container::row::Forget,
    errand::{Errand, WireErrand},
    gateway::{Ticket, Tie, Way},
    links,
    message::{Job, JobKind, Order, What},
    owner,
    wire::{self, About, AnyOpening, Opening, Sent, WireOrder, WireWhat},
};
use crate::{
    api::{
        connections::{AuthorizationBegun, ConnectionInfo, Disconnected},
        container::{CellKeyStated, ContainerInfo, IdleExplained, Unlocked, Woken},
        snapshot::SnapshotDone,
    },
    call::Reply,
    env::Env,
    error::ActorError,
    host::gateway::Connected,
    ports::HostStanding,
    supervisor,
    work::run_system,
};

/// What says no time of its own is waited for so long.
const LONGEST: Duration = Duration::from_secs(90);

/// Carries it to its host.
pub(crate) fn send(host: NodeId, order: Order) {
    match order.scope.env.neighbours.standing(host) {
        HostStanding::Answers => supervisor::detach(carry(host, order)),
        HostStanding::Away => order.what.refuse(host_unreachable()),
        HostStanding::Forgotten => forgotten(order),
    }
}

/// The host of a container does not answer.
pub(crate) fn host_unreachable() -> ActorError {
    ActorError::unavailable(
        "HOST_UNREACHABLE",
        "the host of this container does not answer: repeat later; an operator sees it in `ocmt cluster nodes` \
         and strikes a host that will not come back off with `ocmt cluster forget`",
    )
}

/// Its host was struck off: there is nothing left but the row.
fn forgotten(order: Order) {
    let Order { container, scope, what, .. } = order;
    match what {
        What::Remove(reply) => supervisor::detach(async move {
            let done = run_system(&scope, Forget { container, volume: Some("lost with its host") }).await;
            reply.send(done.map(|(_, effects)| owner::tell(&scope, effects)));
        }),
        what => what.refuse(container_lost()),
    }
}

/// The host of a container was struck off, and its volume with it.
pub(crate) fn container_lost() -> ActorError {
    ActorError::precondition(
        "CONTAINER_LOST",
        "the host of this container was struck off, and its volume is lost with it: remove it and make another",
    )
}

async fn carry(host: NodeId, order: Order) {
    let Order { container, scope, turn, what } = order;
    let env = &scope.env;
    let waited = match &what {
        What::Job(job) => env.clock.boottime().saturating_sub(job.since),
        _ => Duration::ZERO,
    };
    let about = About::new(scope.ownership, container, turn, waited);
    let (what, mut waits, deadline) = match what {
        What::Job(Job { kind: JobKind::Connect(ticket, way, reply), deadline, .. }) => {
            let deadline = deadline.unwrap_or_else(|| Deadline::after(&*env.clock, LONGEST));
            return connect(env, (host, about, way), deadline, *ticket, reply).await;
        }
        what => split(env, what),
    };
    let order = match wire::seal(&Sent::Order(WireOrder { about, what })) {
        Ok(order) => order,
        Err(error) => return waits.settle(container, Err(error)),
    };
    let answer = tokio::select! {
        biased;
        () = waits.abandoned() => return,
        answer = env.neighbours.order(host, order, deadline) => answer,
    };
    waits.settle(container, answer.map_err(from_host));
}

async fn connect(
    env: &Arc<Env>,
    (host, about, way): (NodeId, About, Way),
    deadline: Deadline,
    ticket: Ticket,
    mut reply: Reply<Connected>,
) {
    // a link is never carried on to a third node
    let Ticket { tie: Tie::Session(session), token } = ticket else { return };
    let good_for_ms = u64::try_from(session.vouch().good_for().as_millis()).unwrap_or(0);
    let token = token.map(|token| token.expose().clone());
    let opening = match wire::seal(&AnyOpening::new(way, Opening { about, good_for_ms, token })) {
        Ok(opening) => opening,
        Err(error) => return reply.send(Err(error)),
    };
    let channel = tokio::select! {
        biased;
        () = reply.abandoned() => return,
        channel = env.neighbours.channel(host, opening, deadline) => channel,
    };
    let gateway = channel.map_err(from_host).and_then(|it| links::near_end(env, (host, way), it, session));
    reply.send(gateway.map(Connected));
}

/// What a host could not be asked, in words for the caller; what it has answered stays.
fn from_host(error: ActorError) -> ActorError {
    match error {
        ActorError::Unavailable { reason: "PEER_UNREACHABLE", .. } => host_unreachable(),
        // the admission is written, and the host knows a newer owner
        ActorError::NotOwner { .. } => ActorError::moved(),
        error => error,
    }
}

/// An order as it travels, who waits for its answer, and until when.
fn split(env: &Arc<Env>, what: What) -> (WireWhat, Waits, Deadline) {
    let longest = |extra| Deadline::after(&*env.clock, LONGEST + extra);
    let in_time = longest(Duration::ZERO);
    match what {
        What::Job(Job { kind, deadline, .. }) => {
            let (what, waits) = job(kind);
            (what, waits, deadline.unwrap_or(in_time))
        }
        What::Stop(grace, reply) => {
            let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
            (WireWhat::Stop { grace_ms }, Waits::Info(reply), longest(grace))
        }
        What::Pause(reply) => (WireWhat::Pause, Waits::Info(reply), in_time),
        What::Remove(reply) => (WireWhat::Remove, Waits::Done(reply), in_time),
        What::Hold(reply) => (WireWhat::Hold, Waits::Info(reply), in_time),
        What::Release(reply) => (WireWhat::Release, Waits::Info(reply), in_time),
        What::Report(reply) => (WireWhat::Report, Waits::Woken(reply), in_time),
        What::Settle(reply) => (WireWhat::Settle, Waits::Info(reply), in_time),
        What::Lock(reason, reply) => {
            let asked = reply.is_some();
            let waits = reply.map_or(Waits::Nobody, Waits::Done);
            (WireWhat::Lock { reason: reason.into(), asked }, waits, in_time)
        }
        What::ArchiveKey(errand, reply) => (WireWhat::ArchiveKey { errand }, Waits::Key(reply), in_time),
        What::Archive(order, reply) => {
            (WireWhat::Archive(*order), Waits::Archived(reply), longest(ARCHIVE_WITHIN))
        }
        What::Explain(reply) => (WireWhat::Explain, Waits::Explained(reply), in_time),
        What::SnapshotDue => (WireWhat::SnapshotDue, Waits::Nobody, in_time),
        What::Look => (WireWhat::Look, Waits::Nobody, in_time),
        What::Doubt => (WireWhat::Doubt, Waits::Nobody, in_time),
    }
}

fn job(kind: JobKind) -> (WireWhat, Waits) {
    match kind {
        JobKind::Report(reply) => (WireWhat::Wake, Waits::Woken(reply)),
        JobKind::Scheduled(reply) => (WireWhat::ScheduledWake, Waits::Woken(reply)),
        JobKind::ByOther(reply) => (WireWhat::WakeByOther, Waits::Woken(reply)),
        JobKind::Nobody => (WireWhat::Wake, Waits::Nobody),
        JobKind::Key(reply) => (WireWhat::Key, Waits::Key(reply)),
        JobKind::Hold(keep, reply) => {
            let keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
            (WireWhat::HoldKey { keep_ms }, Waits::Key(reply))
        }
        JobKind::Unlock(unlock, reply) => (unlock.into(), Waits::Unlocked(reply)),
        JobKind::Extend(extension, reply) => (WireWhat::Extend { extension }, Waits::Unlocked(reply)),
        JobKind::Errand(errand) => {
            let (errand, waits) = match errand {
                Errand::Begin(wish, reply) => (WireErrand::Begin(wish), Waits::Begun(reply)),
                Errand::Finish(finish, reply) => (WireErrand::Finish(finish), Waits::Connected(reply)),
                Errand::Disconnect(end, reply) => (WireErrand::Disconnect(end), Waits::Disconnected(reply)),
            };
            (WireWhat::Connection(errand), waits)
        }
        // a connection is no order but a channel
        JobKind::Connect(_, _, reply) => {
            reply.send(Err(ActorError::unavailable("HOST_UNREACHABLE", "connect again")));
            (WireWhat::Doubt, Waits::Nobody)
        }
    }
}

/// Who waits for the answer to an order.
enum Waits {
    Info(Reply<ContainerInfo>),
    Woken(Reply<Woken>),
    Done(Reply<()>),
    Key(Reply<CellKeyStated>),
    Unlocked(Reply<Unlocked>),
    Explained(Reply<IdleExplained>),
    Begun(Reply<AuthorizationBegun>),
    Connected(Reply<ConnectionInfo>),
    Disconnected(Reply<Disconnected>),
    Archived(Reply<SnapshotDone>),
    Nobody,
}

impl Waits {
    /// Ready when whoever waited has gone away; never for what nobody waits for.
    async fn abandoned(&mut self) {
        match self {
            Self::Info(reply) => reply.abandoned().await,
            Self::Woken(reply) => reply.abandoned().await,
            Self::Done(reply) => reply.abandoned().await,
            Self::Key(reply) => reply.abandoned().await,
            Self::Unlocked(reply) => reply.abandoned().await,
            Self::Explained(reply) => reply.abandoned().await,
            Self::Begun(reply) => reply.abandoned().await,
            Self::Connected(reply) => reply.abandoned().await,
            Self::Disconnected(reply) => reply.abandoned().await,
            // what was begun goes on to its end, whoever still waits
            Self::Archived(_) => std::future::pending().await,
            Self::Nobody => std::future::pending().await,
        }
    }

    fn settle(self, container: ContainerId, answer: Result<Vec<u8>, ActorError>) {
        match self {
            Self::Info(reply) => reply.send(read(answer)),
            Self::Woken(reply) => reply.send(read(answer)),
            Self::Done(reply) => reply.send(read(answer)),
            Self::Key(reply) => reply.send(read(answer)),
            Self::Unlocked(reply) => reply.send(read(answer)),
            Self::Explained(reply) => reply.send(read(answer)),
            Self::Begun(reply) => reply.send(read(answer)),
            Self::Connected(reply) => reply.send(read(answer)),
            Self::Disconnected(reply) => reply.send(read(answer)),
            Self::Archived(reply) => reply.send(read(answer)),
            Self::Nobody => {
                if let Err(error) = answer {
                    tracing::debug!(%container, %error, "order was not taken by its host, its timer asks again");
                }
            }
        }
    }
}

/// It was done there, whatever the answer says.
fn read<T: DeserializeOwned>(answer: Result<Vec<u8>, ActorError>) -> Result<T, ActorError> {
    wire::open(&answer?).map_err(|_| ActorError::OutcomeUnknown)
}
