//! Connections of containers over the wire.

use ocmt_actors::api::connections::{
    BeginAuthorization, ConnectionInfo, Disconnect, FinishAuthorization, ListConnections,
};
use ocmt_proto::v1::{self as pb, o_auth_service_server::OAuthService};
use tonic::{Request, Response};

use super::{Answer, Rpc, container_wire as wire, convert};
use crate::web::CONNECTED_AT;

const PAGE: u32 = 50;

#[tonic::async_trait]
impl OAuthService for Rpc {
    async fn begin_authorization(
        &self,
        request: Request<pb::BeginAuthorizationRequest>,
    ) -> Answer<pb::BeginAuthorizationResponse> {
        let it = request.get_ref();
        let ask = BeginAuthorization {
            container: convert::id(&it.container_id, "container_id")?,
            provider: it.provider.clone(),
            scopes: it.scopes.clone(),
            // a place of its own for each provider: one cannot pass another's answer off as its own
            redirect: format!("{}{CONNECTED_AT}/{}", self.public_url, it.provider),
        };
        let begun = self.ask(&request, &it.idempotency_key, ask).await?;
        let message = pb::BeginAuthorizationResponse {
            authorization_url: begun.url,
            expires_at: Some(convert::time(begun.expires_at)),
            authorization_id: begun.authorization.to_string(),
            state: begun.state,
            unlock_id: begun.unlock.to_string(),
            proof: begun.proof.into(),
        };
        Ok(wire::with_wake(message, begun.wake))
    }

    async fn finish_authorization(
        &self,
        request: Request<pb::FinishAuthorizationRequest>,
    ) -> Answer<pb::FinishAuthorizationResponse> {
        let it = request.get_ref();
        let ask = FinishAuthorization {
            container: convert::id(&it.container_id, "container_id")?,
            state: it.state.clone(),
            answer: it.answer.to_vec(),
        };
        let made = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::FinishAuthorizationResponse { connection: Some(connection(made)) }))
    }

    async fn list_connections(
        &self,
        request: Request<pb::ListConnectionsRequest>,
    ) -> Answer<pb::ListConnectionsResponse> {
        let it = request.get_ref();
        let after = (!it.page_token.is_empty()).then(|| convert::id(&it.page_token, "page_token"));
        let ask = ListConnections {
            container: convert::id(&it.container_id, "container_id")?,
            after: after.transpose()?,
            limit: convert::page_size(it.page_size, PAGE),
        };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ListConnectionsResponse {
            connections: page.connections.into_iter().map(connection).collect(),
            next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
        }))
    }

    async fn disconnect(&self, request: Request<pb::DisconnectRequest>) -> Answer<pb::DisconnectResponse> {
        let it = request.get_ref();
        let ask =
            Disconnect { connection: convert::id(&it.connection_id, "connection_id")?, anyway: it.anyway };
        let ended = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::DisconnectResponse { revoked_at_provider: ended.revoked }))
    }
}

fn connection(it: ConnectionInfo) -> pb::Connection {
    pb::Connection {
        connection_id: it.connection.to_string(),
        container_id: it.container.to_string(),
        provider: it.provider,
        scopes: it.scopes,
        created_at: Some(convert::time(it.created_at)),
        refreshed_at: it.refreshed_at.map(convert::time),
        unfiled: it.unfiled,
    }
}
