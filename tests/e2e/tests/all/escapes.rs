//! What a program gets that looks for a way out of a container which a whole node made on a real engine.

use std::{
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use ocmt::config::Seccomp;
use ocmt_client::container::Spec;
use ocmt_runtime::Runtime as _;
use ocmt_testkit::{TestNode, docker, programs};

use crate::starved::exec;

const NETWORKS: &str = "10.240.0.0/16";
/// What it says of itself where something was open.
const GOT_IN: i32 = 3;

#[tokio::test]
async fn what_looks_for_a_way_out_of_a_container_finds_none() {
    // on every address of this machine, as what an operator forgot to close
    let open = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = open.local_addr().unwrap().port();
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();

    let image = docker::image("ocmt-e2e-escapes:latest").await.unwrap();
    let node = TestNode::start_with(|config| {
        docker::configure(config, &image, NETWORKS).unwrap();
        config.containers.seccomp = Seccomp::Strict;
    });
    let node = node.await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault("violin ledger umbrella quartz").await.unwrap();
    vault.put("key", b"a value").await.unwrap();
    let spec = Spec { argv: vec![docker::WORKLOAD.to_owned()], workload_port: Some(8080), ..Spec::default() };
    let made = ada.client.create_container(&spec, true).await.unwrap();
    let maps = [("DEMO_SECRET", "key").into()];
    let cell = vault.unlock_container(made.id, &maps, Duration::from_secs(900), false).await.unwrap();

    let engine = docker::of_node(node.folder(), NETWORKS).await.unwrap();
    let seen = engine.list().await.unwrap();
    let IpAddr::V4(own) = seen[0].address.unwrap().0.ip() else { panic!("{seen:?}") };
    // the host's end of a /29
    let host = Ipv4Addr::from((u32::from(own) & !7) + 1);
    let ways = [format!("{host}:{port}"), "169.254.169.254:80".to_owned(), "192.0.2.1:443".to_owned()];
    let words =
        |verb: &str, more: &[String]| [&[docker::WORKLOAD.to_owned(), verb.to_owned()][..], more].concat();
    let (said, code) = exec(&ada, &cell, words("escape", &ways)).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(said.lines().filter(|line| line.contains(": refused: ")).count(), 16, "{said}");
    let (said, code) = exec(&ada, &cell, words("attack", &["1".to_owned()])).await;
    assert_eq!(code, 0, "{said}");

    // it finds what is open: outside, where it is
    let workload = programs::of_the_cell("ocmt-demo-workload").unwrap();
    let outside = Command::new(workload).args(["escape", &format!("127.0.0.1:{port}")]).output().unwrap();
    let said = String::from_utf8_lossy(&outside.stdout);
    assert_eq!(outside.status.code(), Some(GOT_IN), "{said}");
    assert!(said.contains(&format!("connect 127.0.0.1:{port}: connected")), "{said}");
    docker::clear(&engine).await.unwrap();
}
