//! New nodes: invitations, and coming in with one.
//!
//! JoinCluster is open to strangers, so it costs little before the invitation is known to be good, and is
//! bounded in failures by address. The invitation is consumed by one statement before anything is issued: of two nodes that
//! come with the same one, one gets in. What is lost on the way back needs another invitation.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use axum::response::{IntoResponse as _, Response as HttpResponse};
use ocmt_actors::ActorError;
use ocmt_crypto::{
    CryptoError,
    audit::{Actor, Outcome},
    join::{JoinToken, seal_sealing_keys},
    seal::SealPublicKey,
};
use ocmt_proto::v1 as pb;
use ocmt_store::{ClusterAct, tables};
use ocmt_types::NodeId;
use tonic::{Code, Request, Response, Status};

use super::{
    OperatorRpc,
    access::{Asking, NO_CERTIFICATE, of_keys, refuse, stored},
};
use crate::{
    edge::call,
    pki::{Request as CertificateRequest, ServerNames, host_name},
    rpc::convert,
};

/// The one method of operators' services that is served on the client listener.
pub const JOIN: &str = "/ocmt.v1.ClusterService/JoinCluster";

/// Refused tries to join, of one address within a [`WINDOW`], that this node answers.
pub(super) const MOST_FAILURES: u32 = 30;
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// Stands for all whose address is not known.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const INVITE: &str = "/ocmt.v1.ClusterService/CreateJoinToken";

impl OperatorRpc {
    pub(super) async fn invite(
        &self,
        request: Request<pb::CreateJoinTokenRequest>,
    ) -> Result<Response<pb::CreateJoinTokenResponse>, Status> {
        let key = request.get_ref().idempotency_key.clone();
        let asking = self.asking(&request, INVITE, &key).await?;
        self.answered::<pb::CreateJoinTokenResponse>(&asking).await?;
        // a new node asks for its certificate where the token says, so that must be where the authority is
        self.parts.pki.authority().map_err(|e| of_keys(&e))?;
        let hosts = request.get_ref().names.iter().map(|name| host_name(name));
        let hosts = hosts.collect::<Result<Vec<_>, _>>().map_err(|why| convert::invalid("names", why))?;
        let names = ServerNames::of(&[], hosts);
        let lifetime = convert::present(request.get_ref().lifetime, "lifetime")?;
        let lifetime = Duration::from_millis(u64::try_from(convert::millis(&lifetime)).unwrap_or(0));
        let token =
            JoinToken::issue(self.parts.pki.ca().fingerprint(), &self.parts.endpoint, &mut rand::rng())
                .map_err(|_| {
                    refuse(&ActorError::precondition("ENDPOINT_TOO_LONG", "listen.public_url is too long"))
                })?;
        let row = tables::JoinToken {
            token_hash: token.hash(),
            created_by: asking.id,
            names: if request.get_ref().names.is_empty() { String::new() } else { names.to_text() },
            created_at: asking.now,
            expires_at: asking.now + lifetime,
        };
        let act = asking.secret_act("cluster.invite", String::new());
        self.parts.store.operators().put_join_token(&row, &act).await.map_err(|e| stored(&e))?;
        Ok(Response::new(pb::CreateJoinTokenResponse {
            token: token.expose().to_owned(),
            expires_at: Some(convert::time(row.expires_at)),
        }))
    }

    pub(super) async fn join(
        &self,
        request: Request<pb::JoinClusterRequest>,
    ) -> Result<Response<pb::JoinClusterResponse>, Status> {
        let from = call::peer(request.extensions()).unwrap_or(UNKNOWN);
        self.joins.check(from, self.parts.clock.boottime()).map_err(|wait| {
            refuse(&ActorError::ResourceExhausted {
                reason: "TOO_MANY_JOINS",
                why: "too many tries to join from this address were refused: wait".to_owned(),
                retry_after: Some(wait),
            })
        })?;
        let joined = self.let_in(request).await;
        // what is our own fault is nobody's failure
        if joined.as_ref().is_err_and(|refused| refused.code() != Code::Unavailable) {
            self.joins.count(from, self.parts.clock.boottime());
        }
        joined
    }

