//! What goes wrong at the doors of a node is written down.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../src/telemetry/heard.rs"]
mod heard;
mod mesh;

use heard::Log;
use mesh::{Client, Mesh, PATIENCE, node_id, until};
use ocmt::pki::testing::{Minted, Odd};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

/// Whether a request gets an answer over a connection with this certificate.
async fn is_let_in(node: &mesh::Node, paper: &Minted) -> bool {
    let Ok(mut stream) = Client::as_peer(&node.peer.addr, Some(paper), b"http/1.1").await else {
        return false;
    };
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut answer = [0; 8];
    let read = timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("neither served nor refused");
    asked.is_ok() && read.is_ok()
}

#[tokio::test]
async fn a_peer_without_a_lawful_certificate_is_written_down_with_its_address() {
    let log = Log::default();
    let to = log.clone();
    let logs = tracing_subscriber::fmt().with_writer(move || to.clone()).with_ansi(false).finish();
    // of the process: a node of these tests has threads of its own
    tracing::subscriber::set_global_default(logs).unwrap();
    let mesh = Mesh::new();
    let node = mesh.node(1).await;
    assert!(is_let_in(&node, &mesh.papers.node(node_id(2))).await);
    let refused = "refused a connection to the peer listener";
    assert!(!log.text().contains(refused));
    assert!(!is_let_in(&node, &mesh.papers.odd(node_id(2), Odd::REFUSED[0])).await);
    until("it is written down", || {
        log.text().lines().any(|line| ["WARN", refused, "127.0.0.1"].iter().all(|part| line.contains(part)))
    })
    .await;
}
