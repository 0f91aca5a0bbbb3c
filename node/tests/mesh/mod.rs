//! Nodes in one process: real listeners and links between them, actors and router made up.
#![allow(
    dead_code,
    unused_imports,
    missing_docs,
    unreachable_pub,
    reason = "each test file uses its part of it"
)]

mod app;
mod client;
mod papers;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Router;
use futures_util::future::BoxFuture;
use ocmt::{
    config::Listen,
    edge::{
        door::{self, Door},
        headers,
        site::Site,
    },
    forward::{Crowd, ForwardLayer, Forwarding, Room, Sessions, Times, Watched, Whereabouts, arrive},
    peers::{
        self, Inbox, Local, NodeRpc, PEER_LIMITS, Peer, PeerDoor, PeerTls, Pool, Route, UPGRADES, Upgrades,
        View,
    },
    pki::Rotating,
    server::listen::{self, Anybody, ListenLimits, Resets},
    software::Software,
};
use ocmt_actors::{ActorError, RemoteChannel};
use ocmt_cluster::ClusterError;
use ocmt_store::tables::NodeState;
use ocmt_types::{
    ClusterId, ContainerId, Deadline, Id as _, IdGen, Incarnation, NodeId, RandomIds, SystemClock, TenantId,
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use app::App;
pub use client::{Client, H2, bytes, call, call_of, empty, h1_over, read_h2_frames};
pub use papers::Papers;

pub const PATIENCE: Duration = Duration::from_secs(60);
/// More than any test has at once.
pub const HOPPED: usize = 3000;
const ROOM: Room = Room { known: HOPPED, strangers: HOPPED, address: HOPPED };

pub fn node_id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 16])
}

pub fn tenant(n: u8) -> TenantId {
    TenantId::from_bytes([n; 16])
}

fn cluster_id() -> ClusterId {
    ClusterId::from_bytes([0xcc; 16])
}

/// A cluster: its authority and its view, which all nodes share.
pub struct Mesh {
    pub papers: Papers,
    pub view: watch::Sender<Arc<View>>,
}

/// One node.
pub struct Node {
    pub peer: Peer,
    pub client_address: SocketAddr,
    pub pool: Pool,
    pub shown: Arc<Rotating>,
    pub app: App,
    pub where_to: Arc<Placed>,
    stop: CancellationToken,
    listeners: JoinSet<()>,
    /// Its own, so that it can be killed with all its tasks.
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a node allows.
pub struct Bounds {
    pub times: Times,
    /// For calls on their way to other nodes.
    pub calls: Room,
    pub peers: ListenLimits,
    pub clients: ListenLimits,
    pub upgrades: Upgrades,
    /// Its release.
    pub software: Software,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            times: Times::default(),
            calls: ROOM,
            peers: PEER_LIMITS,
            clients: ListenLimits {
                connections: 1000,
                per_address: 1000,
                streams: 200,
                window: None,
                idle: Some(listen::IDLE),
                resets: Resets::OF_A_CLIENT,
            },
            upgrades: UPGRADES,
            software: Software::this(),
        }
    }
}

/// Where tenants are said to live.
#[derive(Default)]
pub struct Placed {
    routes: Mutex<HashMap<TenantId, Route>>,
    peers: Mutex<HashMap<NodeId, Peer>>,
    pub forgotten: Mutex<usize>,
    /// Who takes calls that are about no tenant, if not this node.
    pub elsewhere: Mutex<Option<Peer>>,
    /// Whether forgetting a tenant leads home: as a claim would.
    pub comes_home: Mutex<bool>,
    /// Ends the sessions of all gateway tokens.
    pub over: CancellationToken,
}

impl Placed {
    pub fn put(&self, tenant: TenantId, route: Route) {
        self.routes.lock().unwrap().insert(tenant, route);
    }
}

