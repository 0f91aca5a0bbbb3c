//! The work behind the tenant's own calls, one file per area of messages.

mod audit;
mod auth;
pub(super) mod notices;
pub(super) mod post;
mod roles;
pub(crate) mod session_row;
mod tenant;
pub(super) mod timers;
mod users;

pub(super) use users::identity_of;
