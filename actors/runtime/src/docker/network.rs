//! One bridge network per container: a /29 out of a configured range.
//!
//! Docker's default pools end at about 31 networks, so the subnet is named by us: the search starts at a
//! place given by the container's id and goes on to the first that no network of the engine overlaps.
//! Two nodes on one engine may race for the same subnet; Docker refuses the second, which then takes the
//! next. On an internal network the host still reaches the container, over the bridge's own address.

use std::{collections::HashMap, fmt, net::Ipv4Addr, str::FromStr};

use bollard::models::{Ipam, IpamConfig, Network, NetworkCreateRequest, NetworkInspect};

use super::{
    engine::{Engine, fault},
    profile::Drift,
};
use crate::{ContainerRef, Egress, Labels, RuntimeError};

const PREFIX: u8 = 29;
const TRIES: usize = 64;

/// A private IPv4 range to take networks from, such as `10.213.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkRange {
    base: u32,
    prefix: u8,
}

/// The text is not a private IPv4 range of at least one /29.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a private IPv4 range of prefix 8 to 29, such as 10.213.0.0/16")]
pub struct ParseRangeError(String);

impl FromStr for NetworkRange {
    type Err = ParseRangeError;
    fn from_str(text: &str) -> Result<Self, ParseRangeError> {
        let parsed = Block::parse(text).filter(|block| {
            let (first, last) = (Ipv4Addr::from(block.base), Ipv4Addr::from(block.last()));
            (8..=PREFIX).contains(&block.prefix) && first.is_private() && last.is_private()
        });
        parsed
            .map(|block| Self { base: block.base, prefix: block.prefix })
            .ok_or_else(|| ParseRangeError(text.to_owned()))
    }
}

impl Default for NetworkRange {
    /// `10.213.0.0/16`: 8192 containers.
    fn default() -> Self {
        Self { base: u32::from(Ipv4Addr::new(10, 213, 0, 0)), prefix: 16 }
    }
}

impl fmt::Display for NetworkRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

impl NetworkRange {
    /// The chain of this range in the host's packet filter.
    pub(super) fn chain(&self) -> String {
        format!("OCMT-{:08X}-{}", self.base, self.prefix)
    }

    /// What the name of each bridge of this range begins with: the host guard knows them by it.
    pub(super) fn bridge_prefix(&self) -> String {
        format!("oc{:04x}-", (self.base >> 16) ^ (self.base & 0xffff))
    }

    /// Whether the address is one of it.
    pub(super) fn contains(&self, address: Ipv4Addr) -> bool {
        let block = Block { base: self.base, prefix: self.prefix };
        block.overlaps(&Block { base: u32::from(address), prefix: 32 })
    }

    const fn count(&self) -> u32 {
        1 << (PREFIX - self.prefix)
    }

    const fn subnet(&self, index: u32) -> Subnet {
        Subnet(self.base + (index << (32 - PREFIX)))
    }

    /// All subnets, beginning where `container` points.
    fn subnets_for(self, container: &ContainerRef) -> impl Iterator<Item = Subnet> {
        let id = container.container.as_bytes();
        let start = u32::from_be_bytes([id[0], id[1], id[2], id[3]]) % self.count();
        (0..self.count()).map(move |step| self.subnet((start + step) % self.count()))
    }
}

/// One /29: the bridge has its first address, the container its second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subnet(u32);

impl Subnet {
    pub(super) fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from(self.0 + 1)
    }

    pub(super) fn cell(self) -> Ipv4Addr {
        Ipv4Addr::from(self.0 + 2)
    }

    /// The subnet whose container has this address.
    pub(super) fn of_cell(cell: Ipv4Addr) -> Self {
        Self(u32::from(cell).wrapping_sub(2))
    }

    fn block(self) -> Block {
        Block { base: self.0, prefix: PREFIX }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{PREFIX}", Ipv4Addr::from(self.0))
    }
}

