//! What a container reaches: its node reaches it, and it reaches nothing.

use std::net::IpAddr;

use ocmt_runtime::{RuntimeError, docker::guard::GuardState};
use tokio::net::TcpListener;

use crate::{
    conformance::{ask, on, secret},
    docker, docker_with,
    profile::client,
};

/// The host's end of the container's bridge.
pub fn host_side(address: ocmt_runtime::CellAddress) -> IpAddr {
    let IpAddr::V4(ip) = address.0.ip() else { panic!("{address} is not IPv4") };
    IpAddr::V4((u32::from(ip) - 1).into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_reaches_the_hosts_ports_only_while_the_guard_is_away() {
    let docker = docker().await;
    let runtime = docker.runtime;
    assert_eq!(runtime.host_guard().state().await, GuardState::Installed);
    on(docker.bench, async |bench| {
        let (_, address) = bench.started(&bench.spec(), &secret(1)).await;
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let attempt = format!("connect {}:{}", host_side(address), listener.local_addr().unwrap().port());
        assert_eq!(ask(address, &attempt).await, "Err(ConnectionRefused)");
        runtime.host_guard().remove().await.unwrap();
        assert!(matches!(runtime.host_guard().state().await, GuardState::Missing(_)));
        assert_eq!(ask(address, &attempt).await, "Ok(())", "the test would not notice a missing guard");
        // the survey brings it back, and twice is no more than once
        for _ in 0..2 {
            runtime.survey().await;
            assert_eq!(runtime.host_guard().state().await, GuardState::Installed);
        }
        assert_eq!(ask(address, &attempt).await, "Err(ConnectionRefused)");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_reaches_neither_its_neighbour_nor_the_world_and_lookups_fail_fast() {
    on(docker().await.bench, async |bench| {
        let (_, one) = bench.started(&bench.spec(), &secret(1)).await;
        let (_, other) = bench.started(&bench.spec(), &secret(2)).await;
        assert_eq!(ask(other, "ping").await, "pong");
        for target in [other.to_string(), "192.0.2.1:80".to_owned(), "169.254.169.254:80".to_owned()] {
            let answer = ask(one, &format!("connect {target}")).await;
            assert!(answer.starts_with("Err"), "{target}: {answer}");
        }
        let answer = ask(one, "resolve nowhere.example").await;
        let (found, millis) = answer.split_once(' ').unwrap();
        assert!(found == "false" && millis.parse::<u32>().unwrap() < 5_000, "{answer}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_are_internal_of_the_containers_own_and_gone_with_it() {
    let docker = docker().await;
    let range = docker.config.networks.to_string();
    on(docker.bench, async |bench| {
        let (container, address) = bench.started(&bench.spec(), &secret(1)).await;
        let network = client().inspect_network(&container.to_string(), None).await.unwrap();
        assert_eq!(
            (network.internal, network.enable_ipv6, network.attachable),
            (Some(true), Some(false), Some(false))
        );
        let subnet = network.ipam.unwrap().config.unwrap()[0].subnet.clone().unwrap();
        assert!(
            subnet.ends_with("/29")
                && subnet.rsplit_once('.').unwrap().0 == range.rsplit_once('.').unwrap().0,
            "{subnet} of {range}"
        );
        assert_eq!(network.containers.unwrap().len(), 1);
        assert!(subnet.starts_with(address.0.ip().to_string().rsplit_once('.').unwrap().0));
        bench.runtime.remove(&container).await.unwrap();
        assert!(client().inspect_network(&container.to_string(), None).await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_containers_than_docker_has_pools_fit_and_a_full_range_says_so() {
    let docker = docker().await;
    on(docker.bench, async |bench| {
        // a /24 holds 32; Docker's own pools end at about 31, other tests' networks included
        let mut made = Vec::new();
        for _ in 0..32 {
            made.push(bench.runtime.create(&bench.spec()).await.unwrap());
        }
        let full = bench.runtime.create(&bench.spec()).await;
        assert!(matches!(&full, Err(RuntimeError::NetworksExhausted(_))), "{full:?}");
        bench.runtime.remove(&made[7]).await.unwrap();
        bench.runtime.create(&bench.spec()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_share_an_engine_and_a_range_never_share_a_subnet() {
    let one = docker().await;
    let range = one.config.networks;
    let two = docker_with(|config| config.networks = range).await;
    on(two.bench, async |two| {
        on(one.bench, async |one| {
            let specs: Vec<_> = (0..6).map(|_| (one.spec(), two.spec())).collect();
            let pairs = specs.iter().map(|(a, b)| async move {
                futures_util::join!(one.runtime.create(a), two.runtime.create(b))
            });
            for (a, b) in futures_util::future::join_all(pairs).await {
                a.unwrap();
                b.unwrap();
            }
            for node in [one, two] {
                assert_eq!(
                    node.runtime.list().await.unwrap().len(),
                    6,
                    "another node's containers are not listed"
                );
            }
        })
        .await;
    })
    .await;
}
