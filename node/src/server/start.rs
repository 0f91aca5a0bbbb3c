//! Start: keys, place, engine, actors, listeners. Stop: no new work, open work finished, everything closed.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use ocmt_actors::{Alone, Neighbours, System};
use ocmt_cluster::Ending;
use ocmt_store::tables::NodeState;
use ocmt_types::{Clock, IdGen, RandomIds, SystemClock};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    actors::{SystemParts, mailer, system_config},
    app::{Routes, app},
    clients::ClientSide,
    endpoints::{endpoints, public_host},
    engine::Containers,
    lapse::Lapse,
    on_call::OnCall,
    operators::{Ground, Operating},
    peering::Peering,
    place::{Claimant, Place},
    ready::Readiness,
    telemetry::{Shown, Telemetry},
};
use crate::{
    config::{Config, StorePlace},
    forward::ForwardLayer,
    gateway,
    limits::Limiter,
    local::{ENDPOINT_FILE, Endpoints},
    meters::Meters,
    operator::require_what_stands_alone,
    pki::{self, Pki, ServerNames},
    software::Software,
};

/// How long a start waits for the first look through the engine; without it no container is touched.
const RECONCILE: Duration = Duration::from_secs(10);

/// How long a listener has once it was told to end. It gives its open requests less; past this it hangs, and a
/// node that hangs here would not leave its cluster in order.
const LAST_CALLS: Duration = Duration::from_secs(10);

