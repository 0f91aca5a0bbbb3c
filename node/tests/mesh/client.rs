//! A client without any of our code: TLS, HTTP/2, HTTP/1.1, raw frames.

use std::{net::SocketAddr, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ocmt::pki::testing::{Minted, anonymous};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{PATIENCE, Papers};

pub struct Client {
    roots: rustls::RootCertStore,
    address: SocketAddr,
    /// The machine's own addresses are all of 127.0.0.0/8: this is the last byte.
    from: u8,
    name: ServerName<'static>,
}

/// An HTTP/2 connection.
pub struct H2 {
    pub sender: http2::SendRequest<Body>,
    _driver: JoinSet<hyper::Result<()>>,
}

impl Client {
    pub fn new(papers: &Papers, address: SocketAddr) -> Self {
        Self { roots: papers.roots(), address, from: 1, name: ServerName::try_from("localhost").unwrap() }
    }

    /// Another client, at `127.0.0.<from>`.
    pub fn from(self, from: u8) -> Self {
        Self { from, ..self }
    }

    pub async fn tls(&self, protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
        let config = rustls::ClientConfig::builder().with_root_certificates(self.roots.clone());
        self.connect(config.with_no_client_auth(), protocol).await
    }

    /// To a peer listener, with this certificate; who answers there is not looked at.
    pub async fn as_peer(
        address: &str,
        paper: Option<&Minted>,
        protocol: &[u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let config = paper.map_or_else(anonymous, Minted::client).unwrap();
        Self::over(address, config, protocol).await
    }

    /// To `address` with this TLS.
    pub async fn over(
        address: &str,
        config: rustls::ClientConfig,
        protocol: &[u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let client = Self {
            roots: rustls::RootCertStore::empty(),
            address: address.parse().unwrap(),
            from: 1,
            name: ServerName::try_from("localhost").unwrap(),
        };
        client.connect(config, protocol).await
    }

    async fn connect(
        &self,
        mut config: rustls::ClientConfig,
        protocol: &[u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        config.alpn_protocols = vec![protocol.to_vec()];
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, self.from], 0).into())?;
        let tcp = socket.connect(self.address).await?;
        tcp.set_nodelay(true)?;
        TlsConnector::from(Arc::new(config)).connect(self.name.clone(), tcp).await
    }

    pub async fn h2(&self) -> H2 {
        H2::over(self.tls(b"h2").await.unwrap()).await
    }

    /// One HTTP/1.1 request.
    pub async fn h1(&self, request: Request<Body>) -> Response<Incoming> {
        h1_over(self.tls(b"http/1.1").await.unwrap(), request).await
    }
}

/// One HTTP/1.1 request over this connection.
pub async fn h1_over(stream: TlsStream<TcpStream>, request: Request<Body>) -> Response<Incoming> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let mut driver = JoinSet::from_iter([connection.with_upgrades()]);
    let answer = timeout(PATIENCE, sender.send_request(request)).await.expect("no answer").unwrap();
    driver.detach_all();
    answer
}

impl H2 {
    pub async fn over(stream: TlsStream<TcpStream>) -> Self {
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        Self { sender, _driver: JoinSet::from_iter([connection]) }
    }

    pub async fn send(&self, request: Request<Body>) -> Response<Incoming> {
        self.try_send(request).await.unwrap()
    }

    pub async fn try_send(&self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        timeout(PATIENCE, self.sender.clone().send_request(request)).await.expect("no answer")
    }

    /// A call of a tenant's.
    pub async fn call(&self, path: &str, body: impl Into<Body>) -> Response<Incoming> {
        self.send(call(path, body)).await
    }

    pub async fn text(&self, path: &str, body: impl Into<Body>) -> String {
        let body = self.call(path, body).await.into_body();
        let whole = timeout(PATIENCE, body.collect()).await.expect("no end").unwrap();
        String::from_utf8(whole.to_bytes().to_vec()).unwrap()
    }

    pub async fn seen(&self, request: Request<Body>) -> serde_json::Value {
        let whole = self.send(request).await.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&whole).unwrap_or_else(|_| panic!("{whole:?}"))
    }
}

/// A gRPC call of tenant 1, as far as this layer can tell.
pub fn call(path: &str, body: impl Into<Body>) -> Request<Body> {
    call_of(1, path, body)
}

/// The same of another tenant.
pub fn call_of(tenant: u8, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(format!("https://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("ocmt-route", super::tenant(tenant).to_string())
        .body(body.into())
        .unwrap()
}

/// HTTP/2 frames as they come: kind, flags, stream, payload.
pub async fn read_h2_frames(
    mut from: impl AsyncRead + Unpin,
    mut until: impl FnMut(u8, u32, &[u8]) -> bool,
) -> bool {
    let reading = async {
        loop {
            let mut head = [0; 9];
            if from.read_exact(&mut head).await.is_err() {
                return false;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            if from.read_exact(&mut payload).await.is_err() {
                return false;
            }
            if until(head[3], stream, &payload) {
                return true;
            }
        }
    };
    timeout(PATIENCE, reading).await.unwrap_or(false)
}

pub fn empty() -> Body {
    Body::empty()
}

pub fn bytes(n: usize) -> Body {
    Body::from(Bytes::from(vec![7; n]))
}
