//! Several nodes as real processes, on hosts of their own, and what is held against them.
//!
//! - the machine: [`network`] (namespaces with links that can be cut, or this machine alone), [`postgres`] (a
//!   database that can be crashed), [`process`] (nodes that can be killed and frozen), all put together by
//!   [`cluster`]; [`docker`] is an engine that nodes share;
//! - the people: [`account`] signs somebody up with a vault, [`load`] has them work on it through any node;
//! - the play: [`stage`] lets faults happen while people work, and says what they cost;
//! - the crowd: [`registered`] puts tenants by the thousand straight into the database, for figures;
//! - the judgement: [`history`] is what they saw, [`check`] whether one vault could have shown all of it.
//!
//! Needs root: network namespaces. Where the kernel refuses, a test fails and says so.

pub mod account;
pub mod bootstrap;
pub mod check;
pub mod cluster;
pub mod docker;
pub mod doors;
pub mod history;
pub mod load;
pub mod network;
pub mod postgres;
pub mod process;
pub mod registered;
pub mod rows;
pub mod socket;
pub mod stage;
pub mod talk;
pub mod wait;