#[derive(Debug, Clone, Copy)]
struct Block {
    base: u32,
    prefix: u8,
}

impl Block {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let (base, prefix) = (
            u32::from(address.parse::<Ipv4Addr>().ok()?),
            prefix.parse::<u8>().ok().filter(|p| (1..=32).contains(p))?,
        );
        let block = Self { base, prefix };
        (base & (block.size() - 1) == 0).then_some(block)
    }

    const fn size(&self) -> u32 {
        1 << (32 - self.prefix)
    }

    const fn last(&self) -> u32 {
        self.base + (self.size() - 1)
    }

    const fn overlaps(&self, other: &Self) -> bool {
        self.base <= other.last() && other.base <= self.last()
    }
}

/// The network of `container`: the one that is there if it is as it must be, else a new one.
pub(super) async fn ensure(
    engine: &Engine,
    range: NetworkRange,
    labels: &Labels,
    egress: Egress,
) -> Result<Subnet, RuntimeError> {
    let docker = engine.docker()?;
    let container = labels.container_ref();
    let name = container.to_string();
    let networks = docker.list_networks(None).await.map_err(|error| fault(&error))?;
    if let Some(there) = networks.iter().find(|network| network.name.as_deref() == Some(&name)) {
        match subnet_of(there).filter(|_| there.internal == Some(egress.is_internal())) {
            Some(subnet) => return Ok(subnet),
            None => docker.remove_network(&name).await.map_err(|error| fault(&error))?,
        }
    }
    let used: Vec<Block> = networks.iter().flat_map(blocks_of).collect();
    let free = range
        .subnets_for(&container)
        .filter(|subnet| !used.iter().any(|block| block.overlaps(&subnet.block())));
    for subnet in free.take(TRIES) {
        match docker
            .create_network(request(range, labels, subnet, egress))
            .await
            .map_err(|error| fault(&error))
        {
            Ok(_) => return Ok(subnet),
            Err(RuntimeError::Engine { message, .. }) if message.contains("overlaps") => {
                tracing::debug!(%container, %subnet, "subnet was taken meanwhile, trying the next");
            }
            Err(error) => return Err(error),
        }
    }
    Err(RuntimeError::NetworksExhausted(range.to_string()))
}

/// Removes the network of `container`; that it is not there is fine.
pub(super) async fn remove(engine: &Engine, container: &ContainerRef) -> Result<(), RuntimeError> {
    match engine.docker()?.remove_network(&container.to_string()).await.map_err(|error| fault(&error)) {
        Err(RuntimeError::Engine { status: 404, .. }) => Ok(()),
        done => done,
    }
}

/// Compares a `docker network inspect` answer with what a container's network must be.
pub fn check(network: &NetworkInspect, egress: Egress) -> Vec<Drift> {
    let options = network.options.clone().unwrap_or_default();
    let mut drifts = Vec::new();
    let mut want = |item: &'static str, expected: &str, found: String| {
        if found != expected {
            drifts.push(Drift { item, expected: expected.to_owned(), found });
        }
    };
    want("network.driver", "bridge", network.driver.clone().unwrap_or_default());
    want("network.icc", "false", options.get(ICC).cloned().unwrap_or_default());
    want("network.ipv6", "false", network.enable_ipv6.unwrap_or(false).to_string());
    if egress.is_internal() {
        want("network.internal", "true", network.internal.unwrap_or(false).to_string());
    }
    let guests = network
        .containers
        .iter()
        .flatten()
        .filter_map(|(_, guest)| guest.name.clone())
        .filter(|name| Some(name) != network.name.as_ref());
    want("network.guests", "", guests.collect::<Vec<_>>().join(" "));
    drifts
}

const ICC: &str = "com.docker.network.bridge.enable_icc";

