//! A pool, and the connection that is being opened in it for whoever asks next.
//!
//! Callers wait for a new connection for part of a second only, and to open one may take longer: a distant database, a busy machine,
//! everybody at once after a restart. What each caller began and threw away would never be ready, and the database stay lost for
//! as long as that lasts. So what a caller could not wait for is kept, and the next one goes on with it.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ocmt_types::{Clock as _, SystemClock};
use sqlx::PgPool;

use super::tx::Connection;

type Acquiring = Pin<Box<dyn Future<Output = Result<Connection, sqlx::Error>> + Send>>;

/// A pool that goes on opening. Clones are the same.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) pool: PgPool,
    kept: Arc<Mutex<Option<Opening>>>,
}

/// A connection on its way.
pub(super) struct Opening {
    began: Duration,
    pub(super) acquiring: Acquiring,
}

impl Opening {
    /// How long ago it was begun, by whomever.
    pub(super) fn age(&self) -> Duration {
        SystemClock.boottime().saturating_sub(self.began)
    }
}

impl Way {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, kept: Arc::default() }
    }

    /// Whether a connection can be had without waiting for another caller's.
    pub(super) fn has_room(&self) -> bool {
        self.pool.num_idle() > 0 || self.pool.size() < self.pool.options().get_max_connections()
    }

    /// What was begun already, unless a connection lies ready, or it is too old to come to anything; else anew.
    pub(super) fn acquire(&self) -> Opening {
        // the pool itself gives up after all of it
        let most = self.pool.options().get_acquire_timeout() / 2;
        let kept = self.slot().take().filter(|opening| self.pool.num_idle() == 0 && opening.age() < most);
        let anew = || Opening { began: SystemClock.boottime(), acquiring: Box::pin(self.pool.acquire()) };
        kept.unwrap_or_else(anew)
    }

    /// Keeps it for the next caller, if there can be one; one is enough.
    pub(super) fn keep(&self, opening: Opening) {
        let mut slot = self.slot();
        if !self.pool.is_closed() {
            slot.get_or_insert(opening);
        }
    }

    pub(super) async fn close(&self) {
        let closing = {
            let mut slot = self.slot();
            // closed from here on, so none is kept that would be waited for now: nobody goes on with it
            let closing = self.pool.close();
            *slot = None;
            closing
        };
        closing.await;
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Opening>> {
        // nobody panics while they hold it
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
