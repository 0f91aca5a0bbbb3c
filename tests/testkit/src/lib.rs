//! What end-to-end tests share: a node of their own, people on it, and calls that no polite client makes.

pub mod command;
pub mod http;
pub mod line;
pub mod node;
pub mod programs;
pub mod raw;

pub use node::{Person, TestNode};