impl Whereabouts for Placed {
    fn route(&self, tenant: TenantId) -> BoxFuture<'_, Result<Route, ClusterError>> {
        let route = self.routes.lock().unwrap().get(&tenant).cloned().unwrap_or(Route::Here);
        Box::pin(async move { Ok(route) })
    }

    fn anybody(&self) -> Route {
        self.elsewhere.lock().unwrap().clone().map_or(Route::Here, Route::There)
    }

    fn forget(&self, tenant: TenantId) {
        *self.forgotten.lock().unwrap() += 1;
        if *self.comes_home.lock().unwrap() {
            self.routes.lock().unwrap().remove(&tenant);
        }
    }

    fn learn(&self, tenant: TenantId, owner: &Peer) {
        self.put(tenant, Route::There(owner.clone()));
    }

    fn peer(&self, node: NodeId) -> Option<Peer> {
        self.peers.lock().unwrap().get(&node).cloned()
    }
}

impl Sessions for Placed {
    fn of(&self, _: ContainerId, _: &str) -> Option<Arc<dyn Watched>> {
        Some(Arc::new(Session(self.over.clone())))
    }
}

struct Session(CancellationToken);

impl Watched for Session {
    fn over(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.cancelled())
    }
}

impl Mesh {
    pub fn new() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        Self { papers: Papers::new(), view: watch::Sender::new(Arc::default()) }
    }

    pub async fn node(&self, n: u8) -> Node {
        self.node_with(n, Bounds::default()).await
    }

    /// Starts a node and puts it into the view.
    pub async fn node_with(&self, n: u8, bounds: Bounds) -> Node {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (peers, clients) = (listener(&runtime), listener(&runtime));
        let client_address = clients.local_addr().unwrap();
        let peer = Peer {
            node_id: node_id(n),
            incarnation: Incarnation(RandomIds.random16()),
            addr: peers.local_addr().unwrap().to_string(),
            endpoint: format!("https://{client_address}"),
            state: NodeState::Live,
            capacity: 1,
            memory_mib: 0,
            version: bounds.software.version.clone(),
        };
        self.view.send_modify(|view| {
            let mut next = View::clone(view);
            next.nodes.insert(peer.node_id, peer.clone());
            next.version += 1;
            *view = Arc::new(next);
        });
        let paper = self.papers.node(peer.node_id);
        let views = self.view.subscribe();
        let shown = Arc::new(Rotating::new(paper.chain, &paper.key).unwrap());
        let tls = PeerTls::new(shown.clone(), self.papers.authority().clone(), views.clone());
        let local = local(&peer, bounds.software);
        let clock = Arc::new(SystemClock);
        let pool = Pool::new(local.clone(), tls.clone(), views.clone(), clock.clone());
        let (app, where_to, stop) = (App::new(), Arc::new(Placed::default()), CancellationToken::new());
        let forwarding = Forwarding {
            whereabouts: where_to.clone(),
            pool: pool.clone(),
            clock: clock.clone(),
            times: bounds.times,
            calls: Crowd::new(bounds.calls),
            sockets: Crowd::new(ROOM),
            sessions: where_to.clone(),
            stop: stop.clone(),
        };
        let ids: Arc<dyn IdGen> = Arc::new(RandomIds);
        let site = Arc::new(Site::of(&Listen::default(), client_address.port()));
        let served = app
            .routes()
            .layer(ForwardLayer::new(forwarding))
            .layer(axum::middleware::from_fn_with_state(Door::new(site, HOPPED), door::enter))
            .layer(axum::middleware::from_fn_with_state(ids, headers::stamp));
        let rpc = NodeRpc::new(local, Arc::new(Echo(app.clone())), views.clone(), clock);
        let among_peers: Router = peers::routes(rpc, arrive(served.clone(), HOPPED));
        let door = Arc::new(PeerDoor::new(views, bounds.upgrades));
        let mut listeners = JoinSet::new();
        let on = runtime.handle();
        listeners.spawn_on(
            listen::serve(peers, tls.acceptor().unwrap(), among_peers, bounds.peers, door, stop.clone()),
            on,
        );
        let client_tls = self.papers.client_listener();
        listeners.spawn_on(
            listen::serve(clients, client_tls, served, bounds.clients, Arc::new(Anybody), stop.clone()),
            on,
        );
        Node { peer, client_address, pool, shown, app, where_to, stop, listeners, runtime: Some(runtime) }
    }

    /// Changes the view.
    pub fn change(&self, change: impl FnOnce(&mut BTreeMap<NodeId, Peer>, &mut BTreeSet<NodeId>)) {
        self.view.send_modify(|view| {
            let mut next = View::clone(view);
            change(&mut next.nodes, &mut next.revoked);
            next.version += 1;
            *view = Arc::new(next);
        });
    }

    /// Two nodes; the tenant lives at the second, and the first knows.
    pub async fn pair(&self) -> (Node, Node) {
        self.pair_with(Bounds::default()).await
    }

    /// The same; the first node with these bounds.
    pub async fn pair_with(&self, bounds: Bounds) -> (Node, Node) {
        let (edge, owner) = (self.node_with(1, bounds).await, self.node(2).await);
        edge.knows(&owner);
        owner.knows(&edge);
        edge.where_to.put(tenant(1), Route::There(owner.peer.clone()));
        edge.app.disown();
        (edge, owner)
    }

    pub async fn client(&self, node: &Node) -> H2 {
        Client::new(&self.papers, node.client_address).h2().await
    }
}

