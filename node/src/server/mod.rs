//! A node: every part put together, started in order, stopped in order.

mod cut;
mod engine;
pub mod listen;
mod ready;
mod slots;
mod start;
mod telemetry;

pub use cut::CutStream;
pub use listen::PeerAddr;
pub use slots::ConnectionSlot;
pub use start::{Node, StartError};
