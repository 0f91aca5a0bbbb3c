//! `ocmt vault import` and `ocmt vault export`: what goes into a vault from files, and out into one.

mod export;
mod import;
mod open;

pub(super) use export::run as export;
pub(super) use import::run as import;
