//! The claims of a node that is alone with its database.
//!
//! It holds the lock of its data folder, which proves that whatever ran there before is gone: so no lease is
//! needed, and a restart takes over its own tenants at once. With a second node this proof no longer covers
//! the others, and the lease takes its place (issue 3).

use ocmt_store::{
    Claim, Store,
    tables::{Cluster, Node, NodeState},
};
use ocmt_types::{Clock, IdGen, Incarnation, NodeId, Ownership, TenantId};

use crate::ClusterError;

/// What a node without peers says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Alone<'a> {
    /// Which node.
    pub node_id: NodeId,
    /// `host:port` where it is reached.
    pub addr: &'a str,
    /// Version of its software.
    pub version: &'a str,
}

/// A node without peers.
#[derive(Clone)]
pub struct SingleNode {
    store: Store,
    node_id: NodeId,
    incarnation: Incarnation,
}

impl SingleNode {
    /// Registers a new incarnation of this node as live, and buries the earlier ones. Only for the holder of the data folder's lock, which an open SQLite store is.
    ///
    /// # Errors
    /// [`ClusterError::Store`].
    pub async fn start(
        store: Store,
        Alone { node_id, addr, version }: Alone<'_>,
        clock: &dyn Clock,
        ids: &dyn IdGen,
    ) -> Result<(Self, Cluster), ClusterError> {
        let incarnation = Incarnation(ids.random16());
        let now = clock.now();
        store.cluster().cluster(ids.id(), now).await?;
        let node = Node {
            incarnation,
            node_id,
            addr: addr.to_owned(),
            endpoint: format!("https://{addr}"),
            state: NodeState::Live,
            capacity: 1,
            memory_mib: 0,
            version: version.to_owned(),
            registered_at: now,
        };
        store.cluster().register(&node).await?;
        // read again: the deaths just recorded raised its view version
        let cluster = store.cluster().cluster(ids.id(), now).await?;
        tracing::info!(node = %node_id, %incarnation, "registered this node as the only one");
        Ok((Self { store, node_id, incarnation }, cluster))
    }

    /// This node.
    pub fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// This life of it.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Claims a tenant under a new epoch; whatever an earlier activation still has in flight is fenced.
    ///
    /// # Errors
    /// [`ClusterError::NoTenant`]; [`ClusterError::NotOwner`] if a node that is not dead owns it;
    /// [`ClusterError::Store`].
    pub async fn claim(&self, tenant: TenantId) -> Result<Ownership, ClusterError> {
        match self.store.cluster().claim(tenant, self.node_id, self.incarnation).await? {
            Claim::Taken(ownership) => Ok(ownership),
            Claim::Owned { node_id, .. } => Err(ClusterError::NotOwner { tenant, owner: node_id }),
            Claim::NoTenant => Err(ClusterError::NoTenant),
        }
    }

    /// Gives a tenant up when it goes to sleep.
    ///
    /// # Errors
    /// [`ClusterError::Store`].
    pub async fn release(&self, ownership: Ownership) -> Result<(), ClusterError> {
        self.store.cluster().release(ownership).await?;
        Ok(())
    }
}
