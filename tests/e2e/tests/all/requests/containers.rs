//! Containers and their cells.

use ocmt_proto::v1 as pb;

use super::{Ids, Made, key, uuid, vaults::object_ref};

pub(super) fn containers(ids: &Ids) -> Vec<Made> {
    let (container_id, reason) = (ids.container.clone(), "a reason".to_owned());
    made! {
        ContainerService/CreateContainer "user" => pb::CreateContainerRequest { user_id: ids.user.clone(),
            spec: Some(pb::ContainerSpec::default()), start: false, idempotency_key: key() };
        ContainerService/GetContainer "container" => pb::GetContainerRequest { container_id: container_id.clone() };
        ContainerService/ListContainers "user" => pb::ListContainersRequest { user_id: ids.user.clone(),
            ..Default::default() };
        ContainerService/StartContainer "container" => pb::StartContainerRequest { container_id: container_id.clone(), idempotency_key: key() };
        ContainerService/PauseContainer "container" => pb::PauseContainerRequest { container_id: container_id.clone(), idempotency_key: key() };
        ContainerService/StopContainer "container" => pb::StopContainerRequest { container_id: container_id.clone(), grace: None, idempotency_key: key() };
        ContainerService/WakeContainer "container" => pb::WakeContainerRequest { container_id: container_id.clone(), idempotency_key: key() };
        ContainerService/HoldContainer "container" => pb::HoldContainerRequest { container_id: container_id.clone(), reason: reason.clone(), idempotency_key: key() };
        ContainerService/ReleaseContainer "container" => pb::ReleaseContainerRequest { container_id: container_id.clone(), reason, idempotency_key: key() };
        ContainerService/ExplainIdle "container" => pb::ExplainIdleRequest { container_id: container_id.clone() };
        ContainerService/RemoveContainer "container" => pb::RemoveContainerRequest { container_id,
            delete_volume: false, idempotency_key: key() };
    }
}

pub(super) fn connections(ids: &Ids) -> Vec<Made> {
    let container_id = ids.container.clone();
    made! {
        OAuthService/BeginAuthorization "container" => pb::BeginAuthorizationRequest { container_id: container_id.clone(),
            provider: "git".into(), scopes: vec!["read".into()], idempotency_key: key() };
        OAuthService/FinishAuthorization "container" => pb::FinishAuthorizationRequest { container_id: container_id.clone(),
            state: "x".into(), answer: vec![1; 64].into(), idempotency_key: key() };
        OAuthService/ListConnections "container" => pb::ListConnectionsRequest { container_id, ..Default::default() };
        OAuthService/Disconnect "" => pb::DisconnectRequest { connection_id: uuid(), anyway: false, idempotency_key: key() };
    }
}

pub(super) fn cells(ids: &Ids) -> Vec<Made> {
    let container_id = ids.container.clone();
    let start = pb::ChannelStart { container_id: container_id.clone(), idempotency_key: key() };
    made! {
        ContainerService/GetCellKey "container" => pb::GetCellKeyRequest { container_id: container_id.clone() };
        ContainerService/UnlockCell "container, vault" => pb::UnlockCellRequest { container_id: container_id.clone(), unlock_id: uuid(),
            sealed_payload: vec![1; 64].into(), vault_id: ids.vault.clone(),
            objects: vec![object_ref(ids)], idempotency_key: key() };
        ContainerService/ExtendUnlock "container" => pb::ExtendUnlockRequest { container_id: container_id.clone(), extension: vec![1; 64].into(), idempotency_key: key() };
        ContainerService/LockCell "container" => pb::LockCellRequest { container_id: container_id.clone(),
            idempotency_key: key() };
        ContainerService/GetEgressPolicy "container" => pb::GetEgressPolicyRequest { container_id: container_id.clone() };
        ContainerService/PutEgressPolicy "container" => pb::PutEgressPolicyRequest { container_id: container_id.clone(),
            policy: Some(pb::EgressPolicy::default()), expected_version: 0, idempotency_key: key() };
        ContainerService/GetAgentPolicy "user" => pb::GetAgentPolicyRequest { user_id: ids.user.clone() };
        ContainerService/PutAgentPolicy "user" => pb::PutAgentPolicyRequest { user_id: ids.user.clone(),
            policy: Some(pb::AgentPolicy::default()), expected_version: 0, idempotency_key: key() };
        ContainerService/IssueGatewayToken "container" => pb::IssueGatewayTokenRequest { container_id: container_id.clone(), lifetime: None, idempotency_key: key() };
        ContainerService/OpenChannel "container" => pb::OpenChannelRequest { part: Some(pb::open_channel_request::Part::Start(start)) };
    }
}

pub(super) fn snapshots(ids: &Ids) -> Vec<Made> {
    let container_id = ids.container.clone();
    made! {
        ContainerService/GetSnapshotCellKey "container" => pb::GetSnapshotCellKeyRequest { container_id: container_id.clone(),
            errand: pb::SnapshotErrand::Take.into() };
        ContainerService/CreateSnapshot "container" => pb::CreateSnapshotRequest { container_id: container_id.clone(), snapshot_id: uuid(),
            wrapped_key: vec![1; 72].into(), sealed_payload: vec![1; 64].into(), cell_key: vec![1; 32].into(), idempotency_key: key() };
        ContainerService/RestoreSnapshot "container" => pb::RestoreSnapshotRequest { container_id: container_id.clone(), snapshot_id: uuid(),
            sealed_payload: vec![1; 64].into(), verify_only: false, cell_key: vec![1; 32].into(), idempotency_key: key() };
        ContainerService/ListSnapshots "container" => pb::ListSnapshotsRequest { container_id: container_id.clone(), ..Default::default() };
        ContainerService/PutSnapshotSchedule "container" => pb::PutSnapshotScheduleRequest { container_id: container_id.clone(),
            signed: vec![1; 64].into(), vault_epoch: 1, idempotency_key: key() };
        ContainerService/GetSnapshotSchedule "container" => pb::GetSnapshotScheduleRequest { container_id: container_id.clone() };
        ContainerService/DeleteSnapshotSchedule "container" => pb::DeleteSnapshotScheduleRequest { container_id, idempotency_key: key() };
        ContainerService/DeleteSnapshot "" => pb::DeleteSnapshotRequest { snapshot_id: uuid(), idempotency_key: key() };
    }
}

pub(super) fn schedules(ids: &Ids) -> Vec<Made> {
    let (schedule_id, container_id) = (ids.schedule.clone(), ids.container.clone());
    made! {
        ContainerService/PutSchedule "container, schedule" => pb::PutScheduleRequest { schedule_id: schedule_id.clone(), container_id: container_id.clone(),
            cron: "0 3 * * *".to_owned(), time_zone: String::new(), enabled: true, idempotency_key: key() };
        ContainerService/ListSchedules "container" => pb::ListSchedulesRequest { container_id, ..Default::default() };
        ContainerService/WatchContainers "container" => pb::WatchContainersRequest { container_id: ids.container.clone(), ..Default::default() };
        ContainerService/WatchUnlockRequests "" => pb::WatchUnlockRequestsRequest::default();
        ContainerService/DeleteSchedule "schedule" => pb::DeleteScheduleRequest { schedule_id, idempotency_key: key() };
    }
}
