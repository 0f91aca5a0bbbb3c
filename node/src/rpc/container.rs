//! ContainerService: life cycle, wake, cell key and unlock, schedules, the sealed channel over gRPC.

use std::time::Duration;

use ocmt_actors::api::container::{
    CreateContainer, ExplainIdle, ExtendUnlock, GetCellKey, GetContainer, HoldContainer, IssueGatewayToken,
    ListContainers, LockCell, PauseContainer, ReleaseContainer, RemoveContainer, StartContainer,
    StopContainer, UnlockCell, WakeContainer,
};
use ocmt_proto::v1::{self as pb, container_service_server::ContainerService};
use ocmt_types::ContainerId;
use tonic::{Request, Response, Status, Streaming, async_trait, codegen::BoxStream};

use super::{
    Answer, Rpc, agent_policy, container_channel, container_watch, container_wire as wire, convert, egress,
    schedule, snapshot, snapshot_schedule,
};

/// What the workload has to end by itself unless the caller says otherwise.
const GRACE: Duration = Duration::from_secs(10);

#[async_trait]
impl ContainerService for Rpc {
    async fn create_container(
        &self,
        request: Request<pb::CreateContainerRequest>,
    ) -> Answer<pb::CreateContainerResponse> {
        let it = request.get_ref();
        let spec = convert::present(it.spec.clone(), "spec")?;
        let ask = CreateContainer {
            user: convert::optional_id(&it.user_id, "user_id")?,
            spec: wire::to_spec(&spec, &self.default_image)?,
            start: it.start,
        };
        let woken = self.ask(&request, &it.idempotency_key, ask).await?;
        let message = pb::CreateContainerResponse { container: Some(wire::container(&woken.container)) };
        Ok(wire::with_wake(message, woken.wake))
    }

