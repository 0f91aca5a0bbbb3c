//! What can be asked of a tenant, by area: plain domain types, no HTTP and no protobuf.
//!
//! Every request type is a [`crate::Call`]; `system.tenant(id).call(caller, meta, request)` answers
//! with its `Answer`. Fields are already typed (the node has parsed and bounded them); whether the
//! caller may do it is decided by the tenant's actor. Times are milliseconds since the Unix epoch.

pub mod agent_policy;
pub mod alert;
pub mod audit;
pub mod auth;
pub mod capabilities;
pub mod connections;
pub mod container;
pub mod container_watch;
pub mod egress;
pub mod email_change;
pub mod factors;
pub mod group_cells;
pub mod group_unlocks;
pub mod group_vaults;
pub mod groups;
pub mod inbox;
pub mod keys;
pub mod pairing;
pub mod passkeys;
pub mod programs;
pub mod recovery;
pub mod roles;
pub mod schedule;
pub mod shares;
pub mod snapshot;
pub mod sso;
pub mod tenant;
pub mod transcript;
pub mod users;
pub mod vault;
