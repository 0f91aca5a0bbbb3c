//! How a container was brought back for a call.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a container was brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum WakeKind {
    /// It was running.
    None,
    /// It was paused.
    Unpause,
    /// It was stopped.
    Start,
    /// It was not there.
    Create,
}

impl WakeKind {
    /// As `ocmt-wake-kind` carries it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unpause => "unpause",
            Self::Start => "start",
            Self::Create => "create",
        }
    }
}

/// How, and how long the caller waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake {
    /// How.
    pub kind: WakeKind,
    /// Zero for [`WakeKind::None`].
    pub time: Duration,
}

impl Wake {
    pub(crate) const NONE: Self = Self { kind: WakeKind::None, time: Duration::ZERO };
}
