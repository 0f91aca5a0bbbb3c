//! A gateway connection: frames between one client and the cell, as long as the session lives.
//!
//! Made by [`System::connect_gateway`] or [`System::open_channel`]. Frames are opaque (sealed channel) and
//! pass one to one, with back-pressure in both directions; each counts as activity of the container, and what the
//! client has to say as use of its session. Of a plain connection, bytes pass to and from the workload, and what
//! counts is said beside them ([`super::plain`]). The connection ends with the session, with a lock, with a stop,
//! and when either side goes away.

use bytes::Bytes;
use ocmt_crypto::gateway_token::{self, GatewayClaims};
use ocmt_types::{ContainerId, RequestId, Secret, SessionId, TenantId};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, sync::Arc};
use tokio::sync::mpsc;

use super::{
    elsewhere::SessionElsewhere, ending::Ending, gateway_key, links::LinkSession, pin::Pinned, plain,
};
use crate::{
    api::container::{ConnectGateway, Wake},
    call::CallMeta,
    caller::{Assurance, Caller, SignedIn},
    error::ActorError,
    system::System,
};

/// Frames that wait in one direction; more hold up the sender.
pub(crate) const FRAMES_AHEAD: usize = 8;

/// An open connection to a cell.
pub struct Gateway {
    /// How the container was brought back.
    pub wake: Wake,
    /// Frames of the client. Dropping it ends the connection.
    pub to_cell: mpsc::Sender<Bytes>,
    /// Frames of the cell. Ends when the connection is over.
    pub from_cell: mpsc::Receiver<Bytes>,
    /// Why it is over; nothing if the container's actor failed: connect again. To be held until the last frame has gone out: the
    /// session is watched for as long.
    pub ended: Ending,
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayEnd {
    /// The session has ended.
    SessionOver,
    /// Nobody could say for too long whether the session is good: connect again.
    Moved,
    /// The cell was locked.
    Locked,
    /// The container was stopped, held, removed, or died.
    Stopped,
    /// The cell closed the channel, or its connection was lost: resume by connecting again.
    CellClosed,
    /// The client went away.
    ClientClosed,
    /// The sleeping container could not be woken for a frame.
    WakeFailed,
}

/// What a connection carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Frames of the sealed channel.
    #[default]
    Sealed,
    /// Bytes of the workload's own protocol, where its container opted in: up as [`super::plain`] has it, down
    /// as they are.
    Plain,
}

/// First byte of a frame of the sealed channel that has something to say (docs/formats-cell-and-recovery.md).
const RECORD: u8 = 4;

impl Way {
    /// Whether what the client sends counts as use of its session. Only what somebody said does: a client confirms
    /// by itself what comes, so that a workload which prints would keep the session that is behind it.
    pub(super) fn is_use(self, sent: &Bytes) -> bool {
        match self {
            Self::Sealed => sent.first() == Some(&RECORD),
            Self::Plain => plain::wakes(sent),
        }
    }
}

/// What somebody shows who wants to connect.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// To which.
    pub container: ContainerId,
    /// The gateway token.
    pub token: &'a str,
    /// For what.
    pub way: Way,
    /// It is one request of what may be many: the audit records the first of a while.
    pub often: bool,
}

/// What a connection was let in on: held by its relay.
pub(crate) struct Ticket {
    pub(crate) tie: Tie,
    /// The gateway token, which the cell of a plain connection looks at itself.
    pub(crate) token: Option<Secret<String>>,
}

/// Ties a connection to the session.
pub(crate) enum Tie {
    /// Let in at this node.
    Session(Pinned),
    /// Let in at another node, which tells us how the session stands.
    Link(LinkSession),
}

/// What the container's actor answers with.
pub struct Connected(pub(crate) Gateway);

