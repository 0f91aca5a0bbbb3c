//! The keys of gateway tokens: any node of the cluster verifies what any other has issued.
//!
//! Derived from the cluster's sealing key, so there is nothing to hand out and a new generation of the sealing
//! key is a new key here. A token names its key in its footer. Nodes learn of a new generation one after the
//! other: tokens of the one before are taken for [`WINDOW`] more, and no longer, since a generation is made
//! when a node is revoked that knows the older one. A token is never enough: its session is asked for at its own
//! tenant.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ocmt_crypto::{
    CryptoError,
    gateway_token::{self, GatewayKeys},
    sign::{SigningKey, VerifyKey},
};
use ocmt_types::Timestamp;

use crate::{env::Env, error::ActorError, ports::SealingRing, system::System};

/// Tokens of the generation before are taken so long after this node has learned of the latest.
const WINDOW: Duration = Duration::from_secs(60);

/// The latest generation met here, and until when the one before is taken.
pub(crate) struct GatewayGeneration(Mutex<(u32, Timestamp)>);

impl GatewayGeneration {
    /// At the start of a node none but the latest is taken.
    pub(crate) fn new(ring: &SealingRing) -> Self {
        Self(Mutex::new((ring.now().latest().unwrap_or(0), Timestamp(0))))
    }

    /// Until when the generation before `latest` is taken.
    fn met(&self, latest: u32, now: Timestamp) -> Timestamp {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if met.0 != latest {
            *met = (latest, now + WINDOW);
        }
        met.1
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
    derived(env)?.pop().ok_or_else(broken)
}

/// The keys whose tokens are taken now.
pub(super) fn verify_keys(env: &Env) -> Result<GatewayKeys, ActorError> {
    let latest = env.sealing.now().latest().unwrap_or(0);
    let mut keys = derived(env)?;
    let current = keys.pop().ok_or_else(broken)?.verify_key();
    let until = env.gateway_generation.met(latest, env.now());
    Ok(GatewayKeys { current, previous: keys.pop().map(|key| (key.verify_key(), until)) })
}

/// Of the last two generations, the latest last.
fn derived(env: &Env) -> Result<Vec<SigningKey>, ActorError> {
    let held = env.sealing.now();
    let all: Vec<_> = held.generations().collect();
    let last = all.iter().skip(all.len().saturating_sub(2));
    last.map(|key| gateway_token::derive_key(key.expose(), key.generation()))
        .collect::<Result<_, CryptoError>>()
        .map_err(|_| broken())
}

fn broken() -> ActorError {
    ActorError::unavailable("KEY_BROKEN", "the cluster's sealing key cannot be used")
}
