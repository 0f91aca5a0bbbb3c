//! What happened to containers, for those who watch.

use ocmt_types::{ContainerId, Timestamp, UserId};

use super::ContainerState;
use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// What happened.
    pub enum ContainerEventKind {
        /// It changed.
        Changed = "changed",
        /// It was removed.
        Removed = "removed",
        /// It woke with its cell locked.
        Locked = "locked",
    }

    /// What woke it.
    pub enum WakeCause {
        /// A call of a client.
        Call = "call",
        /// The gateway, or a channel.
        Gateway = "gateway",
        /// A schedule.
        Schedule = "schedule",
    }
}

rows! {
    /// Something that happened to a container of the tenant. The last ones are kept.
    pub struct ContainerEvent: tenant("container_events") {
        key {
            /// Counts up by one.
            seq: i64,
        }
        /// To which.
        container_id: ContainerId,
        /// Whose.
        user_id: UserId,
        /// What.
        kind: ContainerEventKind,
        /// Where it was then.
        state: ContainerState,
        /// Which making of it.
        generation: i64,
        /// What woke it, if it woke locked.
        cause: Option<WakeCause>,
        /// When whoever waits for it gives up, if it woke locked.
        wait_until: Option<Timestamp>,
        /// When.
        at: Timestamp,
    };
}
