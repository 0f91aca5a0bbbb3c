//! Seeing the nodes, and moving work between them.

use std::time::Duration;

use ocmt_actors::ActorError;
use ocmt_proto::v1 as pb;
use ocmt_store::{
    Claim, StoreError,
    tables::{Node, NodeState, TenantOwner},
};
use ocmt_types::{NodeId, TenantId};
use tonic::{Request, Response, Status};

use super::{
    OperatorRpc,
    access::{Asking, no_such, refuse, stored},
    describe,
};
use crate::rpc::convert;

/// What a tenant's owner has to finish its work before it gives the tenant up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a move is tried when others take the tenant in between.
const TRIES: u32 = 3;

impl OperatorRpc {
    pub(super) async fn list(
        &self,
        request: Request<pb::ListNodesRequest>,
    ) -> Result<Response<pb::ListNodesResponse>, Status> {
        self.asking(&request, "/ocmt.v1.ClusterService/ListNodes", &[]).await?;
        let it = request.get_ref();
        let after: Option<NodeId> = convert::optional_id(&it.page_token, "page_token")?;
        let most = usize::try_from(convert::page_size(it.page_size, 50).min(100)).unwrap_or(50);
        let (nodes, version) = describe::nodes(&self.parts).await.map_err(|e| stored(&e))?;
        let mut behind: Vec<pb::Node> = nodes
            .into_iter()
            .filter(|(id, _)| after.is_none_or(|after| *id > after))
            .map(|(_, node)| node)
            .collect();
        let more = behind.len() > most;
        behind.truncate(most);
        let next = behind.last().filter(|_| more).map(|node| node.node_id.clone());
        Ok(Response::new(pb::ListNodesResponse {
            nodes: behind,
            next_page_token: next.unwrap_or_default(),
            view_version: u64::try_from(version).unwrap_or(0),
            sealing: Some(describe::sealing(&self.parts).await.map_err(|e| stored(&e))?),
        }))
    }

