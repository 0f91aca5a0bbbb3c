//! Where calls go, on a real view of real memberships.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod kit;

use kit::{Machine, pass, s};
use ocmt_cluster::{Membership, Peer, Route, Router};
use ocmt_store::{
    Fault, Point, Store,
    tables::NodeState,
    testing::{TestNode, id},
};
use ocmt_types::{Ownership, TenantId};
use tokio::task::JoinSet;

struct Cluster {
    store: Store,
    nodes: Vec<Membership>,
    routers: Vec<Router>,
    _ticks: Vec<JoinSet<()>>,
}

async fn three() -> Cluster {
    let store = Store::sim();
    let (mut nodes, mut ticks) = (Vec::new(), Vec::new());
    for n in 1..=3 {
        let (node, tick) = Machine::new(&store, n).start(1).await;
        nodes.push(node);
        ticks.push(tick);
    }
    pass(s(2)).await;
    let routers = nodes.iter().map(|node| Router::new(store.clone(), node)).collect();
    Cluster { store, nodes, routers, _ticks: ticks }
}

impl Cluster {
    /// The `n`th tenant, founded on the `owner`th node.
    async fn found(&self, n: u64, owner: usize) -> Ownership {
        self.as_test_node(owner).found(n).await.unwrap()
    }

    fn as_test_node(&self, at: usize) -> TestNode {
        let node = &self.nodes[at];
        TestNode { store: self.store.clone(), node_id: node.node_id(), incarnation: node.incarnation() }
    }

    /// The place of the node that each router sends the tenant to.
    async fn routes(&self, tenant: TenantId) -> Vec<Option<usize>> {
        let mut routes = Vec::new();
        for (at, router) in self.routers.iter().enumerate() {
            routes.push(match router.route(tenant).await.unwrap() {
                Route::Here => Some(at),
                Route::There(Peer { node_id, .. }) => {
                    self.nodes.iter().position(|node| node.node_id() == node_id)
                }
                Route::Nobody => None,
            });
        }
        routes
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_to_the_owner_from_everywhere() {
    let cluster = three().await;
    for (n, owner) in [(1, 0), (2, 1), (3, 2)] {
        let own = cluster.found(n, owner).await;
        assert_eq!(cluster.routes(own.tenant).await, [Some(owner); 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_owner_all_prefer_the_same_live_node() {
    let cluster = three().await;
    for n in 1..40 {
        let own = cluster.found(n, 0).await;
        assert!(cluster.store.cluster().release(own).await.unwrap());
        let routes = cluster.routes(own.tenant).await;
        assert!(routes[0].is_some() && routes.iter().all(|route| *route == routes[0]), "{routes:?}");
    }
    cluster.nodes[1].set_state(NodeState::Draining).await.unwrap();
    pass(s(2)).await;
    for n in 100..140 {
        let own = cluster.found(n, 0).await;
        assert!(cluster.store.cluster().release(own).await.unwrap());
        let routes = cluster.routes(own.tenant).await;
        assert!(routes[0] == Some(0) || routes[0] == Some(2), "a draining node is preferred: {routes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_owner_is_not_routed_to() {
    let cluster = three().await;
    let own = cluster.found(1, 2).await;
    assert_eq!(cluster.routes(own.tenant).await, [Some(2); 3]);
    cluster.store.cluster().mark_dead(own.incarnation).await.unwrap();
    pass(s(2)).await;
    let routes = cluster.routes(own.tenant).await;
    assert!(routes[0] != Some(2) && routes[0] == routes[1], "{routes:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_used_without_the_database() {
    let cluster = three().await;
    let own = cluster.found(1, 1).await;
    assert_eq!(cluster.routes(own.tenant).await, [Some(1); 3]);
    for _ in 0..3 {
        cluster.store.faults().unwrap().plan(Point::BeginRead, Fault::Unavailable);
    }
    assert_eq!(cluster.routes(own.tenant).await, [Some(1); 3]);
    cluster.routers[0].forget(own.tenant);
    assert!(cluster.routers[0].route(own.tenant).await.unwrap_err().is_retryable());
}

#[tokio::test(start_paused = true)]
async fn what_was_learnt_and_forgotten_counts() {
    let cluster = three().await;
    let own = cluster.found(1, 1).await;
    let other = &cluster.nodes[2];
    cluster.routers[0].learn(own.tenant, other.node_id(), other.incarnation());
    assert!(
        matches!(cluster.routers[0].route(own.tenant).await.unwrap(), Route::There(peer) if peer.node_id == id(3))
    );
    cluster.routers[0].forget(own.tenant);
    assert_eq!(cluster.routes(own.tenant).await, [Some(1); 3]);
    // a life that the view does not know is looked up again
    cluster.routers[0].learn(own.tenant, other.node_id(), ocmt_types::Incarnation([9; 16]));
    assert_eq!(cluster.routes(own.tenant).await, [Some(1); 3]);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_does_not_exist_is_looked_for_here() {
    let cluster = three().await;
    assert_eq!(cluster.routes(id(77)).await, [Some(0), Some(1), Some(2)]);
    assert_eq!(Router::alone().route(id(77)).await.unwrap(), Route::Here);
}

#[tokio::test(start_paused = true)]
async fn peers_are_found_by_their_id() {
    let cluster = three().await;
    assert_eq!(cluster.routers[0].peer(id(2)).unwrap().addr, "127.0.0.1:2");
    assert!(cluster.routers[0].peer(id(1)).is_none(), "a call would go from this node to itself");
    assert!(cluster.routers[0].peer(id(9)).is_none() && Router::alone().peer(id(2)).is_none());
}
