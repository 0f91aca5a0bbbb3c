//! Start: keys, store, engine, actors, listeners. Stop: no new work, open work finished, everything closed.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{Router, middleware};
use ocmt_actors::{
    AdmissionLimits, Limits, Mode as ActorMode, SealingRing, System, SystemConfig, api::tenant::TenantPolicy,
};
use ocmt_cluster::SingleNode;
use ocmt_store::Store;
use ocmt_types::{Clock, IdGen, RandomIds, SystemClock};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    engine::Containers,
    listen::{self, Anybody, ListenLimits},
    ready::Readiness,
    telemetry,
};
use crate::{
    config::{Config, Mode, RuntimeKind, StorePlace},
    edge::{guard, headers},
    gateway,
    local::{ENDPOINT_FILE, Endpoints},
    mail::SpoolMailer,
    pki::{self, NodeIdentity, Pki, ServerNames},
    rpc::{Rpc, unimplemented},
    tasks, web,
};

/// How long work in flight may go on when the node stops.
const DRAIN: Duration = Duration::from_secs(10);

/// Why a node does not start; each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Keys or certificates.
    #[error(transparent)]
    Pki(#[from] pki::PkiError),
    /// The database.
    #[error("the database cannot be opened: {0}")]
    Store(#[from] ocmt_store::StoreError),
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
    store: Store,
    containers: Containers,
    stop: CancellationToken,
    listeners: Vec<JoinHandle<()>>,
}

impl Node {
    /// Starts a node with this (checked) configuration; it serves when this returns.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        // a second provider in the process would make rustls ask which one is meant
        rustls::crypto::ring::default_provider().install_default().ok();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn IdGen> = Arc::new(RandomIds);
        let pki_folder = config.node.data_dir.join("pki");
        pki::private_dir(&config.node.data_dir)?;

        let client = bind(config.listen.client).await?;
        let telemetry_listener = bind(config.listen.telemetry).await?;
        let endpoints = endpoints(config, &client, &telemetry_listener)?;

        let store = Store::sqlite(store_folder(config)?).await?;
        let names = ServerNames::of(
            &[config.listen.client.ip(), config.listen.operators.ip()],
            public_host(&endpoints.client).map(str::to_owned),
        );
        let pki = Pki::open(&pki_folder, true, names, clock.clone(), &*ids)?;
        let identity = pki.identity();
        let (node, _cluster) =
            SingleNode::start(store.clone(), identity.id(), &endpoints.client, &*clock, &*ids).await?;
        let containers = Containers::open(config, identity.id(), clock.clone()).await?;
        let runtime = containers.runtime.kind().to_string();

        let parts = SystemParts {
            store: &store,
            containers: &containers,
            identity,
            sealing: pki.sealing(),
            endpoints: &endpoints,
            clock: &clock,
            ids: &ids,
        };
        let system = System::start(system_config(config, &parts, node.incarnation())).await?;

        let tls = TlsAcceptor::from(pki.client_server(&config.tls)?);
        let app = app(config, &system, &clock, ids)?;
        let stop = CancellationToken::new();
        let limits = ListenLimits {
            connections: usize::try_from(config.limits.connections).unwrap_or(usize::MAX),
            per_address: usize::try_from(config.limits.connections_per_address).unwrap_or(usize::MAX),
            streams: config.limits.streams_per_connection,
            window: None,
        };
        let readiness = Arc::new(Readiness::new(store.clone(), containers.runtime.clone()));
        let listeners = vec![
            tasks::spawn(listen::serve(client, tls, app, limits, Arc::new(Anybody), stop.clone())),
            tasks::spawn(telemetry::serve(telemetry_listener, readiness, stop.clone())),
        ];
        let started = Self {
            ca_file: pki_folder.join("ca.pem"),
            endpoints,
            runtime,
            system,
            store,
            containers,
            stop,
            listeners,
        };
        started.announce(config)?;
        Ok(started)
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

    /// Stops: listeners first, then the actors, then what they stand on.
    pub async fn stop(self) {
        self.stop.cancel();
        for listener in self.listeners {
            if let Err(error) = listener.await {
                tracing::warn!(%error, "listener ended badly");
            }
        }
        if let Err(error) = self.system.stop(DRAIN).await {
            tracing::warn!(%error, "some work was cut off");
        }
        self.containers.shut_down().await;
        self.store.close().await;
        tracing::info!("node stopped");
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

struct SystemParts<'a> {
    store: &'a Store,
    containers: &'a Containers,
    identity: Arc<NodeIdentity>,
    sealing: SealingRing,
    endpoints: &'a Endpoints,
    clock: &'a Arc<dyn Clock>,
    ids: &'a Arc<dyn IdGen>,
}

fn system_config(
    config: &Config,
    parts: &SystemParts<'_>,
    incarnation: ocmt_types::Incarnation,
) -> SystemConfig {
    let spool = Some(config.mail.spool.clone()).filter(|folder| !folder.as_os_str().is_empty());
    let mailer = SpoolMailer::new(
        spool,
        config.mail.from.clone(),
        parts.endpoints.client.clone(),
        config.node.mode == Mode::Dev,
        parts.clock.clone(),
        parts.ids.clone(),
    );
    SystemConfig {
        store: parts.store.clone(),
        clock: parts.clock.clone(),
        ids: parts.ids.clone(),
        mailer: Arc::new(mailer),
        cells: Arc::new(crate::cells::GrpcCells::default()),
        runtime: parts.containers.runtime.clone(),
        signer: parts.identity.clone(),
        sealing: parts.sealing.clone(),
        neighbours: Arc::new(ocmt_actors::Alone),
        policy: policy(config),
        mode: match config.node.mode {
            Mode::Production => ActorMode::Production,
            Mode::Dev => ActorMode::Dev,
            Mode::Demo => ActorMode::Demo,
        },
        incarnation,
        limits: Limits {
            admission: AdmissionLimits {
                calls: usize::try_from(config.limits.tenant_requests).unwrap_or(usize::MAX),
                bytes: usize::try_from(config.limits.tenant_bytes).unwrap_or(usize::MAX),
            },
            passivate_after: config.limits.idle_tenant.0,
            ..Limits::default()
        },
    }
}

/// What new tenants start with.
fn policy(config: &Config) -> TenantPolicy {
    TenantPolicy {
        session_idle_ms: config.sessions.idle.millis(),
        session_absolute_ms: config.sessions.absolute.millis(),
        sessions_per_user: config.sessions.per_user,
        link_ttl_ms: config.sessions.link.millis(),
        pause_after_ms: config.hibernation.pause_after.millis(),
        stop_after_ms: config.hibernation.stop_after.millis(),
        recovery_delay_ms: config.recovery.delay.millis(),
        lock_ms: config.recovery.lock.millis(),
        change_delay_ms: config.recovery.change_delay.millis(),
        change_window_ms: config.recovery.change_window.millis(),
        ..TenantPolicy::default()
    }
}

/// Everything on the client listener.
fn app(
    config: &Config,
    system: &System,
    clock: &Arc<dyn Clock>,
    ids: Arc<dyn IdGen>,
) -> Result<Router, StartError> {
    let rpc = Rpc::new(system.clone(), clock.clone(), config.limits.call.0, default_image(config));
    let message_bytes = usize::try_from(config.limits.message_bytes).unwrap_or(usize::MAX);
    let grpc = rpc
        .routes(message_bytes, config.node.mode.is_relaxed())
        .map_err(|error| StartError::Setting(format!("server reflection: {error}")))?
        .prepare()
        .into_axum_router()
        .layer(tonic_web::GrpcWebLayer::new())
        .layer(middleware::from_fn_with_state(config.limits.call.0, guard::stand))
        .layer(middleware::from_fn(unimplemented::refuse));
    Ok(web::routes()
        .merge(gateway::routes(system.clone(), clock.clone()))
        .fallback_service(tower::service_fn(move |request: axum::extract::Request| {
            let grpc = grpc.clone();
            async move {
                // a path that is no method would otherwise be told that it is no gRPC
                let known =
                    request.uri().path().starts_with("/ocmt.") || request.uri().path().starts_with("/grpc.");
                if known { tower::ServiceExt::oneshot(grpc, request).await } else { Ok(not_found()) }
            }
        }))
        .layer(middleware::from_fn_with_state(ids, headers::stamp)))
}

/// What containers run that name no image. The `process` runtime has none, and says so by name.
fn default_image(config: &Config) -> &str {
    match config.containers.runtime {
        RuntimeKind::Process if config.containers.image.is_empty() => "process:none",
        RuntimeKind::Process | RuntimeKind::Docker => &config.containers.image,
    }
}

fn not_found() -> axum::response::Response {
    axum::response::IntoResponse::into_response(axum::http::StatusCode::NOT_FOUND)
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

fn endpoints(
    config: &Config,
    client: &TcpListener,
    telemetry: &TcpListener,
) -> Result<Endpoints, StartError> {
    let at = |listener: &TcpListener, address| {
        listener.local_addr().map_err(|source| StartError::Listen { address, source })
    };
    let client_address = at(client, config.listen.client)?;
    let public = config.listen.public_url.trim_end_matches('/');
    Ok(Endpoints {
        client: if public.is_empty() { format!("https://{client_address}") } else { public.to_owned() },
        telemetry: format!("http://{}", at(telemetry, config.listen.telemetry)?),
    })
}

fn public_host(url: &str) -> Option<&str> {
    let authority = url.strip_prefix("https://")?.split('/').next()?;
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    Some(host.trim_start_matches('[').trim_end_matches(']')).filter(|host| !host.is_empty())
}

/// SQLite keeps its files in a folder of their own.
fn store_folder(config: &Config) -> Result<PathBuf, StartError> {
    match config.store.place() {
        None => Ok(config.node.data_dir.join("db")),
        Some(StorePlace::Sqlite(folder)) => Ok(folder),
        Some(StorePlace::Postgres(_)) => Err(StartError::Setting(
            "store.url: a node on PostgreSQL is not built yet, use `sqlite:FOLDER`".to_owned(),
        )),
    }
}
