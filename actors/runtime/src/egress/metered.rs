//! A connection to a destination whose bytes are counted, and stopped when the day's are used up.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
};

use super::book::Flow;

/// Bytes taken at once: what is taken and not used is given back.
const CHUNK: usize = 64 << 10;

pub(super) struct Metered {
    stream: TcpStream,
    flow: Flow,
    /// Of the tenant's connections and of the node's.
    _room: [OwnedSemaphorePermit; 2],
}

impl Metered {
    pub(super) fn new(stream: TcpStream, flow: Flow, room: [OwnedSemaphorePermit; 2]) -> Self {
        Self { stream, flow, _room: room }
    }
}

fn spent() -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, "the bytes of the day are used up")
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let wanted = buffer.remaining().min(CHUNK);
        let taken = this.flow.take_received(wanted);
        if taken == 0 && wanted > 0 {
            return Poll::Ready(Err(spent()));
        }
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(taken));
        let polled = Pin::new(&mut this.stream).poll_read(cx, &mut part);
        let moved = part.filled().len();
        buffer.advance(moved);
        this.flow.received(taken, moved);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let taken = this.flow.take_sent(bytes.len().min(CHUNK));
        if taken == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(spent()));
        }
        let polled = Pin::new(&mut this.stream).poll_write(cx, &bytes[..taken]);
        let moved = if let Poll::Ready(Ok(moved)) = polled { moved } else { 0 };
        this.flow.sent(taken, moved);
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
