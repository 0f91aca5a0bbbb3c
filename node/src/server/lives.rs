//! The lives of a node in one process: when one is over it comes back as a new incarnation.
//!
//! A node whose lease ran out, or that others declared dead, stops at once and joins again; its containers go
//! on running meanwhile and are adopted by the next life. What a repetition cannot mend ends the process: a
//! revoked node, and a database that went back in time.

use std::{future::Future, time::Duration};

use ocmt_cluster::{ClusterError, Ending};

use super::{Node, StartError};
use crate::config::Config;

/// Between two attempts to join again.
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

/// Runs a node, life after life, until `stop`. `serves` is told of each life that serves.
///
/// # Errors
/// [`Over`]: why the first life could not begin, or why none may follow.
pub async fn run(
    config: &Config,
    stop: impl Future<Output = ()>,
    mut serves: impl FnMut(&Node),
) -> Result<(), Over> {
    tokio::pin!(stop);
    let mut node = Box::pin(Node::start(config)).await?;
    loop {
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
            return Err(Over::Ended(ending));
        }
        node = tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            next = rejoin(config) => next?,
        };
    }
}

/// Tries until it is in again: the database may still be away.
async fn rejoin(config: &Config) -> Result<Node, Over> {
    loop {
        match Box::pin(Node::start(config)).await {
            Ok(node) => return Ok(node),
            Err(error) if is_passing(&error) => {
                tracing::warn!(%error, "cannot join the cluster again yet");
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn may_return(ending: &Ending) -> bool {
    match ending {
        Ending::LeaseLost | Ending::DeclaredDead => true,
        Ending::DatabaseWentBack(_) | Ending::Revoked => false,
    }
}

/// Whether the same start may succeed later. The lives before this one may still hold the data folder and the
/// listeners for a moment.
fn is_passing(error: &StartError) -> bool {
    match error {
        StartError::Store(error) => error.is_retryable(),
        StartError::Cluster(ClusterError::Memory(_)) | StartError::Listen { .. } => true,
        StartError::Cluster(error) => error.is_retryable(),
        StartError::Actors(error) => error.is_retryable(),
        StartError::Pki(_) | StartError::Peers(_) | StartError::Runtime(_) | StartError::Setting(_) => false,
    }
}
