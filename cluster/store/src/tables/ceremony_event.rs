//! What happened in ceremonies, for those who watch.

use ocmt_types::{Digest32, GuardianshipId, Timestamp, UserId};

use crate::kernel::row::rows;

rows! {
    /// A change of a ceremony that a user of the tenant has to do with. The last ones are kept.
    pub struct CeremonyEvent: tenant("ceremony_events") {
        key {
            /// Who has to do with it.
            user_id: UserId,
            /// Counts up by one, for each user.
            seq: i64,
        }
        /// Which ceremony.
        ceremony_id: Digest32,
        /// Under which guardianship; none on the owner's side.
        guardianship_id: Option<GuardianshipId>,
        /// The ceremony after the change, in the actor's own encoding.
        view: Vec<u8>,
        /// When.
        at: Timestamp,
    };
}
