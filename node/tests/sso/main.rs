//! Sign-in at a tenant's own OpenID provider, through a real listener and with real signatures.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../alone/mod.rs"]
mod alone;
mod bridge;
mod kit;
mod provider;
mod reach;
mod sign_in;
mod words;
