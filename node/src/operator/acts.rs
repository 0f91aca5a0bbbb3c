//! OperatorService: acts that take two steps, and the operators themselves.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use ocmt_actors::ActorError;
use ocmt_proto::v1 as pb;
use ocmt_store::{
    Revocation,
    tables::{ActKind, DestructiveAct, Operator},
};
use ocmt_types::{ActId, NodeId, OperatorId, TenantId};
use tonic::{Request, Response, Status};

use super::{
    OperatorRpc,
    access::{Asking, no_such, of_keys, refuse, stored},
    destroy::{confirmation, hash, not_restored},
};
use crate::{
    pki::{Lifetime, Request as CertificateRequest, fingerprint},
    rpc::convert,
};

/// How long an operator has from the first step to the act.
const LIFE: Duration = Duration::from_secs(300);
const CONFIRM: &str = "ocmt_act_";
const AUTHORITY_GOES: &str = " It has the cluster's authority: without it no node joins, no operator is made and no certificate renewed.";
const AUTHORITY_MAY_GO: &str = " If `ocmt cluster init` ran on it, it has the cluster's authority: without it no node joins, no operator is made and no certificate renewed.";

impl OperatorRpc {
    pub(super) async fn begin(
        &self,
        request: Request<pb::BeginDestructiveActRequest>,
    ) -> Result<Response<pb::BeginDestructiveActResponse>, Status> {
        let it = request.get_ref();
        let method = "/ocmt.v1.OperatorService/BeginDestructiveAct";
        let asking = self.asking(&request, method, &it.idempotency_key).await?;
        if let Some(answer) = self.answered(&asking).await? {
            return Ok(Response::new(answer));
        }
        let act = kind(it.act())?;
        let summary = self.summary(&asking, act, &it.object_id).await?;
        let begun = DestructiveAct {
            act_id: self.parts.ids.id(),
            operator_id: asking.id,
            act,
            object: it.object_id.clone(),
            token_hash: None,
            created_at: asking.now,
            expires_at: asking.now + LIFE,
        };
        let answer = pb::BeginDestructiveActResponse {
            act_id: begun.act_id.to_string(),
            summary,
            confirm_phrase: phrase(&begun),
            expires_at: Some(convert::time(begun.expires_at)),
        };
        let record = asking.act("operator.begin", object(&begun), &answer);
        self.parts.store.operators().begin_act(&begun, &record).await.map_err(|e| stored(&e))?;
        Ok(Response::new(answer))
    }

