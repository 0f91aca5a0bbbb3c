//! Faults that the sim plays on request, in the order they were planned: no chance is involved.
//!
//! A simulation of several nodes gives each a [`Link`] of its own to one store, which delays its calls and
//! decides which of them fail.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Semaphore;

use crate::StoreError;

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The beginning of a transaction that may write.
    Begin,
    /// The beginning of a strict read.
    BeginRead,
    /// A statement.
    Statement,
    /// The commit.
    Commit,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The database does not answer.
    Unavailable,
    /// No space is left.
    Full,
    /// At [`Point::Commit`]: the connection is lost, the writes are there (`applied`) or not, and the caller
    /// cannot know. Elsewhere the same as [`Fault::Unavailable`].
    OutcomeUnknown {
        /// Whether the writes are there.
        applied: bool,
    },
    /// Nothing moves until [`Stalled::release`].
    Stall(Stalled),
}

/// Holds a stalled call; shared by the plan and the test.
#[derive(Debug, Clone)]
pub struct Stalled {
    gate: Arc<Semaphore>,
    reached: Arc<Semaphore>,
}

impl Default for Stalled {
    fn default() -> Self {
        Self { gate: Arc::new(Semaphore::new(0)), reached: Arc::new(Semaphore::new(0)) }
    }
}

impl Stalled {
    /// Lets the call go on.
    pub fn release(&self) {
        self.gate.close();
    }

    /// Waits until a call stands here.
    pub async fn reached(&self) {
        if let Ok(permit) = self.reached.acquire().await {
            permit.forget();
        }
    }

    async fn hold(&self) {
        self.reached.add_permits(1);
        // an error means that the gate was closed: go on
        let _ = self.gate.acquire().await;
    }
}

/// What a [`Link`] returns.
pub type Passage<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The way of one client to the sim store.
pub trait Link: Send + Sync {
    /// A call is on its way to the store; what goes wrong with it, if anything does.
    fn ask(&self, point: Point) -> Passage<'_, Option<Fault>>;
    /// Its answer is on the way back.
    fn answer(&self, point: Point) -> Passage<'_, ()>;
}

/// The faults planned for a sim store.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<VecDeque<(Point, Fault)>>>,
    restarts: Arc<AtomicU64>,
}

impl Faults {
    /// The database restarts: nothing is lost, but observers see that it is another life of it.
    pub fn restart(&self) {
        self.restarts.fetch_add(1, Ordering::SeqCst);
    }

    /// Which life of the database this is.
    pub(super) fn life(&self) -> String {
        self.restarts.load(Ordering::SeqCst).to_string()
    }

    /// Plays `fault` the next time a call comes to `point`; several are played one after the other.
    pub fn plan(&self, point: Point, fault: Fault) {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).push_back((point, fault));
    }

    /// Forgets what was planned and not played.
    pub fn clear(&self) {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Plays the fault planned for `point`, if any. `Ok(true)` at the commit: the writes are applied and the
    /// outcome is reported unknown.
    pub(super) async fn play(&self, point: Point, link: Option<&dyn Link>) -> Result<bool, StoreError> {
        let on_the_way = match link {
            Some(link) => link.ask(point).await,
            None => None,
        };
        match on_the_way.or_else(|| self.next(point)) {
            None => Ok(false),
            Some(Fault::Unavailable) => Err(StoreError::Unavailable("injected fault".to_owned())),
            Some(Fault::Full) => Err(StoreError::Full),
            Some(Fault::OutcomeUnknown { applied: true }) if point == Point::Commit => Ok(true),
            Some(Fault::OutcomeUnknown { .. }) if point == Point::Commit => {
                Err(StoreError::OutcomeUnknown("injected fault".to_owned()))
            }
            Some(Fault::OutcomeUnknown { .. }) => Err(StoreError::Unavailable("injected fault".to_owned())),
            Some(Fault::Stall(stalled)) => {
                stalled.hold().await;
                Ok(false)
            }
        }
    }

    fn next(&self, point: Point) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let at = plan.iter().position(|(planned, _)| *planned == point)?;
        plan.remove(at).map(|(_, fault)| fault)
    }
}
