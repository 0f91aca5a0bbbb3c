//! The work behind the tenant's own calls, one file per area of messages.

mod administration;
mod agent_policy;
mod attempts;
mod auth;
pub(super) mod channels;
mod egress;
pub(crate) mod email_change;
mod ending;
pub(super) mod enrol;
mod factors;
mod mfa;
mod new_place;
pub(super) mod notices;
pub(crate) mod passkeys;
pub(super) mod post;
pub(super) mod roles;
pub(crate) mod session_issue;
pub(crate) mod session_row;
pub(crate) mod sso;
mod tenant;
pub(super) mod timers;
mod users;
mod versioned;

pub(super) use factors::rewrapped as rewrapped_totp;
pub(super) use users::identity_of;
