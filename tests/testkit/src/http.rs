//! Plain HTTP/1.1 and HTTP/2 to a node, header by header.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Fuse},
};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use ocmt_client::connect::Target;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; empty for a switched protocol.
    pub body: String,
}

/// `GET path` over HTTP/1.1 with these headers besides `host`.
///
/// # Errors
/// The node cannot be reached.
pub async fn get(target: &Target, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
    Kept::to(target).get(path, headers).await
}

type Connection = Fuse<BoxFuture<'static, hyper::Result<()>>>;

/// A connection over HTTP/1.1 that is asked again and again, and made anew where the node has closed it.
pub struct Kept {
    target: Target,
    open: Option<(SendRequest<Full<Bytes>>, Connection)>,
}

impl Kept {
    /// One to this node, made with the first request.
    pub fn to(target: &Target) -> Self {
        Self { target: target.clone(), open: None }
    }

    /// `GET path` with these headers besides `host`.
    ///
    /// # Errors
    /// The node cannot be reached.
    pub async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
        self.ask(&Method::GET, path, headers, "").await
    }

    /// `POST path` of a form, encoded as browsers do, with these further headers.
    ///
    /// # Errors
    /// The node cannot be reached.
    pub async fn post(&mut self, path: &str, headers: &[(&str, &str)], form: &str) -> anyhow::Result<Answer> {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.ask(&Method::POST, path, &all, form).await
    }

    async fn ask(
        &mut self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<Answer> {
        let authority = self.target.authority()?;
        let request = || {
            let mut request = Request::builder().method(method).uri(path);
            request = request.header(header::HOST, authority.as_str());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.body(Full::from(body.to_owned()))
        };
        if let Some((sender, connection)) = self.open.take()
            && let Ok(answer) = self.over(sender, connection, request()?).await
        {
            return Ok(answer);
        }
        let (sender, connection) = http1::handshake(TokioIo::new(connect(&self.target).await?)).await?;
        self.over(sender, connection.with_upgrades().boxed().fuse(), request()?).await
    }

    async fn over(
        &mut self,
        mut sender: SendRequest<Full<Bytes>>,
        mut connection: Connection,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<Answer> {
        let ask = async {
            sender.ready().await?;
            let answer = sender.send_request(request).await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = if status == StatusCode::SWITCHING_PROTOCOLS {
                Bytes::new()
            } else {
                answer.into_body().collect().await?.to_bytes()
            };
            anyhow::Ok(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
        };
        let answer = tokio::select! {
            biased;
            answer = ask => answer?,
            // it ends before its answer only when something is wrong, and then the answer says so
            Err(error) = &mut connection => return Err(error.into()),
        };
        self.open = Some((sender, connection));
        Ok(answer)
    }
}

/// `GET path` that asks for a WebSocket with these further headers.
///
/// # Errors
/// The node cannot be reached.
pub async fn upgrade(target: &Target, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Answer> {
    let mut all = vec![
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    all.extend_from_slice(headers);
    get(target, path, &all).await
}

/// How long the first word of an answer may take, and how long nothing more may come before it is taken for whole.
const FIRST_WORD: Duration = Duration::from_secs(60);
const QUIET: Duration = Duration::from_secs(5);

/// Sends bytes over a connection of their own, and reads to its end or until nothing more comes.
///
/// # Errors
/// The node cannot be reached.
pub async fn exchange(target: &Target, bytes: &[u8]) -> anyhow::Result<String> {
    let mut stream = connect(target).await?;
    // a node that refuses early may have closed meanwhile
    drop(stream.write_all(bytes).await);
    let (mut said, mut patience) = (Vec::new(), FIRST_WORD);
    while let Ok(Ok(1..)) = timeout(patience, stream.read_buf(&mut said)).await {
        patience = QUIET;
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

pub(crate) async fn connect(target: &Target) -> anyhow::Result<TlsStream<TcpStream>> {
    let authority = target.authority()?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(target.ca.pem().as_bytes())?)?;
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
    let tcp = TcpStream::connect((authority.host(), authority.port_u16().context("no port")?)).await?;
    Ok(TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from(authority.host().to_owned())?, tcp)
        .await?)
}
