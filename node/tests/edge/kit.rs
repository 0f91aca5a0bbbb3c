//! A node, and clients without any of our code.

use std::{convert::Infallible, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, request::Builder};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{Request, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ocmt::{
    config::{Config, Mode, RuntimeKind},
    local::Mailbox,
    server::Node,
    software::Software,
};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) type Sent = BoxBody<Bytes, Infallible>;

pub(crate) struct Edge {
    pub(crate) node: Node,
    pub(crate) address: SocketAddr,
    pub(crate) mailbox: Mailbox,
    roots: rustls::RootCertStore,
    _folder: tempfile::TempDir,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) trailers: HeaderMap,
}

impl Edge {
    pub(crate) async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.node.mode = Mode::Dev;
        config.node.data_dir = folder.path().join("data");
        config.listen.client.set_port(0);
        config.listen.telemetry.set_port(0);
        config.mail.spool = folder.path().join("mail");
        config.containers.runtime = RuntimeKind::Process;
        // no container is started here, so any program will do
        config.containers.cell = PathBuf::from("/bin/true");
        change(&mut config);
        let node = Box::pin(Node::start(&config, Software::this())).await.unwrap();
        let client = node.endpoints().client.clone();
        let port = client.rsplit_once(':').unwrap().1.parse().unwrap();
        let address = SocketAddr::new(config.listen.client.ip(), port);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(node.ca_file()).unwrap()).unwrap();
        let mailbox = Mailbox::new(folder.path().join("mail"));
        Self { node, address, mailbox, roots, _folder: folder }
    }

    /// `https://localhost:PORT`, what a browser would call it.
    pub(crate) fn origin(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    pub(crate) async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_as(b"h2").await
    }

    pub(crate) async fn connect_as(&self, protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
        let client = rustls::ClientConfig::builder().with_root_certificates(self.roots.clone());
        let mut client = client.with_no_client_auth();
        client.alpn_protocols = vec![protocol.to_vec()];
        let tcp = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(client)).connect(name, tcp).await
    }

    /// One request over an HTTP/2 connection of its own.
    pub(crate) async fn ask(&self, request: Builder, body: impl Into<Bytes>) -> Answer {
        self.send(request.body(full(body)).unwrap()).await
    }

    pub(crate) async fn send(&self, mut request: Request<Sent>) -> Answer {
        let path = request.uri().path_and_query().unwrap().to_string();
        *request.uri_mut() = format!("{}{path}", self.origin()).parse().unwrap();
        let stream = TokioIo::new(self.connect().await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        let driver = JoinSet::from_iter([connection]);
        let answer = timeout(PATIENCE, sender.send_request(request)).await.expect("no answer").unwrap();
        let answer = whole(answer).await;
        drop(driver);
        answer
    }

    /// The same over HTTP/1.1.
    pub(crate) async fn ask_h1(&self, request: Builder, body: impl Into<Bytes>) -> Answer {
        let stream = TokioIo::new(self.connect_as(b"http/1.1").await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        let request = request.header("host", format!("localhost:{}", self.address.port()));
        let mut driver = JoinSet::new();
        driver.spawn(async move { connection.with_upgrades().await });
        let sent = sender.send_request(request.body(full(body)).unwrap());
        let answer = timeout(PATIENCE, sent).await.expect("no answer").unwrap();
        whole(answer).await
    }

    /// One gRPC call with this body; its gRPC status.
    pub(crate) async fn call(&self, path: &str, body: Sent) -> String {
        let request = Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
        let answer = self.send(request.body(body).unwrap()).await;
        let status = answer.headers.get("grpc-status").or_else(|| answer.trailers.get("grpc-status"));
        status.unwrap().to_str().unwrap().to_owned()
    }
}

async fn whole(answer: hyper::Response<Incoming>) -> Answer {
    let (head, body) = answer.into_parts();
    let body = timeout(PATIENCE, body.collect()).await.expect("the answer does not end").unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Answer { status: head.status, headers: head.headers, body, trailers }
}

pub(crate) fn full(body: impl Into<Bytes>) -> Sent {
    Full::new(body.into()).boxed()
}

/// A gRPC message.
pub(crate) fn message(bytes: &[u8]) -> Sent {
    full(framed(bytes))
}

pub(crate) fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), bytes].concat()
}