impl System {
    /// Connects to a cell, or through it to the workload, shown a gateway token. Wakes the container.
    ///
    /// # Errors
    /// [`ActorError::Unauthenticated`] for a token that is not for this container, is over, or whose session
    /// has ended; `VAULT_LOCKED` if the cell is locked; `PLAIN_NOT_CHOSEN` for the plain way into a container that
    /// did not opt in, `WORKLOAD_AWAY` if nothing serves its port; what waking says.
    pub async fn connect_gateway(
        &self,
        shown: Shown<'_>,
        meta: CallMeta,
        request: RequestId,
        addr: Option<IpAddr>,
    ) -> Result<Gateway, ActorError> {
        let Shown { container, token, way, often } = shown;
        let claims = self.claims(container, token)?;
        // the session's row says what it is worth today; the frame of the call reads it
        let who = SignedIn {
            user: claims.user,
            session: claims.session,
            assurance: Assurance::Link,
            authenticated_at: claims.issued_at,
        };
        let caller = Caller::signed_in(claims.tenant, who, request, addr);
        let now = self.env.clock.boottime();
        let told = often && self.env.told.knows(claims.session, container, now);
        let token = (way == Way::Plain).then(|| Secret::new(token.to_owned()));
        let gateway = self.open(container, (way, told, token), &caller, meta).await?;
        if often && !told {
            self.env.told.note(claims.session, container, now);
        }
        Ok(gateway)
    }

    /// The session that a gateway token for this container is of. Whether it has ended, its tenant knows.
    ///
    /// # Errors
    /// [`ActorError::Unauthenticated`] for a token that is not for this container, or is over.
    pub fn gateway_session(&self, container: ContainerId, token: &str) -> Result<SessionId, ActorError> {
        self.claims(container, token).map(|claims| claims.session)
    }

    /// The same, to be watched by a node that only carries the connection.
    ///
    /// # Errors
    /// Like [`Self::gateway_session`].
    pub fn session_elsewhere(
        &self,
        container: ContainerId,
        token: &str,
    ) -> Result<SessionElsewhere, ActorError> {
        let claims = self.claims(container, token)?;
        let (env, tenant, session) = (Arc::clone(&self.env), claims.tenant, claims.session);
        Ok(SessionElsewhere { env, tenant, session })
    }

    fn claims(&self, container: ContainerId, token: &str) -> Result<GatewayClaims, ActorError> {
        let keys = gateway_key::verify_keys(&self.env)?;
        gateway_token::verify(token, container, &keys, self.env.now())
            .map_err(|_| ActorError::Unauthenticated("the gateway token is not good here: get another"))
    }

    /// Connects to the cell of `container` in the caller's session. Wakes the container.
    ///
    /// # Errors
    /// Like [`Self::connect_gateway`].
    pub async fn open_channel(
        &self,
        container: ContainerId,
        caller: &Caller,
        meta: CallMeta,
    ) -> Result<Gateway, ActorError> {
        self.open(container, (Way::Sealed, false, None), caller, meta).await
    }

    async fn open(
        &self,
        container: ContainerId,
        (way, told, token): (Way, bool, Option<Secret<String>>),
        caller: &Caller,
        meta: CallMeta,
    ) -> Result<Gateway, ActorError> {
        let tenant: TenantId = caller.tenant();
        let guard = self.tenant(tenant).open_stream(caller, meta.deadline).await?;
        let ticket = Ticket { tie: Tie::Session(Pinned::start(guard)), token };
        let connect = ConnectGateway { container, way, told, ticket };
        let Connected(gateway) = self.tenant(tenant).call(caller.clone(), meta, connect).await?;
        Ok(gateway)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        plain::{Word, bytes, word},
        *,
    };

    #[test]
    fn a_session_is_used_by_what_its_client_says_and_by_nothing_else() {
        for (way, sent, used) in [
            (Way::Sealed, Bytes::from_static(&[RECORD, 0, 0]), true),
            // Hello, Confirm, Ack, Resume: clients send them by themselves
            (Way::Sealed, Bytes::from_static(&[1, 4, 4]), false),
            (Way::Sealed, Bytes::from_static(&[3, 4, 4]), false),
            (Way::Sealed, Bytes::from_static(&[5, 4, 4]), false),
            (Way::Sealed, Bytes::from_static(&[6, 4, 4]), false),
            (Way::Sealed, Bytes::new(), false),
            (Way::Plain, word(Word::Wakes), true),
            (Way::Plain, word(Word::Counts), false),
            (Way::Plain, word(Word::Busy), false),
            (Way::Plain, bytes(&[RECORD]), false),
        ] {
            assert_eq!(way.is_use(&sent), used, "{way:?} {sent:?}");
        }
    }
}
