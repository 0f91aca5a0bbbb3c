//! Containers under Docker, with the hardened profile.
//!
//! - [`profile`] says what every container is made of and [`confinement`] what an operator may add, [`drift`] holds
//!   `docker inspect` against both;
//! - [`network`] gives each a bridge of its own, [`guard`] keeps them off the host's ports but for the [`doors`];
//! - [`lifecycle`] starts (secret over standard input), freezes and ends them, [`events`] tells of deaths;
//! - [`look`] holds what runs against it from beside the node, for the security audit;
//! - [`archive`] starts cells that run nothing, for snapshots; [`volumes`] looks after what is theirs, [`sized`] gives
//!   them a bound;
//! - [`import`] makes images without a registry. Nothing is ever pulled.

mod archive;
pub mod confinement;
mod doors;
pub mod drift;
mod engine;
mod events;
pub mod guard;
mod held;
pub mod import;
mod lifecycle;
pub mod look;
pub mod network;
mod observe;
pub mod profile;
mod sized;
mod turns;
mod volumes;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, stream::BoxStream};
use ocmt_types::{NodeId, TenantId, UserId};

pub use engine::Engine;

use crate::{
    ArchiveCell, ArchiveErrand, Call, CellAddress, ContainerRef, ContainerSpec, Egress, ImageRef, Isolation,
    Limits, Mode, Observed, Runtime, RuntimeError, RuntimeEvent, RuntimeKind, StartSecret,
    egress::{Door, EGRESS_PORT, Outlet},
    volume,
};
use confinement::Confinement;
use drift::Bounds;
use guard::{GuardState, HostGuard};
use network::NetworkRange;
use turns::Turns;

/// What a node may do with Docker.
#[derive(Debug, Clone)]
pub struct DockerConfig {
    /// Outside [`Mode::Production`] tags are images and direct egress may be allowed.
    pub mode: Mode,
    /// Whose containers these are; several nodes may share an engine.
    pub node: NodeId,
    /// Where the volumes are; made if it is not there.
    pub data_dir: PathBuf,
    /// Where the networks come from; must overlap nothing that this host routes.
    pub networks: NetworkRange,
    /// The images that containers may be made of. Empty means none.
    pub images: Vec<ImageRef>,
    /// The most that a container may use.
    pub ceiling: Limits,
    /// The most that a container may reach.
    pub egress: Egress,
    /// Name servers for containers with egress.
    pub resolvers: Vec<IpAddr>,
    /// What holds containers beside the profile.
    pub confinement: Confinement,
}

/// Docker as a [`Runtime`].
#[derive(Debug)]
pub struct DockerRuntime {
    engine: Arc<Engine>,
    config: DockerConfig,
    guard: HostGuard,
    /// Through which containers get out; none of a node without.
    outlet: Option<Arc<Outlet>>,
    warnings: Mutex<Vec<String>>,
    /// Creations of one node go one after the other: each looks for a free subnet.
    creating: tokio::sync::Mutex<()>,
    /// Changes of one volume too.
    volumes: Turns,
}

impl DockerRuntime {
    /// Checks the configuration, makes the data folder, installs the host guard and surveys the engine. An
    /// engine that does not answer is a warning, not an error: the node serves the rest.
    ///
    /// # Errors
    /// `Refused` for a configuration that no container may run under, or that names a runtime which the engine does not
    /// have; `Volume`.
    pub async fn open(engine: Engine, config: DockerConfig) -> Result<Self, RuntimeError> {
        let refuse = |why: &str| Err(RuntimeError::Refused(why.to_owned()));
        if config.egress == Egress::Direct && !config.mode.is_development() {
            return refuse("direct egress is for dev alone: it reaches private and metadata addresses");
        }
        if config.egress == Egress::Direct
            && (config.resolvers.is_empty() || config.resolvers.iter().any(IpAddr::is_loopback))
        {
            return refuse("egress needs name servers, none of them on a loopback address");
        }
        if !config.mode.is_development() && config.images.iter().any(|image| !image.is_digest()) {
            return refuse("images are named by digest");
        }
        if let Ok(info) = engine.info().await
            && let Some(lacking) = config.confinement.lacking(&info)
        {
            return Err(RuntimeError::Refused(lacking));
        }
        let config = DockerConfig { data_dir: volume::data_dir(&config.data_dir)?, ..config };
        let guard = HostGuard::new(config.networks);
        let engine = Arc::new(engine);
        let this = Self {
            engine,
            guard,
            outlet: None,
            config,
            warnings: Mutex::default(),
            creating: tokio::sync::Mutex::default(),
            volumes: Turns::default(),
        };
        this.survey().await;
        this.end_archives().await;
        volumes::prepare(&this.engine, &this.config).await?;
        Ok(this)
    }

