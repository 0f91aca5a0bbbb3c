//! The dead-man pause of this process (`ocmt_actors::dead_man`): nobody can reach the containers of a node without
//! its lease, and nobody's idle clock runs, so after `cluster.dead_man` they are paused.
//!
//! It belongs to the process and not to a life of the node, since a node that cannot come back has none. It
//! talks to the engine over a connection of its own. Cells of the `process` runtime end with the life that
//! started them, so there is nothing to pause.

use std::sync::Arc;

use ocmt_types::Clock;
use tokio::task::JoinHandle;

use super::{StartError, engine::Containers, lapse::Lapse};
use crate::{
    config::{Config, RuntimeKind, StorePlace},
    pki::NodeIdentity,
    tasks,
};

/// Ends with this value.
pub(super) struct DeadMan(Option<JoinHandle<()>>);

impl DeadMan {
    /// Stands by from now on, where there is a lease to lose and a container that outlives it.
    ///
    /// # Errors
    /// [`StartError::Pki`], [`StartError::Runtime`] as a start of the node meets them. A folder without an
    /// identity is no error here: the start says what to do.
    pub(super) async fn stand_by(
        config: &Config,
        lapse: &Lapse,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let among_others = matches!(config.store.place(), Some(StorePlace::Postgres(_)));
        if !among_others || config.containers.runtime == RuntimeKind::Process {
            return Ok(Self(None));
        }
        let Some(identity) = NodeIdentity::load(&config.node.data_dir.join("pki"))? else {
            return Ok(Self(None));
        };
        let runtime = Containers::open(config, identity.id(), clock).await?.runtime;
        let (limit, lapse) = (config.cluster.dead_man.0, lapse.clone());
        let watch = ocmt_actors::dead_man(runtime, limit, move || lapse.length());
        Ok(Self(Some(tasks::spawn(watch))))
    }
}

impl Drop for DeadMan {
    fn drop(&mut self) {
        if let Some(watch) = &self.0 {
            watch.abort();
        }
    }
}
