//! What the actors are made of, from the configuration and the parts of the node.

use std::sync::Arc;

use ocmt_actors::{
    AdmissionLimits, Limits, Mode as ActorMode, Neighbours, Passkeys, SealingRing, SystemConfig,
    api::tenant::TenantPolicy,
};
use ocmt_types::{Clock, IdGen};

use super::{StartError, engine::Containers, place::Place};
use crate::{
    config::{Config, Mode},
    local::Endpoints,
    mail::{SpoolMailer, open_spool},
    pki::NodeIdentity,
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
pub(super) fn system_config(config: &Config, parts: &SystemParts<'_>) -> SystemConfig {
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
        store: parts.place.store.clone(),
        clock: parts.clock.clone(),
        ids: parts.ids.clone(),
        mailer: Arc::new(mailer),
        cells: Arc::new(crate::cells::GrpcCells::default()),
        runtime: parts.containers.runtime.clone(),
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
            ..Limits::default()
        },
    }
}

/// Makes the folder for letters, where there is to be one.
pub(super) fn ready_to_write(config: &Config) -> Result<(), StartError> {
    let folder = &config.mail.spool;
    if folder.as_os_str().is_empty() {
        return Ok(());
    }
    open_spool(folder).map_err(|error| {
        StartError::Setting(format!(
            "mail.spool: letters cannot be written to {}: {error}; make it for the user of this node, or name another folder",
            folder.display()
        ))
    })
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
