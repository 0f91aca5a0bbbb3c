//! One call on its way: here, there, or again.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use axum::{body::Body, extract::Request, response::Response};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, request::Parts, uri::Authority};
use hyper::upgrade::OnUpgrade;
use ocmt_actors::ActorError;
use ocmt_types::{Digest32, NodeId, RequestId, TenantId};
use tokio::time::timeout;
use tower::{Service, ServiceExt as _};

use super::{
    Forwarding,
    answer::Carried,
    crowd::{Crowd, Face, Place},
    names::{CLIENT_ADDR, HOP, NOT_OWNER, OWNER, TOKEN_GOOD, unhop},
    replay::Replay,
    sessions::Watched,
    tag, websocket,
};
use crate::{
    edge::{
        call,
        headers::REQUEST_ID,
        speech::{Speech, refusal},
    },
    gateway,
    operator::JOIN,
    peers::{Lane, Peer, PoolError, Route},
    server::{ConnectionSlot, PeerAddr},
    telemetry::trace,
};

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// The first pause before a call is tried again; each is twice the one before, up to the longest.
const PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(80);

/// A call, what it was sent with, and where it may go.
pub(super) struct Onward<S> {
    on: Arc<Forwarding>,
    inner: S,
    hop: u8,
    head: Parts,
    body: Replay,
    tenant: Option<TenantId>,
    /// Hash of the token it shows.
    token: Option<Digest32>,
    began: Duration,
}

/// What came of one attempt.
enum Tried {
    /// The answer.
    Done(Response),
    /// Nobody read it. Perhaps somebody said who would; the answer is for when nobody does in time.
    Unread(Option<NodeId>, Response),
}