impl Node {
    pub fn knows(&self, other: &Self) {
        self.where_to.peers.lock().unwrap().insert(other.peer.node_id, other.peer.clone());
    }

    /// Ends it as a kill would: connections break, nothing is said.
    pub fn kill(self) {
        drop(self);
    }

    /// Ends it in order.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.listeners.join_next().await.is_some() {}
    }
}

pub fn local(peer: &Peer, software: Software) -> Local {
    Local { cluster: cluster_id(), node: peer.node_id, incarnation: peer.incarnation, software }
}

fn listener(on: &tokio::runtime::Runtime) -> TcpListener {
    let bound = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    bound.set_nonblocking(true).unwrap();
    let _in = on.enter();
    TcpListener::from_std(bound).unwrap()
}

/// Actors that say what they were told; a letter that begins with `!` is refused, one with `?` held for good.
pub struct Echo(App);

impl Inbox for Echo {
    fn deliver(
        &self,
        tenant: TenantId,
        letter: Vec<u8>,
        _: Deadline,
    ) -> BoxFuture<'_, Result<Vec<u8>, ActorError>> {
        Box::pin(async move {
            if letter.starts_with(b"!") {
                return Err(ActorError::NotOwner { owner: Some(node_id(9)) });
            }
            if letter.starts_with(b"?") {
                self.0.hang().await;
            }
            Ok([tenant.as_bytes().as_slice(), &letter].concat())
        })
    }

    fn order(&self, order: Vec<u8>, _: Deadline) -> BoxFuture<'_, Result<Vec<u8>, ActorError>> {
        Box::pin(async move { Ok(order) })
    }

    fn channel(&self, opening: Vec<u8>, _: Deadline) -> BoxFuture<'_, Result<RemoteChannel, ActorError>> {
        Box::pin(async move {
            if opening.starts_with(b"!") {
                return Err(ActorError::NotFound);
            }
            // what goes in comes out
            let (to_host, from_host) = tokio::sync::mpsc::channel(4);
            Ok(RemoteChannel { opened: opening, to_host, from_host })
        })
    }

    fn release(&self, _: TenantId, _: Duration) -> BoxFuture<'_, Result<(), ActorError>> {
        Box::pin(async { Ok(()) })
    }
}

/// Waits until `level` holds.
pub async fn until(what: &str, mut level: impl FnMut() -> bool) {
    let reached = async {
        while !level() {
            tokio::time::sleep(Duration::from_millis(5)).await; // why: between looks at a level, bounded below
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("never: {what}"));
}
