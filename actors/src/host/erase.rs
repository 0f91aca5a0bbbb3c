//! Volumes of tenants that were deleted.
//!
//! A tenant's rows do not say where volumes are that an earlier container left behind, and a host may be away when
//! its tenant goes. So each host looks itself: whatever volume it has whose tenant has a record of its deletion is
//! erased, and so is a container that is still there.

use std::sync::Arc;

use ocmt_runtime::RuntimeError;
use ocmt_types::{TenantId, UserId};

use super::container::from_engine;
use crate::{env::Env, error::ActorError};

/// Looks for them as long as the host works.
pub(super) async fn watch(env: Arc<Env>) {
    // what no row knows is removed first
    let mut reconciled = env.reconciled.subscribe();
    if reconciled.wait_for(|done| *done).await.is_err() {
        return;
    }
    loop {
        if let Err(error) = sweep(&env).await {
            tracing::warn!(%error, "volumes of deleted tenants could not be looked for, tried again later");
        }
        tokio::time::sleep(env.limits.erase_every).await;
    }
}

async fn sweep(env: &Env) -> Result<(), ActorError> {
    for tenant in env.runtime.tenants_with_volumes().await.map_err(from_engine)? {
        if env.store.cluster().deleted_tenant(tenant).await?.is_some() {
            erase(env, tenant).await;
        }
    }
    Ok(())
}

/// One that cannot be erased keeps none of the others.
async fn erase(env: &Env, tenant: TenantId) {
    match emptied(env, tenant).await {
        Ok(()) => {
            forget_schedules(env, tenant, None).await;
            tracing::info!(%tenant, "volumes of a deleted tenant were erased");
        }
        Err(error) => {
            tracing::warn!(%tenant, %error, "volumes of a deleted tenant could not be erased, tried again later");
        }
    }
}

async fn emptied(env: &Env, tenant: TenantId) -> Result<(), RuntimeError> {
    for seen in env.runtime.list().await? {
        if seen.labels.tenant == tenant {
            env.runtime.remove(&seen.container).await?;
        }
    }
    env.runtime.erase_volumes(tenant).await
}

/// With the volumes goes what this host remembers of the schedules of their snapshots.
pub(super) async fn forget_schedules(env: &Env, tenant: TenantId, user: Option<UserId>) {
    if let Some(snapshots) = &env.snapshots
        && let Err(error) = snapshots.pins.forget(tenant, user).await
    {
        tracing::warn!(%tenant, %error, "a schedule is remembered longer than its volume");
    }
}
