//! Admission: how much unanswered work one tenant may have in the house, in calls and in bytes.
//!
//! ractor's mailboxes have no bound, so the bound is ours. A [`Permit`] is taken before a message is
//! sent, travels inside it, and gives its share back when it is dropped, wherever that happens:
//! after the answer, with a refused message, or in the unwinding of a panic.
//!
//! Whoever knows a tenant's id can make up tokens of it. So what comes from strangers (calls before
//! sign-in, session tokens not met before) has a small pool of its own, and those who are signed in
//! never wait for it. What stops a recovery, and what has to be shown for that, has a pool of its own too: whoever keeps all
//! places of a tenant taken does not keep its owner from a veto.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ocmt_types::{Digest32, TenantId};
use tokio::sync::Notify;

use crate::{error::ActorError, tenants::MOVING};

/// Bounds of unanswered work.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionLimits {
    /// Calls of one tenant.
    pub calls: usize,
    /// Bytes of requests of one tenant.
    pub bytes: usize,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self { calls: 256, bytes: 64 << 20 }
    }
}

/// What strangers may have unanswered at one tenant: their requests are small and quickly answered.
const STRANGERS: AdmissionLimits = AdmissionLimits { calls: 64, bytes: 1 << 20 };
/// What stops a recovery may have unanswered at one tenant, beside the places of all.
const STOPS: AdmissionLimits = AdmissionLimits { calls: 32, bytes: 1 << 20 };
/// What stops a recovery, the opening of a group's vault or that of one's own by a key, or says that it should not go on. Counted by no quota of calls.
const STOP: [&str; 7] = [
    "GroupService/DenyGroupUnlock",
    "RecoveryService/DenyCeremony",
    "RecoveryService/LockCeremony",
    "RecoveryService/ResignGuardianship",
    "RecoveryService/VetoCeremony",
    "RecoveryService/VoiceDoubt",
    "VaultService/RefuseSlotRequest",
];
/// Showing who one is, before that. Few at a time come from one session, by their own limit.
const PROOFS: [&str; 4] = [
    "AuthService/BeginPasskeyAssertion",
    "AuthService/CompleteMfa",
    "AuthService/FinishPasskeyAssertion",
    "AuthService/StepUp",
];
/// What there is to stop. Whoever looks all the time takes nothing from who acts.
const LOOKS: [&str; 4] = [
    "GroupService/GetGroupUnlock",
    "GroupService/ListGroupUnlocks",
    "RecoveryService/GetCeremony",
    "RecoveryService/ListCeremonies",
];

/// Whether the method stops a recovery.
pub(crate) fn stops(method: &str) -> bool {
    STOP.contains(&method)
}

/// Whether it shows who somebody is, on the way to that.
pub(crate) fn proves(method: &str) -> bool {
    PROOFS.contains(&method)
}

/// Whether it shows what there is to stop.
pub(crate) fn looks(method: &str) -> bool {
    LOOKS.contains(&method)
}

/// Tokens that are remembered as met; at more of them all are forgotten, and met again when shown.
const MOST_MET: usize = 1 << 16;

/// Whose work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Pool {
    /// Of those who are signed in, and of other tenants.
    Known,
    /// Of those who may be anybody.
    Strangers,
    /// Looks at tokens that were met before.
    Looks,
    /// Of what stops a recovery, and of showing who one is.
    Stops,
    /// Of looks at what there is to stop.
    LooksAtStops,
}

impl Pool {
    const ALL: [Self; 5] = [Self::Known, Self::Strangers, Self::Looks, Self::Stops, Self::LooksAtStops];
}

#[derive(Default, Clone, Copy)]
struct InUse {
    calls: usize,
    bytes: usize,
}

/// The gate that all calls pass. Tenants without unanswered work take no memory.
pub(crate) struct Admission {
    limits: AdmissionLimits,
    in_use: Mutex<HashMap<(TenantId, Pool), InUse>>,
    /// Tenants that are leaving this node: whoever comes is refused before anything is read.
    closed: Mutex<HashSet<TenantId>>,
    /// Tells that a tenant has no unanswered work any more.
    freed: Notify,
    /// Hashes of session tokens that were good when last shown. It decides about the pool alone.
    met: Mutex<HashSet<Digest32>>,
}

