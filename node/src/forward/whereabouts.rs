//! Where tenants live, as the layer asks it: the cluster's router, or a test's own.

use futures_util::{FutureExt as _, future::BoxFuture};
use ocmt_cluster::{ClusterError, Peer, Route, Router};
use ocmt_types::{NodeId, TenantId};

/// Finds the node of a tenant. An answer may be old: whoever is asked in vain says so.
pub trait Whereabouts: Send + Sync + 'static {
    /// Where a call for this tenant goes.
    fn route(&self, tenant: TenantId) -> BoxFuture<'_, Result<Route, ClusterError>>;
    /// Where a call goes that is about no tenant.
    fn anybody(&self) -> Route;
    /// What was known of this tenant is not so.
    fn forget(&self, tenant: TenantId);
    /// This tenant lives there.
    fn learn(&self, tenant: TenantId, owner: &Peer);
    /// The node, if it lives and is another than this one.
    fn peer(&self, node: NodeId) -> Option<Peer>;
}

impl Whereabouts for Router {
    fn route(&self, tenant: TenantId) -> BoxFuture<'_, Result<Route, ClusterError>> {
        self.route(tenant).boxed()
    }

    fn anybody(&self) -> Route {
        self.anybody()
    }

    fn forget(&self, tenant: TenantId) {
        self.forget(tenant);
    }

    fn learn(&self, tenant: TenantId, owner: &Peer) {
        self.learn(tenant, owner.node_id, owner.incarnation);
    }

    fn peer(&self, node: NodeId) -> Option<Peer> {
        self.peer(node)
    }
}