    pub(super) async fn confirm(
        &self,
        request: Request<pb::ConfirmDestructiveActRequest>,
    ) -> Result<Response<pb::ConfirmDestructiveActResponse>, Status> {
        let it = request.get_ref();
        let method = "/ocmt.v1.OperatorService/ConfirmDestructiveAct";
        let asking = self.asking(&request, method, &it.idempotency_key).await?;
        self.answered::<pb::ConfirmDestructiveActResponse>(&asking).await?;
        let (operators, id) = (self.parts.store.operators(), convert::id::<ActId>(&it.act_id, "act_id")?);
        let begun = operators.act(id, asking.id, asking.now).await.map_err(|e| stored(&e))?;
        let begun = begun.ok_or_else(|| refuse(&ActorError::NotFound))?;
        if it.confirm_phrase != phrase(&begun) {
            return Err(convert::invalid("confirm_phrase", "is not what BeginDestructiveAct asked for"));
        }
        let token = format!("{CONFIRM}{}", BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>()));
        let record = asking.secret_act("operator.confirm", object(&begun));
        let confirmed = operators.confirm_act(id, asking.id, hash(&token), &record).await;
        let confirmed = confirmed.map_err(|e| stored(&e))?.ok_or_else(|| refuse(&ActorError::NotFound))?;
        Ok(Response::new(pb::ConfirmDestructiveActResponse {
            confirmation_token: token,
            expires_at: Some(convert::time(confirmed.expires_at)),
        }))
    }

    pub(super) async fn create(
        &self,
        request: Request<pb::CreateOperatorRequest>,
    ) -> Result<Response<pb::CreateOperatorResponse>, Status> {
        let it = request.get_ref();
        let method = "/ocmt.v1.OperatorService/CreateOperator";
        let asking = self.asking(&request, method, &it.idempotency_key).await?;
        if let Some(answer) = self.answered(&asking).await? {
            return Ok(Response::new(answer));
        }
        let authority = self.parts.pki.authority().map_err(|e| of_keys(&e))?;
        let wanted = CertificateRequest::of_operator(&it.certificate_request_der).map_err(|e| of_keys(&e))?;
        let operator_id: OperatorId = self.parts.ids.id();
        let certificate =
            authority.issue_operator(operator_id, wanted.key(), asking.now).map_err(|e| of_keys(&e))?;
        let made = Operator {
            operator_id,
            name: it.name.clone(),
            fingerprint: fingerprint(&certificate),
            created_at: asking.now,
            expires_at: Lifetime::of(&certificate).map_err(|e| of_keys(&e))?.until,
            revoked_at: None,
        };
        let answer = pb::CreateOperatorResponse {
            operator: Some(wire(&made)),
            certificate_chain_der: vec![certificate.to_vec().into()],
        };
        let record = asking.act("operator.create", format!("operator/{operator_id}"), &answer);
        self.parts.store.operators().add_operator(&made, &record).await.map_err(|e| stored(&e))?;
        Ok(Response::new(answer))
    }

    pub(super) async fn list_operators_page(
        &self,
        request: Request<pb::ListOperatorsRequest>,
    ) -> Result<Response<pb::ListOperatorsResponse>, Status> {
        self.asking(&request, "/ocmt.v1.OperatorService/ListOperators", &[]).await?;
        let it = request.get_ref();
        let (most, after) = (
            convert::page_size(it.page_size, 50).min(100),
            convert::optional_id(&it.page_token, "page_token")?,
        );
        let page = self.parts.store.operators().operators(after, most).await.map_err(|e| stored(&e))?;
        let full = u32::try_from(page.len()).is_ok_and(|len| len == most);
        let next = page.last().filter(|_| full).map(|operator| operator.operator_id.to_string());
        Ok(Response::new(pb::ListOperatorsResponse {
            operators: page.iter().map(wire).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    pub(super) async fn end_operator(
        &self,
        request: Request<pb::RevokeOperatorRequest>,
    ) -> Result<Response<pb::RevokeOperatorResponse>, Status> {
        let it = request.get_ref();
        let method = "/ocmt.v1.OperatorService/RevokeOperator";
        let asking = self.asking(&request, method, &it.idempotency_key).await?;
        let id: OperatorId = convert::id(&it.operator_id, "operator_id")?;
        let (action, object) = ("operator.revoke", format!("operator/{id}"));
        let shown = confirmation(&asking, &it.confirmation_token, ActKind::RevokeOperator, id);
        // not kept for repeats: an empty answer is read as one that is shown once
        let record = ocmt_store::ClusterAct { remember: None, ..asking.secret_act(action, object.clone()) };
        let revoked = self.parts.store.operators().revoke_operator(id, &shown, &record).await;
        match revoked.map_err(|e| stored(&e))? {
            Revocation::Done => Ok(Response::new(pb::RevokeOperatorResponse {})),
            Revocation::Last => Err(refuse(&ActorError::precondition(
                "LAST_OPERATOR",
                "the last operator stays: make another first",
            ))),
            Revocation::Unknown => Err(refuse(&ActorError::NotFound)),
            Revocation::Unconfirmed => Err(self.unconfirmed(&asking, action, object).await),
        }
    }

    /// What is gone with the node that has the authority. A node knows of itself alone whether it is that one.
    fn last_word(&self, id: NodeId) -> &'static str {
        match (self.parts.pki.authority().is_ok(), id == self.parts.pki.identity().id()) {
            (true, false) => "",
            (true, true) => AUTHORITY_GOES,
            (false, _) => AUTHORITY_MAY_GO,
        }
    }

    /// What the act would do, for people.
    async fn summary(&self, asking: &Asking, act: ActKind, object: &str) -> Result<String, Status> {
        match act {
            ActKind::RevokeNode | ActKind::ForgetNode => {
                let id: NodeId = convert::id(object, "object_id")?;
                let node = self.node(id).await.map_err(|e| stored(&e))?;
                let node = node.ok_or_else(|| no_such(format_args!("node {id}")))?;
                let state = node.state().as_str_name().trim_start_matches("NODE_STATE_").to_lowercase();
                Ok(format!(
                    "node {id} ({state}, {}) is never let in again. It owns {} tenants, which others take; {} containers with their volumes on it are lost.{}",
                    node.address,
                    node.owned_tenants,
                    node.containers,
                    self.last_word(id)
                ))
            }
            ActKind::RevokeOperator => {
                let id: OperatorId = convert::id(object, "object_id")?;
                let operator = self.parts.store.operators().operator(id).await.map_err(|e| stored(&e))?;
                let operator = operator.ok_or_else(|| no_such(format_args!("operator {id}")))?;
                Ok(format!("operator {} ({id}) is refused from then on.", operator.name))
            }
            ActKind::DeleteTenant => {
                let id: TenantId = convert::id(object, "object_id")?;
                self.what_a_deletion_takes(asking, id).await
            }
            ActKind::AcceptRestore => Err(refuse(&not_restored())),
        }
    }
}

fn kind(act: pb::DestructiveAct) -> Result<ActKind, Status> {
    match act {
        pb::DestructiveAct::Unspecified => Err(convert::invalid("act", "is missing")),
        pb::DestructiveAct::DeleteTenant => Ok(ActKind::DeleteTenant),
        pb::DestructiveAct::RevokeNode => Ok(ActKind::RevokeNode),
        pb::DestructiveAct::ForgetNode => Ok(ActKind::ForgetNode),
        pb::DestructiveAct::AcceptRestore => Ok(ActKind::AcceptRestore),
        pb::DestructiveAct::RevokeOperator => Ok(ActKind::RevokeOperator),
    }
}

/// What is to be typed: the act and the beginning of the id, which one does not type by accident.
fn phrase(act: &DestructiveAct) -> String {
    let short: String = act.object.chars().take(8).collect();
    format!("{} {short}", act.act.as_str().replace('_', " "))
}

fn object(act: &DestructiveAct) -> String {
    format!("{}/{}", act.act.as_str(), act.object)
}

fn wire(operator: &Operator) -> pb::Operator {
    pb::Operator {
        operator_id: operator.operator_id.to_string(),
        name: operator.name.clone(),
        certificate_fingerprint: operator.fingerprint.0.to_vec().into(),
        created_at: Some(convert::time(operator.created_at)),
        expires_at: Some(convert::time(operator.expires_at)),
        revoked: operator.revoked_at.is_some(),
    }
}