/// One call's share of its tenant's bound.
pub(crate) struct Permit {
    gate: Arc<Admission>,
    pool: (TenantId, Pool),
    bytes: usize,
}

impl Admission {
    pub(crate) fn new(limits: AdmissionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            in_use: Mutex::default(),
            closed: Mutex::default(),
            freed: Notify::new(),
            met: Mutex::default(),
        })
    }

    /// Takes a share for a call of `bytes`, or refuses. Never waits: the caller is told when to come back.
    pub(crate) fn take(self: &Arc<Self>, tenant: TenantId, bytes: usize) -> Result<Permit, ActorError> {
        self.take_from((tenant, Pool::Known), self.limits, bytes)
    }

    /// The same for somebody who may be anybody.
    pub(crate) fn take_stranger(
        self: &Arc<Self>,
        tenant: TenantId,
        bytes: usize,
    ) -> Result<Permit, ActorError> {
        self.take_from((tenant, Pool::Strangers), STRANGERS, bytes)
    }

    /// The same for a call of this method by somebody who is signed in.
    pub(crate) fn take_call(
        self: &Arc<Self>,
        tenant: TenantId,
        method: &str,
        bytes: usize,
    ) -> Result<Permit, ActorError> {
        if stops(method) || proves(method) {
            return self.take_stop(tenant, bytes);
        }
        if looks(method) {
            return self.take_or(tenant, Pool::LooksAtStops, bytes);
        }
        self.take(tenant, bytes)
    }

    /// The same for what stops a recovery: in a place of its own, or in one of all if others took those.
    pub(crate) fn take_stop(self: &Arc<Self>, tenant: TenantId, bytes: usize) -> Result<Permit, ActorError> {
        self.take_or(tenant, Pool::Stops, bytes)
    }

    fn take_or(self: &Arc<Self>, tenant: TenantId, pool: Pool, bytes: usize) -> Result<Permit, ActorError> {
        self.take_from((tenant, pool), STOPS, bytes).or_else(|_| self.take(tenant, bytes))
    }

    /// The same for a look at a session token: a stranger's, unless it was met before. Those have places of their own, since
    /// they are asked before it is known what for.
    pub(crate) fn take_token(
        self: &Arc<Self>,
        tenant: TenantId,
        token: &Digest32,
        bytes: usize,
    ) -> Result<Permit, ActorError> {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner).contains(token);
        if met {
            return self.take_from((tenant, Pool::Looks), self.limits, bytes);
        }
        self.take_stranger(tenant, bytes)
    }

    /// Nothing new of this tenant is taken.
    pub(crate) fn close(&self, tenant: TenantId) {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant);
    }

    /// It is taken again.
    pub(crate) fn open(&self, tenant: TenantId) {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
    }

    /// A session token was found good.
    pub(crate) fn meet(&self, token: Digest32) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.len() >= MOST_MET {
            met.clear();
        }
        met.insert(token);
    }

    /// A session token was refused: from now on it is a stranger's.
    pub(crate) fn forget(&self, token: &Digest32) {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    fn take_from(
        self: &Arc<Self>,
        pool: (TenantId, Pool),
        limits: AdmissionLimits,
        bytes: usize,
    ) -> Result<Permit, ActorError> {
        if self.closed.lock().unwrap_or_else(PoisonError::into_inner).contains(&pool.0) {
            return Err(MOVING);
        }
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let used = in_use.get(&pool).copied().unwrap_or_default();
        if used.calls >= limits.calls || used.bytes.saturating_add(bytes) > limits.bytes {
            return Err(ActorError::ResourceExhausted {
                reason: "TENANT_BUSY",
                why: format!("this tenant has {} unanswered calls of {} bytes", used.calls, used.bytes),
                retry_after: Some(Duration::from_millis(250)),
            });
        }
        in_use.insert(pool, InUse { calls: used.calls + 1, bytes: used.bytes + bytes });
        Ok(Permit { gate: Arc::clone(self), pool, bytes })
    }

    /// Whether the tenant has unanswered work anywhere in the house.
    pub(crate) fn is_busy(&self, tenant: TenantId) -> bool {
        let in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        Pool::ALL.iter().any(|pool| in_use.contains_key(&(tenant, *pool)))
    }

    /// Ready when the tenant has no unanswered work.
    pub(crate) async fn is_free(&self, tenant: TenantId) {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            // before the look: what is freed in between is heard
            freed.as_mut().enable();
            if !self.is_busy(tenant) {
                return;
            }
            freed.await;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut in_use = self.gate.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = in_use.get_mut(&self.pool) {
            used.calls -= 1;
            used.bytes -= self.bytes;
            if used.calls == 0 {
                in_use.remove(&self.pool);
                self.gate.freed.notify_waiters();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::Id as _;

    use super::*;

    #[test]
    fn a_tenant_over_its_bound_is_refused_and_others_are_not() {
        let gate = Admission::new(AdmissionLimits { calls: 2, bytes: 100 });
        let (a, b) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        let first = gate.take(a, 10).unwrap();
        let _second = gate.take(a, 10).unwrap();
        let refused = gate.take(a, 1).err().unwrap();
        assert_eq!(refused.reason(), "TENANT_BUSY");
        assert!(refused.is_retryable() && refused.retry_after().is_some());
        assert!(gate.take(b, 100).is_ok());
        drop(first);
        assert!(gate.take(a, 91).is_err(), "bytes count as well as calls");
        assert!(gate.take(a, 90).is_ok());
    }

    #[test]
    fn strangers_at_their_bound_keep_nobody_out_who_is_known() {
        let gate = Admission::new(AdmissionLimits { calls: 1, bytes: 100 });
        let tenant = TenantId::from_bytes([1; 16]);
        let (forged, good) = (Digest32([1; 32]), Digest32([2; 32]));
        gate.meet(good);
        let mut held = Vec::new();
        while let Ok(permit) = gate.take_token(tenant, &forged, 64) {
            held.push(permit);
        }
        assert_eq!(held.len(), STRANGERS.calls);
        assert!(gate.take_stranger(tenant, 1).is_err());
        assert!(gate.take_token(tenant, &good, 64).is_ok());
        assert!(gate.take(tenant, 64).is_ok());
        gate.forget(&good);
        assert!(gate.take_token(tenant, &good, 64).is_err(), "refused once, it is a stranger's");
        assert!(gate.is_busy(tenant));
        held.clear();
        assert!(!gate.is_busy(tenant));
    }

    #[test]
    fn whoever_takes_all_places_of_a_tenant_keeps_nobody_from_a_veto() {
        let gate = Admission::new(AdmissionLimits { calls: 2, bytes: 1 << 20 });
        let (tenant, owner) = (TenantId::from_bytes([1; 16]), Digest32([2; 32]));
        gate.meet(owner);
        let mut held: Vec<_> =
            std::iter::from_fn(|| gate.take_call(tenant, "ContainerService/WakeContainer", 64).ok())
                .collect();
        assert_eq!(held.len(), 2);
        let looked = std::iter::from_fn(|| gate.take_call(tenant, "RecoveryService/ListCeremonies", 64).ok());
        let looked: Vec<_> = looked.collect();
        assert_eq!(looked.len(), STOPS.calls, "and whoever looks all the time neither");
        assert!(gate.take_call(tenant, "VaultService/GetVault", 64).is_err());
        for way in ["AuthService/StepUp", "RecoveryService/VetoCeremony"] {
            let looked = gate.take_token(tenant, &owner, 64).unwrap();
            drop(looked);
            held.push(gate.take_call(tenant, way, 64).unwrap());
        }
        held.extend(std::iter::from_fn(|| gate.take_stop(tenant, 64).ok()));
        assert_eq!(held.len(), 2 + STOPS.calls);
        held.remove(0);
        assert!(gate.take_stop(tenant, 64).is_ok(), "or in a place of all");
        held.clear();
        drop(looked);
        assert!(!gate.is_busy(tenant));
    }

    #[test]
    fn nothing_is_kept_for_a_tenant_at_rest() {
        let gate = Admission::new(AdmissionLimits::default());
        drop(gate.take(TenantId::from_bytes([1; 16]), 10).unwrap());
        assert!(gate.in_use.lock().unwrap().is_empty());
    }
}
