//! What runs inside a running container, looked after from outside: a workload that has ended by itself, memory that was not enough,
//! a cell that does not answer. Each is written down once, for the tenant.
//!
//! A look may outlive the life that it looked at: what it saw is written into the row of that start alone ([`Cell::is_of`]), and
//! what is known of one start is not known of the next.
//!
//! The container goes on: its cell can be unlocked anew, and whoever has a channel can look. What ends the container itself is
//! [`super::seen`]'s to find.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ocmt_crypto::{audit::Outcome as AuditOutcome, cell::ControlToken};
use ocmt_store::tables::{Container, ContainerState as Phase};

use super::{
    ContainerActorState,
    cell::Cell,
    ops::is_live,
    row::changed,
    sealing::{self, Known},
};
use crate::{
    audit,
    env::Scope,
    error::ActorError,
    host::owner::tell,
    supervisor,
    work::{SystemWork, Work, run_system},
};

/// The kernel's end for what wants more memory than there is.
const KILLED: i64 = 137;
/// A cell that does not answer so often is said to be unwell. It may only be busy.
const SILENT: usize = 3;
/// The cell's word of what the engine has told of comes within this.
const JUST: Duration = Duration::from_secs(180);
/// Want of memory is written down once in this, with how often it was: a workload that forks makes a thousand a second of it.
pub(in crate::host) const STARVED_EVERY: Duration = Duration::from_secs(60);
/// No exit code.
const RUNS: i64 = i64::MIN;

/// What is known already of one start.
pub(super) struct Health {
    /// Of which: what its cell is called by. None before the first.
    of: Option<Arc<ControlToken>>,
    /// How the workload ended, or that it runs.
    ended: AtomicI64,
    /// How often the cell did not answer, one after the other.
    silent: AtomicUsize,
    /// How often memory was not enough since that was last written down.
    starved_times: AtomicU64,
    /// It is being written down.
    starved_told: AtomicBool,
    /// What was written down of the sealing of its volume.
    sealing: Known,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            of: None,
            ended: AtomicI64::new(RUNS),
            silent: AtomicUsize::new(0),
            starved_times: AtomicU64::new(0),
            starved_told: AtomicBool::new(false),
            sealing: Known::default(),
        }
    }
}

impl Health {
    fn is_of(&self, cell: &Cell) -> bool {
        self.of.as_ref().is_some_and(|token| token.matches(cell.target.token.expose().as_bytes()))
    }

    /// Whether this end of the workload is news.
    fn is_news(&self, ended: Option<i64>) -> bool {
        let ended = ended.unwrap_or(RUNS);
        self.ended.swap(ended, Ordering::SeqCst) != ended && ended != RUNS
    }

    /// There is nothing to tell: what is known is what is so.
    fn goes_on(&self, ended: Option<i64>) {
        self.ended.store(ended.unwrap_or(RUNS), Ordering::SeqCst);
    }
}

impl ContainerActorState {
    /// Asks the running cell how its workload is.
    pub(super) fn look_after(&mut self) {
        // cut off while it writes down what is known from then on, it would never be told
        if self.looking.as_ref().is_some_and(supervisor::Task::goes_on) {
            return;
        }
        let Some(cell) = self.cell_that_runs() else { return };
        let (scope, health) = (self.scope.clone(), self.health_of(&cell));
        let held = self.row.as_ref().and_then(|row| row.unlock_id);
        self.looking = Some(supervisor::task(async move {
            let status = cell.status(&scope.env).await;
            let found = match &status {
                Ok(status) => {
                    health.silent.store(0, Ordering::SeqCst);
                    let news = status.exit.filter(|_| health.is_news(status.exit)).map(Found::Ended);
                    if news.is_none() {
                        health.goes_on(status.exit);
                    }
                    news
                }
                Err(_) if health.silent.fetch_add(1, Ordering::SeqCst) + 1 == SILENT => Some(Found::Silent),
                Err(_) => None,
            };
            if let Some(found) = found
                && !written(&scope, Noted { cell: Arc::clone(&cell), found }).await
            {
                // told anew at the next look
                health.goes_on(None);
                health.silent.fetch_min(SILENT - 1, Ordering::SeqCst);
            }
            if let Ok(status) = status {
                sealing::looked(&scope, &cell, &health.sealing, held, &status).await;
            }
        }));
    }

