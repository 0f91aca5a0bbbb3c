//! The session behind a connection that this node only carries: its client is here, and the node of its tenant, which let it in,
//! somewhere else.
//!
//! That node ends it with the session. But where a client takes its time, what it sends stands in the way of its word; so whoever
//! carries it asks for themselves, by a letter that is held until the session is over.

use std::{sync::Arc, time::Duration};

use ocmt_types::{SessionId, TenantId};
use tokio::time::{sleep, timeout};

use super::owner;
use crate::{env::Env, error::ActorError};

/// Who does not answer is asked again after this.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Such a session.
pub struct SessionElsewhere {
    pub(super) env: Arc<Env>,
    pub(super) tenant: TenantId,
    pub(super) session: SessionId,
}

impl SessionElsewhere {
    /// Ready when it is over, or when nobody could say for too long whether it is.
    pub async fn over(&self) {
        while let Ok(true) = timeout(self.env.limits.pinned_for, self.good()).await {}
    }

    async fn good(&self) -> bool {
        let hold = self.env.limits.pinned_for / 3;
        loop {
            match owner::watch_session(&self.env, self.tenant, self.session, false, hold).await {
                Ok(good) => return good,
                Err(
                    ActorError::Unauthenticated(_) | ActorError::PermissionDenied(_) | ActorError::NotFound,
                ) => return false,
                Err(error) => {
                    tracing::debug!(%error, "owner of a session does not say how it stands, asked again");
                    sleep(AGAIN_AFTER).await;
                }
            }
        }
    }
}
