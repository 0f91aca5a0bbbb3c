//! Letters to a real mail server, over the real network.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../alone/mod.rs"]
mod alone;
#[path = "../../src/telemetry/heard.rs"]
mod heard;
mod hostile;
mod kit;
mod letters;
mod refusals;
mod server;
mod through_a_node;
