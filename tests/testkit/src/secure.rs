//! HTTP over TLS by a listener that is a test's own, with a certificate for `localhost` that is its own authority.

use std::{convert::Infallible, net::Ipv4Addr, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;

/// It listens on a free port of this machine, and answers once it is told how.
pub(crate) struct Secure {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    /// `localhost:PORT`.
    pub(crate) host: String,
    /// Its authority, PEM.
    pub(crate) ca_pem: String,
}

impl Secure {
    pub(crate) async fn listen() -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let key = rustls_pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let crypto = Arc::new(rustls::crypto::ring::default_provider());
        let tls =
            rustls::ServerConfig::builder_with_provider(crypto).with_safe_default_protocol_versions()?;
        let tls = tls.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let host = format!("localhost:{}", listener.local_addr()?.port());
        Ok(Self { listener, acceptor: TlsAcceptor::from(Arc::new(tls)), host, ca_pem: made.cert.pem() })
    }

    /// Answers until what is given back is dropped.
    pub(crate) fn serve<A, F>(self, answer: A) -> JoinSet<()>
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static,
    {
        let Self { listener, acceptor, .. } = self;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut talks = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, answer) = (acceptor.clone(), answer.clone());
                talks.spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(tls), service_fn(answer)).await;
                });
            }
        });
        tasks
    }
}
