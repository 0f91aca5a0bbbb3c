//! What the agents of a container may do, on its way into the cell.
//!
//! A cell is given the policy before it starts anything, and again whenever it changed: whoever changes it tells the hosts,
//! and a host looks by itself now and then, should it not have heard. It is read from the store as the egress policy is,
//! whoever owns the tenant, and signed by this node, which vouches for its key with the start secret that only it and the
//! cell have.

use std::{sync::Arc, time::Duration};

use ocmt_runtime::Isolation;
use ocmt_store::tables::Container;
use ocmt_types::{TenantId, UserId};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::cell::Cell;
use crate::{
    agent_policy::{
        EffectivePolicy,
        stored::{self, Signed},
    },
    env::{Env, Scope},
    error::ActorError,
    supervisor::{self, Task},
};

/// A host that was told nothing looks this often.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// After a failure.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The store answers within this.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// The policy for a cell that is to run: refused where it wants a sandbox and this host has none.
pub(super) async fn for_start(env: &Env, row: &Container) -> Result<Signed, ActorError> {
    let held = stored::held_by_host(env, row.tenant_id, row.user_id).await?;
    check_sandbox(env, &held.effective)?;
    held.sign(env, Some(row.container_id))
}

/// Where somebody wants work in a sandbox, this host has to have one.
pub(crate) fn check_sandbox(env: &Env, policy: &EffectivePolicy) -> Result<(), ActorError> {
    if policy.sandbox_is_wanted && env.runtime.isolation() == Isolation::None {
        let why = "the agent policy wants work in a sandbox, and the engine of the container's host isolates nothing";
        return Err(ActorError::precondition("SANDBOX_MISSING", why));
    }
    Ok(())
}

/// Gives a running cell what changed, until it is dropped.
pub(super) struct Carrier {
    told: Arc<Notify>,
    _task: Task,
}

impl Carrier {
    pub(super) fn new(scope: &Scope, row: &Container, cell: Arc<Cell>) -> Self {
        let told = Arc::new(Notify::new());
        let (env, of) = (Arc::clone(&scope.env), (row.tenant_id, row.user_id));
        let carry = carry(env, of, cell, Arc::clone(&told));
        Self { told, _task: supervisor::task(carry) }
    }

    /// It may have changed.
    pub(super) fn look(&self) {
        self.told.notify_one();
    }
}

async fn carry(env: Arc<Env>, of: (TenantId, UserId), cell: Arc<Cell>, told: Arc<Notify>) {
    loop {
        match timeout(READ_WITHIN, once(&env, of, &cell)).await {
            Ok(Ok(())) => {}
            // whoever refuses it once refuses it again
            Ok(Err(error)) if error.is_refusal() => {
                tracing::warn!(container = %cell.container(), %error, "a cell did not take its agent policy");
            }
            failed => {
                tracing::debug!(container = %cell.container(), ?failed, "agent policy not carried, tried again");
                sleep(AGAIN_AFTER).await;
                continue;
            }
        }
        // an error is the time running out
        let _ = timeout(LOOK_EVERY, told.notified()).await;
    }
}

async fn once(env: &Env, (tenant, user): (TenantId, UserId), cell: &Cell) -> Result<(), ActorError> {
    let held = stored::held_by_host(env, tenant, user).await?;
    if cell.has_policy(held.version) {
        return Ok(());
    }
    cell.give_policy(env, &held.sign(env, Some(cell.container()))?).await
}
