//! Whether this node can serve calls right now, asked of the parts themselves.

use std::{sync::Arc, time::Duration};

use ocmt_runtime::Runtime;
use ocmt_store::Store;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(1);

/// The parts that are asked.
pub(super) struct Readiness {
    store: Store,
    runtime: Arc<dyn Runtime>,
}

/// What they answered.
pub(super) struct Report {
    /// `ok`, or what is wrong.
    pub(super) store: String,
    /// `ok`, or what is wrong. Does not make the node unready: everything but containers works.
    pub(super) containers: String,
}

impl Report {
    /// Whether calls would be served.
    pub(super) fn ready(&self) -> bool {
        self.store == "ok"
    }
}

impl Readiness {
    /// Asks these parts.
    pub(super) fn new(store: Store, runtime: Arc<dyn Runtime>) -> Self {
        Self { store, runtime }
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
        Report { store, containers }
    }
}
