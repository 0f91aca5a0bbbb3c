//! The Rust client of OCMT: gRPC calls, and everything that only the user's own device may do.
//!
//! Keys are made, opened and used here and in the cell, never on a node. The command line and the
//! tests stand on this crate.

pub mod account;
pub mod agent_policy;
pub mod alert;
pub mod api_key;
pub mod audit;
pub mod auth;
pub mod ca;
pub mod capability;
pub mod cell;
pub mod channel;
mod client;
pub mod connect;
pub mod container;
pub mod conversation;
pub mod egress;
pub mod email_change;
mod error;
pub mod factors;
pub mod gateway;
pub mod group;
pub mod group_vault;
pub mod guard;
pub mod hardware;
pub mod inbox;
pub mod oauth;
pub mod pages;
pub mod pairing;
pub mod passkeys;
pub mod passphrase;
pub mod program;
mod query;
pub mod recovery;
mod repeat;
pub mod roles;
mod routes;
pub mod schedule;
pub mod share;
pub mod snapshot;
pub mod snapshot_schedule;
pub mod sso;
pub mod state;
pub mod tenant;
pub mod vault;
mod watch;
mod wire;

pub use client::{Client, Identity};
pub use error::ClientError;
