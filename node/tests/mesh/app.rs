//! What the nodes of these tests serve: calls that show what came in, streams, a gateway.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{
        Request, State, WebSocketUpgrade,
        ws::{CloseFrame, Message as Said, WebSocket},
    },
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use ocmt::{
    edge::{call, error},
    forward::Hopped,
};
use ocmt_actors::ActorError;
use ocmt_proto::v1::{SignOutResponse, WhoAmIResponse};
use ocmt_types::NodeId;
use prost::Message as _;

/// Shared with the test.
#[derive(Clone, Default)]
pub struct App(Arc<Shared>);

#[derive(Default)]
struct Shared {
    disowned: AtomicBool,
    /// Refuses so many calls more as not its own, then takes them.
    refusals: AtomicUsize,
    names: Mutex<Option<NodeId>>,
    asked: AtomicUsize,
    hops: Mutex<Vec<u8>>,
    open: AtomicUsize,
    produced: AtomicU64,
    /// Calls of the contract are read, and not answered.
    holds: AtomicBool,
    messages: Mutex<Vec<Bytes>>,
    /// Headers of the last WhoAmI.
    shown: Mutex<HeaderMap>,
    /// Held while gateways are not to answer.
    gateways: tokio::sync::Mutex<()>,
}

impl App {
    pub fn new() -> Self {
        Self::default()
    }

    /// It owns nothing from now on.
    pub fn disown(&self) {
        self.0.disowned.store(true, Ordering::SeqCst);
    }

    pub fn refuse(&self, times: usize) {
        self.0.refusals.store(times, Ordering::SeqCst);
    }

    /// Whom it names as the owner.
    pub fn name(&self, owner: Option<NodeId>) {
        *self.0.names.lock().unwrap() = owner;
    }

    pub fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    pub fn hops(&self) -> Vec<u8> {
        self.0.hops.lock().unwrap().clone()
    }

    /// It reads calls of the contract from now on, and answers none.
    pub fn hold(&self) {
        self.0.holds.store(true, Ordering::SeqCst);
    }

    /// The messages of the contract's calls, framed, as they came.
    pub fn messages(&self) -> Vec<Bytes> {
        self.0.messages.lock().unwrap().clone()
    }

    /// What the last WhoAmI showed.
    pub fn shown(&self) -> HeaderMap {
        self.0.shown.lock().unwrap().clone()
    }

    /// Calls that hang now.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::SeqCst)
    }

    /// Bytes that `/flood` has made.
    pub fn produced(&self) -> u64 {
        self.0.produced.load(Ordering::SeqCst)
    }

    /// Gateways answer when this is dropped.
    pub async fn hold_gateways(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.gateways.lock().await
    }

    /// Takes a call of the contract in; never ends while calls are held.
    async fn read(&self, request: Request) {
        let message = request.into_body().collect().await.unwrap().to_bytes();
        self.0.messages.lock().unwrap().push(message);
        if self.0.holds.load(Ordering::SeqCst) {
            let _open = Open::new(self);
            std::future::pending::<()>().await;
        }
    }

    /// Never ends.
    pub async fn hang(&self) {
        let _open = Open::new(self);
        std::future::pending::<()>().await;
    }

    pub fn routes(&self) -> Router {
        Router::new()
            .route("/echo", post(echo))
            .route("/count", post(count))
            .route("/fail", post(fail))
            .route("/seen", get(seen).post(seen))
            .route("/hang", post(hang))
            .route(ocmt::operator::JOIN, post(count))
            .route("/unread", post(|| async { "as read" }))
            .route("/auth/sign-out", post(seen))
            .route("/early", post(early))
            .route("/flood", post(flood))
            .route("/breaks", post(breaks))
            .route("/ocmt.v1.AuthService/WhoAmI", post(who_am_i))
            .route("/ocmt.v1.AuthService/SignOut", post(sign_out))
            .route("/ocmt.v1.AuthService/OfTomorrow", post(of_tomorrow))
            .route("/gateway/{container}", get(gateway))
            .route("/gateway/{container}/hang", post(hang))
            .layer(middleware::from_fn_with_state(self.clone(), own))
            .with_state(self.clone())
    }
}

/// As a tenant's actor does that is not the tenant's any more.
async fn own(State(app): State<App>, request: Request, next: Next) -> Response {
    app.0.asked.fetch_add(1, Ordering::SeqCst);
    if let Some(hopped) = request.extensions().get::<Hopped>() {
        app.0.hops.lock().unwrap().push(hopped.hop);
    }
    let refuses =
        app.0.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
    if refuses || app.0.disowned.load(Ordering::SeqCst) {
        // as tonic does: the message is read before anybody says that it is not for here
        if request.uri().path() != "/early" {
            let (_, body) = request.into_parts();
            let _ = body.collect().await;
        }
        let owner = *app.0.names.lock().unwrap();
        return error::status(&ActorError::NotOwner { owner })
            .into_http::<tonic::body::Body>()
            .map(Body::new)
            .into_response();
    }
    next.run(request).await
}

