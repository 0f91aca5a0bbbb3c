//! Writes into the cluster's own audit what a node sees of the cluster's state, once for each time that it comes about.

use std::{sync::Arc, time::Duration};

use ocmt_store::{ClusterAct, Store, StoreError};
use ocmt_types::{Clock, IdGen, NodeId};

/// What is noted: `area.what`, as the audit has it. Rules are over these.
pub mod condition {
    /// A node did not renew its lease.
    pub const NODE_DEAD: &str = "node.dead";
    /// A certificate ends soon.
    pub const CERTIFICATE_ENDS: &str = "certificate.ends";
    /// One has ended.
    pub const CERTIFICATE_ENDED: &str = "certificate.ended";
    /// A node refuses unusually much by its limits.
    pub const LIMIT_STORM: &str = "limits.storm";
    /// Containers of a host are not as they were made.
    pub const DRIFT: &str = "containers.drift";
    /// The head of an audit does not go on from the one before.
    pub const WITNESS_REFUSED: &str = "audit.witness_refused";
    /// Heads of audits are not taken.
    pub const AUDIT_LAG: &str = "audit.lag";
    /// A new sealing key is not in use yet, or the present one is old.
    pub const SEALING_DUE: &str = "sealing.due";
}

/// Characters of one fact.
const LONGEST: usize = 120;

/// Notes for one node. Cheap to clone.
#[derive(Clone)]
pub struct Noter {
    store: Store,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGen>,
    node: NodeId,
}

impl Noter {
    /// Of this node.
    pub fn new(store: Store, clock: Arc<dyn Clock>, ids: Arc<dyn IdGen>, node: NodeId) -> Self {
        Self { store, clock, ids, node }
    }

    /// Which node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Notes that it is so, unless this was noted of the object within `quiet`; whether it was noted now.
    ///
    /// # Errors
    /// [`StoreError`]: it is noted when it is seen again.
    pub async fn note(
        &self,
        action: &'static str,
        object: String,
        details: Vec<(String, String)>,
        quiet: Duration,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        // a record has a bound, and what a receiver said has none
        let clipped = |(name, value): (String, String)| (name, value.chars().take(LONGEST).collect());
        let details = details.into_iter().map(clipped).collect();
        let act = ClusterAct::of_node(self.node, now, self.ids.id(), action, object, details);
        self.store.operators().note(&act, now - quiet).await
    }

    /// The same, where whoever sees it has something else to do: a failure is a warning in the log.
    pub async fn try_note(
        &self,
        action: &'static str,
        object: String,
        details: Vec<(String, String)>,
        quiet: Duration,
    ) {
        if let Err(error) = self.note(action, object, details, quiet).await {
            tracing::warn!(action, %error, "what operators should know cannot be noted");
        }
    }
}
