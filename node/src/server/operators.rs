//! The operator listener, and what the node keeps up for the cluster beside it.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use ocmt_actors::{ActingOperator, ActorError, OperatorAct, OperatorAnswer, System};
use ocmt_crypto::audit::{Actor, Outcome};
use ocmt_store::{ClusterAct, tables};
use ocmt_types::{Clock, IdGen, Incarnation, TenantId};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{StartError, endpoints::Reserved, listen, place::Place};
use crate::{
    config::Config,
    edge::site::Site,
    meters::Meters,
    operator::{Hands, OPERATOR_LIMITS, OperatorDoor, OperatorRpc, Parts, Upkeep, follow, routes},
    peers::{AskError, Peer, Pool},
    pki::{Lifetime, Pki, fingerprint, first_operator_of},
    tasks, web,
};

/// The operators' side of a node, before it serves.
pub(super) struct Operating {
    /// None where there are no operators: a node alone that `cluster init` did not set up.
    door: Option<Reserved>,
    rpc: OperatorRpc,
    pki: Pki,
    upkeep: Upkeep,
    system: System,
    drain: Duration,
    site: Arc<Site>,
    config: Config,
    clock: Arc<dyn Clock>,
}

/// What it is put together from.
pub(super) struct Ground<'a> {
    pub(super) config: &'a Config,
    pub(super) place: &'a Place,
    pub(super) pki: &'a Pki,
    pub(super) system: &'a System,
    pub(super) pool: Option<Pool>,
    pub(super) endpoint: &'a str,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) ids: &'a Arc<dyn IdGen>,
}

impl Operating {
    /// Takes the address for operators, where there are some.
    pub(super) async fn open(ground: Ground<'_>) -> Result<Self, StartError> {
        let Ground { config, place, pki, system, pool, endpoint, clock, ids } = ground;
        let first = first_operator_of(pki.folder())?;
        let operated = place.membership.is_some() || first.is_some();
        list_first_operator(place, pki, &**clock, &**ids).await?;
        let hands = NodeHands { system: system.clone(), incarnation: place.incarnation, pool: pool.clone() };
        let rpc = OperatorRpc::new(Parts {
            store: place.store.clone(),
            pki: pki.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            cluster: place.cluster,
            endpoint: endpoint.to_owned(),
            hands: Arc::new(hands),
        });
        let upkeep = Upkeep {
            store: place.store.clone(),
            pki: pki.clone(),
            cluster: place.cluster,
            views: place.views(),
            pool,
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let door = if operated { Some(Reserved::take(config.listen.operators)?) } else { None };
        Ok(Self {
            door,
            rpc,
            pki: pki.clone(),
            upkeep,
            system: system.clone(),
            drain: config.cluster.drain.0,
            site: Arc::new(Site::of_operators(&config.listen)),
            config: config.clone(),
            clock: clock.clone(),
        })
    }

    /// The services: joining is served on the client listener.
    pub(super) fn rpc(&self) -> &OperatorRpc {
        &self.rpc
    }

    /// Where operators reach it.
    pub(super) fn endpoint(&self) -> Option<String> {
        self.door.as_ref().map(|door| format!("https://{}", door.address()))
    }

    /// Serves operators, who see `meters` too, and keeps the node up until `stop`.
    pub(super) fn serve(
        self,
        meters: Meters,
        stop: &CancellationToken,
    ) -> Result<Vec<JoinHandle<()>>, StartError> {
        let acceptor = TlsAcceptor::from(self.pki.operator_server()?);
        let (own, views) = (self.pki.identity().id(), self.upkeep.views.clone());
        let store = self.upkeep.store.clone();
        let mut served = vec![
            tasks::spawn(self.upkeep.run(self.system.clone(), stop.clone())),
            tasks::spawn(follow(own, views, self.system, self.drain, stop.clone())),
        ];
        if let Some(door) = self.door {
            let counts = Box::new(move || meters.text().unwrap_or_default());
            let ground = web::Ground { store, counts, config: self.config, clock: self.clock, node: own };
            let pages = web::console(self.rpc.clone(), ground);
            let (app, doorman) = (routes(&self.rpc, pages, self.site), Arc::new(OperatorDoor));
            served.push(tasks::spawn(listen::serve(
                door.listen()?,
                acceptor,
                app,
                OPERATOR_LIMITS,
                doorman,
                stop.clone(),
            )));
        }
        Ok(served)
    }
}

/// Lists the operator that `cluster init` made, at the first start after it.
async fn list_first_operator(
    place: &Place,
    pki: &Pki,
    clock: &dyn Clock,
    ids: &dyn IdGen,
) -> Result<(), StartError> {
    let Some((operator_id, certificate)) = first_operator_of(pki.folder())? else { return Ok(()) };
    let life = Lifetime::of(&certificate)?;
    let operator = tables::Operator {
        operator_id,
        name: "first operator".to_owned(),
        fingerprint: fingerprint(&certificate),
        created_at: life.from,
        expires_at: life.until,
        revoked_at: None,
    };
    let act = ClusterAct {
        at: clock.now(),
        request: ids.id(),
        actor: Actor::Node(place.node),
        action: "operator.first",
        object: format!("operator/{operator_id}"),
        outcome: Outcome::Allowed,
        details: Vec::new(),
        remember: None,
    };
    if !place.store.operators().add_first_operator(&operator, &act).await? {
        tracing::warn!(operator = %operator_id, "the operator made on this node is not listed: the cluster has others, who make further ones");
    }
    Ok(())
}

/// This node's own tenants, and those of others through their links.
struct NodeHands {
    system: System,
    incarnation: Incarnation,
    pool: Option<Pool>,
}

impl Hands for NodeHands {
    fn release<'a>(
        &'a self,
        owner: &'a tables::Node,
        tenant: TenantId,
        patience: Duration,
    ) -> BoxFuture<'a, Result<(), ActorError>> {
        Box::pin(async move {
            if owner.incarnation == self.incarnation {
                return self.system.release(tenant, patience).await;
            }
            let away = |why: String| ActorError::unavailable("PEER_UNREACHABLE", why);
            let pool = self.pool.as_ref().ok_or_else(|| away("this node has no peers".to_owned()))?;
            pool.release(&Peer::from(owner.clone()), tenant, patience).await.map_err(|error| match error {
                AskError::Refused(refused) => refused,
                error => away(error.to_string()),
            })
        })
    }

    fn administer(
        &self,
        tenant: TenantId,
        acting: ActingOperator,
        act: OperatorAct,
        patience: Duration,
    ) -> BoxFuture<'_, Result<OperatorAnswer, ActorError>> {
        Box::pin(self.system.administer(tenant, acting, act, patience))
    }
}