fn request(range: NetworkRange, labels: &Labels, subnet: Subnet, egress: Egress) -> NetworkCreateRequest {
    let container = labels.container_ref();
    let options = [
        (ICC.to_owned(), "false".to_owned()),
        ("com.docker.network.bridge.name".to_owned(), bridge_name(range, &container)),
    ];
    let block = IpamConfig {
        subnet: Some(subnet.to_string()),
        gateway: Some(subnet.gateway().to_string()),
        ..IpamConfig::default()
    };
    NetworkCreateRequest {
        name: container.to_string(),
        driver: Some("bridge".to_owned()),
        internal: Some(egress.is_internal()),
        attachable: Some(false),
        enable_ipv6: Some(false),
        ipam: Some(Ipam { driver: Some("default".to_owned()), config: Some(vec![block]), options: None }),
        options: Some(HashMap::from(options)),
        labels: Some(labels.to_map()),
        ..NetworkCreateRequest::default()
    }
}

/// The bridge's interface on the host, 15 bytes: the kernel takes no more.
fn bridge_name(range: NetworkRange, container: &ContainerRef) -> String {
    let id = container.container.as_bytes();
    // another generation is another bridge: the old one may not be gone yet
    let last = id[3] ^ container.generation.to_be_bytes()[7];
    format!("{}{:02x}{:02x}{:02x}{last:02x}", range.bridge_prefix(), id[0], id[1], id[2])
}

fn blocks_of(network: &Network) -> impl Iterator<Item = Block> + '_ {
    let configs = network.ipam.iter().flat_map(|ipam| ipam.config.iter().flatten());
    configs.filter_map(|config| Block::parse(config.subnet.as_deref()?))
}

fn subnet_of(network: &Network) -> Option<Subnet> {
    blocks_of(network).find(|block| block.prefix == PREFIX).map(|block| Subnet(block.base))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use ocmt_types::{IdGen, RandomIds};

    use super::*;

    #[test]
    fn a_range_gives_each_of_its_subnets_once_and_none_outside() {
        let range: NetworkRange = "10.99.0.0/20".parse().unwrap();
        let ids: &dyn IdGen = &RandomIds;
        let container = ContainerRef { container: ids.id(), generation: 1 };
        let all: HashSet<_> = range.subnets_for(&container).map(|subnet| subnet.to_string()).collect();
        assert_eq!(all.len(), 512);
        let whole = Block::parse("10.99.0.0/20").unwrap();
        assert!(all.iter().all(|subnet| Block::parse(subnet).unwrap().overlaps(&whole)));
    }

    #[test]
    fn only_private_ranges_that_begin_at_their_base_are_taken() {
        for bad in [
            "8.8.8.0/24",
            "10.0.0.1/16",
            "10.0.0.0/30",
            "10.0.0.0",
            "172.16.0.0/8",
            "10.0.0.0/0",
            "x/16",
            "192.168.0.0/33",
        ] {
            assert!(bad.parse::<NetworkRange>().is_err(), "{bad} was taken");
        }
        assert_eq!(
            NetworkRange::default().to_string().parse::<NetworkRange>().unwrap(),
            NetworkRange::default()
        );
    }

    #[test]
    fn overlap_is_seen_both_ways() {
        let block = |text| Block::parse(text).unwrap();
        assert!(
            block("10.0.0.8/29").overlaps(&block("10.0.0.0/16"))
                && block("10.0.0.0/16").overlaps(&block("10.0.0.8/29"))
        );
        assert!(
            !block("10.0.0.8/29").overlaps(&block("10.0.0.16/29"))
                && !block("10.0.0.8/29").overlaps(&block("10.0.0.0/29"))
        );
    }

    #[test]
    fn a_bridge_name_fits_the_kernel_and_differs_by_generation() {
        let ids: &dyn IdGen = &RandomIds;
        let one = ContainerRef { container: ids.id(), generation: 1 };
        let range = NetworkRange::default();
        let name = bridge_name(range, &one);
        assert!(
            name.len() == 15 && name != bridge_name(range, &ContainerRef { generation: 2, ..one }),
            "{name}"
        );
    }
}
