//! What end-to-end tests share: a node of their own, people on it, and calls that no polite client makes.

pub mod bearer;
pub mod collector;
pub mod command;
pub mod docker;
pub mod frames;
pub mod http;
pub mod line;
pub mod node;
pub mod pace;
pub mod plain;
pub mod ports;
pub mod programs;
pub mod provider;
pub mod raw;
pub mod receiver;
mod secure;
pub mod statistics;
pub mod usage;

pub use node::{Person, TestNode};
