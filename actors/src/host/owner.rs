//! What a host and a connection say to a container's tenant, wherever it is owned.

use std::{sync::Arc, time::Duration};

use ocmt_runtime::ContainerRef;
use ocmt_types::{ConversationId, Deadline, SessionId, TenantId, Timestamp};

use crate::{
    effect::Effect,
    env::{Env, Scope},
    error::ActorError,
    letter::{self, Adopt, Spoken, TimerSet, WatchSession},
    node::NodeMessage,
    supervisor,
    tenant::TenantMessage,
    work::Outcome,
};

/// A tenant answers within this, or is asked again.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Tells whoever owns the tenant that a container of it is here. The owner, if it knows the container, orders
/// a look at it: that order brings the ownership of today.
pub(super) async fn adopt(
    env: &Arc<Env>,
    tenant: TenantId,
    container: ContainerRef,
) -> Result<bool, ActorError> {
    let adopt = Adopt { host: env.node, container: container.container, generation: container.generation };
    letter::send(env, tenant, adopt, Deadline::after(&*env.clock, ANSWER_WITHIN)).await
}

/// Whether a session of another node's tenant is good: answered when it is not, or after `hold`.
pub(super) async fn watch_session(
    env: &Arc<Env>,
    tenant: TenantId,
    session: SessionId,
    used: bool,
    hold: Duration,
) -> Result<bool, ActorError> {
    let hold_ms = u64::try_from(hold.as_millis()).unwrap_or(0);
    let deadline = Deadline::after(&*env.clock, hold + ANSWER_WITHIN);
    letter::send(env, tenant, WatchSession { session, used, hold_ms }, deadline).await
}

/// Gives the effects of what a container's actor has written to the tenant's actor. An owner elsewhere is
/// told of timers, and of what was said in conversations; that word may be lost: the container's actor has an alarm of its
/// own, and who follows a conversation hears with the next record of this one.
pub(crate) fn tell(scope: &Scope, effects: Vec<Effect>) {
    if effects.is_empty() {
        return;
    }
    let (env, tenant) = (&scope.env, scope.ownership.tenant);
    if scope.ownership.incarnation == env.incarnation {
        let outcome = Outcome { effects, ..Outcome::default() };
        return env.to_root(NodeMessage::ToTenant(tenant, TenantMessage::FromChild(Box::new(outcome))));
    }
    for effect in &effects {
        if let Effect::Appended(conversation) = effect {
            let (env, conversation) = (Arc::clone(env), *conversation);
            supervisor::detach(async move {
                if let Err(error) = spoken(&env, tenant, conversation).await {
                    tracing::debug!(%tenant, %error, "owner of a tenant was not told of a record");
                }
            });
        }
    }
    let at = effects.iter().filter_map(|effect| match effect {
        Effect::TimerSet(at) => Some(*at),
        _ => None,
    });
    let Some(at) = at.min() else { return };
    let env = Arc::clone(env);
    supervisor::detach(async move {
        if let Err(error) = timer_set(&env, tenant, at).await {
            tracing::debug!(%tenant, %error, "owner of a tenant was not told of a timer");
        }
    });
}

async fn spoken(env: &Arc<Env>, tenant: TenantId, conversation: ConversationId) -> Result<(), ActorError> {
    letter::send(env, tenant, Spoken { conversation }, Deadline::after(&*env.clock, ANSWER_WITHIN)).await
}

async fn timer_set(env: &Arc<Env>, tenant: TenantId, at: Timestamp) -> Result<(), ActorError> {
    letter::send(env, tenant, TimerSet { at }, Deadline::after(&*env.clock, ANSWER_WITHIN)).await
}
