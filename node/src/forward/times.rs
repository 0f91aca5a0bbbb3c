//! How long what may take.

use std::time::Duration;

/// How long what may take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// A call whose tenant is between two nodes waits so long.
    pub patience: Duration,
    /// The first of a message comes within this of its call; a client's stream may take longer.
    pub begin: Duration,
    /// The owner answers a unary call or a page within this; it bounds itself by less.
    pub answer: Duration,
    /// The owner answers an upgrade within this: a container may have to start for it.
    pub upgrade: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(2),
            begin: Duration::from_secs(10),
            answer: Duration::from_secs(80),
            upgrade: Duration::from_secs(65),
        }
    }
}
