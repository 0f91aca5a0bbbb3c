//! Ending what a dead incarnation left open in the database.
//!
//! Its transactions can no longer commit anything that matters after the claim, but until they end they hold
//! the very rows that the claim wants. The incarnation stands in `application_name`.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use ocmt_types::Incarnation;

use super::Postgres;

/// More dead incarnations than anybody follows between two restarts; then the memory begins again.
const MOST_REMEMBERED: usize = 1_000;

const END: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE datname = current_database() AND application_name LIKE 'ocmt/%/' || $1";

/// Incarnations whose sessions this process has ended: once is enough, since a process that comes back from
/// suspension and opens new ones is held to the bounded time that every transaction has.
#[derive(Clone, Default)]
pub(super) struct Ended(Arc<Mutex<HashSet<Incarnation>>>);

impl Ended {
    fn is_new(&self, incarnation: Incarnation) -> bool {
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() >= MOST_REMEMBERED {
            ended.clear();
        }
        ended.insert(incarnation)
    }
}

impl Postgres {
    /// Ends the sessions of an incarnation that is dead. Only a convenience, so a failure is told and no
    /// more: without it a claim waits until the server ends an idle transaction.
    pub(crate) async fn end_sessions_of(&self, incarnation: Incarnation) {
        if !self.ended.is_new(incarnation) {
            return;
        }
        let ended: Result<i64, _> =
            sqlx::query_scalar(END).bind(incarnation.to_string()).fetch_one(&self.cluster).await;
        match ended {
            Ok(0) => {}
            Ok(sessions) => {
                tracing::info!(%incarnation, sessions, "ended database sessions of dead incarnation");
            }
            Err(error) => {
                tracing::warn!(%incarnation, %error, "cannot end database sessions of dead incarnation");
            }
        }
    }
}
