//! What a tenant's actor is told.

use std::net::IpAddr;

use ocmt_crypto::token::TokenKind;
use ocmt_runtime::ContainerRef;
use ocmt_types::{Deadline, Digest32, MessageId, NodeId, NoticeId, RequestId, SessionId};
use tokio::sync::watch;

pub(crate) use super::{authenticate::SessionLoaded, post::TakePost, transcript::follow::Follow};
use crate::{
    call::{Area, Reply},
    caller::Caller,
    error::ActorError,
    lane::Finished,
    work::Outcome,
};

/// Everything a tenant's actor takes.
pub(crate) enum TenantMessage {
    /// A call of the API.
    Call(Box<Area>),
    /// Whose is this token?
    Authenticate(Authenticate),
    /// The row of a session that had no actor yet.
    SessionLoaded(Box<SessionLoaded>),
    /// The same, of a session that is over in memory.
    ReadAgain(Authenticate),
    /// A stream wants to end with its session.
    OpenStream(OpenStream),
    /// Somebody wants to be woken by what is appended to a conversation.
    Follow(Follow),
    /// A stream of this session was used.
    Used(SessionId),
    /// So many streams are open on a session.
    Streams(SessionId, usize),
    /// The host found a container at its engine.
    Adopt(Adopt),
    /// A carrier has taken this notice.
    HandedOver(NoticeId, Reply<()>),
    /// No carrier ever takes this notice.
    Undeliverable(NoticeId, Reply<()>),
    /// Wrap under the latest sealing key what is under an earlier one; whether there is more to do.
    Rewrap(Reply<bool>),
    /// A message of another tenant.
    Take(TakePost),
    /// A message of ours was taken or refused, or could not be delivered yet.
    Delivered(MessageId, Result<Vec<u8>, ActorError>),
    /// Work of the lane is done.
    Finished(Finished<Outcome>),
    /// Work of a child is done: effects and answer.
    FromChild(Box<Outcome>),
    /// A durable timer may be due.
    TimerDue,
    /// Look whether to sleep.
    Tick,
    /// Leave this node as soon as nothing is in the middle; `last`: in any case, and soon.
    Leave { last: bool },
    /// The time to leave is over.
    LeaveIsOver,
    /// Look whether it is quiet enough to leave.
    LeaveNow,
    /// Sleep, if nothing has come up since asking.
    Passivate,
    /// The supervisor knows of the end: nothing of it comes behind this.
    Unread,
    /// Panics, to show that nobody else notices.
    #[cfg(test)]
    Poison(Poison, Reply<()>),
}

/// Where to panic.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(crate) enum Poison {
    /// In a session's actor.
    Session(SessionId),
    /// In a handler of the tenant's actor.
    Handler,
    /// In a piece of work of the tenant's lane.
    Work,
}

/// A presented token of a session or a program, or an API key, already hashed.
pub(crate) struct Authenticate {
    pub(crate) kind: TokenKind,
    pub(crate) token_hash: Digest32,
    pub(crate) request: RequestId,
    pub(crate) addr: Option<IpAddr>,
    pub(crate) deadline: Deadline,
    pub(crate) reply: Reply<Caller>,
}

/// A stream that is to end with its session.
pub(crate) struct OpenStream {
    pub(crate) session: SessionId,
    pub(crate) reply: Reply<watch::Receiver<bool>>,
}

/// A container that the engine has.
pub(crate) struct Adopt {
    /// Whose engine.
    pub(crate) host: NodeId,
    pub(crate) container: ContainerRef,
    /// Whether it is known here.
    pub(crate) reply: Reply<bool>,
}

impl TenantMessage {
    /// There is no actor for it: whoever waits gets this error.
    pub(crate) fn refuse(self, error: ActorError) {
        match self {
            Self::Call(area) => area.refuse(error),
            Self::Authenticate(ask) | Self::ReadAgain(ask) => ask.reply.send(Err(error)),
            Self::OpenStream(open) => open.reply.send(Err(error)),
            Self::Follow(follow) => follow.reply.send(Err(error)),
            Self::Adopt(adopt) => adopt.reply.send(Err(error)),
            Self::Take(post) => post.reply.send(Err(error)),
            Self::HandedOver(_, reply) | Self::Undeliverable(_, reply) => reply.send(Err(error)),
            Self::SessionLoaded(loaded) => loaded.refuse(error),
            Self::Rewrap(reply) => reply.send(Err(error)),
            Self::Used(_)
            | Self::Streams(..)
            | Self::Delivered(..)
            | Self::Finished(_)
            | Self::FromChild(_)
            | Self::TimerDue
            | Self::Tick
            | Self::Leave { .. }
            | Self::LeaveIsOver
            | Self::LeaveNow
            | Self::Passivate
            | Self::Unread => {}
            #[cfg(test)]
            Self::Poison(_, reply) => reply.send(Err(error)),
        }
    }
}
