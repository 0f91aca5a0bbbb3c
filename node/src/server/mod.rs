//! A node: every part put together, started in order, stopped in order.

mod actors;
mod app;
mod cut;
mod endpoints;
mod engine;
pub mod listen;
pub mod lives;
mod operators;
mod peering;
mod place;
mod ready;
mod slots;
mod start;
mod telemetry;

pub use cut::CutStream;
pub use listen::PeerAddr;
pub use slots::ConnectionSlot;
pub(crate) use slots::network;
pub use start::{Node, StartError};
