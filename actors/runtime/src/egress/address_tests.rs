//! Tests of addresses, which `address.rs` takes in as its `tests` module under `cfg(test)`.
#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

/// Written apart from the code: IANA's special-purpose registries, as networks.
const SPECIAL: [&str; 39] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "::/96",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "2001:1::1/128",
    "fd00:ec2::254/128",
    "168.63.129.16/32",
    "2001::/23",
];

fn special() -> Vec<IpNet> {
    SPECIAL.iter().map(|net| net.parse().unwrap()).collect()
}

fn is_special(address: IpAddr) -> bool {
    special().iter().any(|net| net.contains(&address))
}

/// An address inside of a network, by its place there.
fn within(net: IpNet, place: u128) -> IpAddr {
    match net {
        IpNet::V4(net) => {
            let low = u32::try_from(place & u128::from(u32::MAX)).unwrap();
            IpAddr::V4((u32::from(net.network()) | (low & u32::from(net.hostmask()))).into())
        }
        IpNet::V6(net) => {
            IpAddr::V6((u128::from(net.network()) | (place & u128::from(net.hostmask()))).into())
        }
    }
}

proptest! {
    #[test]
    fn no_address_of_a_special_network_is_public(index in 0..SPECIAL.len(), place: u128) {
        let address = within(special()[index], place);
        prop_assert!(!is_public(address), "{address} of {}", SPECIAL[index]);
        prop_assert!(Internet::without(Vec::new()).refuses(address));
    }

    #[test]
    fn an_ipv4_address_is_public_exactly_where_no_registry_says_otherwise(bits: u32) {
        let address = IpAddr::V4(bits.into());
        prop_assert_eq!(is_public(address), !is_special(address));
    }

    #[test]
    fn an_ipv4_address_in_an_ipv6_one_is_never_public(bits: u32, port: u16) {
        let v4 = u128::from(bits);
        for carried in [
            v4,
            0xffff_0000_0000 | v4,
            (0x64_ff9b << 96) | v4,
            (0x2002 << 112) | (v4 << 80) | u128::from(port),
            (0x2001 << 112) | (v4 ^ 0xffff_ffff),
        ] {
            let address = IpAddr::V6(carried.into());
            prop_assert!(!is_public(address), "{address}");
        }
    }

    #[test]
    fn what_is_public_of_ipv6_is_of_the_global_range(bits: u128) {
        let address = IpAddr::V6(bits.into());
        if is_public(address) {
            prop_assert!(!is_special(address) && (bits >> 125) == 1, "{address}");
        }
    }

    #[test]
    fn what_the_operator_names_is_refused(low: u8) {
        let internet = Internet::without(vec!["8.8.8.0/24".parse().unwrap()]);
        let (inside, outside) = (Ipv4Addr::new(8, 8, 8, low), Ipv4Addr::new(8, 8, 9, low));
        prop_assert!(internet.refuses(inside.into()) && !internet.refuses(outside.into()));
    }
}

#[test]
fn the_machines_own_addresses_are_known_by_the_kernel() {
    assert!(is_own("127.0.0.1".parse().unwrap()) && is_own("::1".parse().unwrap()));
    assert!(!is_own("8.8.8.8".parse().unwrap()));
    // whatever address this machine talks to the world from is its own
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    if socket.connect("8.8.8.8:9").is_ok() {
        assert!(is_own(socket.local_addr().unwrap().ip()));
    }
}

#[test]
fn where_clouds_keep_what_is_their_machines_own_is_never_reached() {
    for metadata in [
        "169.254.169.254", // AWS, Google, Azure, Oracle, DigitalOcean, Hetzner, OpenStack
        "169.254.170.2",   // AWS ECS
        "169.254.170.23",  // AWS EKS
        "168.63.129.16",   // Azure's wire server
        "100.100.100.200", // Alibaba
        "192.0.0.192",     // Oracle, older
        "fd00:ec2::254",   // AWS
        "fd20:ce::254",    // Google
        "fe80::a9fe:a9fe", // OpenStack
    ] {
        assert!(Internet::without(Vec::new()).refuses(metadata.parse().unwrap()), "{metadata}");
    }
}
