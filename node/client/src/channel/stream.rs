//! A sealed channel as a byte stream, for libraries that speak HTTP or WebSocket themselves.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use ocmt_crypto::channel::{Lane, Message};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf},
    task::JoinHandle,
};

use super::SealedChannel;
use crate::ClientError;

/// Bytes that wait in either direction.
const BUFFER: usize = 64 << 10;

/// Both directions of a channel of kind `Tcp`. Dropping it ends the channel.
pub struct ChannelStream {
    near: DuplexStream,
    pump: JoinHandle<()>,
}

impl SealedChannel {
    /// The channel as a byte stream.
    pub fn into_stream(self) -> ChannelStream {
        let (near, far) = tokio::io::duplex(BUFFER);
        #[expect(clippy::disallowed_methods, reason = "ends with the stream, which aborts it when dropped")]
        let pump = tokio::spawn(async move {
            if let Err(error) = pump(self, far).await {
                tracing::debug!(%error, "sealed channel ended");
            }
        });
        ChannelStream { near, pump }
    }
}

impl Drop for ChannelStream {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

async fn pump(mut channel: SealedChannel, mut far: DuplexStream) -> Result<(), ClientError> {
    let mut buffer = vec![0; 16 << 10];
    let mut reading = true;
    loop {
        tokio::select! {
            biased;
            read = far.read(&mut buffer), if reading => match read {
                Ok(n) if n > 0 => channel.write(buffer.get(..n).unwrap_or_default()).await?,
                _ => {
                    reading = false;
                    channel.send(&Message::Eof).await?;
                }
            },
            message = channel.next() => match message? {
                Some(Message::Data(Lane::Main, bytes)) => {
                    if far.write_all(&bytes).await.is_err() {
                        return Ok(());
                    }
                }
                Some(Message::Eof) => {
                    if far.shutdown().await.is_err() {
                        return Ok(());
                    }
                }
                Some(Message::Close(_)) | None => return Ok(()),
                Some(Message::Data(Lane::Error, _) | Message::Exit(_) | Message::Resize { .. }) => {}
            },
        }
    }
}

impl AsyncRead for ChannelStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.near).poll_read(cx, buf)
    }
}

impl AsyncWrite for ChannelStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.near).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.near).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.near).poll_shutdown(cx)
    }
}