    pub(super) async fn placements(
        &self,
        request: Request<pb::DescribePlacementRequest>,
    ) -> Result<Response<pb::DescribePlacementResponse>, Status> {
        self.asking(&request, "/ocmt.v1.ClusterService/DescribePlacement", &[]).await?;
        let it = request.get_ref();
        let tenant: Option<TenantId> = convert::optional_id(&it.tenant_id, "tenant_id")?;
        let node: Option<NodeId> = convert::optional_id(&it.node_id, "node_id")?;
        if tenant.is_some() && node.is_some() {
            return Err(convert::invalid("node_id", "names a node beside a tenant: ask for one of them"));
        }
        let living = self.parts.store.cluster().living_nodes().await.map_err(|e| stored(&e))?;
        if let Some(tenant) = tenant {
            let owner = self.owner(tenant).await?;
            return Ok(Response::new(pb::DescribePlacementResponse {
                placements: vec![describe::placement(&owner, &living)],
                next_page_token: String::new(),
            }));
        }
        let most = match it.page_size {
            0 => 50,
            asked => u32::try_from(asked).unwrap_or(50).min(500),
        };
        let after = convert::optional_id(&it.page_token, "page_token")?;
        let page =
            self.parts.store.operators().placements(node, after, most).await.map_err(|e| stored(&e))?;
        let full = page.len() == usize::try_from(most).unwrap_or(usize::MAX);
        let next = page.last().filter(|_| full).map(|owner| owner.tenant_id.to_string());
        Ok(Response::new(pb::DescribePlacementResponse {
            placements: page.iter().map(|owner| describe::placement(owner, &living)).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    pub(super) async fn drain(
        &self,
        request: Request<pb::DrainNodeRequest>,
    ) -> Result<Response<pb::DrainNodeResponse>, Status> {
        let key = request.get_ref().idempotency_key.clone();
        let asking = self.asking(&request, "/ocmt.v1.ClusterService/DrainNode", &key).await?;
        if let Some(answer) = self.answered(&asking).await? {
            return Ok(Response::new(answer));
        }
        let id = convert::id(&request.get_ref().node_id, "node_id")?;
        let living = self.living_now(id).await?;
        let others = self.parts.store.cluster().living_nodes().await.map_err(|e| stored(&e))?;
        if !others.iter().any(|other| other.node_id != id && other.state == NodeState::Live) {
            return Err(refuse(&ActorError::precondition(
                "NO_OTHER_NODE",
                "there is no other live node that could take the tenants",
            )));
        }
        let node = Some(self.change(&living, NodeState::Live, NodeState::Draining).await?);
        let answer = pb::DrainNodeResponse { node };
        let act = asking.act("cluster.drain", format!("node/{id}"), &answer);
        self.parts.store.operators().record(&act).await.map_err(|e| stored(&e))?;
        Ok(Response::new(answer))
    }

    pub(super) async fn resume(
        &self,
        request: Request<pb::ResumeNodeRequest>,
    ) -> Result<Response<pb::ResumeNodeResponse>, Status> {
        let key = request.get_ref().idempotency_key.clone();
        let asking = self.asking(&request, "/ocmt.v1.ClusterService/ResumeNode", &key).await?;
        if let Some(answer) = self.answered(&asking).await? {
            return Ok(Response::new(answer));
        }
        let id = convert::id(&request.get_ref().node_id, "node_id")?;
        let living = self.living_now(id).await?;
        let node = Some(self.change(&living, NodeState::Draining, NodeState::Live).await?);
        let answer = pb::ResumeNodeResponse { node };
        let act = asking.act("cluster.resume", format!("node/{id}"), &answer);
        self.parts.store.operators().record(&act).await.map_err(|e| stored(&e))?;
        Ok(Response::new(answer))
    }

    pub(super) async fn move_to(
        &self,
        request: Request<pb::MoveTenantRequest>,
    ) -> Result<Response<pb::MoveTenantResponse>, Status> {
        let it = request.get_ref();
        let asking = self.asking(&request, "/ocmt.v1.ClusterService/MoveTenant", &it.idempotency_key).await?;
        if let Some(answer) = self.answered(&asking).await? {
            return Ok(Response::new(answer));
        }
        let tenant: TenantId = convert::id(&it.tenant_id, "tenant_id")?;
        let target = self.living_now(convert::id(&it.node_id, "node_id")?).await?;
        if target.state != NodeState::Live {
            return Err(refuse(&ActorError::precondition("NODE_NOT_LIVE", "that node takes no tenants now")));
        }
        self.hand_over(tenant, &target).await?;
        let living = self.parts.store.cluster().living_nodes().await.map_err(|e| stored(&e))?;
        let placement = Some(describe::placement(&self.owner(tenant).await?, &living));
        let answer = pb::MoveTenantResponse { placement };
        let act = asking.act("cluster.move", format!("tenant/{tenant}"), &answer);
        self.parts.store.operators().record(&act).await.map_err(|e| stored(&e))?;
        Ok(Response::new(answer))
    }

    /// Has the owner give the tenant up, then claims it for the target: in its name, as its own actors claim
    /// it again when the first call comes.
    async fn hand_over(&self, tenant: TenantId, target: &Node) -> Result<(), Status> {
        let cluster = self.parts.store.cluster();
        for _ in 0..TRIES {
            let owner = self.owner(tenant).await?;
            if owner.incarnation == Some(target.incarnation) {
                return Ok(());
            }
            let living = cluster.living_nodes().await.map_err(|e| stored(&e))?;
            if let Some(now) = living.iter().find(|node| Some(node.incarnation) == owner.incarnation) {
                self.parts.hands.release(now, tenant, PATIENCE).await.map_err(|e| refuse(&e))?;
            }
            match cluster.claim_for(target, tenant).await {
                Ok(Claim::Taken(_)) => return Ok(()),
                Ok(Claim::Owned { .. }) | Err(StoreError::Conflict) => {}
                Ok(Claim::NoTenant) => return Err(no_such(format_args!("tenant {tenant}"))),
                Err(error) => return Err(stored(&error)),
            }
        }
        Err(refuse(&ActorError::Aborted("the tenant's owner")))
    }

    async fn owner(&self, tenant: TenantId) -> Result<TenantOwner, Status> {
        let owner = self.parts.store.cluster().owner(tenant).await.map_err(|e| stored(&e))?;
        owner.ok_or_else(|| no_such(format_args!("tenant {tenant}")))
    }

    /// The present life of a node.
    async fn living_now(&self, id: NodeId) -> Result<Node, Status> {
        if let Some(node) = self.living(id).await.map_err(|e| stored(&e))? {
            return Ok(node);
        }
        Err(match self.node(id).await.map_err(|e| stored(&e))? {
            None => no_such(format_args!("node {id}")),
            Some(known) if known.incarnation.is_empty() => refuse(&ActorError::precondition(
                "NODE_NEVER_STARTED",
                "that node was let in and has never started",
            )),
            Some(_) => refuse(&ActorError::precondition(
                "NODE_DEAD",
                "that node is not running: it was stopped, or it died",
            )),
        })
    }

    /// Moves a node from one state to another; done before is done.
    async fn change(&self, node: &Node, from: NodeState, to: NodeState) -> Result<pb::Node, Status> {
        let cluster = self.parts.store.cluster();
        if node.state != to && !cluster.set_state(node.incarnation, from, to).await.map_err(|e| stored(&e))? {
            return Err(refuse(&ActorError::precondition(
                "NODE_STATE",
                format!("that node is {}, not {}", node.state.as_str(), from.as_str()),
            )));
        }
        let seen = self.node(node.node_id).await.map_err(|e| stored(&e))?;
        seen.ok_or_else(|| no_such(format_args!("node {}", node.node_id)))
    }

    /// Whoever asks is an operator; for streams, asked again while they last.
    pub(super) async fn still(&self, asking: &Asking) -> Result<bool, StoreError> {
        let found = self.parts.store.operators().operator(asking.id).await?;
        Ok(found.is_some_and(|operator| operator.revoked_at.is_none()))
    }
}
