//! What `lettre` speaks SMTP on: a stream that is as secure as it will be, from which no more is read than a server has
//! to say about one letter (`lettre` reads a line to its end, however long).

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::MailSetting;

/// What a server may say about one letter, in bytes.
const MOST: usize = 256 << 10;
/// The greeting was in clear and is forgotten; `lettre` waits for one.
const GREETING: &[u8] = b"220 under TLS\r\n";

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// A connection that was carried as far as SMTP.
pub(super) struct Carried {
    stream: Box<dyn Stream>,
    greeting: &'static [u8],
    left: usize,
}

impl Carried {
    /// The server greets.
    pub(super) fn with_its_greeting(
        stream: impl AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static,
    ) -> Self {
        Self { stream: Box::new(stream), greeting: &[], left: MOST }
    }

    /// The server has greeted, before TLS, and does not again.
    pub(super) fn greeted(stream: impl AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static) -> Self {
        Self { greeting: GREETING, ..Self::with_its_greeting(stream) }
    }
}

impl AsyncRead for Carried {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.greeting.is_empty() {
            let (now, later) = self.greeting.split_at(self.greeting.len().min(buf.remaining()));
            buf.put_slice(now);
            self.greeting = later;
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        match self.left.checked_sub(read) {
            Some(left) => self.left = left,
            None => return Poll::Ready(Err(io::Error::other("the mail server says too much"))),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Carried {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried").finish_non_exhaustive()
    }
}

impl AsyncTokioStream for Carried {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        // nobody asks: lettre wants it of a stream, and uses it nowhere
        Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))
    }
}

/// TLS towards whom the authorities in `file` vouch for; without one, those of the machine.
pub(super) fn tls_of(file: &Path) -> Result<ClientConfig, MailSetting> {
    let wrong = |problem: String| MailSetting::new("mail.smtp_ca_file", problem);
    let mut roots = RootCertStore::empty();
    if file.as_os_str().is_empty() {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(wrong("this machine trusts no certificate authority: install them (ca-certificates), or name a file".to_owned()));
        }
    } else {
        let unreadable = |error: &dyn fmt::Display| wrong(format!("{}: {error}", file.display()));
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
            let certificate = certificate.map_err(|error| unreadable(&error))?;
            roots.add(certificate).map_err(|error| unreadable(&error))?;
        }
        if roots.is_empty() {
            return Err(unreadable(&"holds no certificate"));
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
