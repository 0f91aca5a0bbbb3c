//! The connection to the workload as a stream of bytes, for the libraries that speak its protocols.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::Bytes;
use ocmt_actors::api::container::plain::{CHUNK, bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc,
};
use tokio_util::sync::PollSender;

pub(super) struct ToWorkload {
    to_cell: PollSender<Bytes>,
    from_cell: mpsc::Receiver<Bytes>,
    /// Read, and not taken yet.
    left: Bytes,
    /// The workload has said all.
    whole: bool,
}

impl ToWorkload {
    pub(super) fn new(to_cell: mpsc::Sender<Bytes>, from_cell: mpsc::Receiver<Bytes>) -> Self {
        Self { to_cell: PollSender::new(to_cell), from_cell, left: Bytes::new(), whole: false }
    }
}

impl AsyncRead for ToWorkload {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.left.is_empty() {
            match ready!(self.from_cell.poll_recv(cx)) {
                Some(piece) if piece.is_empty() => self.whole = true,
                Some(piece) => self.left = piece,
                None if self.whole => return Poll::Ready(Ok(())),
                // cut off, it must not look like an answer that is whole
                None => return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            }
        }
        let taken = self.left.len().min(buf.remaining());
        let piece = self.left.split_to(taken);
        buf.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ToWorkload {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        if ready!(self.to_cell.poll_reserve(cx)).is_err() {
            return Poll::Ready(Err(gone()));
        }
        let piece = buf.get(..CHUNK).unwrap_or(buf);
        let sent = self.to_cell.send_item(bytes(piece)).map(|()| piece.len());
        Poll::Ready(sent.map_err(|_| gone()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.to_cell.close();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn stream() -> (ToWorkload, mpsc::Receiver<Bytes>, mpsc::Sender<Bytes>) {
        let (to_cell, hears) = mpsc::channel(8);
        let (says, from_cell) = mpsc::channel(8);
        (ToWorkload::new(to_cell, from_cell), hears, says)
    }

    #[tokio::test]
    async fn what_broke_off_is_not_taken_for_whole() {
        for (last, whole) in [(Some(""), true), (None, false)] {
            let (mut stream, _hears, says) = stream();
            for piece in ["half ", "a file"].into_iter().chain(last) {
                says.send(Bytes::from_static(piece.as_bytes())).await.unwrap();
            }
            drop(says);
            let mut read = String::new();
            let ended = stream.read_to_string(&mut read).await;
            assert_eq!(ended.is_ok(), whole, "{ended:?}");
        }
    }

    #[tokio::test]
    async fn nothing_that_is_written_can_be_taken_for_a_word() {
        let (mut stream, mut hears, _says) = stream();
        let long = vec![1; CHUNK + 1];
        stream.write_all(&long).await.unwrap();
        for length in [CHUNK, 1] {
            let sent = hears.recv().await.unwrap();
            assert_eq!((sent.len(), sent[0]), (length + 1, 0), "the first byte says that bytes follow");
        }
    }
}
