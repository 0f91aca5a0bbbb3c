//! Reads that wait side by side.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{api::vault::GetEntry, call::Incoming, work::MOST_TOGETHER};

/// Reads that one piece of work in the lane does, as long as it takes more; else nothing. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Reads(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    calls: Vec<Incoming<GetEntry>>,
    /// How many more may join; none once it takes no more.
    room: usize,
}

impl Reads {
    /// One that others may join.
    pub(super) fn of(first: Incoming<GetEntry>) -> Self {
        Self(Arc::new(Mutex::new(Waiting { calls: vec![first], room: MOST_TOGETHER - 1 })))
    }

    /// Puts one more to them; gives it back if they are as many as may be, or no more are taken.
    pub(super) fn join(&self, call: Incoming<GetEntry>) -> Option<Incoming<GetEntry>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.room == 0 {
            return Some(call);
        }
        waiting.room -= 1;
        waiting.calls.push(call);
        None
    }

    /// Takes those that have come. Once there are none, nobody joins any more.
    pub(super) fn take(&self) -> Vec<Incoming<GetEntry>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.calls.is_empty() {
            waiting.room = 0;
        }
        mem::take(&mut waiting.calls)
    }
}
