//! The way to workloads: bytes, over connections of their own, so that no flood of them holds up a cell's control.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::StreamExt as _;
use ocmt_actors::{CellChannel, CellError, CellPass, CellTarget};
use ocmt_proto::cell::v1::{self as pb, cell_service_client::CellServiceClient};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Streaming,
    metadata::{Ascii, BinaryMetadataValue, MetadataValue},
    transport::Channel,
};

use super::{CONNECT, GrpcCells, endpoint, with_token};
use crate::{server::listen::LARGEST_WINDOW, tasks};

/// Metadata with the gateway token, and with the keys whose tokens hold.
const TOKEN: &str = "ocmt-gateway-token";
const KEYS: &str = "ocmt-gateway-keys-bin";
/// Pieces that wait in each direction, of at most 32 KiB.
const PIECES: usize = 2;
/// What one workload's connection may send ahead of its reader; the others do not wait for it.
const WINDOW: u32 = 64 << 10;

pub(super) async fn open(
    cells: &GrpcCells,
    cell: &CellTarget,
    pass: &CellPass,
) -> Result<CellChannel, CellError> {
    let address = cell.address.0;
    let mut client = CellServiceClient::new(cells.plain.of(address, dial(address)).await?);
    let (to_cell, outgoing) = mpsc::channel::<Bytes>(PIECES);
    let (incoming, from_cell) = mpsc::channel::<Bytes>(PIECES);
    let pieces = ReceiverStream::new(outgoing).map(|data| pb::ProxyRequest { data });
    let answer = client.proxy(shown(with_token(cell, pieces)?, pass)?).await;
    let pieces = answer.map_err(|status| cells.plain.failed(address, &status))?.into_inner();
    // ends with either end
    tasks::spawn(carry(pieces, incoming));
    Ok(CellChannel { to_cell, from_cell })
}

/// With what the cell looks at before it lets anybody in.
fn shown<T>(mut request: Request<T>, pass: &CellPass) -> Result<Request<T>, CellError> {
    let token = pass.token.expose().parse();
    let mut token: MetadataValue<Ascii> =
        token.map_err(|_| CellError::Unreachable("the gateway token is no header value".to_owned()))?;
    token.set_sensitive(true);
    request.metadata_mut().insert(TOKEN, token);
    request.metadata_mut().insert_bin(KEYS, BinaryMetadataValue::from_bytes(&pass.keys));
    Ok(request)
}

async fn dial(address: SocketAddr) -> Result<Channel, CellError> {
    let endpoint = endpoint(address)?
        .connect_timeout(CONNECT)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(LARGEST_WINDOW);
    endpoint.connect().await.map_err(|error| CellError::Unreachable(error.to_string()))
}

async fn carry(mut pieces: Streaming<pb::ProxyResponse>, incoming: mpsc::Sender<Bytes>) {
    loop {
        let piece = tokio::select! {
            () = incoming.closed() => return,
            piece = pieces.message() => piece,
        };
        let Ok(Some(piece)) = piece else { return };
        if incoming.send(piece.data).await.is_err() {
            return;
        }
    }
}
