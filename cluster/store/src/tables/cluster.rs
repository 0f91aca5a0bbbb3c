//! Which nodes there are and which of them owns which tenant.

use ocmt_types::{ClusterId, Epoch, Incarnation, NodeId, TenantId, Timestamp};

use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// Where a node is in its life. `Dead` is final for that incarnation.
    pub enum NodeState {
        /// Known, not serving yet.
        Joining = "joining",
        /// Serves and may claim tenants.
        Live = "live",
        /// Serves what it has and claims nothing.
        Draining = "draining",
        /// Gone; what it owned may be claimed by others.
        Dead = "dead",
    }
}

rows! {
    /// The cluster itself: one row.
    pub struct Cluster: global("cluster") {
        key {
            /// Made when the database was made.
            cluster_id: ClusterId,
        }
        /// Grows with each death and each accepted restore; a node that sees a lower one stops.
        view_version: i64,
        /// When the database was made.
        created_at: Timestamp,
    };

    /// One life of a node. A node that comes back is another incarnation, another row.
    pub struct Node: global("nodes") {
        key {
            /// 128 random bits, made when the process starts.
            incarnation: Incarnation,
        }
        /// Which node.
        node_id: NodeId,
        /// Where its peers reach it, `host:port`.
        addr: String,
        /// Where it is in its life.
        state: NodeState,
        /// Lease renewals; only that it moves counts.
        renewals: i64,
        /// Relative weight for placement, at least 1.
        capacity: i64,
        /// When this incarnation was registered.
        registered_at: Timestamp,
    } index(node_id);

    /// Who owns a tenant. Nothing but claims and releases writes this table.
    pub struct TenantOwner: global("tenant_owner") {
        key {
            /// Whose state.
            tenant_id: TenantId,
        }
        /// The owning node; none after a release.
        node_id: Option<NodeId>,
        /// The owning life of that node; none after a release.
        incarnation: Option<Incarnation>,
        /// Grows by one with each claim.
        epoch: Epoch,
    } index(incarnation);
}
