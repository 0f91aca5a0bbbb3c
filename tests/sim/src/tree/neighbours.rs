//! What the actors see of other machines: the real router and view, over the simulated network. As `node` does
//! it over its links (`node/src/neighbours.rs`), of which the simulation has none: what is short there and here alike is
//! written twice rather than have the simulation build the node.

use std::{sync::Arc, time::Duration};

use ocmt_actors::{ActorError, Answering, HostSeen, HostStanding, Neighbours, RemoteChannel};
use ocmt_cluster::{ClusterError, Lease, Peer, Route, Router, View};
use ocmt_store::tables::NodeState;
use ocmt_types::{Clock, Deadline, NodeId, TenantId};
use tokio::sync::watch;

use super::{
    wire::{NoAnswer, Parcel},
    world::Tree,
};

/// The other machines, to one life of a node.
pub(crate) struct Around {
    pub(crate) tree: Tree,
    pub(crate) machine: usize,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lease: Lease,
    pub(crate) router: Router,
    pub(crate) views: watch::Receiver<Arc<View>>,
}

impl Around {
    async fn owner(&self, tenant: TenantId) -> Result<Peer, ActorError> {
        match self.router.route(tenant).await.map_err(|error| unrouted(&error))? {
            Route::There(peer) => Ok(peer),
            Route::Here => Err(ActorError::NotOwner { owner: None }),
            Route::Nobody => Err(nobody()),
        }
    }

    fn left(&self, deadline: Deadline) -> Duration {
        deadline.remaining(&*self.clock)
    }

    async fn send(&self, peer: &Peer, parcel: Parcel, within: Duration) -> Result<Vec<u8>, ActorError> {
        self.tree.ground.thaw(self.machine).await;
        let answer = self.tree.call(&peer.addr, parcel, within).await;
        self.tree.ground.thaw(self.machine).await;
        match answer {
            // errors cross as bytes, as they do between real nodes
            Ok(Parcel::Replied(answer)) => answer.map_err(|error| ActorError::from_wire(&error.to_wire())),
            Ok(_) | Err(NoAnswer::Lost) => Err(ActorError::OutcomeUnknown),
            Err(NoAnswer::Unsent) => {
                Err(ActorError::unavailable("PEER_UNREACHABLE", "no connection to the node"))
            }
        }
    }

    async fn letter(
        &self,
        tenant: TenantId,
        letter: Vec<u8>,
        deadline: Deadline,
    ) -> Result<Vec<u8>, ActorError> {
        let peer = self.owner(tenant).await?;
        let within = self.left(deadline);
        let answer = self.send(&peer, Parcel::Letter(tenant, letter, within), within).await;
        if matches!(answer, Err(ActorError::NotOwner { .. } | ActorError::Unavailable { .. })) {
            self.router.forget(tenant);
        }
        answer
    }
}

impl Neighbours for Around {
    fn strict(&self) -> Result<(), ActorError> {
        self.lease.strict().map_err(|_| ActorError::no_lease())
    }

    fn is_ours(&self, tenant: TenantId) -> Answering<'_, bool> {
        Box::pin(async move {
            match self.router.route(tenant).await.map_err(|error| unrouted(&error))? {
                Route::Here => Ok(true),
                Route::There(_) => Ok(false),
                Route::Nobody => Err(nobody()),
            }
        })
    }

    fn deliver(&self, tenant: TenantId, letter: Vec<u8>, deadline: Deadline) -> Answering<'_> {
        Box::pin(self.letter(tenant, letter, deadline))
    }

    fn deliver_held(&self, tenant: TenantId, letter: Vec<u8>, deadline: Deadline) -> Answering<'_> {
        Box::pin(self.letter(tenant, letter, deadline))
    }

    fn order(&self, host: NodeId, order: Vec<u8>, deadline: Deadline) -> Answering<'_> {
        Box::pin(async move {
            let peer = self.views.borrow().nodes.get(&host).cloned();
            let away = || ActorError::unavailable("PEER_UNREACHABLE", "the host is not in the cluster now");
            let within = self.left(deadline);
            self.send(&peer.ok_or_else(away)?, Parcel::Order(order, within), within).await
        })
    }

    fn channel(&self, _: NodeId, _: Vec<u8>, _: Deadline) -> Answering<'_, RemoteChannel> {
        let none = || ActorError::unavailable("PEER_UNREACHABLE", "nobody opens channels in this simulation");
        Box::pin(async move { Err(none()) })
    }

    fn hosts(&self) -> Vec<HostSeen> {
        let seen = |peer: &Peer| HostSeen {
            node: peer.node_id,
            memory_mib: if peer.state == NodeState::Live { peer.memory_mib } else { 0 },
            reachable: true,
        };
        self.views.borrow().nodes.values().map(seen).collect()
    }

    fn standing(&self, host: NodeId) -> HostStanding {
        let view = self.views.borrow();
        if view.nodes.contains_key(&host) {
            HostStanding::Answers
        } else if view.revoked.contains(&host) {
            HostStanding::Forgotten
        } else {
            HostStanding::Away
        }
    }
}

fn nobody() -> ActorError {
    ActorError::unavailable("NO_NODE", "no node of the cluster can take the tenant now; repeat")
}

fn unrouted(_: &ClusterError) -> ActorError {
    ActorError::unavailable("NO_ROUTE", "the node that has the tenant could not be found out; repeat")
}
