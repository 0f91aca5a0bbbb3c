//! Tenants that are to be erased, and what stays of those that were.

use ocmt_types::{NodeId, TenantId, Timestamp};

use crate::kernel::row::rows;

rows! {
    /// A deletion that was asked for. It outlives everything else of the tenant but its audit.
    pub struct Deletion: tenant("deletions") {
        key {}
        /// Who asked, as the audit names them.
        asked_by: String,
        /// When.
        asked_at: Timestamp,
        /// Until then it can be stopped.
        erases_at: Timestamp,
        /// When erasing began; none before it.
        began_at: Option<Timestamp>,
        /// How much there was then, for the record that is left.
        found: Option<String>,
        /// What was erased, for the record that is left; none until the rows are gone.
        erased: Option<String>,
    };

    /// What is left of a tenant that was deleted. Hosts erase the volumes of tenants that are named here.
    pub struct DeletedTenant: global("deleted_tenants") {
        key {
            /// Which.
            tenant: TenantId,
        }
        /// When its rows were gone.
        deleted_at: Timestamp,
        /// The node that signed.
        node_id: NodeId,
        /// What is attested: see docs/formats.md, "deletion record".
        statement: Vec<u8>,
        /// By the node's identity key.
        signature: Vec<u8>,
    };
}
