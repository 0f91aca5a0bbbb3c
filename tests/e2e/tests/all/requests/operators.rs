//! Operators' services: on the client listener they ask for an operator's certificate, which nobody has there.

use ocmt_proto::v1 as pb;

use super::{Made, key, uuid};

pub(super) fn nodes() -> Vec<Made> {
    let token = "ocmt_join_AAAAAAAA".to_owned();
    let lifetime = Some(prost_types::Duration { seconds: 600, nanos: 0 });
    let confirmation_token = "ocmt_act_AAAAAAAA".to_owned();
    made! {
        ClusterService/CreateJoinToken "" => pb::CreateJoinTokenRequest { lifetime, names: Vec::new(),
            idempotency_key: key() };
        ClusterService/JoinCluster "" => pb::JoinClusterRequest { token: token.clone(),
            certificate_request_der: vec![1].into(), listener_request_der: vec![1].into(),
            sealing_recipient_key: vec![9; 32].into(), address: String::new(), idempotency_key: key() };
        ClusterService/ListNodes "" => pb::ListNodesRequest::default();
        ClusterService/DescribePlacement "" => pb::DescribePlacementRequest::default();
        ClusterService/DrainNode "" => pb::DrainNodeRequest { node_id: uuid(), idempotency_key: key() };
        ClusterService/ResumeNode "" => pb::ResumeNodeRequest { node_id: uuid(), idempotency_key: key() };
        ClusterService/MoveTenant "" => pb::MoveTenantRequest { tenant_id: uuid(), node_id: uuid(),
            idempotency_key: key() };
        ClusterService/RevokeNode "" => pb::RevokeNodeRequest { node_id: uuid(),
            confirmation_token: confirmation_token.clone(), idempotency_key: key() };
        ClusterService/ForgetNode "" => pb::ForgetNodeRequest { node_id: uuid(),
            confirmation_token: confirmation_token.clone(), idempotency_key: key() };
        ClusterService/AcceptRestore "" => pb::AcceptRestoreRequest { confirmation_token: confirmation_token.clone(),
            idempotency_key: key() };
        ClusterService/WatchCluster "" => pb::WatchClusterRequest::default();
    }
}

pub(super) fn acts() -> Vec<Made> {
    made! {
        OperatorService/BeginDestructiveAct "" => pb::BeginDestructiveActRequest { act: 2, object_id: uuid(),
            idempotency_key: key() };
        OperatorService/ConfirmDestructiveAct "" => pb::ConfirmDestructiveActRequest { act_id: uuid(),
            confirm_phrase: "revoke node".into(), idempotency_key: key() };
        OperatorService/CreateOperator "" => pb::CreateOperatorRequest { name: "x".into(),
            certificate_request_der: vec![1].into(), idempotency_key: key() };
        OperatorService/ListOperators "" => pb::ListOperatorsRequest::default();
        OperatorService/RevokeOperator "" => pb::RevokeOperatorRequest { operator_id: uuid(),
            confirmation_token: "ocmt_act_AAAAAAAA".into(), idempotency_key: key() };
        TenantService/UpdateQuota "" => pb::UpdateQuotaRequest { tenant_id: uuid(),
            limit: Some(pb::Quota { users: 5, ..Default::default() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["users".into()] }), idempotency_key: key() };
        TenantService/SuspendTenant "" => pb::SuspendTenantRequest { tenant_id: uuid(), reason: "x".into(),
            idempotency_key: key() };
    }
}
