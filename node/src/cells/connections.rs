//! What cells are asked about connections, over gRPC; and the bytes that are carried for them.

use std::time::Duration;

use bytes::Bytes;
use ocmt_actors::{CellCall, CellConnections, CellError, CellOffer, CellTarget, CellWish};
use ocmt_proto::cell::v1::{
    self as pb, reach_request::Message as ToCell, reach_response::Message as FromCell,
};
use ocmt_types::{AuthorizationId, Clock as _, SystemClock};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{GrpcCells, call, outgoing::Outgoing, with_token};

/// One connection, and its bytes in each direction: a token request is far below.
const LASTS: Duration = Duration::from_secs(30);
const MOST_BYTES: usize = 1 << 20;
/// Connections of one cell at once.
const OF_A_CELL: usize = 8;
const CHUNK: usize = 16 * 1024;
/// Chunks that wait for a cell.
const FRAMES: usize = 4;
/// Bytes of why a connection does not stand.
const MAX_WHY: usize = 200;

impl CellConnections for GrpcCells {
    fn begin_authorization<'a>(&'a self, cell: &'a CellTarget, wish: CellWish) -> CellCall<'a, CellOffer> {
        Box::pin(async move {
            let lifetime = wish.expires_at.since(SystemClock.now());
            let message = pb::BeginAuthorizationRequest {
                authorization_id: wish.authorization.to_string(),
                provider: wish.provider,
                scopes: wish.scopes,
                redirect_uri: wish.redirect,
                state: wish.state,
                lifetime: prost_types::Duration::try_from(lifetime).ok(),
            };
            let begun = call!(self, cell, begin_authorization, message)?;
            let unlock = begun.unlock_id.parse();
            let unlock =
                unlock.map_err(|_| CellError::Unreachable("its offer is of no unlock".to_owned()))?;
            Ok(CellOffer { url: begun.url, proof: begun.proof.to_vec(), unlock })
        })
    }

    fn finish_authorization<'a>(
        &'a self,
        cell: &'a CellTarget,
        authorization: AuthorizationId,
        answer: Vec<u8>,
    ) -> CellCall<'a, ()> {
        Box::pin(async move {
            let message = pb::FinishAuthorizationRequest {
                authorization_id: authorization.to_string(),
                answer: answer.into(),
            };
            call!(self, cell, finish_authorization, message).map(drop)
        })
    }

    fn disconnect<'a>(&'a self, cell: &'a CellTarget, provider: String, anyway: bool) -> CellCall<'a, bool> {
        let message = pb::DisconnectRequest { provider, anyway };
        Box::pin(async move { Ok(call!(self, cell, disconnect, message)?.revoked) })
    }

    fn carry<'a>(&'a self, cell: &'a CellTarget) -> CellCall<'a, ()> {
        Box::pin(async move {
            let mut under_way = JoinSet::new();
            loop {
                let (to_cell, requests) = mpsc::channel(FRAMES);
                let mut from_cell = call!(self, cell, reach, ReceiverStream::new(requests))?;
                // as long as it wants nothing
                let asked = from_cell.message().await.map_err(|status| self.failed(cell, &status))?;
                let Some(pb::ReachResponse { message: Some(FromCell::Target(target)) }) = asked else {
                    return Err(CellError::Unreachable("it took its call back".to_owned()));
                };
                while under_way.try_join_next().is_some() {}
                if under_way.len() >= OF_A_CELL {
                    // the cell hears it by the end of the call
                    continue;
                }
                let outgoing = std::sync::Arc::clone(&self.outgoing);
                under_way.spawn(async move {
                    let carried = carried(&outgoing, &target, to_cell, &mut from_cell);
                    if timeout(LASTS, carried).await.is_err() {
                        tracing::debug!(host = target.host, "connection of a cell took too long");
                    }
                });
            }
        })
    }
}

/// Until the cell is done: what is on its way to it when this end closes would be lost.
async fn carried(
    outgoing: &Outgoing,
    target: &pb::ReachTarget,
    to_cell: mpsc::Sender<pb::ReachRequest>,
    from_cell: &mut Streaming<pb::ReachResponse>,
) {
    let (stream, _place) = match outgoing.connect(&target.host, target.port).await {
        Ok(connected) => connected,
        Err(mut why) => {
            tracing::debug!(why, "a cell was not carried");
            why.truncate(why.floor_char_boundary(MAX_WHY));
            let _ = to_cell.send(pb::ReachRequest { message: Some(ToCell::Failed(why)) }).await;
            while let Ok(Some(_)) = from_cell.message().await {}
            return;
        }
    };
    if to_cell.send(pb::ReachRequest { message: Some(ToCell::Connected(true)) }).await.is_ok() {
        both_ways(stream, to_cell, from_cell).await;
    }
}

async fn both_ways(
    mut stream: TcpStream,
    to_cell: mpsc::Sender<pb::ReachRequest>,
    from_cell: &mut Streaming<pb::ReachResponse>,
) {
    let (mut read, mut write) = stream.split();
    let down = async move {
        let (mut chunk, mut sum) = (vec![0; CHUNK], 0);
        while let Ok(count @ 1..) = read.read(&mut chunk).await {
            sum += count;
            let data = Bytes::copy_from_slice(chunk.get(..count).unwrap_or_default());
            let sent = to_cell.send(pb::ReachRequest { message: Some(ToCell::Data(data)) }).await;
            if sent.is_err() || sum > MOST_BYTES {
                break;
            }
        }
        // the cell hears of the end; it ends the call
        drop(to_cell);
        std::future::pending::<()>().await;
    };
    let up = async {
        let mut sum = 0;
        while let Ok(Some(pb::ReachResponse { message: Some(FromCell::Data(data)) })) =
            from_cell.message().await
        {
            sum += data.len();
            if sum > MOST_BYTES || write.write_all(&data).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = down => {}
        () = up => {}
    }
}