fn trailers(status: &'static str) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    trailers.insert("grpc-message", HeaderValue::from_static("as%20said"));
    trailers.insert("x-of-ours", HeaderValue::from_static("kept"));
    Frame::trailers(trailers)
}

/// Gives back each chunk as it comes, then trailers.
async fn echo(request: Request) -> Response {
    let frames = request.into_body().into_data_stream().map_ok(Frame::data).map_err(axum::Error::new);
    let end = futures_util::stream::iter([Ok(trailers("0"))]);
    Response::new(Body::new(StreamBody::new(frames.chain(end))))
}

async fn count(body: Body) -> String {
    body.collect().await.unwrap().to_bytes().len().to_string()
}

async fn fail() -> Response {
    let frames = [Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"some"))), Ok(trailers("5"))];
    Response::new(Body::new(StreamBody::new(futures_util::stream::iter(frames))))
}

/// As a node answers it; says in the name how often the call was forwarded. Any token is good until its caller says
/// that it has ended.
async fn who_am_i(State(app): State<App>, request: Request) -> Response {
    request.headers().clone_into(&mut app.0.shown.lock().unwrap());
    if let Some(verdict) = call::Verdict::wanted(request.extensions()) {
        verdict.note(!request.headers().contains_key("x-ended"));
    }
    let hop = request.extensions().get::<Hopped>().map_or(0, |hopped| hopped.hop);
    app.read(request).await;
    answer(&WhoAmIResponse { tenant_name: hop.to_string(), ..Default::default() })
}

async fn sign_out(State(app): State<App>, request: Request) -> Response {
    app.read(request).await;
    answer(&SignOutResponse {})
}

/// As a node answers a method that its release does not have.
async fn of_tomorrow() -> Response {
    let mut status = tonic::Status::with_details(tonic::Code::Unimplemented, "", Bytes::from_static(b"why"));
    status.metadata_mut().insert("x-of-ours", "kept".parse().unwrap());
    status.into_http::<tonic::body::Body>().map(Body::new)
}

fn answer(message: &impl prost::Message) -> Response {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let framed = Bytes::from([&[0], length.as_slice(), &message].concat());
    let frames = [Ok::<_, Infallible>(Frame::data(framed)), Ok(trailers("0"))];
    let mut answer = Response::new(Body::new(StreamBody::new(futures_util::stream::iter(frames))));
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    answer
}

/// What the owner knows of the call.
async fn seen(request: Request) -> axum::Json<serde_json::Value> {
    let headers: serde_json::Map<_, _> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    axum::Json(serde_json::json!({
        "client": call::peer(request.extensions()).map(|address| address.to_string()),
        "id": call::request_id(request.extensions()).unwrap().to_string(),
        "hop": request.extensions().get::<Hopped>().map(|hopped| hopped.hop),
        "uri": request.uri().to_string(),
        "headers": headers,
    }))
}

struct Open(App);

impl Open {
    fn new(app: &App) -> Self {
        app.0.open.fetch_add(1, Ordering::SeqCst);
        Self(app.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn hang(State(app): State<App>, body: Body) -> Response {
    let _open = Open::new(&app);
    let _body = body;
    std::future::pending().await
}

/// Answers at once and reads the request until that ends.
async fn early(State(app): State<App>, body: Body) -> Response {
    let open = Open::new(&app);
    let reading = body.into_data_stream().map(move |chunk| {
        let _ = &open;
        chunk.map(|chunk| Bytes::from(chunk.len().to_string()))
    });
    Response::new(Body::from_stream(reading))
}

const CHUNK: usize = 16 << 10;

async fn flood(State(app): State<App>) -> Response {
    let chunks = futures_util::stream::repeat_with(move || {
        app.0.produced.fetch_add(CHUNK as u64, Ordering::SeqCst);
        Ok::<_, Infallible>(Bytes::from_static(&[7; CHUNK]))
    });
    Response::new(Body::from_stream(chunks))
}

/// Begins an answer, and never ends it.
async fn breaks(State(app): State<App>) -> Response {
    let open = Open::new(&app);
    let begun = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"begun"))]);
    let never = futures_util::stream::pending().map(move |chunk| {
        let _ = &open;
        chunk
    });
    Response::new(Body::from_stream(begun.chain(never)))
}

async fn gateway(State(app): State<App>, upgrade: WebSocketUpgrade) -> Response {
    let _open = Open::new(&app);
    drop(app.0.gateways.lock().await);
    let mut answer = upgrade.protocols(["ocmt.v1"]).on_upgrade(talk);
    answer.headers_mut().insert("ocmt-wake-kind", HeaderValue::from_static("start"));
    answer
}

/// Says everything back; text is a close code to use.
async fn talk(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let said = match message {
            Said::Text(code) => {
                let close = CloseFrame { code: code.as_str().parse().unwrap(), reason: "as asked".into() };
                socket.send(Said::Close(Some(close))).await
            }
            Said::Binary(bytes) => socket.send(Said::Binary(bytes)).await,
            _ => Ok(()),
        };
        if said.is_err() {
            return;
        }
    }
}
