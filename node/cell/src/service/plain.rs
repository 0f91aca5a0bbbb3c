//! Bytes between the node and the workload's port.

use bytes::{Bytes, BytesMut};
use ocmt_proto::cell::v1::{ProxyRequest, ProxyResponse};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Status, Streaming, codegen::BoxStream, metadata::MetadataMap};

use crate::{CellError, cell::plain::ToWorkload, tasks::Task};

/// Metadata with the gateway token, and with the keys whose tokens hold.
const TOKEN: &str = "ocmt-gateway-token";
const KEYS: &str = "ocmt-gateway-keys-bin";
/// Most bytes in one piece.
const CHUNK: usize = 32 * 1024;
/// Pieces that wait for the node.
const AHEAD: usize = 2;

/// The gateway token of a call.
pub(super) fn token(metadata: &MetadataMap) -> Result<&str, CellError> {
    metadata.get(TOKEN).and_then(|token| token.to_str().ok()).ok_or(CellError::TokenRefused)
}

/// The keys that the host states beside it.
pub(super) fn keys(metadata: &MetadataMap) -> Result<Bytes, CellError> {
    metadata.get_bin(KEYS).and_then(|keys| keys.to_bytes().ok()).ok_or(CellError::TokenRefused)
}

/// Carries until the workload has said all, or the node goes away.
pub(super) fn carry(to: ToWorkload, from_node: Streaming<ProxyRequest>) -> BoxStream<ProxyResponse> {
    let (to_node, pieces) = mpsc::channel::<Result<Bytes, Status>>(AHEAD);
    let carrying = Task::start(run(to, from_node, to_node));
    Box::pin(ReceiverStream::new(pieces).map(move |piece| {
        // a call that is gone carries nothing any more
        let _held = &carrying;
        piece.map(|data| ProxyResponse { data })
    }))
}

/// Each direction may end before the other; the workload's last word ends both.
async fn run(
    to: ToWorkload,
    mut from_node: Streaming<ProxyRequest>,
    to_node: mpsc::Sender<Result<Bytes, Status>>,
) {
    let ToWorkload { stream, place: _place } = to;
    let (mut from, mut to) = stream.into_split();
    let writing = async {
        while let Ok(Some(piece)) = from_node.message().await {
            if to.write_all(&piece.data).await.is_err() {
                return;
            }
        }
        // the other half says how it went
        let _ = to.shutdown().await;
    };
    let reading = async {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(CHUNK);
            match (&mut from).take(CHUNK as u64).read_buf(&mut buffer).await {
                // an empty piece says that this is the end, and no break
                Ok(0) => return drop(to_node.send(Ok(Bytes::new())).await),
                Ok(_) => {
                    if to_node.send(Ok(buffer.split().freeze())).await.is_err() {
                        return;
                    }
                }
                Err(_) => {
                    let _ = to_node.send(Err(Status::aborted("the workload broke off"))).await;
                    return;
                }
            }
        }
    };
    tokio::pin!(writing, reading);
    tokio::select! {
        () = &mut reading => {}
        () = &mut writing => reading.await,
    }
}