    /// The engine said that memory was not enough. `false` if that was only counted: its host is not to do a thing for each
    /// of what a workload can make by the thousand.
    pub(super) fn starves(&mut self) -> bool {
        self.health.starved_times.fetch_add(1, Ordering::SeqCst);
        let now = self.scope.env.clock.boottime();
        if self.starved_at.is_some_and(|at| now.saturating_sub(at) < STARVED_EVERY) {
            return false;
        }
        let Some(cell) = self.cell_that_runs() else { return true };
        let health = self.health_of(&cell);
        if health.starved_told.swap(true, Ordering::SeqCst) {
            return false;
        }
        self.starved_at = Some(now);
        let times = health.starved_times.swap(0, Ordering::SeqCst);
        let scope = self.scope.clone();
        // outlives the actor: the engine may not say it again
        supervisor::detach(async move {
            // what the kernel ended may be the workload: that is not told a second time
            let exit = cell.status(&scope.env).await.ok().and_then(|status| status.exit);
            let known = health.ended.load(Ordering::SeqCst);
            health.goes_on(exit);
            if !written(&scope, Noted { cell, found: Found::Starved { times } }).await {
                health.ended.store(known, Ordering::SeqCst);
                health.starved_times.fetch_add(times, Ordering::SeqCst);
            }
            health.starved_told.store(false, Ordering::SeqCst);
        });
        true
    }

    /// What is known of this start. How often memory was not enough goes on to be counted: that is of the container.
    fn health_of(&mut self, cell: &Cell) -> Arc<Health> {
        if !self.health.is_of(cell) {
            let of = Some(Arc::clone(&cell.target.token));
            let starved_times = self.health.starved_times.swap(0, Ordering::SeqCst).into();
            self.health = Arc::new(Health { of, starved_times, ..Health::default() });
        }
        Arc::clone(&self.health)
    }

    fn cell_that_runs(&self) -> Option<Arc<Cell>> {
        let runs = self.row.as_ref().is_some_and(|row| row.observed == Phase::Running);
        self.cell.clone().filter(|_| runs && self.moved.is_none())
    }
}

#[derive(Debug, Clone, Copy)]
enum Found {
    /// The workload ended by itself, with this code.
    Ended(i64),
    /// The kernel ended something for want of memory, so often since that was last told.
    Starved { times: u64 },
    /// The cell does not answer.
    Silent,
}

/// Whether it could be written down.
async fn written(scope: &Scope, work: Noted) -> bool {
    let (container, found) = (work.cell.container(), work.found);
    tracing::info!(%container, ?found, "what runs in a container is not well");
    match run_system(scope, work).await {
        Ok(((), effects)) => tell(scope, effects),
        Err(error) => {
            tracing::debug!(%container, %error, "the health of a container was not written down");
            return false;
        }
    }
    true
}

struct Noted {
    /// Of whose start it was seen.
    cell: Arc<Cell>,
    found: Found,
}

impl SystemWork for Noted {
    type Output = ();

    async fn perform(self, work: &mut Work) -> Result<(), ActorError> {
        let container = self.cell.container();
        let row = work.tx.get::<Container>(container).await?.ok_or(ActorError::NotFound)?;
        if !is_live(row.observed) {
            // its own end says more
            return Ok(());
        }
        if !self.cell.is_of(&work.env, &row)? {
            tracing::debug!(%container, found = ?self.found, "it was of a start before this one");
            return Ok(());
        }
        let (action, exit) = match self.found {
            Found::Ended(code) => ("container.workload_ended", Some((code, false))),
            Found::Starved { .. } => ("container.out_of_memory", Some((KILLED, true))),
            Found::Silent => ("container.silent", None),
        };
        let mut details = Vec::new();
        if let Found::Starved { times } = self.found {
            details.push(("times".to_owned(), times.to_string()));
        }
        if let Some((code, oom)) = exit {
            details.push(("code".to_owned(), code.to_string()));
            let now = work.now;
            // the word of the engine comes before the cell's: the kernel's end of the workload itself
            let just = row.exited_at.is_some_and(|at| now.since(at) < JUST);
            let oom = oom || code == KILLED && row.exit_oom && just;
            changed(work, row, |row| {
                (row.exit_code, row.exit_oom, row.exited_at) = (Some(code), oom, Some(now));
                Ok(())
            })
            .await?;
        }
        let outcome = if exit.is_some_and(|(code, _)| code == 0) {
            AuditOutcome::Allowed
        } else {
            AuditOutcome::Failed
        };
        audit::note(work, action, format!("container/{container}"), outcome, details).await
    }
}
