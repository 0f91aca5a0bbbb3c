//! Which addresses may be connected to, and who says what a name leads to.
//!
//! Private, loopback, link-local (the metadata service of clouds with it), shared (CGNAT), multicast and reserved ranges
//! are never reached, nor what carries an IPv4 address in an IPv6 one, nor the machine itself by whatever address it has.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket},
    sync::Arc,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::name::HostName;

/// What every virtual machine of Azure finds its host at, by an address that looks like any other.
const WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
/// Questions for names at once: each holds a thread while it lasts.
const LOOKUPS: usize = 32;

/// What a proxy asks about the world outside. Tests have one of their own.
pub trait Network: fmt::Debug + Send + Sync {
    /// The addresses of a name. `turn` ends with the question itself, also where nobody waits for its answer any more.
    fn resolve(
        &self,
        host: HostName,
        turn: OwnedSemaphorePermit,
    ) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;

    /// Whether an address is never connected to.
    fn refuses(&self, address: IpAddr) -> bool;
}

/// The internet at large, as this machine reaches it.
#[derive(Debug)]
pub struct Internet {
    refused: Vec<IpNet>,
    lookups: Arc<Semaphore>,
}

impl Internet {
    /// Without these networks, which the operator does not want to be reached either.
    pub fn without(refused: Vec<IpNet>) -> Self {
        Self { refused, lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

impl Network for Internet {
    /// By the machine's resolver, in a thread of its own that cannot be called off: so both places are given back by it.
    fn resolve(
        &self,
        host: HostName,
        turn: OwnedSemaphorePermit,
    ) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let lookups = Arc::clone(&self.lookups);
        async move {
            let place = lookups.acquire_owned().await.map_err(io::Error::other)?;
            let asked = move || {
                let found = (host.absolute().as_str(), 0).to_socket_addrs();
                drop((place, turn));
                found.map(|found| found.map(|address| address.ip()).collect())
            };
            tokio::task::spawn_blocking(asked).await.map_err(io::Error::other)?
        }
        .boxed()
    }

    fn refuses(&self, address: IpAddr) -> bool {
        !is_public(address) || self.refused.iter().any(|net| net.contains(&address)) || is_own(address)
    }
}

/// Whether an address is this machine's own: then the kernel lets a socket be bound to it, or, of a range that is routed to
/// the machine, answers from that very address. Nothing is sent. A kernel that lets every address be bound
/// (`ip_nonlocal_bind`) makes all addresses its own, and nothing is reached.
fn is_own(address: IpAddr) -> bool {
    match UdpSocket::bind(SocketAddr::new(address, 0)) {
        Ok(_) => return true,
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
        // a machine without IPv6 has no such address
        Err(_) if address.is_ipv6() => return false,
        Err(_) => return true,
    }
    let any = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let Ok(socket) = UdpSocket::bind(SocketAddr::new(any, 0)) else { return true };
    let routed = socket.connect(SocketAddr::new(address, 9)).and_then(|()| socket.local_addr());
    routed.is_ok_and(|from| from.ip() == address)
}

/// Whether an address is one of the internet at large (IANA's registries of special addresses).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(it: Ipv4Addr) -> bool {
    let [a, b, c, _] = it.octets();
    let special = it.is_private()
        || it.is_loopback()
        || it.is_link_local()
        || it.is_documentation()
        || it.is_multicast();
    let of_this_network = a == 0;
    let behind_a_carrier = a == 100 && (64..128).contains(&b);
    let of_protocols = (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99);
    let of_benchmarks = a == 198 && (18..20).contains(&b);
    !(it == WIRE_SERVER
        || special
        || of_this_network
        || behind_a_carrier
        || of_protocols
        || of_benchmarks
        || a >= 240)
}

/// Of 2000::/3 alone, without what carries an IPv4 address or is for protocols and documents.
fn is_public_v6(it: Ipv6Addr) -> bool {
    let [a, b, ..] = it.segments();
    let of_protocols = a == 0x2001 && b < 0x200;
    let of_documents = (a, b) == (0x2001, 0xdb8) || (a == 0x3fff && b < 0x1000);
    let six_to_four = a == 0x2002;
    (0x2000..0x4000).contains(&a) && !of_protocols && !of_documents && !six_to_four
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
