//! Who is revoked, kept in mind by a node without peers: among others the heartbeat does it.

use std::time::Duration;

use ocmt_cluster::RevokedFile;
use ocmt_store::{Revocations, Store};
use ocmt_types::{Clock, IdGen, NodeId};
use tokio_util::task::AbortOnDropHandle;

use super::StartError;
use crate::tasks;

const EVERY: Duration = Duration::from_secs(2);

/// Writes into the database again whom it has forgotten to be revoked, then remembers who is from now on. For before
/// anybody is served.
pub(super) async fn keep(
    store: Store,
    file: RevokedFile,
    node: NodeId,
    clock: &dyn Clock,
    ids: &dyn IdGen,
) -> Result<AbortOnDropHandle<()>, StartError> {
    let mut known = file.read()?;
    let forgotten = known.without(&store.cluster().revocations().await?);
    if !forgotten.is_empty() {
        store.cluster().revoke_again(node, &forgotten, ids.id(), clock.now()).await?;
    }
    Ok(AbortOnDropHandle::new(tasks::spawn(async move {
        loop {
            match store.cluster().revocations().await {
                Ok(seen) => known = remember(&file, known, &seen).await,
                Err(error) => tracing::debug!(%error, "cannot look at who is revoked"),
            }
            tokio::time::sleep(EVERY).await;
        }
    })))
}

async fn remember(file: &RevokedFile, known: Revocations, seen: &Revocations) -> Revocations {
    let mut all = known.clone();
    all.extend(seen);
    if all == known {
        return known;
    }
    let (file, to_write) = (file.clone(), all.clone());
    match tokio::task::spawn_blocking(move || file.write(&to_write)).await {
        Ok(Ok(())) => all,
        Ok(Err(error)) => {
            tracing::warn!(%error, "cannot write who was revoked");
            known
        }
        Err(_) => known,
    }
}
