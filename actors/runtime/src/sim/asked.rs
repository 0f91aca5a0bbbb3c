//! What can be asked of an engine, and how it can go wrong.

#[cfg(doc)]
use crate::{Runtime, RuntimeError};

/// A method of [`Runtime`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the method of its name")]
pub enum Op {
    Create,
    Start,
    Pause,
    Unpause,
    Stop,
    Kill,
    Remove,
    Inspect,
    List,
    Volumes,
    Erase,
    Archive,
    Swap,
}

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not done; answers [`RuntimeError::EngineDown`].
    EngineDown,
    /// Done, but the answer is lost: [`RuntimeError::EngineDown`] all the same.
    LostAnswer,
    /// Not done; answers [`RuntimeError::Refused`].
    Refused,
    /// Not done, and never answers.
    Hang,
    /// Done, and the container dies at once with exit code 1.
    Dies,
}

impl super::SimRuntime {
    /// How often it was asked what is not as it was made.
    pub fn compared(&self) -> usize {
        self.lock().compared
    }
}
