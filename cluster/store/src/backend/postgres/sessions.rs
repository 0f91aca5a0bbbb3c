//! Ending what a dead incarnation left open in the database.
//!
//! Its transactions can no longer commit anything that matters after the claim, but until they end they hold
//! the very rows that the claim wants. The incarnation stands in `application_name`.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ocmt_types::Incarnation;

use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::timeout;

use super::{PgConfig, Postgres, Role, failure::failed};
use crate::StoreError;

/// More dead incarnations than anybody follows between two restarts; then the memory begins again.
const MOST_REMEMBERED: usize = 1_000;

const END: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE datname = current_database() AND application_name LIKE 'ocmt/%/' || $1";

const MEMBER: &str = "SELECT NOT login.rolsuper AND count(role.rolname) = 3 AND bool_and(pg_has_role(role.oid, 'MEMBER')) \
                      FROM pg_roles login LEFT JOIN pg_roles role \
                      ON role.rolname IN ('ocmt_tenant', 'ocmt_cluster', 'ocmt_migrate') \
                      WHERE login.rolname = session_user GROUP BY login.rolsuper";

/// Whether the login is a member of all three roles. A superuser may do everything in any role, so that it
/// takes one on would say more than it means.
pub(super) async fn may_assume_roles(config: &PgConfig) -> Result<bool, StoreError> {
    let options = config.options(Role::Tenant, false)?;
    let asked = async {
        let mut connection = options.connect().await?;
        let member: Option<bool> = sqlx::query_scalar(MEMBER).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(member.unwrap_or(false))
    };
    match timeout(config.times.turn, asked).await {
        Ok(asked) => asked.map_err(|error| failed("", error)),
        Err(_) => Err(StoreError::Unavailable("the database did not answer in time".to_owned())),
    }
}

/// Incarnations whose sessions this process has ended: once is enough, since a process that comes back from
/// suspension and opens new ones is held to the bounded time that every transaction has.
#[derive(Clone, Default)]
pub(super) struct Ended(Arc<Mutex<HashSet<Incarnation>>>);

impl Ended {
    fn holds(&self, incarnation: Incarnation) -> bool {
        self.lock().contains(&incarnation)
    }

    /// `false` if it was in there before.
    fn insert(&self, incarnation: Incarnation) -> bool {
        let mut ended = self.lock();
        if ended.len() >= MOST_REMEMBERED {
            ended.clear();
        }
        ended.insert(incarnation)
    }

    fn remove(&self, incarnation: Incarnation) {
        self.lock().remove(&incarnation);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Incarnation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Postgres {
    pub(crate) fn may_have_sessions(&self, incarnation: Incarnation) -> bool {
        !self.ended.holds(incarnation)
    }

    /// Ends the sessions of an incarnation that is dead. Only a convenience, so a failure is told and no
    /// more, and whoever comes next tries again: without it a claim waits until the server ends an idle
    /// transaction.
    pub(crate) async fn end_sessions_of(&self, incarnation: Incarnation) {
        if !self.ended.insert(incarnation) {
            return;
        }
        let asked = sqlx::query_scalar(END).bind(incarnation.to_string()).fetch_one(&self.cluster.pool);
        match timeout(self.times.answer, asked).await {
            Ok(Ok(0)) => {}
            Ok(Ok(sessions)) => {
                let sessions: i64 = sessions;
                tracing::info!(%incarnation, sessions, "ended database sessions of dead incarnation");
            }
            Ok(Err(error)) => {
                self.ended.remove(incarnation);
                tracing::warn!(%incarnation, %error, "cannot end database sessions of dead incarnation");
            }
            Err(_) => {
                self.ended.remove(incarnation);
                tracing::warn!(%incarnation, "the database did not end sessions of dead incarnation in time");
            }
        }
    }
}
