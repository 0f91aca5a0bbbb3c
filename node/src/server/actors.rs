//! What the actors are made of, from the configuration and the parts of the node.

use std::sync::Arc;

use ocmt_actors::{
    AdmissionLimits, Limits, Mode as ActorMode, Neighbours, OnDrift, Passkeys, SealingRing, SystemConfig,
    api::tenant::TenantPolicy,
};
use ocmt_types::{Clock, IdGen};
use tokio_rustls::TlsConnector;

use super::{StartError, engine::Containers, place::Place};
use crate::{
    alerts::Carriers,
    cells::{GrpcCells, outgoing::Outgoing},
    config::{Config, DriftPolicy, Mode},
    local::Endpoints,
    mail::NodeMailer,
    pki::NodeIdentity,
    snapshots,
    sso::Fetch,
    tls,
};

/// Parts of a node that its actors stand on.
pub(super) struct SystemParts<'a> {
    pub(super) place: &'a Place,
    pub(super) neighbours: Arc<dyn Neighbours>,
    pub(super) containers: &'a Containers,
    pub(super) identity: Arc<NodeIdentity>,
    pub(super) sealing: SealingRing,
    pub(super) endpoints: &'a Endpoints,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) ids: &'a Arc<dyn IdGen>,
}

/// The configuration of the actors.
pub(super) fn system_config(config: &Config, parts: &SystemParts<'_>) -> Result<SystemConfig, StartError> {
    let letters = mailer(config, &parts.endpoints.client, parts.clock, parts.ids)?;
    let tls = tls::trusting(&config.alerts.ca_file)
        .map_err(|problem| StartError::Setting(format!("alerts.ca_file: {problem}")))?;
    let fetch = Fetch::new(TlsConnector::from(Arc::new(tls)), config.node.mode.is_relaxed())
        .only(&config.outbound.hosts);
    let mailer = Carriers::new(letters, fetch, Arc::clone(parts.clock));
    Ok(SystemConfig {
        store: parts.place.store.clone(),
        clock: parts.clock.clone(),
        ids: parts.ids.clone(),
        mailer: Arc::new(mailer),
        cells: Arc::new(GrpcCells::new(Outgoing::new(&config.oauth.hosts, config.node.mode.is_relaxed()))),
        runtime: parts.containers.runtime.clone(),
        snapshots: snapshots::open(config).map_err(StartError::Setting)?,
        signer: parts.identity.clone(),
        sealing: parts.sealing.clone(),
        passkeys: Passkeys::new(&parts.endpoints.client),
        neighbours: parts.neighbours.clone(),
        policy: policy(config),
        mode: match config.node.mode {
            Mode::Production => ActorMode::Production,
            Mode::Dev => ActorMode::Dev,
            Mode::Demo => ActorMode::Demo,
        },
        incarnation: parts.place.incarnation,
        limits: Limits {
            deletion_delay: config.tenants.deletion_delay.0,
            admission: AdmissionLimits {
                calls: usize::try_from(config.limits.tenant_requests).unwrap_or(usize::MAX),
                bytes: usize::try_from(config.limits.tenant_bytes).unwrap_or(usize::MAX),
            },
            passivate_after: config.limits.idle_tenant.0,
            lobby_spread: config.sessions.link_spread.0,
            on_drift: match config.containers.on_drift {
                DriftPolicy::Hold => OnDrift::Hold,
                DriftPolicy::Report => OnDrift::Report,
            },
            volume_mib: i64::from(config.containers.volume_mib),
            ..Limits::default()
        },
    })
}

/// How letters leave, as the configuration says: what it names is read and made here. A node that could send none does
/// not start.
pub(super) fn mailer(
    config: &Config,
    base_url: &str,
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn IdGen>,
) -> Result<NodeMailer, StartError> {
    let prints = config.node.mode == Mode::Dev;
    NodeMailer::open(&config.mail, base_url.to_owned(), prints, clock.clone(), ids.clone())
        .map_err(|error| StartError::Setting(error.to_string()))
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
        dm_policy: config.pairing.dm_policy,
        group_policy: config.pairing.group_policy,
        ..TenantPolicy::default()
    }
}
