//! What `lettre` speaks SMTP on: a stream that is as secure as it will be, from which no more is read than a server has
//! to say about one letter (`lettre` reads a line to its end, however long).

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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
