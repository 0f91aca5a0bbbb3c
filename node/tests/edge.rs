//! What a stranger can make the client listener do: a node in this process, a raw TLS client beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody, combinators::BoxBody};
use hyper::{Request, body::Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ocmt::{
    config::{Config, Mode, RuntimeKind},
    server::Node,
    software::Software,
};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

const PATIENCE: Duration = Duration::from_secs(25);

struct Edge {
    node: Node,
    address: SocketAddr,
    tls: TlsConnector,
    _folder: tempfile::TempDir,
}

impl Edge {
    async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.node.mode = Mode::Dev;
        config.node.data_dir = folder.path().join("data");
        config.listen.client.set_port(0);
        config.listen.telemetry.set_port(0);
        config.containers.runtime = RuntimeKind::Process;
        // no container is started here, so any program will do
        config.containers.cell = "/bin/true".into();
        change(&mut config);
        let node = Box::pin(Node::start(&config, Software::this())).await.unwrap();
        let address = node.endpoints().client.strip_prefix("https://").unwrap().parse().unwrap();
        let ca = CertificateDer::from_pem_file(node.ca_file()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca).unwrap();
        let mut client = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec()];
        Self { node, address, tls: TlsConnector::from(Arc::new(client)), _folder: folder }
    }

    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address).await?;
        self.tls.connect(ServerName::try_from("localhost").unwrap(), tcp).await
    }

    /// One gRPC call with this body; its gRPC status.
    async fn call(&self, path: &str, body: BoxBody<Bytes, std::convert::Infallible>) -> String {
        let (mut sender, connection) = hyper::client::conn::http2::handshake(
            TokioExecutor::new(),
            TokioIo::new(self.connect().await.unwrap()),
        )
        .await
        .unwrap();
        let driver = tokio::task::JoinSet::from_iter([connection]);
        let request = Request::post(format!("https://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body)
            .unwrap();
        let answer = timeout(PATIENCE, sender.send_request(request)).await.expect("no answer").unwrap();
        let mut status = answer.headers().get("grpc-status").cloned();
        if status.is_none() {
            let trailers = timeout(PATIENCE, answer.into_body().collect()).await.unwrap().unwrap();
            status = trailers.trailers().and_then(|trailers| trailers.get("grpc-status").cloned());
        }
        drop(driver);
        status.unwrap().to_str().unwrap().to_owned()
    }
}

fn message(bytes: &[u8]) -> BoxBody<Bytes, std::convert::Infallible> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    Full::new(Bytes::from([&[0], length.as_slice(), bytes].concat())).boxed()
}

/// A body whose first byte never comes.
fn never() -> BoxBody<Bytes, std::convert::Infallible> {
    let silence = futures_util::stream::pending::<Result<Frame<Bytes>, std::convert::Infallible>>();
    StreamBody::new(silence).boxed()
}

const UNAUTHENTICATED: &str = "16";

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let edge = Edge::start(|_| {}).await;
    let mut silent = edge.connect().await.unwrap();
    let read = timeout(PATIENCE, silent.read_to_end(&mut Vec::new())).await;
    assert!(read.is_ok(), "the connection was left open");
    edge.node.stop().await;
}

#[tokio::test]
async fn an_address_has_only_so_many_connections() {
    let edge = Edge::start(|config| config.limits.connections_per_address = 2).await;
    let held = (edge.connect().await.unwrap(), edge.connect().await.unwrap());
    assert!(edge.connect().await.is_err(), "a third connection was taken");
    drop(held);
    // its places are free as soon as the node has noticed
    let again = async { while edge.connect().await.is_err() {} };
    timeout(PATIENCE, again).await.expect("the places were never given back");
    edge.node.stop().await;
}

#[tokio::test]
async fn a_call_without_a_session_is_refused_before_its_message_is_read() {
    let edge = Edge::start(|_| {}).await;
    for method in ocmt_proto::methods::all().iter().filter(|method| method.service == "ocmt.v1.VaultService")
    {
        if ocmt::rpc::unimplemented::reason(method.path).is_none() {
            assert_eq!(edge.call(method.path, never()).await, UNAUTHENTICATED, "{}", method.path);
        }
    }
    edge.node.stop().await;
}

#[tokio::test]
async fn a_client_whose_session_has_ended_keeps_its_connection() {
    let edge = Edge::start(|_| {}).await;
    let stream = TokioIo::new(edge.connect().await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let driver = tokio::task::JoinSet::from_iter([connection]);
    for _ in 0..400 {
        let request = Request::post("https://localhost/ocmt.v1.AuthService/WhoAmI")
            .header("content-type", "application/grpc")
            .header("authorization", "Bearer ocmt_ses_gone")
            .body(message(&[0; 200]))
            .unwrap();
        let answer = timeout(PATIENCE, sender.send_request(request)).await.unwrap();
        assert_eq!(answer.unwrap().headers()["grpc-status"], UNAUTHENTICATED);
    }
    drop(driver);
    edge.node.stop().await;
}

#[tokio::test]
async fn x4_a_message_past_its_bound_is_refused_without_being_taken() {
    let edge = Edge::start(|_| {}).await;
    let path = "/ocmt.v1.AuthService/SignUp";
    let too_long = edge.call(path, message(&vec![0; 65 << 10])).await;
    assert_eq!(too_long, "11", "longer than the service takes");
    // a length of 4 GiB and one byte of it
    let lie = Full::new(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 1])).boxed();
    assert_eq!(edge.call(path, lie).await, "11");
    edge.node.stop().await;
}

#[tokio::test]
async fn a_unary_call_whose_message_never_comes_is_ended() {
    let edge = Edge::start(|config| config.limits.call = ocmt::config::HumanDuration::seconds(1)).await;
    let status = edge.call("/ocmt.v1.AuthService/SignUp", never()).await;
    assert_eq!(status, "4", "the call was not ended by its deadline");
    edge.node.stop().await;
}

#[tokio::test]
async fn h1_every_answer_carries_the_headers_and_an_id_of_its_own() {
    let edge = Edge::start(|_| {}).await;
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        TokioExecutor::new(),
        TokioIo::new(edge.connect().await.unwrap()),
    )
    .await
    .unwrap();
    let driver = tokio::task::JoinSet::from_iter([connection]);
    let mut ids = std::collections::BTreeSet::new();
    let paths = [
        "/",
        "/static/page.css",
        "/auth/link/x",
        "/nope",
        "/gateway/x",
        "/ocmt.v1.AuthService/WhoAmI",
        "/ocmt.v1.GroupService/ListGroups",
    ];
    for path in paths {
        let request = Request::get(format!("https://localhost{path}"))
            .header("ocmt-request-id", "mine")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let headers = answer.headers();
        for name in [
            "strict-transport-security",
            "content-security-policy",
            "x-content-type-options",
            "referrer-policy",
            "cross-origin-resource-policy",
        ] {
            assert!(headers.contains_key(name), "{path} ({}) has no {name}", answer.status());
        }
        assert_eq!(headers["cache-control"], "no-store");
        assert!(!headers.contains_key("server"));
        ids.insert(headers["ocmt-request-id"].to_str().unwrap().to_owned());
    }
    assert!(ids.len() == paths.len() && !ids.contains("mine"));
    drop(driver);
    edge.node.stop().await;
}
