//! What the store does beyond single rows, by area.

pub(crate) mod agent_policy;
pub(crate) mod audit;
pub(crate) mod cluster;
pub(crate) mod deletion;
pub(crate) mod delivery;
pub(crate) mod directory;
pub(crate) mod due;
pub(crate) mod egress;
pub(crate) mod held;
pub(crate) mod honoured;
mod hosts;
pub(crate) mod idempotency;
pub(crate) mod joins;
mod log;
pub(crate) mod look;
pub(crate) mod nodes;
mod oncall;
pub(crate) mod operator;
pub(crate) mod passkeys;
pub(crate) mod prune;
pub(crate) mod removal;
pub(crate) mod restore;
pub(crate) mod revoked;
pub(crate) mod rotation;
pub(crate) mod sealing;
pub(crate) mod trail;
mod unscoped;