    /// Looks again at the engine and the host guard (bringing the guard back if it is gone), and says what
    /// an operator should know. Also after the engine was away.
    pub async fn survey(&self) -> Vec<String> {
        let mut found = match self.engine.info().await {
            Ok(info) => engine::shortcomings(&info, &self.config.confinement),
            Err(error) => vec![error.to_string()],
        };
        if self.config.egress == Egress::Proxied {
            let taken = doors::is_taken_everywhere();
            self.guard.open_doors(!taken);
            if taken {
                found.push(format!(
                    "another program listens on port {EGRESS_PORT} of every address: containers would reach it, so their way to the egress proxy stays closed"
                ));
            }
        }
        if let GuardState::Missing(why) = self.guard.install().await {
            found.push(format!("host ports are not guarded from containers: {why}"));
        }
        let mut known = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        // it is looked at every minute: what is known is not said again
        for warning in found.iter().filter(|warning| !known.contains(warning)) {
            tracing::warn!(warning, "docker does not hold the whole profile");
        }
        known.clone_from(&found);
        drop(known);
        found
    }

    /// The same with a way out: containers made under [`Egress::Proxied`] reach it.
    #[must_use]
    pub fn with_outlet(mut self, outlet: Arc<Outlet>) -> Self {
        self.outlet = Some(outlet);
        self
    }

    /// The engine, for images.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The rules that keep containers off the host's ports.
    pub const fn host_guard(&self) -> &HostGuard {
        &self.guard
    }

    /// What this node allows, to hold its containers against.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            data_dir: self.config.data_dir.clone(),
            ceiling: self.config.ceiling,
            egress: self.config.egress,
            confinement: self.config.confinement.clone(),
        }
    }

    /// Holds a container and its network against the profile as they are now.
    ///
    /// # Errors
    /// They cannot be inspected.
    pub async fn audit(&self, container: &ContainerRef) -> Result<Vec<profile::Drift>, RuntimeError> {
        let (docker, name) = (self.engine.docker()?, container.to_string());
        let fault = engine::fault_of(container, "audit");
        let inspect = docker.inspect_container(&name, None).await.map_err(&fault)?;
        let network = docker.inspect_network(&name, None).await.map_err(&fault)?;
        let mut drifts = drift::check(&inspect, &self.bounds());
        drifts.extend(network::check(&network, self.config.egress));
        Ok(drifts)
    }
}

impl Runtime for DockerRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    fn isolation(&self) -> Isolation {
        Isolation::Container
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Call<'a, ContainerRef> {
        self.make(spec).boxed()
    }

    fn start<'a>(&'a self, container: &'a ContainerRef, secret: &'a StartSecret) -> Call<'a, CellAddress> {
        self.launch(container, secret).boxed()
    }

    fn pause<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        self.freeze(container).boxed()
    }

    fn unpause<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        self.thaw(container).boxed()
    }

    fn stop<'a>(&'a self, container: &'a ContainerRef, grace: Duration) -> Call<'a, ()> {
        self.end(container, grace).boxed()
    }

    fn kill<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        self.end_now(container).boxed()
    }

    fn remove<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        self.wipe(container).boxed()
    }

    fn inspect<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, Observed> {
        self.look(container, "inspect").boxed()
    }

    fn list(&self) -> Call<'_, Vec<Observed>> {
        self.adoptable().boxed()
    }

    fn tenants_with_volumes(&self) -> Call<'_, Vec<TenantId>> {
        volume::on_disk(&self.config.data_dir, volume::tenants).boxed()
    }

    fn erase_volumes(&self, tenant: TenantId) -> Call<'_, ()> {
        self.erase_volumes_of(tenant, None).boxed()
    }

    fn erase_volume(&self, tenant: TenantId, user: UserId) -> Call<'_, ()> {
        self.erase_volumes_of(tenant, Some(user)).boxed()
    }

    fn archive<'a>(
        &'a self,
        spec: &'a ContainerSpec,
        errand: ArchiveErrand,
        secret: &'a StartSecret,
    ) -> Call<'a, ArchiveCell> {
        self.start_archive(spec, errand, secret).boxed()
    }

    fn settle_volume(&self, tenant: TenantId, user: UserId) -> Call<'_, ()> {
        self.settle_volume_of(tenant, user).boxed()
    }

    fn swap_volume(&self, tenant: TenantId, user: UserId) -> Call<'_, ()> {
        self.swap_volume_of(tenant, user).boxed()
    }

    fn drift<'a>(&'a self, spec: &'a ContainerSpec) -> Call<'a, Vec<String>> {
        self.compare(spec).boxed()
    }

    fn look_after(&self) -> Call<'_, ()> {
        async move {
            self.survey().await;
            Ok(())
        }
        .boxed()
    }

    fn outlet(&self) -> Option<Arc<Outlet>> {
        self.outlet.clone().filter(|_| self.config.egress == Egress::Proxied)
    }

    fn door(&self, cell: CellAddress) -> Option<Door> {
        let IpAddr::V4(container) = cell.0.ip() else { return None };
        let listen = SocketAddr::from((network::Subnet::of_cell(container).gateway(), EGRESS_PORT));
        let open = self.guard.has_doors() && self.config.networks.contains(container);
        open.then_some(Door { listen, container: container.into() })
    }

    fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        events::stream(Arc::clone(&self.engine), self.config.node)
    }
}