    async fn let_in(
        &self,
        request: Request<pb::JoinClusterRequest>,
    ) -> Result<Response<pb::JoinClusterResponse>, Status> {
        let request_id = call::request_id(request.extensions()).map_err(|e| refuse(&e))?;
        let it = request.get_ref();
        let (token, now) = (JoinToken::parse(&it.token).map_err(|_| not_invited())?, self.parts.clock.now());
        let operators = self.parts.store.operators();
        let invited = operators.join_token(token.hash(), now).await.map_err(|e| stored(&e))?;
        let invited = invited.ok_or_else(not_invited)?;
        let authority = self.parts.pki.authority().map_err(|e| of_keys(&e))?;
        let node_request =
            CertificateRequest::of_node(&it.certificate_request_der).map_err(|e| of_keys(&e))?;
        let listener = CertificateRequest::of_listener(&it.listener_request_der).map_err(|e| of_keys(&e))?;
        let names = listener.server_names();
        if !invited.names.is_empty() {
            let lawful = ServerNames::from_text(&invited.names);
            names.check_within(&lawful).map_err(|_| other_names(&names, &lawful))?;
        }
        let recipient = convert::digest(&it.sealing_recipient_key, "sealing_recipient_key")?;

        let node: NodeId = self.parts.ids.id();
        let act = ClusterAct {
            at: now,
            request: request_id,
            actor: Actor::Anonymous,
            action: "cluster.join",
            object: format!("node/{node}"),
            outcome: Outcome::Allowed,
            details: vec![
                ("address".to_owned(), it.address.clone()),
                // as much as a record takes
                ("names".to_owned(), names.to_text().replace('\n', " ").chars().take(512).collect()),
            ],
            remember: None,
        };
        // all that can fail comes before the invitation is used up
        let certificate = authority.issue_node(node, node_request.key(), now).map_err(|e| of_keys(&e))?;
        let listener = listener.issue_listener(&authority, now).map_err(|e| of_keys(&e))?;
        let sealed = self.sealed_for(node, &SealPublicKey(recipient.0))?;
        let joined = tables::JoinedNode {
            node_id: node,
            addr: it.address.clone(),
            names: names.to_text(),
            joined_at: now,
        };
        let taken = operators.take_join_token(token.hash(), &joined, &act).await.map_err(|e| stored(&e))?;
        taken.ok_or_else(not_invited)?;
        tracing::info!(%node, address = %it.address, "a node joined");
        Ok(Response::new(pb::JoinClusterResponse {
            node_id: node.to_string(),
            certificate_chain_der: vec![certificate.to_vec().into()],
            listener_chain_der: vec![listener.to_vec().into()],
            ca_der: self.parts.pki.ca().der().to_vec().into(),
            sealed_sealing_keys: sealed.into(),
            cluster_id: self.parts.cluster.to_string(),
        }))
    }

    /// The generations held here, for a node that comes in.
    fn sealed_for(&self, node: NodeId, to: &SealPublicKey) -> Result<Vec<u8>, Status> {
        let keys = self.parts.pki.sealing().now();
        seal_sealing_keys(&keys, self.parts.cluster, node, to, &mut rand::rng()).map_err(|error| match error {
            CryptoError::TooLarge { .. } => refuse(&ActorError::precondition(
                "TOO_MANY_GENERATIONS",
                "there are more generations of the sealing key than a node can be given: earlier ones are to be erased first",
            )),
            _ => convert::invalid("sealing_recipient_key", "is no X25519 public key to seal to"),
        })
    }

    /// Refuses an act where the operator is right and the confirmation is not, and records it.
    pub(super) async fn unconfirmed(&self, asking: &Asking, action: &'static str, object: String) -> Status {
        let record = self.parts.store.operators().record(&asking.denied(action, object)).await;
        if let Err(error) = record {
            return stored(&error);
        }
        refuse(&ActorError::precondition(
            "NOT_CONFIRMED",
            "the confirmation is not good for this act on this object, was used or has expired: begin again with BeginDestructiveAct",
        ))
    }
}

fn not_invited() -> Status {
    refuse(&ActorError::Unauthenticated(
        "the invitation is unknown, was used or has expired: ask for another",
    ))
}

/// The invitation gives other names than the node asks for; whoever shows it may know which.
fn other_names(asked: &ServerNames, invited: &ServerNames) -> Status {
    let given = invited.beyond(&ServerNames::of(&[], []));
    let given = if given.is_empty() { "no name but loopback".to_owned() } else { given };
    let why = format!(
        "the invitation is for {given}, not for {}: join with that --name, or ask for another invitation",
        asked.beyond(invited)
    );
    refuse(&ActorError::precondition("OTHER_NAMES", why))
}

/// Methods of users' services that operators alone may call.
const ADMINISTRATION: [&str; 2] =
    ["/ocmt.v1.TenantService/UpdateQuota", "/ocmt.v1.TenantService/SuspendTenant"];

/// The answer to calls of operators' services on the client listener, which serves joining alone of them.
pub fn elsewhere(path: &str) -> Option<HttpResponse> {
    let ours = ["/ocmt.v1.ClusterService/", "/ocmt.v1.OperatorService/"];
    let is_ours = ADMINISTRATION.contains(&path) || ours.iter().any(|service| path.starts_with(service));
    if path == JOIN || !is_ours {
        return None;
    }
    let refused = refuse(&ActorError::Unauthenticated(NO_CERTIFICATE));
    Some(refused.into_http::<tonic::body::Body>().map(axum::body::Body::new).into_response())
}
