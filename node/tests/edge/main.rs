//! What strangers and browsers can make the client listener do: a node in this process, raw clients beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod api_key;
mod audit;
mod bounds;
mod browser;
mod cors;
mod kit;
mod limits;
mod metrics;
mod own;
mod pages;
mod production;
mod proxies;
mod statuses;
mod twice;
mod wire;