/// Why a node does not start; each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Keys or certificates.
    #[error(transparent)]
    Pki(#[from] pki::PkiError),
    /// The database.
    #[error("the database cannot be opened: {0}")]
    Store(#[from] ocmt_store::StoreError),
    /// The logins to it.
    #[error("[store]: {0}")]
    Login(#[from] crate::database::LoginError),
    /// Ownership.
    #[error("the node cannot take its place: {0}")]
    Cluster(#[from] ocmt_cluster::ClusterError),
    /// The engine for containers.
    #[error("containers: {0}")]
    Runtime(#[from] ocmt_runtime::RuntimeError),
    /// The actors.
    #[error("the actors do not start: {0}")]
    Actors(#[from] ocmt_actors::ActorError),
    /// A listener.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The setting is not built yet or makes no sense.
    #[error("{0}")]
    Setting(String),
}

/// A running node.
pub struct Node {
    endpoints: Endpoints,
    ca_file: PathBuf,
    runtime: String,
    system: System,
    place: Place,
    containers: Containers,
    limiter: Limiter,
    drain: Duration,
    telemetry: Telemetry,
    stops: Stops,
    /// Of clients and operators.
    listeners: Vec<JoinHandle<()>>,
    peers: Option<JoinHandle<()>>,
    /// Hand out the heads of audits and tell operators, until they are dropped.
    _on_call: Vec<AbortOnDropHandle<()>>,
}

/// What ends what.
#[derive(Default)]
struct Stops {
    /// The listeners of clients and operators, and WebSockets on their way to other nodes.
    listeners: CancellationToken,
    /// WebSockets to cells. Those of a life that is over go on for a while: it does not cancel this.
    gateways: CancellationToken,
    /// The listener of peers: it serves until the last tenant was given up.
    peers: CancellationToken,
}

impl Node {
    /// Starts a node of a release with this (checked) configuration; it serves when this returns. One life alone:
    /// [`super::lives::run`] starts the next.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: &Config, software: Software) -> Result<Self, StartError> {
        let telemetry = Telemetry::open(config.listen.telemetry).await?;
        Self::start_in(config, &software, &Lapse::begin(Arc::new(SystemClock)), &telemetry).await
    }

    /// One life of several; its lease ends the lapse.
    pub(super) async fn start_in(
        config: &Config,
        software: &Software,
        lapse: &Lapse,
        telemetry: &Telemetry,
    ) -> Result<Self, StartError> {
        // a second provider in the process would make rustls ask which one is meant
        rustls::crypto::ring::default_provider().install_default().ok();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn IdGen> = Arc::new(RandomIds);
        pki::private_dir(&config.node.data_dir)?;
        let client = ClientSide::open(config)?;
        let mut endpoints = endpoints(config, &client, telemetry.address());
        // before anything is taken: a setting that is of no use is better known now
        mailer(config, &endpoints.client, &clock, &ids)?;
        let limiter = limiter(config, &clock)?;
        let pki = open_pki(config, &endpoints, &clock, &*ids)?;
        let node = pki.identity().id();
        let claimant = Claimant { config, software, node, endpoints: &endpoints, clock: &clock, ids: &ids };
        let place = Place::take(&claimant).await?;
        lapse.ended_by(place.lease.clone());
        let (peering, neighbours) = peering(&claimant, &place, &pki).await?;
        let (containers, system) = actors(&claimant, &place, &pki, neighbours).await?;
        let on_call = on_call(&claimant, &place, &pki, &system, &limiter)?;
        let stops = Stops::default();
        let forward = forward((peering.as_ref(), &place), &system, &stops.listeners);
        let ground = ground(&claimant, &place, &pki, &system, peering.as_ref());
        let operating = Operating::open(ground).await?;
        endpoints.operators = operating.endpoint();
        let meters = Meters::new(&system, &place.lease, &limiter, &clock);
        let gateway = gateway::routes(system.clone(), clock.clone(), limiter.clone(), stops.gateways.clone());
        let app = app(Routes {
            config,
            system: &system,
            operators: operating.rpc(),
            gateway,
            forward,
            limiter: &limiter,
            requests: meters.requests(),
            site: client.site(),
            clock: &clock,
            ids: ids.clone(),
            ca: pki.ca(),
            public_url: &endpoints.client,
        })?;
        let peers = peering.map(|peering| peering.serve(&system, app.clone(), stops.peers.clone()));
        let peers = peers.transpose()?;
        let mut listeners = client.serve(config, &pki, app, ids, &stops.listeners)?;
        listeners.extend(operating.serve(meters.clone(), &stops.listeners)?);
        telemetry.show(Some(Arc::new(Shown { readiness: readiness(&place, &containers), meters })));
        let started = Self {
            ca_file: pki.folder().join("ca.pem"),
            runtime: containers.runtime.kind().to_string(),
            drain: config.cluster.drain.0,
            telemetry: telemetry.clone(),
            endpoints,
            system,
            place,
            containers,
            limiter,
            stops,
            listeners,
            peers,
            _on_call: on_call,
        };
        started.begin(config).await
    }

    /// Takes work. If it cannot, what listens by now is closed again: the next life would find its addresses taken.
    async fn begin(self, config: &Config) -> Result<Self, StartError> {
        match enter(&self.place, &self.system).await.and_then(|()| self.announce(config)) {
            Ok(()) => Ok(self),
            Err(error) => {
                self.abort().await;
                Err(error)
            }
        }
    }

    /// Where it serves.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The certificate authority that clients are to trust, a PEM file.
    pub fn ca_file(&self) -> &std::path::Path {
        &self.ca_file
    }

    /// The engine for containers.
    pub fn runtime(&self) -> &str {
        &self.runtime
    }

    /// Ready when this life of the node is over, though nobody asked it to stop: [`Node::abort`] it then. Never
    /// for a node without peers.
    pub async fn ended(&self) -> Ending {
        self.place.ended().await
    }

    /// Stops in good order. Among other nodes: its tenants go to them first, one after the other, while calls
    /// go on; then the listeners end, then what they stand on.
    pub async fn stop(self) {
        if self.place.membership.is_some() {
            self.empty().await;
        }
        self.stops.gateways.cancel();
        self.stops.listeners.cancel();
        finish(self.listeners).await;
        if let Err(error) = self.system.stop(self.drain).await {
            tracing::warn!(%error, "some work was cut off");
        }
        self.stops.peers.cancel();
        finish(self.peers).await;
        if let Some(membership) = self.place.membership.clone() {
            membership.leave().await;
        }
        self.containers.shut_down().await;
        self.limiter.close().await;
        self.place.store.close().await;
        tracing::info!("node stopped");
    }

    async fn empty(&self) {
        if let Err(error) = self.place.stand(NodeState::Draining).await {
            tracing::warn!(%error, "the other nodes do not know that this one stops");
        }
        let (progress, _) = watch::channel(0);
        if let Err(error) = self.system.drain(self.drain, progress).await {
            tracing::warn!(%error, "not every tenant was given up in time");
        }
    }

    /// Stops at once, when this life is over: nothing is released, since nothing is this node's any more.
    /// Containers go on running.
    pub async fn abort(self) {
        // callers are turned away first: the actors may need a moment to stop
        self.telemetry.show(None);
        self.stops.listeners.cancel();
        self.system.abort().await;
        self.stops.peers.cancel();
        for listener in self.listeners.into_iter().chain(self.peers) {
            listener.abort();
        }
        self.containers.shut_down().await;
        self.limiter.close().await;
        self.place.store.close().await;
    }

    /// Tells where it serves, for whoever started it.
    fn announce(&self, config: &Config) -> Result<(), StartError> {
        let path = config.node.data_dir.join(ENDPOINT_FILE);
        let text =
            serde_json::to_vec(&self.endpoints).map_err(|error| StartError::Setting(error.to_string()))?;
        pki::write_public(&path, &text)?;
        tracing::info!(client = %self.endpoints.client, telemetry = %self.endpoints.telemetry, runtime = %self.runtime, "node serves");
        Ok(())
    }
}

/// The peers' side, if there are any, and what the actors see of them.
async fn peering(
    claimant: &Claimant<'_>,
    place: &Place,
    pki: &Pki,
) -> Result<(Option<Peering>, Arc<dyn Neighbours>), StartError> {
    if place.membership.is_none() {
        return Ok((None, Arc::new(Alone)));
    }
    let peering = Peering::open(claimant, place, pki).await?;
    let neighbours = Arc::new(peering.neighbours(place));
    Ok((Some(peering), neighbours))
}

/// The engine for containers, and the actors over it.
async fn actors(
    claimant: &Claimant<'_>,
    place: &Place,
    pki: &Pki,
    neighbours: Arc<dyn Neighbours>,
) -> Result<(Containers, System), StartError> {
    let Claimant { config, node, endpoints, clock, ids, .. } = *claimant;
    let containers = Containers::open(config, node, clock.clone()).await?;
    let parts = SystemParts {
        place,
        neighbours,
        containers: &containers,
        identity: pki.identity(),
        sealing: pki.sealing(),
        endpoints,
        clock,
        ids,
    };
    require_what_stands_alone(&place.store, pki).await?;
    let system = System::start(system_config(config, &parts)?).await?;
    Ok((containers, system))
}

fn limiter(config: &Config, clock: &Arc<dyn Clock>) -> Result<Limiter, StartError> {
    Limiter::open(&config.rates, &config.redis, clock)
        .map_err(|why| StartError::Setting(format!("[redis]: {why}")))
}

/// What operators' acts stand on.
fn ground<'a>(
    claimant: &Claimant<'a>,
    place: &'a Place,
    pki: &'a Pki,
    system: &'a System,
    peering: Option<&Peering>,
) -> Ground<'a> {
    let Claimant { config, endpoints, clock, ids, .. } = *claimant;
    let (pool, endpoint) = (peering.map(Peering::pool), &*endpoints.client);
    Ground { config, place, pki, system, pool, endpoint, clock, ids }
}

/// What goes on beside its work for whoever operates it.
fn on_call(
    claimant: &Claimant<'_>,
    place: &Place,
    pki: &Pki,
    system: &System,
    limiter: &Limiter,
) -> Result<Vec<AbortOnDropHandle<()>>, StartError> {
    let Claimant { config, endpoints, clock, ids, .. } = *claimant;
    OnCall { config, place, pki, system, limiter, endpoints, clock, ids }.begin()
}

fn forward(
    (peering, place): (Option<&Peering>, &Place),
    system: &System,
    stop: &CancellationToken,
) -> ForwardLayer {
    peering.map_or_else(ForwardLayer::alone, |peering| peering.forward(place, system, stop.clone()))
}

/// Takes work: what this host runs is known before, so that nothing is started twice.
async fn enter(place: &Place, system: &System) -> Result<(), StartError> {
    if place.membership.is_some() && timeout(RECONCILE, system.reconciled()).await.is_err() {
        tracing::warn!("the engine for containers does not answer in time: the node serves everything else");
    }
    place.stand(NodeState::Live).await
}

/// Waits for listeners that were told to end.
async fn finish(listeners: impl IntoIterator<Item = JoinHandle<()>>) {
    for mut listener in listeners {
        match timeout(LAST_CALLS, &mut listener).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "listener ended badly"),
            Err(_) => {
                tracing::warn!("a listener did not end in time and is cut off");
                listener.abort();
            }
        }
    }
}

fn open_pki(
    config: &Config,
    endpoints: &Endpoints,
    clock: &Arc<dyn Clock>,
    ids: &dyn IdGen,
) -> Result<Pki, StartError> {
    let names = ServerNames::of(
        &[config.listen.client.ip(), config.listen.operators.ip()],
        public_host(&endpoints.client).map(str::to_owned),
    );
    // a node of a cluster was set up by `cluster init` or `join`: one that made its own keys would be a stranger
    let alone = !matches!(config.store.place(), Some(StorePlace::Postgres(_)));
    Ok(Pki::open(&config.node.data_dir.join("pki"), alone, names, clock.clone(), ids)?)
}

fn readiness(place: &Place, containers: &Containers) -> Readiness {
    Readiness::new(place.store.clone(), containers.runtime.clone(), place.node, place.views())
}
