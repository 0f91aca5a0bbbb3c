//! What a container's cell is asked about its connections: orders like others, but none that the container waits for.
//! A provider may be slow.

use ocmt_types::{AuthorizationId, ConnectionId};
use serde::{Deserialize, Serialize};

use super::wire::base64;
use crate::{
    api::connections::{AuthorizationBegun, ConnectionInfo, Disconnected},
    call::Reply,
    error::ActorError,
    ports::CellWish,
};

/// One errand, with who waits for it.
pub(crate) enum Errand {
    /// Begin an authorization.
    Begin(CellWish, Reply<AuthorizationBegun>),
    /// Finish it.
    Finish(Finish, Reply<ConnectionInfo>),
    /// End the connection with a provider.
    Disconnect(End, Reply<Disconnected>),
}

/// What came back.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Finish {
    pub(crate) authorization: AuthorizationId,
    pub(crate) provider: String,
    #[serde(with = "base64")]
    pub(crate) answer: Vec<u8>,
}

/// A connection that is to end.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) connection: ConnectionId,
    pub(crate) provider: String,
    pub(crate) anyway: bool,
}

/// An errand as it travels.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WireErrand {
    Begin(CellWish),
    Finish(Finish),
    Disconnect(End),
}

impl Errand {
    pub(crate) fn refuse(self, error: ActorError) {
        match self {
            Self::Begin(_, reply) => reply.send(Err(error)),
            Self::Finish(_, reply) => reply.send(Err(error)),
            Self::Disconnect(_, reply) => reply.send(Err(error)),
        }
    }

    /// Nobody waits for it any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        match self {
            Self::Begin(_, reply) => reply.is_abandoned(),
            Self::Finish(_, reply) => reply.is_abandoned(),
            Self::Disconnect(_, reply) => reply.is_abandoned(),
        }
    }
}
