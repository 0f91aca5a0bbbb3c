//! The dead-man pause of this process (`ocmt_actors::dead_man`): nobody can reach the containers of a node without
//! its lease, and nobody's idle clock runs, so after `cluster.dead_man` they are paused.
//!
//! It belongs to the process and not to a life of the node, since a node that cannot come back has none. It
//! talks to the engine over a connection of its own. Cells of the `process` runtime end with the life that
//! started them, so there is nothing to pause.
//!
//! A node that is over for good (revoked, or its database went back) does not wait: it stops what it runs.

use std::{sync::Arc, time::Duration};

use ocmt_runtime::Runtime;
use ocmt_types::Clock;
use tokio::task::JoinHandle;

use super::{StartError, engine::Containers, lapse::Lapse};
use crate::{
    config::{Config, RuntimeKind, StorePlace},
    pki::NodeIdentity,
    tasks,
};

/// How long a container may take to stop when its node is over for good: its cell seals and locks.
const GRACE: Duration = Duration::from_secs(10);

/// Ends with this value.
pub(super) struct DeadMan(Option<Standing>);

struct Standing {
    runtime: Arc<dyn Runtime>,
    watch: JoinHandle<()>,
}

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
        let watch = ocmt_actors::dead_man(runtime.clone(), limit, move || lapse.length());
        Ok(Self(Some(Standing { runtime, watch: tasks::spawn(watch) })))
    }

    /// The node is over for good: its process ends, and with it whoever could pause anything later.
    pub(super) async fn stop_all(&self) {
        if let Some(Standing { runtime, .. }) = &self.0 {
            ocmt_actors::stop_all(&**runtime, GRACE).await;
        }
    }
}

impl Drop for DeadMan {
    fn drop(&mut self) {
        if let Some(Standing { watch, .. }) = &self.0 {
            watch.abort();
        }
    }
}
