//! All tests of several nodes in one program: a node is a large thing to link.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod chaos;
mod checker;
mod deploy;
mod docker;
mod ground;
mod plain;
mod revoked;
mod told;
