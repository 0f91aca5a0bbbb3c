//! What operators do: the operator listener with ClusterService, OperatorService and the administration of
//! TenantService, and what it takes for a
//! new node to come in (JoinCluster, on the client listener, since a new node has no certificate).
//!
//! An operator is known by a certificate of the cluster's authority, checked in the handshake, and by a row
//! that is read with each request: a revoked certificate is refused at once, on live connections too. Acts that
//! destroy something take two steps; what the second gives out is good once, for that act on that object by
//! that operator, on any node. Every act is audited in the transaction of its effect.
//!
//! What concerns running nodes goes through the database: a drained node sees its own state there. Only giving
//! up a tenant, and what is done to one, is asked of its owner ([`Hands`]).

mod access;
mod acts;
mod certificates;
mod cluster;
mod describe;
mod desk;
mod destroy;
mod door;
mod join;
mod laps;
mod node_key;
mod rate;
mod sealing;
mod service;
mod tenants;
mod upkeep;
mod watch;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use ocmt_actors::{ActingOperator, ActorError, OperatorAct, OperatorAnswer};
use ocmt_store::{Store, tables::Node};
use ocmt_types::{Clock, ClusterId, IdGen, TenantId};

use crate::pki::Pki;

pub(crate) use access::stored;
pub use desk::KeyDesk;
#[cfg(test)]
pub(crate) use door::shown_by;
pub use door::{OPERATOR_LIMITS, OperatorDoor};
pub use join::{JOIN, elsewhere};
pub use sealing::require_what_stands_alone;
pub use service::routes;
pub use upkeep::{Upkeep, follow};

/// What operators' acts ask of the nodes that run.
pub trait Hands: Send + Sync + 'static {
    /// Has a tenant's owner finish its work within `patience` and give it up.
    fn release<'a>(
        &'a self,
        owner: &'a Node,
        tenant: TenantId,
        patience: Duration,
    ) -> BoxFuture<'a, Result<(), ActorError>>;

    /// Has a tenant do something in an operator's name, wherever it is.
    fn administer(
        &self,
        tenant: TenantId,
        acting: ActingOperator,
        act: OperatorAct,
        patience: Duration,
    ) -> BoxFuture<'_, Result<OperatorAnswer, ActorError>>;
}

/// What the services stand on.
pub struct Parts {
    /// Durable state.
    pub store: Store,
    /// This node's keys; the authority's, where it is.
    pub pki: Pki,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn IdGen>,
    /// Which cluster.
    pub cluster: ClusterId,
    /// The URL of this node's client listener, where new nodes join.
    pub endpoint: String,
    /// Running nodes.
    pub hands: Arc<dyn Hands>,
}

/// The services of operators. Cheap to clone.
#[derive(Clone)]
pub struct OperatorRpc {
    parts: Arc<Parts>,
    joins: Arc<rate::Failures>,
}

impl OperatorRpc {
    /// The services over these parts.
    pub fn new(parts: Parts) -> Self {
        let joins = Arc::new(rate::Failures::new(join::MOST_FAILURES, join::WINDOW));
        Self { parts: Arc::new(parts), joins }
    }
}
