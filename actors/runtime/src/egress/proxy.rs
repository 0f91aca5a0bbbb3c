//! The proxy of one container.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::{TokioIo, TokioTimer};
use ocmt_types::TenantId;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use super::{
    Door, Outlet,
    book::{Book, Line},
    metered::Metered,
    name::HostName,
    policy::Policies,
    refusal::Refusal,
    request::{Body, Target, forward},
};

/// The head of a request is there within this.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Its size in bytes, and its lines.
const LONGEST_HEAD: usize = 16 << 10;
const MOST_LINES: usize = 100;
/// A name is resolved within this, and an address answers.
const RESOLVED_WITHIN: Duration = Duration::from_secs(5);
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);
/// Names of one container that are asked for at once: it does not keep others from theirs.
const LOOKUPS: usize = 4;
/// Addresses of a name that are tried.
const TRIES: usize = 4;
/// After a connection could not be taken (no descriptors are left).
const PAUSE: Duration = Duration::from_millis(100);

/// The proxy of one container, at its door.
pub struct Proxy {
    outlet: Arc<Outlet>,
    policies: Arc<dyn Policies>,
    book: Arc<Book>,
    /// Of the tenant: while one of its connections lives, so do they.
    places: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
}

impl Proxy {
    /// For a container of `tenant`, under these policies, written into this book.
    pub fn new(
        outlet: Arc<Outlet>,
        tenant: TenantId,
        policies: Arc<dyn Policies>,
        book: Arc<Book>,
    ) -> Arc<Self> {
        let places = outlet.places_of(tenant);
        Arc::new(Self { outlet, policies, book, places, lookups: Arc::new(Semaphore::new(LOOKUPS)) })
    }

    /// Answers at `door` until it is dropped, and all connections with it.
    ///
    /// # Errors
    /// Nobody can listen there.
    pub async fn serve(self: Arc<Self>, door: Door) -> io::Result<Infallible> {
        let listener = TcpListener::bind(door.listen).await?;
        let (mut live, mut short) = (FuturesUnordered::new(), false);
        loop {
            tokio::select! {
                taken = listener.accept(), if !short => match taken {
                    Ok((stream, from)) => {
                        if self.admits(from, door, live.len()) {
                            live.push(Arc::clone(&self).connection(stream));
                        }
                    }
                    Err(error) => {
                        tracing::debug!(%error, "connection of a container was not taken");
                        short = true;
                    }
                },
                // those that are live go on meanwhile
                () = tokio::time::sleep(PAUSE), if short => short = false,
                Some(()) = live.next(), if !live.is_empty() => {}
            }
        }
    }

    /// Whether a connection is read at all. Each counts, also one that never asks for anything.
    fn admits(&self, from: SocketAddr, door: Door, live: usize) -> bool {
        if from.ip() != door.container {
            tracing::warn!(%from, at = %door.listen, "somebody else knocked at a container's proxy");
            return false;
        }
        let few = live < self.outlet.bounds.connections && self.book.take_request(&self.outlet.bounds);
        if !few {
            self.book.refused("-", "TOO_MANY");
        }
        few
    }

    /// One client's connection: one request.
    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let (line, slot) = (Arc::new(Line::default()), Arc::new(Mutex::new(None)));
        let (proxy, its_line, its_slot) = (Arc::clone(&self), Arc::clone(&line), Arc::clone(&slot));
        let service = service_fn(move |request| {
            let (proxy, line, slot) = (Arc::clone(&proxy), Arc::clone(&its_line), Arc::clone(&its_slot));
            async move { Ok::<_, Infallible>(proxy.answer(request, &line, &slot).await) }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_buf_size(LONGEST_HEAD)
            .max_headers(MOST_LINES)
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let whole = async {
            if let Err(error) = served.await {
                tracing::debug!(%error, "request of a container to its proxy ended early");
            }
            let tunnel = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(tunnel) = tunnel {
                Tunnel::run(tunnel).await;
            }
        };
        let bounds = &self.outlet.bounds;
        tokio::select! {
            () = whole => {}
            () = line.ended.notified() => {}
            () = line.is_idle(bounds.idle) => {}
            () = tokio::time::sleep(bounds.lasts) => {}
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        line: &Arc<Line>,
        slot: &Mutex<Option<Tunnel>>,
    ) -> Response<Body> {
        let target = match Target::of(&request) {
            Ok(target) => target,
            Err(refusal) => return self.refuse("-", refusal),
        };
        match self.attempt(request, &target, line, slot).await {
            Ok(answer) => answer,
            Err(refusal) => self.refuse(&target.place(), refusal),
        }
    }

    fn refuse(&self, place: &str, refusal: Refusal) -> Response<Body> {
        self.book.refused(place, refusal.reason());
        refusal.answer()
    }

    async fn attempt(
        &self,
        mut request: Request<Incoming>,
        target: &Target,
        line: &Arc<Line>,
        slot: &Mutex<Option<Tunnel>>,
    ) -> Result<Response<Body>, Refusal> {
        let allowed = self.policies.allowed().await.ok_or(Refusal::PolicyUnknown)?;
        if !allowed.allows(&target.host, target.port) {
            return Err(Refusal::NotInPolicy);
        }
        // of what the node has only for what is allowed: nobody without a policy takes it from others
        let own = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refusal::TenantFull)?;
        let nodes = Arc::clone(&self.outlet.places).try_acquire_owned().map_err(|_| Refusal::NodeFull)?;
        let place = (target.host.clone(), target.port);
        // before the connection: a change of the policy from here on finds it
        let flow = self.book.begin(&allowed, &self.outlet.bounds, place, line).ok_or(Refusal::DaySpent)?;
        let stream = self.connect(&target.host, target.port).await?;
        flow.connected();
        let upstream = Metered::new(stream, flow, [own, nodes]);
        if !target.tunnel {
            return forward(request, target, upstream).await;
        }
        let client = hyper::upgrade::on(&mut request);
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Tunnel { client, upstream });
        Ok(Response::new(Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync()))
    }

    /// Connects to an address of the name, if all of them may be reached: what is checked is what is connected to.
    async fn connect(&self, host: &HostName, port: u16) -> Result<TcpStream, Refusal> {
        let network = &self.outlet.network;
        let asked = async {
            let turn = Arc::clone(&self.lookups).acquire_owned().await.map_err(io::Error::other)?;
            network.resolve(host.clone(), turn).await
        };
        let found = timeout(RESOLVED_WITHIN, asked).await.ok().and_then(Result::ok).unwrap_or_default();
        if found.is_empty() || found.iter().any(|address| network.refuses(*address)) {
            return Err(Refusal::NotPublic);
        }
        for address in found.into_iter().take(TRIES) {
            let connecting = TcpStream::connect(SocketAddr::new(address, port));
            if let Ok(Ok(stream)) = timeout(CONNECTED_WITHIN, connecting).await {
                return Ok(stream);
            }
        }
        Err(Refusal::Unreachable)
    }
}

/// A tunnel that was promised.
struct Tunnel {
    client: OnUpgrade,
    upstream: Metered,
}

impl Tunnel {
    async fn run(mut self) {
        let Ok(client) = self.client.await else { return };
        // its end is in the book
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut self.upstream).await;
    }
}

#[cfg(test)]
#[path = "proxy_tests/mod.rs"]
mod tests;
