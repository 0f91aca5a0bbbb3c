//! What people saw of one vault: when each call began and ended, and how.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::doors::Again;

/// The order of all beginnings and ends of calls, over all histories of the process.
static ORDER: AtomicU64 = AtomicU64::new(1);

/// A moment in the order of events; later events have higher ones.
pub fn tick() -> u64 {
    ORDER.fetch_add(1, Ordering::SeqCst)
}

/// A vault's state as far as it can be told apart: the manifest's counter and what stands under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    /// The manifest's counter.
    pub version: u64,
    /// Stands for the manifest; no two writers make the same one.
    pub content: u64,
}

/// How a swap ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Swapped {
    /// Acknowledged.
    Done,
    /// Refused, since the vault was not at the version expected.
    Refused,
    /// No answer: it may have happened, may happen yet, or never.
    Unknown,
}

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// A read, and what it saw.
    Read(State),
    /// Puts `content` as version `expected + 1`, if the vault is at `expected`.
    Swap {
        /// The version it goes on from.
        expected: u64,
        /// What is put.
        content: u64,
        /// How it ended.
        ended: Swapped,
    },
}

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Op {
    /// When it was sent.
    pub invoked: u64,
    /// When its answer came; none came for an unknown one.
    pub returned: Option<u64>,
    /// What it was.
    pub call: Call,
}

/// When a call was made and how long it took, for the figures.
#[derive(Debug, Clone, Copy)]
pub struct Timed {
    /// Boot time of its beginning.
    pub began: Duration,
    /// How long until its answer, repeats on other nodes included.
    pub took: Duration,
    /// How often it was sent.
    pub attempts: u32,
    /// Whether it had an answer in the end.
    pub answered: bool,
}

/// Everything that was seen of one vault.
#[derive(Debug, Default)]
pub struct History {
    seen: Mutex<Seen>,
}

/// What a [`History`] holds.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Calls with an outcome that says something.
    pub ops: Vec<Op>,
    /// All calls.
    pub times: Vec<Timed>,
    /// Answers that no fault excuses, in words.
    pub wrong: Vec<String>,
    /// Answers after which a call was sent again.
    pub again: Vec<Again>,
}

impl History {
    /// Adds to it.
    pub fn note(&self, add: impl FnOnce(&mut Seen)) {
        add(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The calls that ended after this moment, newest first.
    pub fn since(&self, moment: Duration) -> Vec<Timed> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // in the order of their ends
        seen.times.iter().rev().take_while(|timed| timed.began + timed.took >= moment).copied().collect()
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
