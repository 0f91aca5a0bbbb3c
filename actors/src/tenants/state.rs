//! Which tenants are awake here, and when one that failed may be started again.

use std::collections::{BTreeMap, HashMap};

use ocmt_types::{Ownership, TenantId, Timestamp};
use ractor::{ActorRef, MessagingErr};

use crate::{
    error::ActorError,
    supervisor::{RestartPolicy, Task},
    tenant::TenantMessage,
};

/// Where one tenant is between sleep and sleep.
pub(super) enum Slot {
    /// Being claimed; messages wait.
    Claiming { parked: Vec<TenantMessage>, _task: Task },
    /// At work.
    Awake { actor: ActorRef<TenantMessage>, ownership: Ownership },
    /// Asked to sleep; messages wait for its answer.
    FallingAsleep { actor: ActorRef<TenantMessage>, ownership: Ownership, parked: Vec<TenantMessage> },
    /// Finishing what it has; messages are refused unread.
    Leaving { actor: ActorRef<TenantMessage>, ownership: Ownership },
    /// The store is told that it is given up; messages are refused unread.
    Releasing,
}

impl Slot {
    /// Sends to a tenant at work. If it has ended already, the message waits for the next activation:
    /// the word of its end is in our mailbox.
    pub(super) fn send(&mut self, message: TenantMessage) {
        let Self::Awake { actor, ownership } = self else { return };
        if let Err(MessagingErr::SendErr(message)) = actor.cast(message) {
            *self =
                Self::FallingAsleep { actor: actor.clone(), ownership: *ownership, parked: vec![message] };
        }
    }
}

impl Slot {
    /// From work to leaving.
    pub(super) fn leave(&mut self) -> Option<ActorRef<TenantMessage>> {
        let Self::Awake { actor, ownership } = self else { return None };
        let (actor, ownership) = (actor.clone(), *ownership);
        *self = Self::Leaving { actor: actor.clone(), ownership };
        Some(actor)
    }
}

/// All of them. What waits in `parked` is bounded by the permits that messages carry.
#[derive(Default)]
pub(super) struct Tenants {
    /// In order, for all that is done to each of them.
    slots: BTreeMap<TenantId, Slot>,
    /// Of tenants that failed lately.
    restarts: HashMap<TenantId, (RestartPolicy, Timestamp)>,
}

impl Tenants {
    pub(super) fn slot(&mut self, tenant: TenantId) -> Option<&mut Slot> {
        self.slots.get_mut(&tenant)
    }

    pub(super) fn insert(&mut self, tenant: TenantId, slot: Slot) {
        self.slots.insert(tenant, slot);
    }

    pub(super) fn remove(&mut self, tenant: TenantId) -> Option<Slot> {
        self.slots.remove(&tenant)
    }

    /// Sends nothing more to an activation that is at work; what comes waits for its end or its answer.
    pub(super) fn close(&mut self, ownership: Ownership) -> Option<ActorRef<TenantMessage>> {
        let slot = self.slots.get_mut(&ownership.tenant)?;
        let Slot::Awake { actor, ownership: current } = slot else { return None };
        if *current != ownership {
            return None;
        }
        let actor = actor.clone();
        *slot = Slot::FallingAsleep { actor: actor.clone(), ownership, parked: Vec::new() };
        Some(actor)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = TenantId> {
        self.slots.keys().copied()
    }

    /// All of them, and none is left.
    pub(super) fn take_all(&mut self) -> Vec<Slot> {
        std::mem::take(&mut self.slots).into_values().collect()
    }

    /// Notes a failure.
    pub(super) fn failed(&mut self, tenant: TenantId, now: Timestamp) {
        self.restarts.retain(|_, (policy, _)| !policy.is_clean(now));
        let (policy, not_before) = self.restarts.entry(tenant).or_default();
        *not_before = policy.failed(now);
    }

    /// Refuses a start before its time.
    pub(super) fn may_start(&self, tenant: TenantId, now: Timestamp) -> Result<(), ActorError> {
        match self.restarts.get(&tenant) {
            Some((_, not_before)) if *not_before > now => Err(ActorError::Unavailable {
                reason: "RESTARTING",
                why: "this tenant failed repeatedly and is being restarted".to_owned(),
                retry_after: Some(not_before.since(now)),
            }),
            _ => Ok(()),
        }
    }
}
