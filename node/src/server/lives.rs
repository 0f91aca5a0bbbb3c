//! The lives of a node in one process: when one is over it comes back as a new incarnation.
//!
//! A node whose lease ran out, or that others declared dead, stops at once and joins again; its containers go
//! on running meanwhile and are adopted by the next life, or are paused if that takes too long
//! ([`super::dead_man`]). A node that starts before its database waits for it in the same way. What a repetition
//! cannot mend ends the process: a revoked node, and a database that went back in time.

use std::{future::Future, sync::Arc, time::Duration};

use ocmt_cluster::{ClusterError, Ending};
use ocmt_types::{Clock, SystemClock};

use super::{Node, StartError, dead_man::DeadMan, lapse::Lapse, telemetry::Telemetry};
use crate::{
    config::{Config, StorePlace},
    software::Software,
};

/// Between two attempts to join.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a node is over for good.
#[derive(Debug, thiserror::Error)]
pub enum Over {
    /// It could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It must not go on.
    #[error("this node must not go on: {0}")]
    Ended(Ending),
}

/// Runs a node of this release, life after life, until `stop`. `serves` is told of each life that serves.
///
/// # Errors
/// [`Over`]: why the first life could not begin, or why none may follow.
pub async fn run(
    config: &Config,
    software: Software,
    stop: impl Future<Output = ()>,
    mut serves: impl FnMut(&Node),
) -> Result<(), Over> {
    tokio::pin!(stop);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let lapse = Lapse::begin(Arc::clone(&clock));
    let telemetry = Telemetry::open(config.listen.telemetry).await?;
    let dead_man = DeadMan::stand_by(config, &lapse, clock).await?;
    let mut again: fn(&Config, &StartError) -> bool = waits_at_first;
    loop {
        let node = tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            node = join(config, &software, &lapse, &telemetry, again) => node?,
        };
        again = waits_later;
        serves(&node);
        let ending = tokio::select! {
            biased;
            () = &mut stop => {
                node.stop().await;
                return Ok(());
            }
            ending = node.ended() => ending,
        };
        tracing::error!(%ending, "this life of the node is over, its tenants go to others");
        node.abort().await;
        if !may_return(&ending) {
            dead_man.stop_all().await;
            return Err(Over::Ended(ending));
        }
    }
}

/// Tries until it is in, as long as `again` says that another try may succeed.
async fn join(
    config: &Config,
    software: &Software,
    lapse: &Lapse,
    telemetry: &Telemetry,
    mut again: fn(&Config, &StartError) -> bool,
) -> Result<Node, StartError> {
    loop {
        match Box::pin(Node::start_in(config, software, lapse, telemetry)).await {
            Ok(node) => return Ok(node),
            Err(error) if again(config, &error) => {
                tracing::warn!(%error, "cannot join the cluster yet, trying again");
                // what an attempt took (the lock of the data folder, the addresses) it may not have let go of yet
                again = waits_later;
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn may_return(ending: &Ending) -> bool {
    match ending {
        Ending::LeaseLost | Ending::DeclaredDead => true,
        Ending::DatabaseWentBack(_) | Ending::Revoked => false,
    }
}

/// Whether the first start may succeed later: the database of the cluster is away. What else is wrong is told
/// to whoever starts the node.
fn waits_at_first(config: &Config, error: &StartError) -> bool {
    let among_others = matches!(config.store.place(), Some(StorePlace::Postgres(_)));
    among_others
        && match error {
            StartError::Store(error) => error.is_retryable(),
            StartError::Cluster(error) => error.is_retryable(),
            _ => false,
        }
}

/// Whether a later start may succeed when repeated. The lives before it may still hold the data folder and the
/// listeners for a moment.
fn waits_later(_: &Config, error: &StartError) -> bool {
    match error {
        StartError::Store(error) => error.is_retryable(),
        StartError::Cluster(ClusterError::Memory(_)) | StartError::Listen { .. } => true,
        StartError::Cluster(error) => error.is_retryable(),
        StartError::Actors(error) => error.is_retryable(),
        StartError::Login(_) | StartError::Pki(_) | StartError::Runtime(_) | StartError::Setting(_) => false,
    }
}
