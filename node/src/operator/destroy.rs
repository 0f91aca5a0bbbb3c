//! Nodes that do not come back. The confirmation is consumed in the transaction of the effect; the new
//! generation of the sealing key is made after it, and the nodes that stay fetch it.

use ocmt_actors::ActorError;
use ocmt_proto::v1 as pb;
use ocmt_store::{Confirmation, Removal, tables::ActKind};
use ocmt_types::{Digest32, NodeId};
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status};

use super::{
    OperatorRpc,
    access::{Asking, of_keys, refuse, stored},
};
use crate::{pki::PkiError, rpc::convert};

impl OperatorRpc {
    pub(super) async fn revoke(
        &self,
        request: Request<pb::RevokeNodeRequest>,
    ) -> Result<Response<pb::RevokeNodeResponse>, Status> {
        let it = request.get_ref();
        let asking = self.asking(&request, "/ocmt.v1.ClusterService/RevokeNode", &it.idempotency_key).await?;
        if let Some(answer) = self.answered(&asking).await? {
            return Ok(Response::new(answer));
        }
        let node: NodeId = convert::id(&it.node_id, "node_id")?;
        if node == self.parts.pki.identity().id() {
            return Err(refuse(&ActorError::precondition(
                "NODE_ITSELF",
                "a node does not revoke itself: ask another, and set the authority up anew if this one has it",
            )));
        }
        let confirmation = confirmation(&asking, &it.confirmation_token, ActKind::RevokeNode, node);
        let sealing_generation = self.remove(&asking, "cluster.revoke", node, false, &confirmation).await?;
        Ok(Response::new(pb::RevokeNodeResponse { sealing_generation }))
    }

    pub(super) async fn strike_off(
        &self,
        request: Request<pb::ForgetNodeRequest>,
    ) -> Result<Response<pb::ForgetNodeResponse>, Status> {
        let it = request.get_ref();
        let asking = self.asking(&request, "/ocmt.v1.ClusterService/ForgetNode", &it.idempotency_key).await?;
        if let Some(answer) = self.answered(&asking).await? {
            return Ok(Response::new(answer));
        }
        let node: NodeId = convert::id(&it.node_id, "node_id")?;
        let lost = self.parts.store.cluster().count_hosted(node).await.map_err(|e| stored(&e))?;
        let confirmation = confirmation(&asking, &it.confirmation_token, ActKind::ForgetNode, node);
        let sealing_generation = self.remove(&asking, "cluster.forget", node, true, &confirmation).await?;
        let lost_containers = u32::try_from(lost).unwrap_or(0);
        Ok(Response::new(pb::ForgetNodeResponse { sealing_generation, lost_containers }))
    }

    /// Removes the node and makes the next generation of the sealing key; which that is.
    async fn remove(
        &self,
        asking: &Asking,
        action: &'static str,
        node: NodeId,
        only_dead: bool,
        confirmation: &Confirmation,
    ) -> Result<u32, Status> {
        let (object, own) = (format!("node/{node}"), self.parts.pki.identity().id());
        let act = asking.secret_act(action, object.clone());
        let operators = self.parts.store.operators();
        let removed = operators.remove_node(node, only_dead, confirmation, own, &act).await;
        match removed.map_err(|e| stored(&e))? {
            Removal::Done { generation } => self.make_generation(generation),
            Removal::Unknown => Err(refuse(&ActorError::NotFound)),
            Removal::Alive => Err(refuse(&ActorError::precondition(
                "NODE_ALIVE",
                "that node is not dead: drain and stop it first, or revoke it",
            ))),
            Removal::Unconfirmed => Err(self.unconfirmed(asking, action, object).await),
        }
    }

    fn make_generation(&self, generation: i64) -> Result<u32, Status> {
        let made = u32::try_from(generation).unwrap_or(u32::MAX);
        self.parts.pki.make_generation(made).map_err(|error: PkiError| {
            tracing::error!(generation, %error, "the new sealing key cannot be kept: it is made at the next start");
            of_keys(&error)
        })?;
        Ok(made)
    }
}

/// What the request shows as its confirmation.
pub(super) fn confirmation(
    asking: &Asking,
    token: &str,
    act: ActKind,
    object: impl std::fmt::Display,
) -> Confirmation {
    Confirmation { token_hash: hash(token), operator: asking.id, act, object: object.to_string() }
}

/// What is stored of a confirmation.
pub(super) fn hash(token: &str) -> Digest32 {
    Digest32(Sha256::digest(token.as_bytes()).into())
}

/// A restore cannot be accepted through a node (ADR 0010): none runs on a database that went back, so whichever
/// is asked runs on one that did not.
pub(super) fn not_restored() -> ActorError {
    ActorError::precondition(
        "NOT_RESTORED",
        "this node runs, so its database was not put back; one that was is accepted while no node runs, by \
         `ocmt cluster accept-restore --config FILE` on the machine of one",
    )
}
