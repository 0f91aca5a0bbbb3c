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

/// How far an accepted restore raises the view's version, to the next multiple: above whatever a node has seen.
pub const RESTORE_STEP: i64 = 1 << 32;

rows! {
    /// The cluster itself: one row.
    pub struct Cluster: global("cluster") {
        key {
            /// Made when the database was made.
            cluster_id: ClusterId,
        }
        /// Grows by one with each registration and death, and by [`RESTORE_STEP`] with an accepted restore; a
        /// node that sees a lower one stops.
        view_version: i64,
        /// When the database was made.
        created_at: Timestamp,
        /// When it was put back to an older state, as long as nobody has accepted that; no node registers then.
        restored_at: Option<Timestamp>,
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
        /// Where clients reach it, an `https` URL.
        endpoint: String,
        /// Where it is in its life.
        state: NodeState,
        /// Relative weight for placement, at least 1.
        capacity: i64,
        /// Memory that it gives to containers, in MiB; 0 if it hosts none.
        memory_mib: i64,
        /// Of its program.
        version: String,
        /// When this incarnation was registered.
        registered_at: Timestamp,
    } index(node_id);

    /// The lease of one incarnation. A table of its own: a claim holds its node's row, and with the counter
    /// in that row a stream of claims would keep the renewal waiting until the lease is gone.
    pub struct NodeLease: global("leases") {
        key {
            /// Whose.
            incarnation: Incarnation,
        }
        /// Grows by one with each renewal; only that it moves counts.
        renewals: i64,
        /// Whether the incarnation is dead: set with the death, in one transaction. Nothing renews then.
        ended: bool,
    };

    /// A node that was let in, whether it has ever started or not. Its certificates are honoured until it
    /// stands among the revoked ones.
    pub struct JoinedNode: global("joined_nodes") {
        key {
            /// Which node.
            node_id: NodeId,
        }
        /// Where it said that its peers reach it, `host:port`; empty if it did not.
        addr: String,
        /// The hosts and addresses that its listeners may be certified for, one a line.
        names: String,
        /// When it came in.
        joined_at: Timestamp,
    };

    /// A node whose certificates are not honoured any more.
    pub struct RevokedNode: global("revoked_nodes") {
        key {
            /// Which node.
            node_id: NodeId,
        }
        /// Since when.
        revoked_at: Timestamp,
    };

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
