//! What can go wrong between an actor and an engine.

use std::{io, time::Duration};

use crate::ContainerRef;

/// Why an engine did not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// No such container.
    #[error("no container {0}")]
    NotFound(ContainerRef),
    /// The container is in a state in which this cannot be done, or its name is taken.
    #[error("{container} is {state}: cannot {call} it")]
    Conflict {
        /// Which container.
        container: ContainerRef,
        /// What was asked.
        call: &'static str,
        /// What it is.
        state: String,
    },
    /// The image is not on this host. Nothing is pulled behind the operator's back.
    #[error("image {0} is not on this host: import it with `ocmt image build`")]
    ImageMissing(String),
    /// Wider than the profile or the configuration allows. Asking again changes nothing.
    #[error("refused: {0}")]
    Refused(String),
    /// The container came up and went down again before its cell answered.
    #[error("the cell of {container} did not come up: {why}")]
    StartFailed {
        /// Which container.
        container: ContainerRef,
        /// What was seen.
        why: String,
    },
    /// The engine does not answer. Whether it did what was asked is not known.
    #[error("the container engine does not answer: {0}")]
    EngineDown(String),
    /// The engine answered too late or not at all. Whether it did what was asked is not known.
    #[error("the container engine did not answer within {0:?}")]
    TimedOut(Duration),
    /// The engine said no, for a reason of its own.
    #[error("the container engine answered {status}: {message}")]
    Engine {
        /// Its HTTP status; 0 when it came inside a stream.
        status: u16,
        /// Its words.
        message: String,
    },
    /// No /29 is left in the configured range of networks.
    #[error("no network is left in {0}: widen containers.networks or remove containers")]
    NetworksExhausted(String),
    /// The disk has no room for one more volume of its size, in MiB.
    #[error(
        "the disk has no room for a volume of {0} MiB: free some of it, or write a smaller containers.volume_mib"
    )]
    NoRoom(u64),
    /// The volume could not be opened as it must be.
    #[error("the volume {path}: {why}")]
    Volume {
        /// Which folder.
        path: String,
        /// What was wrong with it.
        why: String,
    },
    /// A file or process of this machine could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl RuntimeError {
    /// Whether the same call may succeed later without anything else being changed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::EngineDown(_) | Self::TimedOut(_) => true,
            Self::Engine { status, .. } => *status >= 500,
            Self::NotFound(_)
            | Self::Conflict { .. }
            | Self::ImageMissing(_)
            | Self::Refused(_)
            | Self::StartFailed { .. }
            | Self::NetworksExhausted(_)
            | Self::NoRoom(_)
            | Self::Volume { .. }
            | Self::Io { .. } => false,
        }
    }

    /// Whether the engine may have done it all the same: `inspect` before anything is concluded.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Self::EngineDown(_) | Self::TimedOut(_) | Self::Engine { status: 500.., .. })
    }

    pub(crate) fn io(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    pub(crate) fn conflict(
        container: &ContainerRef,
        call: &'static str,
        state: impl std::fmt::Display,
    ) -> Self {
        Self::Conflict { container: *container, call, state: state.to_string() }
    }
}
