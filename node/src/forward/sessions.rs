//! The sessions behind connections that are carried to another node's gateway, as the layer asks for them: the actors, or a
//! test's own.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use ocmt_actors::{System, api::container::SessionElsewhere};
use ocmt_types::ContainerId;

/// Finds the session of a gateway token.
pub trait Sessions: Send + Sync + 'static {
    /// The session; none for what is no good token of this container.
    fn of(&self, container: ContainerId, token: &str) -> Option<Arc<dyn Watched>>;
}

/// A session.
pub trait Watched: Send + Sync {
    /// Ready when it is over, or nobody could say for too long whether it is. Asked anew each time.
    fn over(&self) -> BoxFuture<'_, ()>;
}

impl Sessions for System {
    fn of(&self, container: ContainerId, token: &str) -> Option<Arc<dyn Watched>> {
        let session = self.session_elsewhere(container, token).ok()?;
        Some(Arc::new(session))
    }
}

impl Watched for SessionElsewhere {
    fn over(&self) -> BoxFuture<'_, ()> {
        self.over().boxed()
    }
}
