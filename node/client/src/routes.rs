//! To the node where the session's tenant lives: any node takes any call, the owner takes it without a detour.
//!
//! Each answer that was forwarded says where it came from (`ocmt-owner`); the next call goes straight there.
//! When that node fails, calls go to the first endpoint again. The same authority vouches for all of them, so
//! a node that names a stranger gains nothing.
//!
//! A unary call is repeated, at another endpoint, if no node has read it or if it was lost on the way ([`repeat`]);
//! streams are not.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use ocmt_types::{Clock as _, SystemClock};
use tonic::{
    Status,
    body::Body,
    transport::{Channel, Error as TransportError},
};
use tower::{Service, ServiceExt as _};

use crate::{
    ClientError,
    connect::{CALL, Target},
    repeat::{self, Fate, Tries},
};

const OWNER: &str = "ocmt-owner";
/// Connections that are kept; a cluster has a handful of nodes.
const CHANNELS: usize = 16;

/// The connections of a client, and the node it speaks to. Clones share both.
#[derive(Clone)]
pub struct Routes(Arc<Shared>);

struct Shared {
    target: Target,
    /// Shared with other sessions of the same target.
    channels: Arc<Mutex<HashMap<String, Channel>>>,
    /// Where the tenant of this session answered last.
    owner: Mutex<Option<String>>,
}

impl Routes {
    /// Connects to the first endpoint that answers.
    ///
    /// # Errors
    /// [`ClientError::Connect`] of the last one, [`ClientError::Usage`].
    pub(crate) async fn connect(target: Target) -> Result<Self, ClientError> {
        let mut failed = None;
        for endpoint in target.clone().endpoints() {
            match target.channel(endpoint)?.connect().await {
                Ok(channel) => {
                    let owner = Mutex::new(Some(endpoint.to_owned()));
                    let channels = Arc::new(Mutex::new(HashMap::from([(endpoint.to_owned(), channel)])));
                    return Ok(Self(Arc::new(Shared { target, channels, owner })));
                }
                Err(error) => failed = Some(Target::failed(endpoint, &error)),
            }
        }
        Err(failed.unwrap_or_else(|| ClientError::Usage("no endpoint is given".to_owned())))
    }

    /// The same connections for another session, whose tenant lives elsewhere.
    pub(crate) fn another(&self) -> Self {
        let Shared { target, channels, owner } = &*self.0;
        let owner = Mutex::new(lock(owner).clone());
        Self(Arc::new(Shared { target: target.clone(), channels: channels.clone(), owner }))
    }

    /// What it was connected with.
    pub(crate) fn target(&self) -> &Target {
        &self.0.target
    }

    /// Where to go, the best first.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        let mut all: Vec<String> = lock(&self.0.owner).clone().into_iter().collect();
        for endpoint in self.0.target.endpoints() {
            if !all.iter().any(|known| known == endpoint) {
                all.push(endpoint.to_owned());
            }
        }
        all
    }

    fn channel(&self, endpoint: &str) -> Result<Channel, Status> {
        let mut channels = lock(&self.0.channels);
        if let Some(channel) = channels.get(endpoint) {
            return Ok(channel.clone());
        }
        let opened =
            self.0.target.channel(endpoint).map_err(|error| Status::unavailable(error.to_string()))?;
        if channels.len() >= CHANNELS {
            channels.clear();
        }
        let channel = opened.connect_lazy();
        channels.insert(endpoint.to_owned(), channel.clone());
        Ok(channel)
    }

    /// Takes note of the node that answered, if it is one that the target could name.
    fn learn(&self, headers: &HeaderMap) {
        let named = headers.get(OWNER).and_then(|owner| owner.to_str().ok());
        if let Some(owner) = named.filter(|owner| self.0.target.channel(owner).is_ok()) {
            *lock(&self.0.owner) = Some(owner.to_owned());
        }
    }

    /// The node failed or does not own the tenant any more: back to the endpoints, the next one first.
    fn leave(&self, endpoint: &str) {
        let next = self.0.target.endpoints().find(|other| *other != endpoint);
        let mut owner = lock(&self.0.owner);
        if owner.as_deref() == Some(endpoint) {
            *owner = next.map(str::to_owned);
        }
    }

    async fn once(&self, endpoint: &str, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let Ok(channel) = self.channel(endpoint) else {
            return Ok(Status::unavailable("the endpoint cannot be used").into_http());
        };
        let answer = channel.oneshot(request).await?;
        self.learn(answer.headers());
        Ok(answer)
    }

    fn here(&self) -> String {
        self.endpoints().into_iter().next().unwrap_or_default()
    }

    async fn stream(self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let endpoint = self.here();
        let answer = self.once(&endpoint, request).await;
        match &answer {
            Ok(answer) if repeat::fate(answer.headers()) != Fate::Unread => {}
            _ => self.leave(&endpoint),
        }
        answer
    }

    async fn unary(self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let (mut head, body) = request.into_parts();
        let message = match body.collect().await {
            Ok(message) => message.to_bytes(),
            Err(status) => return Ok(status.into_http()),
        };
        let mut tries = Tries::new(&head.headers, CALL, SystemClock.boottime());
        loop {
            let endpoint = self.here();
            tries.begin(&mut head.headers, SystemClock.boottime());
            let request = Request::from_parts(head.clone(), repeat::body(&message));
            let (fate, answer) = repeat::whole(self.once(&endpoint, request).await).await;
            if fate == Fate::Done {
                return answer;
            }
            self.leave(&endpoint);
            let Some(pause) = tries.pause(SystemClock.boottime(), rand::random()) else { return answer };
            tokio::time::sleep(pause).await;
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service<Request<Body>> for Routes {
    type Response = Response<Body>;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, TransportError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = ocmt_proto::methods::find(request.uri().path());
        let is_unary = method.is_some_and(|method| !method.client_streaming && !method.server_streaming);
        let routes = self.clone();
        if is_unary { Box::pin(routes.unary(request)) } else { Box::pin(routes.stream(request)) }
    }
}
