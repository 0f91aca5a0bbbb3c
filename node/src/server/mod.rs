//! A node: every part put together, started in order, stopped in order.

mod actors;
mod app;
mod busy;
mod clients;
mod cut;
mod dead_man;
mod endpoints;
mod engine;
mod host_memory;
mod lapse;
pub mod listen;
pub mod lives;
mod on_call;
mod operators;
mod peering;
mod place;
mod plain;
mod ready;
mod redirect;
mod revoked;
mod slots;
mod start;
mod telemetry;
mod witnesses;

pub use cut::CutStream;
pub(crate) use engine::bounds;
pub use listen::PeerAddr;
pub use slots::ConnectionSlot;
pub(crate) use slots::network;
pub use start::{Node, StartError};
