//! Connections to providers, as the node asks for them.

use std::sync::Arc;

use ocmt_crypto::connect::ProviderName;
use ocmt_proto::cell::v1::{
    BeginAuthorizationRequest, BeginAuthorizationResponse, DisconnectRequest, DisconnectResponse,
    FinishAuthorizationRequest, FinishAuthorizationResponse, InboxConnection, ReachRequest, ReachResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming, codegen::BoxStream};

use crate::{
    CellError,
    cell::Cell,
    inbox::OfConnection,
    oauth::{Wish, reach::Carrier},
};

/// Frames that wait for the node, of one connection.
const FRAMES: usize = 8;
const MAX_SCOPES: usize = 64;
const MAX_TEXT: usize = 512;

pub(super) async fn begin(
    cell: &Arc<Cell>,
    it: BeginAuthorizationRequest,
) -> Result<Response<BeginAuthorizationResponse>, Status> {
    let BeginAuthorizationRequest { authorization_id, provider, scopes, redirect_uri, state, .. } = it;
    let short = |text: &String| text.len() <= MAX_TEXT;
    if scopes.len() > MAX_SCOPES || !scopes.iter().chain([&redirect_uri, &state]).all(short) {
        return Err(CellError::Invalid("over 64 scopes, or a text of over 512 bytes").into());
    }
    let wish = Wish {
        authorization: id(&authorization_id)?,
        provider: name(&provider)?,
        scopes,
        redirect: redirect_uri,
        state,
    };
    let begun = cell.begin_authorization(wish).await?;
    Ok(Response::new(BeginAuthorizationResponse {
        url: begun.url,
        proof: begun.proof.to_vec().into(),
        unlock_id: begun.unlock.to_string(),
    }))
}

pub(super) async fn finish(
    cell: &Arc<Cell>,
    it: FinishAuthorizationRequest,
) -> Result<Response<FinishAuthorizationResponse>, Status> {
    cell.finish_authorization(id(&it.authorization_id)?, it.answer.to_vec()).await?;
    Ok(Response::new(FinishAuthorizationResponse {}))
}

pub(super) async fn disconnect(
    cell: &Arc<Cell>,
    it: DisconnectRequest,
) -> Result<Response<DisconnectResponse>, Status> {
    let revoked = cell.disconnect(name(&it.provider)?, it.anyway).await?;
    Ok(Response::new(DisconnectResponse { revoked }))
}

/// Kept until the cell wants to reach somebody.
pub(super) fn reach(
    cell: &Arc<Cell>,
    from_host: Streaming<ReachRequest>,
) -> Response<BoxStream<ReachResponse>> {
    let (to_host, answers) = mpsc::channel(FRAMES);
    cell.park(Carrier { to_host, from_host });
    Response::new(Box::pin(ReceiverStream::new(answers)))
}

pub(super) fn of_connection(it: OfConnection) -> InboxConnection {
    InboxConnection { provider: it.provider, scopes: it.scopes }
}

fn name(text: &str) -> Result<ProviderName, CellError> {
    ProviderName::new(text).map_err(|_| CellError::Invalid("provider is no provider's name"))
}

fn id(text: &str) -> Result<ocmt_types::AuthorizationId, CellError> {
    text.parse().map_err(|_| CellError::Invalid("authorization_id is not a lower-case UUID"))
}
