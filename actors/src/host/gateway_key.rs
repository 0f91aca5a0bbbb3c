//! The keys of gateway tokens: any node of the cluster verifies what any other has issued.
//!
//! Derived from the cluster's sealing key, so there is nothing to hand out and a new generation of the sealing
//! key is a new key here. A token names its key in its footer. Nodes learn of a new generation one after the
//! other: tokens of the one before are taken for [`WINDOW`] more, and no longer where that generation was replaced
//! because somebody else may have it, as when a node is revoked. Where it was replaced as planned they are taken until
//! they end ([`GATEWAY_OVERLAP`]), with the public key that is kept of it: the sealing key itself is erased before. A token
//! is never enough: its session is asked for at its own tenant.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ocmt_crypto::{
    gateway_token::{self, GatewayKeys, MAX_LIFE_MS},
    sealing::{SealingKey, SealingKeys},
    sign::{SigningKey, VerifyKey},
};
use ocmt_types::Timestamp;

use crate::{env::Env, error::ActorError, ports::SealingRing, system::System};

/// Tokens of the generation before are taken so long after this node has learned of the latest.
const WINDOW: Duration = Duration::from_secs(60);
/// And so long after a planned change: the longest life of a token, and the time in which nodes learn of the change.
pub const GATEWAY_OVERLAP: Duration =
    Duration::from_millis(MAX_LIFE_MS.unsigned_abs()).saturating_add(WINDOW);

/// What is kept of the generation before the latest, over the end of its sealing key.
#[derive(Clone, Default)]
pub(crate) struct GatewayBefore(Arc<Mutex<Before>>);

#[derive(Clone, Copy, Default)]
struct Before {
    /// Its number and what verifies its tokens.
    key: Option<(u32, VerifyKey)>,
    /// The latest, and until when tokens of the one before it are good, if that was planned.
    overlap: Option<(u32, Timestamp)>,
}

impl GatewayBefore {
    /// `next` is held from now on in the place of `held`.
    pub(crate) fn note(&self, held: &SealingKeys, next: &SealingKeys) {
        let Some(before) = next.latest().and_then(|latest| latest.checked_sub(1)) else { return };
        let key = next.generations().chain(held.generations()).find(|key| key.generation() == before);
        let Some(Ok(key)) = key.map(derived) else { return };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).key = Some((before, key.verify_key()));
    }

    pub(crate) fn overlap(&self, latest: u32, until: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).overlap = Some((latest, until));
    }

    /// What verifies tokens of the generation before `latest`, and until when that was planned.
    fn of(&self, latest: u32) -> Option<(VerifyKey, Option<Timestamp>)> {
        let kept = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, key) = kept.key.filter(|(generation, _)| generation.checked_add(1) == Some(latest))?;
        Some((key, kept.overlap.filter(|(of, _)| *of == latest).map(|(_, until)| until)))
    }
}

/// The latest generation met here, when, and until when the one before is taken in any case.
pub(crate) struct GatewayGeneration(Mutex<Met>);

struct Met {
    latest: u32,
    at: Timestamp,
    window: Timestamp,
}

impl GatewayGeneration {
    /// At the start of a node none but the latest is taken, unless another was planned.
    pub(crate) fn new(ring: &SealingRing, now: Timestamp) -> Self {
        let latest = ring.now().latest().unwrap_or(0);
        Self(Mutex::new(Met { latest, at: now, window: Timestamp(0) }))
    }

    /// Until when the generation before `latest` is taken.
    fn met(&self, latest: u32, planned: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if met.latest != latest {
            *met = Met { latest, at: now, window: now + WINDOW };
        }
        planned.map_or(met.window, |until| until.min(met.at + GATEWAY_OVERLAP).max(met.window))
    }
}

/// A key that tokens are verified with, as anybody may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayKey {
    /// As it stands in the footer of its tokens.
    pub id: String,
    /// Ed25519.
    pub public: [u8; 32],
    /// Until when its tokens are taken; none for the key that signs now.
    pub until: Option<Timestamp>,
}

impl System {
    /// The keys whose tokens this node takes now, the one that signs first.
    ///
    /// # Errors
    /// [`ActorError::Unavailable`] if the sealing key cannot be used.
    pub fn gateway_keys(&self) -> Result<Vec<GatewayKey>, ActorError> {
        let keys = verify_keys(&self.env)?;
        let shown = |key: VerifyKey, until| GatewayKey {
            id: gateway_token::key_id(&key),
            public: *key.as_bytes(),
            until,
        };
        let previous = keys.previous.filter(|(_, until)| self.env.now() < *until);
        let previous = previous.map(|(key, until)| shown(key, Some(until)));
        Ok([shown(keys.current, None)].into_iter().chain(previous).collect())
    }
}

/// The key that signs now.
pub(crate) fn signing_key(env: &Env) -> Result<SigningKey, ActorError> {
    latest(&env.sealing.now())
}

/// The keys whose tokens are taken now.
pub(super) fn verify_keys(env: &Env) -> Result<GatewayKeys, ActorError> {
    let held = env.sealing.now();
    let generation = held.latest().unwrap_or(0);
    let before = env.sealing.gateway_before().of(generation);
    let planned = before.and_then(|(_, planned)| planned);
    let until = env.gateway_generation.met(generation, planned, env.now());
    Ok(GatewayKeys { current: latest(&held)?.verify_key(), previous: before.map(|(key, _)| (key, until)) })
}

fn latest(held: &SealingKeys) -> Result<SigningKey, ActorError> {
    derived(held.generations().last().ok_or_else(broken)?)
}

fn derived(key: &SealingKey) -> Result<SigningKey, ActorError> {
    gateway_token::derive_key(key.expose(), key.generation()).map_err(|_| broken())
}

fn broken() -> ActorError {
    ActorError::unavailable("KEY_BROKEN", "the cluster's sealing key cannot be used")
}
