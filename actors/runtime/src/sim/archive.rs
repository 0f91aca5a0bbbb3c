//! Cells that run nothing, of the simulated engine: whoever tests says what they are.

use std::sync::Arc;

use ocmt_types::{TenantId, UserId};

use super::{Inner, SimRuntime};
use crate::{ArchiveCell, ArchiveErrand, ContainerSpec, RuntimeError, StartSecret, State, erasing};

/// Makes cells that run nothing, of a test's own; also told when a fresh volume takes the place of the present one.
pub trait Archive: Send + Sync {
    /// As [`Runtime::archive`].
    fn start(
        &self,
        spec: &ContainerSpec,
        errand: ArchiveErrand,
        secret: &StartSecret,
    ) -> Result<ArchiveCell, RuntimeError>;
    /// As [`Runtime::swap_volume`].
    fn swap(&self, tenant: TenantId, user: UserId) -> Result<(), RuntimeError>;
}

impl SimRuntime {
    /// Users whose volume was erased.
    pub fn erased(&self) -> Vec<UserId> {
        self.lock().erased.clone()
    }

    /// Its cells that run nothing are made by this.
    pub fn archives_by(&self, archivist: Arc<dyn Archive>) {
        self.lock().archivist = Some(archivist);
    }
}

pub(super) fn by(inner: &Inner) -> Result<Arc<dyn Archive>, RuntimeError> {
    inner.archivist.clone().ok_or_else(|| RuntimeError::Refused("simulated".to_owned()))
}

pub(super) fn begin(
    inner: &Inner,
    spec: &ContainerSpec,
    errand: ArchiveErrand,
    secret: &StartSecret,
) -> Result<ArchiveCell, RuntimeError> {
    let there = inner.containers.get(&spec.container_ref().to_string()).map(|it| it.observed.state);
    match there {
        Some(state @ (State::Running | State::Paused)) => {
            Err(RuntimeError::conflict(&spec.container_ref(), "take a snapshot of", state))
        }
        _ => by(inner)?.start(spec, errand, secret),
    }
}

pub(super) fn erase(inner: &mut Inner, tenant: TenantId, user: Option<UserId>) -> Result<(), RuntimeError> {
    let observed: Vec<_> = inner.containers.values().map(|one| one.observed.clone()).collect();
    erasing::unused(&observed, tenant, user)?;
    match user {
        Some(user) => inner.erased.push(user),
        None => drop(inner.volumes.remove(&tenant)),
    }
    Ok(())
}
