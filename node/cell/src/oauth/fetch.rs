//! HTTPS to a provider: TLS that ends here, no redirects, bounded in size and time.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use http::{Request, Response, header::HOST};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Problem, reach::Reach};
use crate::tasks::Task;

/// One request, from the wish for a connection to the last byte of its answer.
const LASTS: Duration = Duration::from_secs(10);
const MOST_BYTES: usize = 64 * 1024;
/// Of an answer's head.
const MOST_HEAD: usize = 16 * 1024;

/// The way to one provider.
pub(super) struct Fetch {
    reach: Arc<Reach>,
    tls: TlsConnector,
}

impl Fetch {
    /// Believes the authority of `ca_pem` alone, or those of the public web.
    pub(super) fn new(reach: Arc<Reach>, ca_pem: Option<&str>) -> Result<Self, Problem> {
        let mut roots = RootCertStore::empty();
        match ca_pem {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    let certificate =
                        certificate.map_err(|_| Problem::Settings("ca_pem is no certificate"))?;
                    roots.add(certificate).map_err(|_| Problem::Settings("ca_pem is no authority"))?;
                }
                if roots.is_empty() {
                    return Err(Problem::Settings("ca_pem holds no certificate"));
                }
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| Problem::Settings("TLS cannot be set up"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { reach, tls: TlsConnector::from(Arc::new(config)) })
    }

    pub(super) async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, Problem> {
        let asked = timeout(LASTS, self.ask_in_time(request)).await;
        asked.unwrap_or(Err(Problem::Unreachable("does not answer in time")))
    }

    async fn ask_in_time(&self, request: HttpRequest) -> Result<HttpResponse, Problem> {
        let (mut head, body) = request.into_parts();
        let authority = head.uri.authority().filter(|it| !it.as_str().contains('@'));
        let authority = authority.filter(|_| head.uri.scheme_str() == Some("https"));
        let authority = authority.ok_or(Problem::Settings("an address is no https address"))?.clone();
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let (io, _carried) = self.reach.connect(&host, authority.port_u16().unwrap_or(443)).await?;
        let name = ServerName::try_from(host).map_err(|_| Problem::Settings("an address names no host"))?;
        let untrusted = |_| Problem::Untrusted("does not show a certificate that is believed");
        let tls = self.tls.connect(name, io).await.map_err(untrusted)?;
        let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        head.uri = path.parse().map_err(|_| Problem::Settings("an address has no path"))?;
        let host = authority.as_str().parse().map_err(|_| Problem::Settings("an address names no host"))?;
        head.headers.insert(HOST, host);
        let failed = |_| Problem::Unreachable("does not speak HTTP");
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(MOST_HEAD)
            .handshake(TokioIo::new(tls))
            .await
            .map_err(failed)?;
        // ends with this call, whatever becomes of it
        let _driver = Task::start(async move {
            // the request says what went wrong
            let _ = connection.await;
        });
        let request = Request::from_parts(head, Full::<bytes::Bytes>::from(body));
        let (head, body) = sender.send_request(request).await.map_err(failed)?.into_parts();
        if head.status.is_redirection() {
            return Err(Problem::Untrusted("sends elsewhere"));
        }
        let body = Limited::new(body, MOST_BYTES).collect().await;
        let body = body.map_err(|_| Problem::Untrusted("says too much, or breaks off"))?;
        Ok(Response::from_parts(head, body.to_bytes().to_vec()))
    }
}

impl<'c> AsyncHttpClient<'c> for Fetch {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Problem>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}
