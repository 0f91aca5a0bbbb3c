//! What people of a tenant may do together: custom roles.

use ocmt_types::Timestamp;

use super::UserRole;
use crate::kernel::row::rows;

rows! {
    /// A role that narrows a built-in one.
    pub struct CustomRole: tenant("roles") {
        key {
            /// Chosen by who made it; no built-in name.
            role_id: String,
        }
        /// The role that it narrows.
        base: UserRole,
        /// What is left of it: names of permissions with spaces between them.
        permissions: String,
        /// When it was made.
        created_at: Timestamp,
    };
}
