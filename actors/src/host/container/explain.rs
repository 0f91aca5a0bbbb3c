//! Why a container is awake, and when it will sleep.

use std::time::Duration;

use ocmt_store::tables::ContainerState;
use ocmt_types::{ContainerId, Timestamp};

use super::ContainerActorState;
use crate::{
    api::container::{AwakeKind, AwakeReason, IdleExplained},
    call::Reply,
    env::Scope,
    error::ActorError,
    supervisor,
    tenant::container::schedule,
};

/// "A moment ago".
const MOMENT: Duration = Duration::from_secs(60);

impl ContainerActorState {
    /// Answers from memory and the schedules, and asks a running cell what it does. Does not count as activity.
    pub(super) fn explain(&self, reply: Reply<IdleExplained>) {
        let (life, now) = (&self.life, self.scope.env.now());
        let active_at = life.active_at.max(self.shared.active_at());
        let runs = life.phase == ContainerState::Running;
        let live = runs || life.phase == ContainerState::Paused;
        let (pause_after, stop_after) = (life.clocks.pause_after, life.clocks.stop_after);
        let mut reasons = Vec::new();
        if runs && now.since(active_at) < pause_after {
            let until = Some(active_at + pause_after);
            if !self.relays.is_empty() {
                let count = u32::try_from(self.relays.len()).unwrap_or(u32::MAX);
                reasons.push(AwakeReason {
                    kind: AwakeKind::Channel,
                    count,
                    last_at: Some(active_at),
                    until,
                });
            }
            if let Some(woken_at) = self.woken_at.filter(|at| now.since(*at) < MOMENT) {
                reasons.push(AwakeReason {
                    kind: AwakeKind::JustWoken,
                    count: 1,
                    last_at: Some(woken_at),
                    until,
                });
            }
        }
        let owed = u32::try_from(self.shared.owed()).unwrap_or(u32::MAX);
        if runs && owed > 0 {
            let last_at = Some(active_at);
            reasons.push(AwakeReason { kind: AwakeKind::Work, count: owed, last_at, until: None });
        }
        let mut explained = IdleExplained {
            state: self.row.as_ref().map_or(life.phase, |row| row.observed),
            active_at,
            reasons,
            pause_due_at: runs.then(|| active_at + pause_after),
            stop_due_at: live.then(|| active_at + stop_after),
            unlocked_until: life.unlocked_until.filter(|until| *until > now),
            next_wake_at: None,
        };
        let cell = self.cell.clone().filter(|_| runs);
        let (scope, container) = (self.scope.clone(), self.container);
        // bounded by the permit in the reply and by the time a cell has for this
        supervisor::detach(async move {
            explained.next_wake_at = match next_wake(&scope, container).await {
                Ok(next) => next,
                Err(error) => return reply.send(Err(error)),
            };
            let Some(cell) = cell else { return reply.send(Ok(explained)) };
            if let Ok(status) = cell.status(&scope.env).await {
                let last_at = status.idle_for.map(|idle| now - idle);
                for (kind, count) in
                    [(AwakeKind::Exec, status.execs), (AwakeKind::Logs, status.log_followers)]
                {
                    if count > 0 {
                        explained.reasons.push(AwakeReason { kind, count, last_at, until: None });
                    }
                }
                let works = status.idle_for.is_some_and(|idle| idle < pause_after);
                if works && explained.reasons.is_empty() {
                    let until = last_at.map(|at| at + pause_after);
                    explained.reasons.push(AwakeReason { kind: AwakeKind::Work, count: 1, last_at, until });
                }
            }
            reply.send(Ok(explained));
        });
    }
}

async fn next_wake(scope: &Scope, container: ContainerId) -> Result<Option<Timestamp>, ActorError> {
    schedule::next_wake(&mut scope.read().await?, container).await
}
