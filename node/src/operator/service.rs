//! The services: each method is one call of what does it.

use std::sync::Arc;

use axum::{Router, middleware};
use ocmt_proto::v1::{
    self as pb,
    cluster_service_server::{ClusterService, ClusterServiceServer},
    operator_service_server::{OperatorService, OperatorServiceServer},
    tenant_service_server::TenantServiceServer,
};
use tonic::{Request, Response, Status, async_trait, service::Routes};

use super::{OperatorRpc, access::refuse, destroy::not_restored, watch::Changes};
use crate::edge::{browser, headers, site::Site};

/// Largest message, in bytes.
const MESSAGE: usize = 64 << 10;

/// Everything on the operator listener, which people call `site`; `pages` are what its operators see in a browser.
pub fn routes(rpc: &OperatorRpc, pages: Router, site: Arc<Site>) -> Router {
    let (_, health) = tonic_health::server::health_reporter();
    let mut routes = Routes::builder();
    routes.add_service(health);
    routes.add_service(ClusterServiceServer::new(rpc.clone()).max_decoding_message_size(MESSAGE));
    routes.add_service(OperatorServiceServer::new(rpc.clone()).max_decoding_message_size(MESSAGE));
    routes.add_service(TenantServiceServer::new(rpc.clone()).max_decoding_message_size(MESSAGE));
    routes
        .routes()
        .prepare()
        .into_axum_router()
        .merge(pages)
        .layer(middleware::from_fn_with_state(site, browser::stand_at_operators))
        .layer(middleware::from_fn_with_state(rpc.parts.ids.clone(), headers::stamp))
}

impl OperatorRpc {
    /// What of it is served on the client listener; whatever else is asked there is answered by
    /// [`elsewhere`](super::elsewhere).
    pub fn joining(&self) -> ClusterServiceServer<Self> {
        ClusterServiceServer::new(self.clone()).max_decoding_message_size(MESSAGE)
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl ClusterService for OperatorRpc {
    async fn create_join_token(
        &self,
        request: Request<pb::CreateJoinTokenRequest>,
    ) -> Answer<pb::CreateJoinTokenResponse> {
        self.invite(request).await
    }

    async fn join_cluster(
        &self,
        request: Request<pb::JoinClusterRequest>,
    ) -> Answer<pb::JoinClusterResponse> {
        self.join(request).await
    }

    async fn revoke_node(&self, request: Request<pb::RevokeNodeRequest>) -> Answer<pb::RevokeNodeResponse> {
        self.revoke(request).await
    }

    async fn forget_node(&self, request: Request<pb::ForgetNodeRequest>) -> Answer<pb::ForgetNodeResponse> {
        self.strike_off(request).await
    }

    async fn list_nodes(&self, request: Request<pb::ListNodesRequest>) -> Answer<pb::ListNodesResponse> {
        self.list(request).await
    }

    async fn describe_placement(
        &self,
        request: Request<pb::DescribePlacementRequest>,
    ) -> Answer<pb::DescribePlacementResponse> {
        self.placements(request).await
    }

    async fn drain_node(&self, request: Request<pb::DrainNodeRequest>) -> Answer<pb::DrainNodeResponse> {
        self.drain(request).await
    }

    async fn resume_node(&self, request: Request<pb::ResumeNodeRequest>) -> Answer<pb::ResumeNodeResponse> {
        self.resume(request).await
    }

    async fn move_tenant(&self, request: Request<pb::MoveTenantRequest>) -> Answer<pb::MoveTenantResponse> {
        self.move_to(request).await
    }

    async fn accept_restore(
        &self,
        request: Request<pb::AcceptRestoreRequest>,
    ) -> Answer<pb::AcceptRestoreResponse> {
        self.asking(&request, "/ocmt.v1.ClusterService/AcceptRestore", &[]).await?;
        Err(refuse(&not_restored()))
    }

    async fn watch_cluster(&self, request: Request<pb::WatchClusterRequest>) -> Answer<Changes> {
        self.watch(request).await
    }
}

#[async_trait]
impl OperatorService for OperatorRpc {
    async fn begin_destructive_act(
        &self,
        request: Request<pb::BeginDestructiveActRequest>,
    ) -> Answer<pb::BeginDestructiveActResponse> {
        self.begin(request).await
    }

    async fn confirm_destructive_act(
        &self,
        request: Request<pb::ConfirmDestructiveActRequest>,
    ) -> Answer<pb::ConfirmDestructiveActResponse> {
        self.confirm(request).await
    }

    async fn create_operator(
        &self,
        request: Request<pb::CreateOperatorRequest>,
    ) -> Answer<pb::CreateOperatorResponse> {
        self.create(request).await
    }

    async fn list_operators(
        &self,
        request: Request<pb::ListOperatorsRequest>,
    ) -> Answer<pb::ListOperatorsResponse> {
        self.list_operators_page(request).await
    }

    async fn revoke_operator(
        &self,
        request: Request<pb::RevokeOperatorRequest>,
    ) -> Answer<pb::RevokeOperatorResponse> {
        self.end_operator(request).await
    }
}
