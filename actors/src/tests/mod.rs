//! Tests of the tree as a whole, over the sim and over SQLite.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

pub(crate) mod api_keys;
mod asked;
mod authority;
mod email_change;
pub(crate) mod factors;
mod group_vaults;
mod groups;
mod isolation;
pub(crate) mod kit;
mod linked;
mod mailbox;
mod no_cells;
pub(crate) mod nodes;
mod notices;
mod ownership;
mod passkeys;
pub(crate) mod post;
pub(crate) mod programs;
pub(crate) mod quotas;
mod recovery;
mod roles;
mod shares;
pub(crate) mod sign_in;
mod sleep;
mod sso;
mod strangers;
pub(crate) mod suspension;
pub(crate) mod timers;
mod trail;
mod transcripts;
mod unlocks;
mod users;
pub(crate) mod vault;
mod vault_history;
mod vault_rotation;
mod vault_watch;
