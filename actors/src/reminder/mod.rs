//! `ReminderActor`: wakes tenants that are asleep and have durable timers due.
//!
//! Supervised by the node's root. A tenant that is awake fires its own timers, wherever it is. So what is
//! left to do is small: of the tenants with timers due, those that no living node owns and that this node
//! is to claim ([`Neighbours::is_ours`](crate::Neighbours::is_ours)) are sent a look at their own rows, which
//! activates them. It fires nothing itself, so doing it twice, on two nodes, or for a tenant that is awake,
//! is harmless: the claim decides who has the tenant, and a timer is taken with its row.
//!
//! It goes round: each round looks at the next few tenants in the order of their ids, so a tenant with many
//! timers, or one that cannot be woken, holds up nobody, and a node's death does not wake all at once.
//! Once an hour it drops the sign-ups that nobody used: they belong to no tenant.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ocmt_types::{Incarnation, TenantId, Timestamp};
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::{
    env::Env,
    error::ActorError,
    node::NodeMessage,
    supervisor::{self, Task},
    tenant::TenantMessage,
};

/// Tenants looked at in one round.
const ROUND: u32 = 64;
/// Between two sweeps of the sign-ups.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// Between rounds, at the least.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// What the reminder is told.
pub(crate) enum ReminderMessage {
    /// Look now.
    Look,
    /// A round is done.
    Looked(Result<Round, ActorError>),
}

/// What a round came to.
pub(crate) struct Round {
    /// Who has timers due that nobody fires.
    wake: Vec<TenantId>,
    /// Behind which tenant the next round begins; none if all have been looked at.
    after: Option<TenantId>,
    /// Until the next round.
    wait: Duration,
}

/// The actor; what it holds is in [`ReminderState`].
pub(crate) struct ReminderActor;

pub(crate) struct ReminderState {
    env: Arc<Env>,
    /// When sign-ups are swept next.
    sweep_at: Timestamp,
    after: Option<TenantId>,
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
        Ok(ReminderState { sweep_at: env.now(), env, after: None, task: None })
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
                let after = state.after;
                supervisor::task(async move {
                    if sweep {
                        sweep_signups(&env).await;
                    }
                    let round = look(&env, after).await;
                    let _ = myself.cast(ReminderMessage::Looked(round));
                })
            }
            ReminderMessage::Looked(round) => {
                let wait = state.remind(round);
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

impl ReminderState {
    fn remind(&mut self, round: Result<Round, ActorError>) -> Duration {
        match round {
            Ok(round) => {
                self.after = round.after;
                for tenant in round.wake {
                    self.env.to_root(NodeMessage::ToTenant(tenant, TenantMessage::TimerDue));
                }
                round.wait
            }
            Err(error) => {
                tracing::debug!(%error, "due timers could not be read, tried again");
                self.env.limits.poll_every
            }
        }
    }
}

async fn sweep_signups(env: &Env) {
    match env.store.directory().drop_expired_signups(env.now()).await {
        Ok(dropped) => tracing::debug!(dropped, "sign-ups that nobody used were dropped"),
        Err(error) => tracing::warn!(%error, "sign-ups could not be swept, tried again in an hour"),
    }
}

async fn look(env: &Env, after: Option<TenantId>) -> Result<Round, ActorError> {
    env.strict()?;
    let (now, cluster) = (env.now(), env.store.cluster());
    let due = cluster.tenants_with_timers(now, after, ROUND).await?;
    let mut wake = Vec::new();
    if !due.is_empty() {
        let living = cluster.living_nodes().await?.into_iter().map(|node| node.incarnation).collect();
        for tenant in &due {
            if nobody_fires(env, *tenant, &living).await? {
                wake.push(*tenant);
            }
        }
    }
    if due.len() >= usize::try_from(ROUND).unwrap_or(usize::MAX) {
        return Ok(Round { wake, after: due.last().copied(), wait: SHORTEST_WAIT });
    }
    let next = cluster.next_due().await?;
    // what is due now is being fired: look again after the usual time
    let wait = next.filter(|at| *at > now).map_or(env.limits.poll_every, |at| at.since(now));
    let wait = wait.clamp(SHORTEST_WAIT, env.limits.poll_every.max(SHORTEST_WAIT));
    Ok(Round { wake, after: None, wait })
}

/// Whether the tenant is asleep or its owner dead, and this node the one to wake it.
async fn nobody_fires(
    env: &Env,
    tenant: TenantId,
    living: &BTreeSet<Incarnation>,
) -> Result<bool, ActorError> {
    let Some(row) = env.store.cluster().owner(tenant).await? else { return Ok(false) };
    match row.incarnation.filter(|owner| living.contains(owner)) {
        // one of this node's own may have no actor: it was founded here, or its actor has failed
        Some(owner) => Ok(owner == env.incarnation),
        None => env.neighbours.is_ours(tenant).await,
    }
}