    async fn get_container(
        &self,
        request: Request<pb::GetContainerRequest>,
    ) -> Answer<pb::GetContainerResponse> {
        let ask = GetContainer { container: container(&request.get_ref().container_id)? };
        let info = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::GetContainerResponse { container: Some(wire::container(&info)) }))
    }

    async fn list_containers(
        &self,
        request: Request<pb::ListContainersRequest>,
    ) -> Answer<pb::ListContainersResponse> {
        let it = request.get_ref();
        let ask = ListContainers {
            user: convert::optional_id(&it.user_id, "user_id")?,
            after: convert::optional_id(&it.page_token, "page_token")?,
            limit: convert::page_size(it.page_size, 50),
        };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ListContainersResponse {
            containers: page.containers.iter().map(wire::container).collect(),
            next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
        }))
    }

    async fn start_container(
        &self,
        request: Request<pb::StartContainerRequest>,
    ) -> Answer<pb::StartContainerResponse> {
        let it = request.get_ref();
        let ask = StartContainer { container: container(&it.container_id)? };
        let woken = self.ask(&request, &it.idempotency_key, ask).await?;
        let message = pb::StartContainerResponse { container: Some(wire::container(&woken.container)) };
        Ok(wire::with_wake(message, woken.wake))
    }

    async fn wake_container(
        &self,
        request: Request<pb::WakeContainerRequest>,
    ) -> Answer<pb::WakeContainerResponse> {
        let it = request.get_ref();
        let ask = WakeContainer { container: container(&it.container_id)? };
        let woken = self.ask(&request, &it.idempotency_key, ask).await?;
        let message = pb::WakeContainerResponse {
            container: Some(wire::container(&woken.container)),
            wake_kind: wire::wake_kind(woken.wake.kind).into(),
            wake_time: Some(wire::span(woken.wake.time)),
        };
        Ok(wire::with_wake(message, woken.wake))
    }

    async fn pause_container(
        &self,
        request: Request<pb::PauseContainerRequest>,
    ) -> Answer<pb::PauseContainerResponse> {
        let it = request.get_ref();
        let ask = PauseContainer { container: container(&it.container_id)? };
        let info = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::PauseContainerResponse { container: Some(wire::container(&info)) }))
    }

    async fn stop_container(
        &self,
        request: Request<pb::StopContainerRequest>,
    ) -> Answer<pb::StopContainerResponse> {
        let it = request.get_ref();
        let grace = it.grace.and_then(|grace| Duration::try_from(grace).ok()).unwrap_or(GRACE);
        let ask = StopContainer { container: container(&it.container_id)?, grace };
        let info = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::StopContainerResponse { container: Some(wire::container(&info)) }))
    }

    async fn remove_container(
        &self,
        request: Request<pb::RemoveContainerRequest>,
    ) -> Answer<pb::RemoveContainerResponse> {
        let it = request.get_ref();
        let ask =
            RemoveContainer { container: container(&it.container_id)?, delete_volume: it.delete_volume };
        self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::RemoveContainerResponse {}))
    }

    async fn hold_container(
        &self,
        request: Request<pb::HoldContainerRequest>,
    ) -> Answer<pb::HoldContainerResponse> {
        let it = request.get_ref();
        let ask = HoldContainer { container: container(&it.container_id)?, reason: it.reason.clone() };
        let info = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::HoldContainerResponse { container: Some(wire::container(&info)) }))
    }

    async fn release_container(
        &self,
        request: Request<pb::ReleaseContainerRequest>,
    ) -> Answer<pb::ReleaseContainerResponse> {
        let it = request.get_ref();
        let ask = ReleaseContainer { container: container(&it.container_id)?, reason: it.reason.clone() };
        let info = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::ReleaseContainerResponse { container: Some(wire::container(&info)) }))
    }

    async fn explain_idle(
        &self,
        request: Request<pb::ExplainIdleRequest>,
    ) -> Answer<pb::ExplainIdleResponse> {
        let ask = ExplainIdle { container: container(&request.get_ref().container_id)? };
        let explained = self.ask(&request, &[], ask).await?;
        Ok(Response::new(wire::explained(&explained)))
    }

    async fn get_cell_key(&self, request: Request<pb::GetCellKeyRequest>) -> Answer<pb::GetCellKeyResponse> {
        let ask = GetCellKey { container: container(&request.get_ref().container_id)? };
        let stated = self.ask(&request, &[], ask).await?;
        let statement = pb::NodeStatement {
            statement: stated.statement.into(),
            certificate_chain_der: stated.certificate_chain.into_iter().map(Into::into).collect(),
        };
        let message = pb::GetCellKeyResponse { statement: Some(statement), unlocked: stated.unlocked };
        Ok(wire::with_wake(message, stated.wake))
    }

    async fn unlock_cell(&self, request: Request<pb::UnlockCellRequest>) -> Answer<pb::UnlockCellResponse> {
        let it = request.get_ref();
        let objects = it.objects.iter().map(|o| Ok((convert::digest(&o.object_id, "object_id")?, o.version)));
        let ask = UnlockCell {
            container: container(&it.container_id)?,
            unlock: convert::id(&it.unlock_id, "unlock_id")?,
            sealed_payload: it.sealed_payload.to_vec(),
            vault: convert::id(&it.vault_id, "vault_id")?,
            objects: objects.collect::<Result<_, Status>>()?,
        };
        let unlocked = self.ask(&request, &it.idempotency_key, ask).await?;
        let message = pb::UnlockCellResponse { unlocked_until: Some(convert::time(unlocked.until)) };
        Ok(wire::with_wake(message, unlocked.wake))
    }

    async fn extend_unlock(
        &self,
        request: Request<pb::ExtendUnlockRequest>,
    ) -> Answer<pb::ExtendUnlockResponse> {
        let it = request.get_ref();
        let ask = ExtendUnlock { container: container(&it.container_id)?, extension: it.extension.to_vec() };
        let unlocked = self.ask(&request, &it.idempotency_key, ask).await?;
        let message = pb::ExtendUnlockResponse { unlocked_until: Some(convert::time(unlocked.until)) };
        Ok(wire::with_wake(message, unlocked.wake))
    }

    async fn lock_cell(&self, request: Request<pb::LockCellRequest>) -> Answer<pb::LockCellResponse> {
        let it = request.get_ref();
        self.ask(&request, &it.idempotency_key, LockCell { container: container(&it.container_id)? }).await?;
        Ok(Response::new(pb::LockCellResponse {}))
    }

    async fn issue_gateway_token(
        &self,
        request: Request<pb::IssueGatewayTokenRequest>,
    ) -> Answer<pb::IssueGatewayTokenResponse> {
        let it = request.get_ref();
        let container = container(&it.container_id)?;
        let lifetime = it.lifetime.and_then(|lifetime| Duration::try_from(lifetime).ok());
        let issued =
            self.ask(&request, &it.idempotency_key, IssueGatewayToken { container, lifetime }).await?;
        Ok(Response::new(pb::IssueGatewayTokenResponse {
            token: issued.token.expose().clone(),
            expires_at: Some(convert::time(issued.expires_at)),
            gateway_path: format!("/gateway/{container}"),
        }))
    }

    async fn get_egress_policy(
        &self,
        request: Request<pb::GetEgressPolicyRequest>,
    ) -> Answer<pb::GetEgressPolicyResponse> {
        egress::get(self, request).await
    }

    async fn put_egress_policy(
        &self,
        request: Request<pb::PutEgressPolicyRequest>,
    ) -> Answer<pb::PutEgressPolicyResponse> {
        egress::put(self, request).await
    }

    async fn get_agent_policy(
        &self,
        request: Request<pb::GetAgentPolicyRequest>,
    ) -> Answer<pb::GetAgentPolicyResponse> {
        agent_policy::get(self, request).await
    }

    async fn put_agent_policy(
        &self,
        request: Request<pb::PutAgentPolicyRequest>,
    ) -> Answer<pb::PutAgentPolicyResponse> {
        agent_policy::put(self, request).await
    }

    async fn put_schedule(
        &self,
        request: Request<pb::PutScheduleRequest>,
    ) -> Answer<pb::PutScheduleResponse> {
        schedule::put(self, request).await
    }

    async fn list_schedules(
        &self,
        request: Request<pb::ListSchedulesRequest>,
    ) -> Answer<pb::ListSchedulesResponse> {
        schedule::list(self, request).await
    }

    async fn delete_schedule(
        &self,
        request: Request<pb::DeleteScheduleRequest>,
    ) -> Answer<pb::DeleteScheduleResponse> {
        schedule::delete(self, request).await
    }

    async fn get_snapshot_cell_key(
        &self,
        request: Request<pb::GetSnapshotCellKeyRequest>,
    ) -> Answer<pb::GetSnapshotCellKeyResponse> {
        snapshot::cell_key(self, request).await
    }

    async fn create_snapshot(
        &self,
        request: Request<pb::CreateSnapshotRequest>,
    ) -> Answer<pb::CreateSnapshotResponse> {
        snapshot::create(self, request).await
    }

    async fn list_snapshots(
        &self,
        request: Request<pb::ListSnapshotsRequest>,
    ) -> Answer<pb::ListSnapshotsResponse> {
        snapshot::list(self, request).await
    }

    async fn restore_snapshot(
        &self,
        request: Request<pb::RestoreSnapshotRequest>,
    ) -> Answer<pb::RestoreSnapshotResponse> {
        snapshot::restore(self, request).await
    }

    async fn delete_snapshot(
        &self,
        request: Request<pb::DeleteSnapshotRequest>,
    ) -> Answer<pb::DeleteSnapshotResponse> {
        snapshot::delete(self, request).await
    }

    async fn put_snapshot_schedule(
        &self,
        request: Request<pb::PutSnapshotScheduleRequest>,
    ) -> Answer<pb::PutSnapshotScheduleResponse> {
        snapshot_schedule::put(self, request).await
    }

    async fn get_snapshot_schedule(
        &self,
        request: Request<pb::GetSnapshotScheduleRequest>,
    ) -> Answer<pb::GetSnapshotScheduleResponse> {
        snapshot_schedule::get(self, request).await
    }

    async fn delete_snapshot_schedule(
        &self,
        request: Request<pb::DeleteSnapshotScheduleRequest>,
    ) -> Answer<pb::DeleteSnapshotScheduleResponse> {
        snapshot_schedule::delete(self, request).await
    }

    async fn watch_containers(
        &self,
        request: Request<pb::WatchContainersRequest>,
    ) -> Answer<BoxStream<pb::WatchContainersResponse>> {
        container_watch::containers(self, request).await
    }

    async fn watch_unlock_requests(
        &self,
        request: Request<pb::WatchUnlockRequestsRequest>,
    ) -> Answer<BoxStream<pb::WatchUnlockRequestsResponse>> {
        container_watch::unlock_requests(self, request).await
    }

    async fn open_channel(
        &self,
        request: Request<Streaming<pb::OpenChannelRequest>>,
    ) -> Answer<BoxStream<pb::OpenChannelResponse>> {
        container_channel::open(self, request).await
    }
}

fn container(id: &str) -> Result<ContainerId, Status> {
    convert::id(id, "container_id")
}
