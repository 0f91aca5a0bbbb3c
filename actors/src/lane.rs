//! A lane: the ordered work of one actor, done beside it.
//!
//! A handler of an actor never waits for SQL or the network. It puts the work into its lane; the
//! lane runs one piece at a time in a child task, which casts the outcome back with the serial of
//! the piece, and the actor then applies it, answers, and starts the next. So the mailbox stays
//! responsive, the order of a tenant's (or a vault's) work is the order of its messages, and an
//! actor that ends takes its running work with it. The queue is bounded by the permits that its
//! pieces carry (see `admission`).

use std::{any::Any, collections::VecDeque, panic::AssertUnwindSafe};

use futures_util::{FutureExt as _, future::BoxFuture};
use ractor::{ActorRef, Message};

use crate::supervisor::{self, Task};

/// Which piece of work, counted per lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Serial(u64);

/// A piece of work that ends in an `O`.
pub(crate) type Job<O> = BoxFuture<'static, O>;

/// What the child task casts back.
pub(crate) struct Finished<O> {
    serial: Serial,
    outcome: Result<O, String>,
}

impl<O> Finished<O> {
    /// What came of it; none of a panic.
    pub(crate) fn outcome(&self) -> Option<&O> {
        self.outcome.as_ref().ok()
    }
}

/// The ordered work of one actor whose messages are `M`.
pub(crate) struct Lane<M, O> {
    waiting: VecDeque<Job<O>>,
    running: Option<(Serial, Task)>,
    next: u64,
    wrap: fn(Finished<O>) -> M,
}

impl<M: Message, O: Send + 'static> Lane<M, O> {
    /// An empty lane; `wrap` makes the actor's message of what the child task casts back.
    pub(crate) fn new(wrap: fn(Finished<O>) -> M) -> Self {
        Self { waiting: VecDeque::new(), running: None, next: 0, wrap }
    }

    /// Puts work at the end.
    pub(crate) fn push(&mut self, myself: &ActorRef<M>, job: impl Future<Output = O> + Send + 'static) {
        self.waiting.push_back(job.boxed());
        self.start_next(myself);
    }

    /// Takes what a child task cast back; `None` if it is not of the running piece (a stray).
    ///
    /// # Errors
    /// The text of the panic that ended the work: the actor fails with it, since what the work had
    /// done to the state is not known.
    pub(crate) fn finish(
        &mut self,
        myself: &ActorRef<M>,
        finished: Finished<O>,
    ) -> Result<Option<O>, WorkPanicked> {
        if self.running.as_ref().is_none_or(|(serial, _)| *serial != finished.serial) {
            return Ok(None);
        }
        self.running = None;
        let outcome = finished.outcome.map_err(WorkPanicked)?;
        self.start_next(myself);
        Ok(Some(outcome))
    }

    /// Whether nothing runs or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    fn start_next(&mut self, myself: &ActorRef<M>) {
        if self.running.is_some() {
            return;
        }
        let Some(job) = self.waiting.pop_front() else {
            return;
        };
        let serial = Serial(self.next);
        self.next += 1;
        let (myself, wrap) = (myself.clone(), self.wrap);
        let task = supervisor::task(async move {
            let outcome = AssertUnwindSafe(job).catch_unwind().await.map_err(|panic| panic_text(&*panic));
            // an actor that has stopped needs no outcome
            let _ = myself.cast(wrap(Finished { serial, outcome }));
        });
        self.running = Some((serial, task));
    }
}

/// A piece of work panicked.
#[derive(Debug, thiserror::Error)]
#[error("work panicked: {0}")]
pub(crate) struct WorkPanicked(String);

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no text".to_owned())
}
