//! What the actors see of other nodes: the router, the view and the links behind one port; and the other way
//! round, what other nodes ask of this node's actors.

use std::{sync::Arc, time::Duration};

use ocmt_actors::{ActorError, Answering, HostSeen, HostStanding, Neighbours, RemoteChannel, System};
use ocmt_cluster::{ClusterError, Lease, Peer, Route, Router, View};
use ocmt_store::tables::NodeState;
use ocmt_types::{Deadline, NodeId, TenantId};
use tokio::sync::watch;

use crate::peers::{AskError, Inbox, Pool};

/// The nodes of a cluster, to this one's actors.
pub(crate) struct ClusterNeighbours {
    lease: Lease,
    router: Router,
    pool: Pool,
    views: watch::Receiver<Arc<View>>,
}

impl ClusterNeighbours {
    /// Over the lease, routes and links of this node.
    pub(crate) fn new(lease: Lease, router: Router, pool: Pool, views: watch::Receiver<Arc<View>>) -> Self {
        Self { lease, router, pool, views }
    }

    /// The host, if the view has it.
    fn host(&self, host: NodeId) -> Result<Peer, ActorError> {
        self.views
            .borrow()
            .nodes
            .get(&host)
            .cloned()
            .ok_or_else(|| away("the host is not in the cluster now"))
    }

    /// The node that has the tenant, if it is another.
    async fn owner(&self, tenant: TenantId) -> Result<Peer, ActorError> {
        match self.router.route(tenant).await.map_err(|error| unrouted(&error))? {
            Route::There(peer) => Ok(peer),
            // it came here meanwhile: the caller looks again
            Route::Here => Err(ActorError::NotOwner { owner: None }),
            Route::Nobody => Err(nobody()),
        }
    }

    /// What a letter came back with; whoever did not take it does not have the tenant.
    fn judge(&self, tenant: TenantId, answer: Result<Vec<u8>, ActorError>) -> Result<Vec<u8>, ActorError> {
        if matches!(answer, Err(ActorError::NotOwner { .. } | ActorError::Unavailable { .. })) {
            self.router.forget(tenant);
        }
        answer
    }
}

impl Neighbours for ClusterNeighbours {
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
        Box::pin(async move {
            let peer = self.owner(tenant).await?;
            let answer = self.pool.deliver(&peer, tenant, letter, deadline).await.map_err(asked);
            self.judge(tenant, answer)
        })
    }

    fn deliver_held(&self, tenant: TenantId, letter: Vec<u8>, deadline: Deadline) -> Answering<'_> {
        Box::pin(async move {
            let peer = self.owner(tenant).await?;
            let answer = self.pool.deliver_held(&peer, tenant, letter, deadline).await.map_err(asked);
            self.judge(tenant, answer)
        })
    }

    fn order(&self, host: NodeId, order: Vec<u8>, deadline: Deadline) -> Answering<'_> {
        Box::pin(async move {
            let peer = self.host(host)?;
            self.pool.order(&peer, order, deadline).await.map_err(asked)
        })
    }

    fn channel(&self, host: NodeId, opening: Vec<u8>, deadline: Deadline) -> Answering<'_, RemoteChannel> {
        Box::pin(async move {
            let peer = self.host(host)?;
            self.pool.channel(&peer, opening, deadline).await.map_err(asked)
        })
    }

    fn hosts(&self) -> Vec<HostSeen> {
        let seen = |peer: &Peer| HostSeen {
            node: peer.node_id,
            // only a live node takes new ones
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

fn asked(error: AskError) -> ActorError {
    match error {
        AskError::Unsent(why) => away(&why),
        AskError::Lost(why) => {
            tracing::debug!(why, "the answer of another node was lost");
            ActorError::OutcomeUnknown
        }
        AskError::Refused(error) => error,
    }
}

fn away(why: &str) -> ActorError {
    ActorError::unavailable("PEER_UNREACHABLE", why)
}

fn nobody() -> ActorError {
    ActorError::unavailable("NO_NODE", "no node of the cluster can take the tenant now; repeat")
}

fn unrouted(error: &ClusterError) -> ActorError {
    tracing::debug!(%error, "the owner of a tenant could not be found out");
    ActorError::unavailable("NO_ROUTE", "the node that has the tenant could not be found out; repeat")
}

/// This node's actors, to other nodes.
pub(crate) struct ActorsInbox(pub(crate) System);

impl Inbox for ActorsInbox {
    fn deliver(&self, tenant: TenantId, letter: Vec<u8>, deadline: Deadline) -> Answering<'_> {
        Box::pin(self.0.deliver(tenant, letter, deadline))
    }

    fn order(&self, order: Vec<u8>, deadline: Deadline) -> Answering<'_> {
        Box::pin(self.0.take_order(order, deadline))
    }

    fn channel(&self, opening: Vec<u8>, deadline: Deadline) -> Answering<'_, RemoteChannel> {
        Box::pin(self.0.take_channel(opening, deadline))
    }

    fn release(&self, tenant: TenantId, patience: Duration) -> Answering<'_, ()> {
        Box::pin(self.0.release(tenant, patience))
    }
}
