//! `ReminderActor`: fires the durable timers of tenants that are asleep.
//!
//! Supervised by the node's root. It looks which timers of any tenant are due and sends each of
//! those tenants a look at its own rows, which activates it if nobody has it. It fires nothing
//! itself, so doing it twice, or for a tenant that is awake, is harmless. Once an hour it drops the
//! sign-ups that nobody used: they belong to no tenant, so no tenant's sweep finds them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ocmt_store::StoreError;
use ocmt_types::{TenantId, Timestamp};
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::{
    env::Env,
    node::NodeMessage,
    supervisor::{self, Task},
    tenant::TenantMessage,
};

/// Timers looked at in one round; what is left comes in the next.
const BATCH: u32 = 256;
/// Between two sweeps of the sign-ups.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// Between rounds, at the least.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// What the reminder is told.
pub(crate) enum ReminderMessage {
    /// Look now.
    Look,
    /// Found: who has due timers, and how long to wait until the next look.
    Found(Result<(BTreeSet<TenantId>, Duration), StoreError>),
}

/// The actor; what it holds is in [`ReminderState`].
pub(crate) struct ReminderActor;

pub(crate) struct ReminderState {
    env: Arc<Env>,
    /// When sign-ups are swept next.
    sweep_at: Timestamp,
    /// The look that runs or waits.
    task: Option<Task>,
}

impl Actor for ReminderActor {
    type Msg = ReminderMessage;
    type State = ReminderState;
    type Arguments = Arc<Env>;

    async fn pre_start(
        &self,
        myself: ActorRef<ReminderMessage>,
        env: Arc<Env>,
    ) -> Result<ReminderState, ActorProcessingErr> {
        myself.cast(ReminderMessage::Look)?;
        Ok(ReminderState { sweep_at: env.now(), env, task: None })
    }

    async fn handle(
        &self,
        myself: ActorRef<ReminderMessage>,
        message: ReminderMessage,
        state: &mut ReminderState,
    ) -> Result<(), ActorProcessingErr> {
        let env = Arc::clone(&state.env);
        state.task = Some(match message {
            ReminderMessage::Look => {
                let sweep = env.now() >= state.sweep_at;
                if sweep {
                    state.sweep_at = env.now() + SWEEP_EVERY;
                }
                supervisor::task(async move {
                    if sweep {
                        sweep_signups(&env).await;
                    }
                    let found = look(&env).await;
                    let _ = myself.cast(ReminderMessage::Found(found));
                })
            }
            ReminderMessage::Found(found) => {
                let wait = remind(&env, found);
                supervisor::task(async move {
                    tokio::time::sleep(wait).await;
                    let _ = myself.cast(ReminderMessage::Look);
                })
            }
        });
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ReminderMessage>,
        _: SupervisionEvent,
        _: &mut ReminderState,
    ) -> Result<(), ActorProcessingErr> {
        // it has no children
        Ok(())
    }
}

async fn sweep_signups(env: &Env) {
    match env.store.directory().drop_expired_signups(env.now()).await {
        Ok(dropped) => tracing::debug!(dropped, "sign-ups that nobody used were dropped"),
        Err(error) => tracing::warn!(%error, "sign-ups could not be swept, tried again in an hour"),
    }
}

async fn look(env: &Env) -> Result<(BTreeSet<TenantId>, Duration), StoreError> {
    let now = env.now();
    let due = env.store.cluster().due_timers(now, BATCH).await?;
    let tenants = due.iter().map(|timer| timer.tenant_id).collect();
    let next = env.store.cluster().next_due().await?;
    // what is due now is being fired: look again after the usual time
    let wait = next.filter(|at| *at > now).map_or(env.limits.poll_every, |at| at.since(now));
    Ok((tenants, wait.clamp(SHORTEST_WAIT, env.limits.poll_every.max(SHORTEST_WAIT))))
}

fn remind(env: &Env, found: Result<(BTreeSet<TenantId>, Duration), StoreError>) -> Duration {
    match found {
        Ok((tenants, wait)) => {
            for tenant in tenants {
                env.to_root(NodeMessage::ToTenant(tenant, TenantMessage::TimerDue));
            }
            wait
        }
        Err(error) => {
            tracing::warn!(%error, "due timers could not be read");
            env.limits.poll_every
        }
    }
}
