//! Whether this node can serve calls right now, asked of the parts themselves.

use std::{sync::Arc, time::Duration};

use ocmt_cluster::View;
use ocmt_runtime::Runtime;
use ocmt_store::{Store, tables::NodeState};
use ocmt_types::NodeId;
use tokio::{sync::watch, time::timeout};

const PATIENCE: Duration = Duration::from_secs(1);

/// The parts that are asked.
pub(super) struct Readiness {
    store: Store,
    runtime: Arc<dyn Runtime>,
    node: NodeId,
    /// The cluster; empty for a node without peers.
    views: watch::Receiver<Arc<View>>,
}

/// What they answered.
pub(super) struct Report {
    /// `ok`, or what is wrong.
    pub(super) store: String,
    /// `ok`, or what is wrong. Does not make the node unready: everything but containers works.
    pub(super) containers: String,
    /// `live`, or where else the node is in its life; one that joins or drains answers what reaches it, but new
    /// connections are better made to another.
    pub(super) state: &'static str,
}

impl Report {
    /// Whether calls would be served.
    pub(super) fn ready(&self) -> bool {
        self.store == "ok" && self.state == NodeState::Live.as_str()
    }
}

impl Readiness {
    /// Asks these parts.
    pub(super) fn new(
        store: Store,
        runtime: Arc<dyn Runtime>,
        node: NodeId,
        views: watch::Receiver<Arc<View>>,
    ) -> Self {
        Self { store, runtime, node, views }
    }

    /// Asks now, for at most 1 s each.
    pub(super) async fn report(&self) -> Report {
        let store = match timeout(PATIENCE, self.store.cluster().living_nodes()).await {
            Ok(Ok(_)) => "ok".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "does not answer".to_owned(),
        };
        let containers = match timeout(PATIENCE, self.runtime.list()).await {
            Ok(Ok(_)) => "ok".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the engine does not answer".to_owned(),
        };
        Report { store, containers, state: self.state() }
    }

    fn state(&self) -> &'static str {
        let view = self.views.borrow();
        let alone = view.nodes.is_empty();
        let state = view.nodes.get(&self.node).map(|peer| peer.state);
        state.unwrap_or(if alone { NodeState::Live } else { NodeState::Joining }).as_str()
    }
}