impl<S> Onward<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    pub(super) fn new(on: Arc<Forwarding>, inner: S, hop: u8, request: Request) -> Self {
        let (head, body) = request.into_parts();
        let (tenant, began) = (tag::tenant_of(&head), on.clock.boottime());
        let token = tag::token_of(&head).map(|token| token.hash());
        Self { on, inner, hop, head, body: Replay::new(body), tenant, token, began }
    }

    pub(super) async fn serve(self) -> Response {
        let (mut pause, mut tries, mut named) = (PAUSE, 0, None);
        loop {
            let (owner, answer) = match self.attempt(named.take()).await {
                Tried::Done(answer) => return answer,
                Tried::Unread(owner, answer) => (owner, answer),
            };
            tries += 1;
            named = match owner {
                Some(node) => self.follow(node),
                None => self.lose(),
            };
            let again = match self.hop {
                0 => self.spent() + pause <= self.on.times.patience,
                // the first node waits for the tenant; here the call goes on to who was named, or back unread
                _ => tries < 2 && named.is_some(),
            };
            if !again || !self.body.is_whole() {
                return answer;
            }
            if named.is_none() || tries > 1 {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    async fn attempt(&self, named: Option<Peer>) -> Tried {
        let route = match (named, self.tenant) {
            (Some(peer), _) => Route::There(peer),
            (None, Some(tenant)) => match self.on.whereabouts.route(tenant).await {
                Ok(route) => route,
                Err(error) => {
                    tracing::debug!(%tenant, %error, "cannot find a tenant's node");
                    return Tried::Done(
                        self.refuse(&away("the database does not say where the tenant lives")),
                    );
                }
            },
            // whoever was asked by another node answers, or says that it does not
            (None, None) if self.hop > 0 => Route::Here,
            // an invitation names the node that has the authority, whether or not that takes other work
            (None, None) if self.head.uri.path() == JOIN => Route::Here,
            (None, None) => self.on.whereabouts.anybody(),
        };
        match route {
            Route::Here => self.here().await,
            Route::There(peer) if gateway::is_wanted(&self.head) => self.joined(&peer).await,
            Route::There(peer) => self.there(&peer).await,
            Route::Nobody => Tried::Unread(None, self.unread(&away("no node can take the tenant now"))),
        }
    }

    async fn here(&self) -> Tried {
        let request = Request::from_parts(self.head.clone(), self.body.attempt());
        match self.inner.clone().oneshot(request).await {
            Ok(answer) => self.judge(answer),
            Err(never) => match never {},
        }
    }

    async fn there(&self, peer: &Peer) -> Tried {
        let begun = async { self.has_begun().await.then_some(()).ok_or(ActorError::DeadlineExceeded) };
        // the owner reads a gateway token before it answers, as of a WebSocket; and it may last as long as one
        let (crowd, face) = if self.is_for_workload() {
            (&self.on.sockets, Face::LookedAt)
        } else {
            (&self.on.calls, Face::Showing(self.token.as_ref()))
        };
        let place = match self.enter(crowd, face, begun).await {
            Ok(place) => place,
            Err(refused) => return Tried::Done(self.refuse(&refused)),
        };
        let Some(request) = self.outgoing(self.body.attempt(), false) else {
            return Tried::Done(self.refuse(&ActorError::DeadlineExceeded));
        };
        // hyper goes on sending a body whose answer nobody waits for any more: this ends it
        let reading = self.body.reading();
        let sent = self.on.pool.request(peer, Lane::Bulk, request);
        let answered = match self.answer_within() {
            Some(time) => timeout(time, sent).await.unwrap_or(Err(PoolError::Late)),
            None => sent.await,
        };
        match answered {
            Ok(answer) => {
                let speech = Speech::of(&self.head.headers);
                let answer = answer.map(|body| Body::new(Carried::new(body, speech, (reading, place))));
                self.judge(mark(answer, peer))
            }
            Err(error) => self.failed(peer, &error),
        }
    }

    async fn joined(&self, peer: &Peer) -> Tried {
        let client = self.head.extensions.get::<OnUpgrade>().cloned();
        let (Some(upgrade), Some(request)) = (client, self.outgoing(Body::empty(), true)) else {
            return Tried::Done(self.refuse(&ActorError::invalid("upgrade", "is not possible here")));
        };
        // it has no message, and the owner reads its token before it answers
        let place = match self.enter(&self.on.sockets, Face::LookedAt, async { Ok(()) }).await {
            Ok(place) => place,
            Err(refused) => return Tried::Done(self.refuse(&refused)),
        };
        let slot = self.head.extensions.get::<ConnectionSlot>().cloned();
        match self.on.pool.upgrade(peer, request, self.on.times.upgrade).await {
            Ok(answer) => {
                let client = websocket::Client { upgrade, session: self.session(), held: (slot, place) };
                let switching = websocket::answer(answer, client, self.on.stop.clone());
                self.judge(owned(switching, peer))
            }
            Err(error) => self.failed(peer, &error),
        }
    }

    /// The session behind a gateway token, whose owner reads it for itself.
    fn session(&self) -> Option<Arc<dyn Watched>> {
        let container = gateway::container_of(&self.head.uri)?;
        self.on.sessions.of(container, gateway::token_of(&self.head.headers)?)
    }

    /// A place among those on their way. Whoever has not begun takes none of his tenant's.
    async fn enter(
        &self,
        crowd: &Crowd,
        face: Face<'_>,
        begun: impl Future<Output = Result<(), ActorError>>,
    ) -> Result<Place, ActorError> {
        let client = self.client().ok_or_else(crowded)?;
        let comer = crowd.come(client).await.ok_or_else(crowded)?;
        begun.await?;
        crowd.enter(comer, self.tenant, face).await.ok_or_else(crowded)
    }

    /// Whether there is something to send, now or soon.
    async fn has_begun(&self) -> bool {
        let streams = ocmt_proto::methods::find(self.head.uri.path()).is_some_and(|it| it.client_streaming);
        match self.within(self.on.times.begin, streams) {
            Some(time) => timeout(time, self.body.arrival()).await.is_ok(),
            None => self.body.arrival().map(|()| true).await,
        }
    }

    fn failed(&self, peer: &Peer, error: &PoolError) -> Tried {
        tracing::debug!(peer = %peer.node_id, %error, "a call was not forwarded");
        let untouched = match error {
            PoolError::Unsent(_) => true,
            PoolError::Broken(_) => self.body.is_untouched() || self.head.method.is_safe(),
            PoolError::Late => return Tried::Done(self.refuse(&ActorError::DeadlineExceeded)),
        };
        self.lose();
        if untouched {
            Tried::Unread(None, self.unread(&away("the tenant's node does not answer")))
        } else {
            Tried::Done(self.refuse(&ActorError::OutcomeUnknown))
        }
    }

    /// Whether an answer is one, or says that nobody read the call. Clients are not told who owns what.
    fn judge(&self, mut answer: Response) -> Tried {
        self.heed(&mut answer);
        let Some(owner) = answer.headers().get(NOT_OWNER).cloned() else {
            return Tried::Done(answer);
        };
        if self.hop == 0 {
            answer.headers_mut().remove(NOT_OWNER);
        }
        Tried::Unread(owner.to_str().ok().and_then(|node| node.parse().ok()), answer)
    }

    /// Takes the owner's word about the caller's token. Nodes alone say it to each other, and it decides about
    /// places alone.
    fn heed(&self, answer: &mut Response) {
        let Some(said) = answer.headers().get(TOKEN_GOOD).cloned() else { return };
        if self.hop == 0 {
            answer.headers_mut().remove(TOKEN_GOOD);
        }
        if let Some(token) = &self.token {
            self.on.calls.found(token, said == "1");
        }
    }

    /// The node that somebody said owns the tenant.
    fn follow(&self, owner: NodeId) -> Option<Peer> {
        let peer = self.on.whereabouts.peer(owner);
        match (&peer, self.tenant) {
            (Some(peer), Some(tenant)) => self.on.whereabouts.learn(tenant, peer),
            (None, Some(tenant)) => self.on.whereabouts.forget(tenant),
            (_, None) => {}
        }
        peer
    }

    /// Whoever was asked does not have the tenant, and nobody was named: the next look is a fresh one.
    fn lose(&self) -> Option<Peer> {
        if let Some(tenant) = self.tenant {
            self.on.whereabouts.forget(tenant);
        }
        None
    }

    fn refuse(&self, error: &ActorError) -> Response {
        refusal(error, &self.head.headers)
    }

    /// A refusal that says, to the node that forwarded the call here, that nobody read it.
    fn unread(&self, error: &ActorError) -> Response {
        let mut answer = self.refuse(error);
        if self.hop > 0 {
            answer.headers_mut().insert(NOT_OWNER, HeaderValue::from_static("-"));
        }
        answer
    }

    fn spent(&self) -> Duration {
        self.on.clock.boottime().saturating_sub(self.began)
    }

    /// What is left of the caller's own deadline, if he gave one.
    fn left(&self) -> Option<Duration> {
        call::grpc_timeout(self.head.headers.get(&TIMEOUT)?).map(|asked| asked.saturating_sub(self.spent()))
    }

    /// How long the head of the answer may take. A stream's may take as long as the stream.
    fn answer_within(&self) -> Option<Duration> {
        let streams = ocmt_proto::methods::find(self.head.uri.path())
            .map_or(self.is_for_workload(), |it| it.client_streaming || it.server_streaming);
        self.within(self.on.times.answer, streams)
    }

    /// Whether a workload answers it, in its own time, which the gateway keeps.
    fn is_for_workload(&self) -> bool {
        self.head.uri.path().starts_with(gateway::PATH)
    }

    /// What is left of the caller's deadline, of what is no stream at most `longest`.
    fn within(&self, longest: Duration, streams: bool) -> Option<Duration> {
        match self.left() {
            left if streams => left,
            left => Some(left.map_or(longest, |left| left.min(longest))),
        }
    }

    /// The client's address.
    fn client(&self) -> Option<IpAddr> {
        self.head.extensions.get::<PeerAddr>().map(|client| client.0.ip())
    }

    /// The request as it goes to another node; none if its deadline has passed.
    fn outgoing(&self, body: Body, upgrade: bool) -> Option<http::Request<Body>> {
        let mut request = http::Request::new(body);
        *request.method_mut() = self.head.method.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.head.headers);
        unhop(headers);
        headers.insert(HOP, HeaderValue::from(u16::from(self.hop) + 1));
        let client = self.head.extensions.get::<PeerAddr>()?.0.to_string();
        headers.insert(CLIENT_ADDR, client.parse().ok()?);
        if let Some(id) = self.head.extensions.get::<RequestId>() {
            headers.insert(REQUEST_ID, id.to_string().parse().ok()?);
        }
        trace::carry(&tracing::Span::current(), headers);
        if let Some(left) = self.left() {
            headers.insert(TIMEOUT, call::grpc_timeout_text(left)?.parse().ok()?);
        }
        let uri = if upgrade {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            // it has no body: the owner would wait for one
            headers.remove(header::CONTENT_LENGTH);
            Uri::from(self.head.uri.path_and_query()?.clone())
        } else {
            with_authority(self.head.uri.clone(), headers)
        };
        *request.uri_mut() = uri;
        Some(request)
    }
}

/// HTTP/1.1 names the host in a header, HTTP/2 in the address.
fn with_authority(uri: Uri, headers: &mut HeaderMap) -> Uri {
    let host = headers.remove(header::HOST);
    if uri.authority().is_some() {
        return uri;
    }
    let authority = host.as_ref().and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut parts = uri.clone().into_parts();
    parts.scheme = authority.is_some().then_some(http::uri::Scheme::HTTPS);
    parts.authority = authority;
    Uri::from_parts(parts).unwrap_or(uri)
}

/// The owner's answer as the client gets it.
fn mark(answer: Response, peer: &Peer) -> Response {
    let mut answer = owned(answer, peer);
    unhop(answer.headers_mut());
    *answer.version_mut() = http::Version::default();
    answer
}

/// Says where the answer came from; a node further on has said it already.
fn owned(mut answer: Response, peer: &Peer) -> Response {
    if let Ok(endpoint) = HeaderValue::from_str(&peer.endpoint) {
        answer.headers_mut().entry(OWNER).or_insert(endpoint);
    }
    answer
}

fn crowded() -> ActorError {
    ActorError::ResourceExhausted {
        reason: "TOO_MANY_FORWARDED",
        why: "too many calls of this address or tenant go through this node; call the tenant's own"
            .to_owned(),
        retry_after: Some(Duration::from_secs(1)),
    }
}

fn away(why: &str) -> ActorError {
    ActorError::unavailable("OWNER_AWAY", why)
}
