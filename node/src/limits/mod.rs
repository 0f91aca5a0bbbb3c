//! How often who may do what. What each limit counts, and what becomes of it when nobody counts, is in [`class`];
//! docs/security/limits.md shows it.
//!
//! Once for all nodes in Redis (`gcra.lua`), or by each node for itself: an address at the node that it came to, a
//! principal at the node that authenticates it, each call once. What a tenant may do at once and within a minute its own actor counts (`ocmt_actors::Quota`).

pub mod class;
mod local;
pub mod methods;
mod redis;
pub mod tally;
mod wishes;

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use data_encoding::HEXLOWER;
use ocmt_actors::{ActorError, Caller};
use ocmt_types::{Clock, SessionId};
use sha2::{Digest as _, Sha256};

pub use class::Class;
use class::{BackOff, Fails};
use local::Local;
use redis::Redis;
pub use wishes::Wish;
use wishes::Wishes;

use crate::{
    config::{self, Rates},
    server::network,
};

/// After which a call may be repeated that nobody could count.
const RETRY: Duration = Duration::from_secs(1);

/// One limit in figures.
#[derive(Debug, Clone, Copy)]
struct Step {
    most: NonZeroU32,
    /// After which one more is given.
    period: Duration,
    back_off: Option<BackOff>,
}

impl Step {
    fn whole(&self) -> Duration {
        self.period.saturating_mul(self.most.get())
    }

    /// What the script is told.
    fn args(&self) -> Vec<i64> {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let (first, longest) = self.back_off.map_or((0, 0), |it| (micros(it.first), micros(it.longest)));
        vec![micros(self.period), i64::from(self.most.get()), first, longest]
    }
}

/// What one count came to.
#[derive(Debug, Clone, Copy)]
struct Count {
    left: u32,
    /// How long to wait for the next, if this one was one too many.
    wait: Option<Duration>,
    /// Until all is given back.
    full: Duration,
}

/// Who is counted. Made of what a caller cannot make up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

impl Subject {
    /// An address; of IPv6 its /64.
    pub fn address(address: IpAddr) -> Self {
        Self(format!("a:{}", network(address)))
    }

    /// Whoever wishes for letters to this (normalised) e-mail address from there. Redis learns its hash.
    pub fn account(email: &str, address: Option<IpAddr>) -> Self {
        let from = address.map(|address| network(address).to_string()).unwrap_or_default();
        Self(format!("e:{}:{from}", HEXLOWER.encode(&Sha256::digest(email))))
    }

    /// A session that a gateway token is of: the same as the session itself.
    pub fn session(session: SessionId) -> Self {
        Self(format!("s:{session}"))
    }

    /// Somebody who was authenticated: each session, program and API key by itself.
    pub fn principal(caller: &Caller) -> Self {
        match caller.user() {
            Some(who) => Self::session(who.session),
            None => Self(format!("p:{}", caller.label())),
        }
    }

    /// The key of one limit. What stands in braces decides which server of a Redis cluster has it.
    fn key(&self, class: Class) -> String {
        format!("ocmt:{{{}}}:{}", self.0, class.name())
    }
}

/// Where somebody stands with a limit, for the headers of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which limit.
    pub class: Class,
    /// Its size.
    pub most: u32,
    /// Within how long it is given back.
    pub within: Duration,
    /// What is left.
    pub left: u32,
    /// Until all is given back.
    pub full: Duration,
    /// How long to wait, if it was one too many.
    pub wait: Option<Duration>,
}

/// What became of calls, by limit.
#[derive(Debug, Default)]
pub struct Decisions {
    /// Within it.
    pub admitted: AtomicU64,
    /// Past it.
    pub refused: AtomicU64,
    /// Nobody could count, and the call was refused.
    pub closed: AtomicU64,
    /// Nobody could count for all nodes, and this one did.
    pub local: AtomicU64,
}

/// The limits of one node. Cheap to clone.
#[derive(Clone)]
pub struct Limiter(Arc<Inner>);

struct Inner {
    redis: Option<Redis>,
    limits: [Limit; Class::ALL.len()],
    wishes: Wishes,
}

