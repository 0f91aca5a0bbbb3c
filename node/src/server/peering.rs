//! This node among its peers: the links to them, and the listener for theirs.

use std::sync::Arc;

use axum::Router;
use ocmt_actors::System;
use ocmt_types::Clock;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    StartError,
    endpoints::Reserved,
    listen,
    place::{Claimant, Place},
};
use crate::{
    config::Config,
    forward::{Crowd, ForwardLayer, Forwarding, Room, Times, arrive},
    neighbours::{ActorsInbox, ClusterNeighbours},
    operator::KeyDesk,
    peers::{Local, NodeRpc, PEER_LIMITS, PeerDoor, PeerTls, Pool, UPGRADES, Views, routes},
    pki::Pki,
    tasks,
};

/// Forwarded calls in work at once; more are refused, so that they never crowd out this node's own clients.
const FORWARDED: usize = 4096;
/// Calls of one tenant on their way whose callers may be anybody.
const STRANGERS: usize = 64;

/// The peers' side of a node, before it serves.
pub(super) struct Peering {
    door: Reserved,
    tls: PeerTls,
    pool: Pool,
    local: Local,
    views: Views,
    clock: Arc<dyn Clock>,
    keys: KeyDesk,
    calls: Crowd,
    sockets: Crowd,
}

impl Peering {
    /// Takes the address for peers and gets ready to dial them.
    pub(super) async fn open(claimant: &Claimant<'_>, place: &Place, pki: &Pki) -> Result<Self, StartError> {
        let Claimant { config, software, clock, .. } = *claimant;
        let views = place.views();
        let tls = PeerTls::new(pki.identity().certificate(), pki.ca().clone(), views.clone());
        let local = Local {
            cluster: place.cluster,
            node: place.node,
            incarnation: place.incarnation,
            software: software.clone(),
        };
        let keys = KeyDesk::new(place.store.clone(), pki.clone(), place.cluster);
        let pool = Pool::new(local.clone(), tls.clone(), views.clone(), clock.clone());
        Ok(Self {
            door: Reserved::take(config.listen.peers)?,
            tls,
            pool,
            local,
            views,
            clock: clock.clone(),
            keys,
            calls: crowd(config),
            sockets: crowd(config),
        })
    }

    /// What calls of tenants that live elsewhere go through; `stop` ends the WebSockets among them.
    pub(super) fn forward(&self, place: &Place, system: &System, stop: CancellationToken) -> ForwardLayer {
        ForwardLayer::new(Forwarding {
            whereabouts: Arc::new(place.router.clone()),
            pool: self.pool.clone(),
            clock: self.clock.clone(),
            times: Times::default(),
            calls: self.calls.clone(),
            sockets: self.sockets.clone(),
            sessions: Arc::new(system.clone()),
            stop,
        })
    }

    /// The links to other nodes.
    pub(super) fn pool(&self) -> Pool {
        self.pool.clone()
    }

    /// The other nodes, for the actors.
    pub(super) fn neighbours(&self, place: &Place) -> ClusterNeighbours {
        let (lease, router) = (place.lease.clone(), place.router.clone());
        ClusterNeighbours::new(lease, router, self.pool.clone(), self.views.clone())
    }

    /// Serves other nodes: what they ask of the actors, and `app` to the clients whose calls they forward.
    pub(super) fn serve(
        self,
        system: &System,
        app: Router,
        stop: CancellationToken,
    ) -> Result<JoinHandle<()>, StartError> {
        let inbox = Arc::new(ActorsInbox(system.clone()));
        let rpc = NodeRpc::new(self.local, inbox, self.views.clone(), self.clock).with_keys(self.keys);
        let doorman = Arc::new(PeerDoor::new(self.views, UPGRADES));
        let acceptor = self.tls.acceptor()?;
        let served = listen::serve(
            self.door.listen()?,
            acceptor,
            routes(rpc, arrive(app, FORWARDED)),
            PEER_LIMITS,
            doorman,
            stop,
        );
        Ok(tasks::spawn(served))
    }
}

/// What a tenant may have unanswered at home it may have on its way there, and strangers likewise; of an address,
/// half of what it may hold of connections, so that one alone does not use up a tenant's.
fn crowd(config: &Config) -> Crowd {
    let of_address = config.limits.connections_per_address.div_ceil(2);
    let count = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let known = count(config.limits.tenant_requests);
    Crowd::new(Room { known, strangers: known.min(STRANGERS), address: count(of_address) })
}
