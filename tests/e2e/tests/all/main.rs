//! All end-to-end tests in one program: a node is a large thing to link.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod abuse;
mod agents;
mod api_keys;
mod canary;
mod config;
mod contract;
mod crash;
mod dead_man;
mod deletion;
mod demo;
mod email;
mod foreign;
mod gateway;
mod headers;
mod links;
mod mfa;
mod operators_see;
mod requests;
mod restore;
mod shares;
mod slots;
mod store;
mod teams;
mod tokens;
mod walk;
