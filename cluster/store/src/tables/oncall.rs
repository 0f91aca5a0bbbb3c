//! How far operators were told of what the cluster's own audit says.

use ocmt_types::{NodeId, Timestamp};

use crate::kernel::row::rows;

rows! {
    /// One channel of operators', which the configuration of nodes names. The queue is the audit itself: a channel has a
    /// place in it.
    pub struct OperatorChannel: global("operator_channels") {
        key {
            /// Its name in the configuration.
            name: String,
        }
        /// The last record of the cluster's audit that is dealt with.
        seq: i64,
        /// What was told lately and what is held back, by action; JSON.
        told: String,
        /// Attempts that failed, one after the other.
        failed: i64,
        /// Not before.
        next_at: Timestamp,
        /// The node that tells it now.
        holder: Option<NodeId>,
        /// Until when it has it for itself.
        held_until: Timestamp,
        /// Grows with each hold: who held it before writes nothing any more.
        fence: i64,
    };
}
