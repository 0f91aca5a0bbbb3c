//! Listening to the engine, and looking through all it has.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use ocmt_runtime::{Observed, RuntimeError};
use ractor::ActorRef;

use super::HostMessage;
use crate::{
    call::{Reply, answer_of},
    env::Env,
    error::ActorError,
    node::NodeMessage,
    tenant::{Adopt, TenantMessage},
};

/// An engine that does not answer is asked again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// A tenant answers within this, or is asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Casts what the engine says, as long as there is somebody to hear it.
pub(super) async fn listen(env: Arc<Env>, host: ActorRef<HostMessage>) {
    let mut events = env.runtime.events();
    while let Some(event) = events.next().await {
        if host.cast(HostMessage::Event(event)).is_err() {
            return;
        }
    }
}

/// Asks the tenant of each container whether it knows it; removes what nobody knows.
pub(super) async fn adopt_all(env: Arc<Env>) {
    let all = loop {
        match env.runtime.list().await {
            Ok(all) => break all,
            Err(error) => {
                tracing::warn!(%error, "engine could not be looked through, tried again");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    };
    for observed in all {
        adopt(&env, &observed).await;
    }
}

async fn adopt(env: &Arc<Env>, observed: &Observed) {
    loop {
        match ask(env, observed).await {
            Ok(true) => return,
            Ok(false) | Err(ActorError::NotFound) => return remove(env, observed).await,
            // its tenant is another node's: that one knows what it wants of its host
            Err(ActorError::NotOwner { .. }) => return,
            Err(error) => {
                tracing::debug!(container = %observed.container, %error, "container was not adopted yet");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
}

async fn ask(env: &Arc<Env>, observed: &Observed) -> Result<bool, ActorError> {
    let deadline = ocmt_types::Deadline::after(&*env.clock, ANSWER_WITHIN);
    let (reply, answer) = Reply::new(env.request_id(), None);
    let adopt = Adopt { container: observed.container, reply };
    env.to_root(NodeMessage::ToTenant(observed.labels.tenant, TenantMessage::Adopt(adopt)));
    answer_of(&env.clock, deadline, answer).await
}

async fn remove(env: &Env, observed: &Observed) {
    tracing::warn!(container = %observed.container, tenant = %observed.labels.tenant, "container that no row knows is removed");
    match env.runtime.remove(&observed.container).await {
        Ok(()) | Err(RuntimeError::NotFound(_)) => {}
        Err(error) => {
            tracing::warn!(container = %observed.container, %error, "stray container could not be removed");
        }
    }
}
