//! Ports that are named before anything listens there.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context as _;

/// Below those that the kernel gives to whoever asks for any (`ip_local_port_range`): a port of theirs that was let go may be
/// somebody else's by the time that it is wanted again, as a listener's or as the near end of a connection.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;
const TRIES: u32 = 100;

/// A port of the loopback at which nothing listens, and which nobody is given who does not ask for it.
///
/// # Errors
/// None of those that were tried is free.
pub fn unused() -> anyhow::Result<u16> {
    unused_at(Ipv4Addr::LOCALHOST)
}

/// The same at another address of this machine.
///
/// # Errors
/// As [`unused`].
pub fn unused_at(address: Ipv4Addr) -> anyhow::Result<u16> {
    let mut tries = (0..TRIES).map(|_| rand::random_range(FIRST..LAST));
    tries.find(|port| TcpListener::bind((address, *port)).is_ok()).context("no port is free")
}
