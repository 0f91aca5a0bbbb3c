//! A connection that can be cut from outside, whatever it was upgraded to since.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::listen::Cut;

/// `S` until the cut; then every read and write fails.
pub struct CutStream<S> {
    stream: S,
    cut: Option<Cut>,
}

impl<S> CutStream<S> {
    /// `stream`, until `cut` ends.
    pub fn new(stream: S, cut: Cut) -> Self {
        Self { stream, cut: Some(cut) }
    }

    /// Asked on each read: everything that holds a connection waits for what it reads next.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match &mut self.cut {
            None => Err(cut_off()),
            Some(cut) => match cut.as_mut().poll(cx) {
                Poll::Pending => Ok(()),
                Poll::Ready(()) => {
                    self.cut = None;
                    Err(cut_off())
                }
            },
        }
    }
}

fn cut_off() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the connection was cut: its other end has no place here",
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for CutStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CutStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.cut.is_none() {
            return Poll::Ready(Err(cut_off()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.cut.is_none() {
            return Poll::Ready(Err(cut_off()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
