//! Reads that wait side by side.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{api::vault::GetEntry, call::Incoming, work::MOST_TOGETHER};

/// Reads that one piece of work in the lane does, as long as it has not begun; else nothing. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Reads(Arc<Mutex<Vec<Incoming<GetEntry>>>>);

impl Reads {
    /// One that others may join.
    pub(super) fn of(first: Incoming<GetEntry>) -> Self {
        Self(Arc::new(Mutex::new(vec![first])))
    }

    /// Puts one more to them; gives it back if they have begun, or are as many as may be.
    pub(super) fn join(&self, call: Incoming<GetEntry>) -> Option<Incoming<GetEntry>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() || waiting.len() >= MOST_TOGETHER {
            return Some(call);
        }
        waiting.push(call);
        None
    }

    /// Takes them: from here on nobody joins.
    pub(super) fn begin(&self) -> Vec<Incoming<GetEntry>> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
