//! HTTP for the object store: a connection for each request, over the TLS of this program.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use http::{Request, header::HOST, uri::Scheme};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
        HttpService,
    },
};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::tasks;

const CONNECT: Duration = Duration::from_secs(10);
/// From the request to the head of its answer: a part of an upload goes with it.
const ANSWER: Duration = Duration::from_secs(120);
/// A connection ends after this, whatever still comes: a whole snapshot may come over it.
const LASTS: Duration = Duration::from_secs(900);

/// The way to the object store.
#[derive(Clone)]
pub(super) struct Http(TlsConnector);

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}

impl Http {
    pub(super) fn new(tls: ClientConfig) -> Self {
        Self(TlsConnector::from(Arc::new(tls)))
    }

    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let uri = request.uri().clone();
        let host = uri.host().ok_or_else(|| wrong("the address names no host"))?.to_owned();
        let in_clear = uri.scheme() == Some(&Scheme::HTTP);
        let port = uri.port_u16().unwrap_or(if in_clear { 80 } else { 443 });
        let bare = host.trim_matches(['[', ']']).to_owned();
        let connect = async {
            let tcp = TcpStream::connect((bare.as_str(), port)).await.map_err(unreachable)?;
            tcp.set_nodelay(true).map_err(unreachable)?;
            Ok::<Box<dyn Stream>, HttpError>(if in_clear {
                Box::new(tcp)
            } else {
                let name =
                    ServerName::try_from(bare.clone()).map_err(|_| wrong("the address names no host"))?;
                Box::new(self.0.connect(name, tcp).await.map_err(unreachable)?)
            })
        };
        let late =
            |_| HttpError::new(HttpErrorKind::Timeout, std::io::Error::from(std::io::ErrorKind::TimedOut));
        let stream = timeout(CONNECT, connect).await.map_err(late)??;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broke)?;
        // it drives the answer's body too, and ends with it
        tasks::spawn(timeout(LASTS, connection).map(drop));
        let (mut head, body) = request.into_parts();
        if !head.headers.contains_key(HOST) {
            let authority = uri.authority().map_or(host.as_str(), http::uri::Authority::as_str);
            head.headers.insert(HOST, authority.parse().map_err(|_| wrong("the address names no host"))?);
        }
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        head.uri = path.parse().map_err(|_| wrong("the address has no path"))?;
        let answer = timeout(ANSWER, sender.send_request(Request::from_parts(head, body))).await;
        let (head, body) = answer.map_err(late)?.map_err(broke)?.into_parts();
        let body = body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error));
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

fn wrong(why: &'static str) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, std::io::Error::other(why))
}

fn unreachable(error: std::io::Error) -> HttpError {
    HttpError::new(HttpErrorKind::Connect, error)
}

fn broke(error: hyper::Error) -> HttpError {
    HttpError::new(HttpErrorKind::Request, error)
}

#[tonic::async_trait]
impl HttpService for Http {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.ask(request).await
    }
}

impl HttpConnector for Http {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}