struct Limit {
    class: Class,
    step: Step,
    local: Local,
    decisions: Decisions,
}

impl Limiter {
    /// These limits, counted in Redis if there is one.
    ///
    /// # Errors
    /// What is wrong with the settings of Redis. That it does not answer is none.
    pub fn open(rates: &Rates, redis: &config::Redis, clock: &Arc<dyn Clock>) -> Result<Self, String> {
        let limits = Class::ALL.map(|class| {
            let rate = class.rate(rates);
            let step = Step { most: rate.most, period: rate.period(), back_off: class.back_off() };
            Limit { class, step, local: Local::new(step, clock.clone()), decisions: Decisions::default() }
        });
        let redis = (!redis.url.is_empty()).then(|| Redis::open(redis, clock.clone())).transpose()?;
        Ok(Self(Arc::new(Inner { redis, limits, wishes: Wishes::new(clock.clone()) })))
    }

    /// Counts one more of it, by all nodes together where there is a way.
    ///
    /// # Errors
    /// [`ActorError::Unavailable`] if nobody can count, and the limit is one that is closed then.
    pub async fn count(&self, class: Class, subject: &Subject) -> Result<Standing, ActorError> {
        let Some(limit) = self.limit(class) else { return Err(unreachable_now()) };
        let redis = self.0.redis.as_ref().filter(|_| class.fails() != Fails::Never);
        let Some(redis) = redis else { return Ok(limit.here(subject)) };
        match (redis.count(&subject.key(class), &limit.step).await, class.fails()) {
            (Some(count), _) => Ok(limit.standing(count)),
            (None, Fails::Closed) => {
                limit.decisions.closed.fetch_add(1, Ordering::Relaxed);
                Err(unreachable_now())
            }
            (None, Fails::Local | Fails::Never) => {
                limit.decisions.local.fetch_add(1, Ordering::Relaxed);
                Ok(limit.here(subject))
            }
        }
    }

    /// Counts a request of this address at this node.
    ///
    /// # Errors
    /// [`ActorError::ResourceExhausted`].
    pub fn request_of(&self, address: IpAddr) -> Result<(), ActorError> {
        let Some(limit) = self.limit(Class::Requests) else { return Ok(()) };
        limit.here(&Subject::address(address)).refusal().map_or(Ok(()), Err)
    }

    /// What became of the calls of each limit since the start.
    pub fn decisions(&self) -> impl Iterator<Item = (Class, &Decisions)> {
        self.0.limits.iter().map(|limit| (limit.class, &limit.decisions))
    }

    /// Leaves Redis.
    pub async fn close(&self) {
        if let Some(redis) = &self.0.redis {
            redis.close().await;
        }
    }

    fn limit(&self, class: Class) -> Option<&Limit> {
        self.0.limits.iter().find(|limit| limit.class == class)
    }
}

impl Limit {
    fn here(&self, subject: &Subject) -> Standing {
        self.standing(self.local.count(&subject.0))
    }

    fn standing(&self, count: Count) -> Standing {
        let decided = if count.wait.is_some() { &self.decisions.refused } else { &self.decisions.admitted };
        decided.fetch_add(1, Ordering::Relaxed);
        Standing {
            class: self.class,
            most: self.step.most.get(),
            within: self.step.whole(),
            left: count.left,
            full: count.full,
            wait: count.wait,
        }
    }
}

impl Standing {
    /// The answer, if it was one too many.
    pub fn refusal(&self) -> Option<ActorError> {
        self.wait.map(|wait| ActorError::ResourceExhausted {
            reason: "RATE_LIMITED",
            why: format!("too many calls of the limit `{}`: wait before you try again", self.class.name()),
            retry_after: Some(wait),
        })
    }
}

fn unreachable_now() -> ActorError {
    ActorError::Unavailable {
        reason: "LIMITS_UNREACHABLE",
        why: "the limits of this cluster cannot be counted now, and nothing was done: repeat".to_owned(),
        retry_after: Some(RETRY),
    }
}
