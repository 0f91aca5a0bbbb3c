//! A program that takes all the memory it can, in a container that a whole node made on a real Docker engine.

use std::time::Duration;

use ocmt_client::{cell::UnlockedCell, container::Spec};
use ocmt_crypto::channel::{Lane, Message, StreamKind};
use ocmt_testkit::{Person, TestNode, docker};

const NETWORKS: &str = "10.234.0.0/16";
const PORT: u16 = 8080;

pub(crate) async fn exec(person: &Person, cell: &UnlockedCell, argv: Vec<String>) -> (String, i32) {
    stream(person, cell, StreamKind::Exec { argv, tty: false }).await
}

pub(crate) async fn stream(person: &Person, cell: &UnlockedCell, kind: StreamKind) -> (String, i32) {
    let mut channel = Box::pin(person.client.open_channel(&cell.endpoints, kind)).await.unwrap();
    let (mut said, mut code) = (Vec::new(), None);
    while let Some(message) = channel.next().await.unwrap() {
        match message {
            Message::Data(Lane::Main, bytes) => said.extend(bytes),
            Message::Exit(ended) => code = Some(ended),
            _ => {}
        }
    }
    (String::from_utf8(said).unwrap(), code.expect("it did not end"))
}

#[tokio::test]
async fn a_container_that_ran_out_of_memory_is_told_as_such_and_a_sealed_volume_is_kept() {
    let image = docker::image("ocmt-e2e-memory:latest").await.unwrap();
    let node = TestNode::start_with(|config| docker::configure(config, &image, NETWORKS).unwrap());
    let node = node.await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault("violin ledger umbrella quartz").await.unwrap();
    vault.put("key", b"a value").await.unwrap();
    let spec = Spec {
        argv: vec![docker::WORKLOAD.to_owned()],
        workload_port: Some(PORT),
        memory_bytes: Some(64 << 20),
        ..Spec::default()
    };
    let made = ada.client.create_container(&spec, true).await.unwrap();
    let maps = [("DEMO_SECRET", "key").into()];
    let cell = vault.unlock_container(made.id, &maps, Duration::from_secs(900), false).await.unwrap();
    let (_, code) =
        exec(&ada, &cell, vec![docker::WORKLOAD.to_owned(), "eat".to_owned(), "256".to_owned()]).await;
    assert_eq!(code, 137, "the kernel did not end it");
    let told = ocmt::local::wait_for(Duration::from_secs(60), async || {
        let seen = ada.client.container(made.id).await.ok()?;
        seen.exit.filter(|exit| exit.out_of_memory)
    });
    assert!(told.await.is_some(), "nobody was told");
    // what did it is gone, and the container goes on
    let again = exec(&ada, &cell, vec![docker::WORKLOAD.to_owned(), "eat".to_owned(), "1".to_owned()]).await;
    assert_eq!(again.1, 0, "{}", again.0);
    let engine = docker::of_node(node.folder(), NETWORKS).await.unwrap();
    crate::sealed_volumes::keeps_what_was_written_and_shows_its_host_none_of_it(&node, &engine).await;
    docker::clear(&engine).await.unwrap();
}
