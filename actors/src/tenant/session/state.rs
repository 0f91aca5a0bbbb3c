//! When a session is over. Pure.

use std::time::Duration;

use ocmt_crypto::ceremony::MAX_CEREMONY_MS;
use ocmt_store::tables::{Assurance, Session};
use ocmt_types::Timestamp;

use crate::{policy::TenantPolicy, tenant::session_row::is_of_recovery};

/// Streams that were dropped are noticed within this time.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// An actor without streams that nobody asked for so long is not worth its memory; the row stays.
const FORGET_AFTER: Duration = Duration::from_secs(600);
/// No recovery session outlives its ceremony.
const LONGEST_RECOVERY: Duration = Duration::from_millis(MAX_CEREMONY_MS);

/// What happens to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// Its token was shown: it is in use.
    Shown,
    /// Somebody ended it.
    Ended,
    /// The tenant's policy is another.
    Policy(TenantPolicy),
    /// Time has passed.
    Look,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Lives,
    /// It has ended; its streams end with it.
    Over,
    /// It goes on in its row; the actor is not needed.
    Forgettable,
}

/// The deadlines of one session.
#[derive(Debug, Clone)]
pub(super) struct LiveSession {
    created_at: Timestamp,
    seen_at: Timestamp,
    idle: Duration,
    expires_at: Timestamp,
    over: bool,
    /// For recovery alone: the row says when it ends, which an opened ceremony moves out; no stream needs an
    /// end told.
    recovery: bool,
    /// One factor alone: what its streams are worth ends when the policy wants a second one.
    one_factor: bool,
    /// No passkey was shown: the same when the policy wants one.
    no_passkey: bool,
}

impl LiveSession {
    pub(super) fn new(row: &Session, policy: &TenantPolicy) -> Self {
        let recovery = is_of_recovery(row);
        if recovery {
            let expires_at = row.created_at + LONGEST_RECOVERY;
            let (created_at, seen_at, over) = (row.created_at, row.seen_at, row.ended_at.is_some());
            let (idle, one_factor, no_passkey) = (LONGEST_RECOVERY, false, false);
            return Self { created_at, seen_at, idle, expires_at, over, recovery, one_factor, no_passkey };
        }
        Self {
            created_at: row.created_at,
            seen_at: row.seen_at,
            idle: policy.session_idle(),
            expires_at: row.expires_at.min(row.created_at + policy.session_absolute()),
            over: row.ended_at.is_some(),
            recovery,
            one_factor: row.assurance == Assurance::Link,
            no_passkey: !row.passkey,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// One step; `streams` are open now. An open stream is not use: only frames and calls are.
    pub(super) fn step(&mut self, event: Event, now: Timestamp, streams: usize) -> Verdict {
        self.over |= now >= self.expires_at || now.since(self.seen_at) >= self.idle;
        match event {
            Event::Shown if !self.over => self.seen_at = self.seen_at.max(now),
            Event::Shown | Event::Look => {}
            Event::Ended => self.over = true,
            Event::Policy(_) if self.recovery => {}
            Event::Policy(policy) => {
                self.idle = policy.session_idle();
                self.expires_at = self.expires_at.min(self.created_at + policy.session_absolute());
                self.over |= now >= self.expires_at || now.since(self.seen_at) >= self.idle;
                self.over |= self.one_factor && policy.require_mfa;
                self.over |= self.no_passkey && policy.require_passkey;
            }
        }
        if self.over {
            return Verdict::Over;
        }
        if streams == 0 && now.since(self.seen_at) >= FORGET_AFTER {
            Verdict::Forgettable
        } else {
            Verdict::Lives
        }
    }

    /// When to look again at the latest.
    pub(super) fn next_look(&self, now: Timestamp) -> Timestamp {
        self.expires_at.min(self.seen_at + self.idle).min(now + LOOK_EVERY)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::{Digest32, Id as _, SessionId, TenantId, UserId};

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn session() -> LiveSession {
        let row = Session {
            tenant_id: TenantId::from_bytes([1; 16]),
            session_id: SessionId::from_bytes([2; 16]),
            user_id: UserId::from_bytes([3; 16]),
            token_hash: Digest32([0; 32]),
            assurance: Assurance::Link,
            client: String::new(),
            created_at: Timestamp(0),
            authenticated_at: Timestamp(0),
            seen_at: Timestamp(0),
            idle_expires_at: Timestamp(HOUR),
            expires_at: Timestamp(24 * HOUR),
            ended_at: None,
            address: None,
            passkey: false,
        };
        LiveSession::new(&row, &TenantPolicy::default())
    }

    #[test]
    fn s3_use_extends_the_idle_limit_and_never_the_absolute_one() {
        let mut live = session();
        for hour in 0..47 {
            assert_eq!(live.step(Event::Shown, Timestamp(hour * HOUR / 2 + 1), 1), Verdict::Lives);
        }
        assert_eq!(live.step(Event::Shown, Timestamp(24 * HOUR), 1), Verdict::Over);
    }

    #[test]
    fn s3_an_unused_session_ends_although_a_stream_is_open() {
        let mut live = session();
        assert_eq!(live.step(Event::Look, Timestamp(HOUR - 1), 1), Verdict::Lives);
        assert_eq!(live.step(Event::Look, Timestamp(HOUR), 1), Verdict::Over);
        assert_eq!(live.step(Event::Shown, Timestamp(HOUR + 1), 1), Verdict::Over);
    }

    #[test]
    fn an_ended_session_stays_ended() {
        let mut live = session();
        assert_eq!(live.step(Event::Ended, Timestamp(1), 0), Verdict::Over);
        assert_eq!(live.step(Event::Shown, Timestamp(2), 0), Verdict::Over);
    }

    #[test]
    fn a_policy_that_wants_a_second_factor_ends_the_streams_of_one_factor() {
        let policy = TenantPolicy { require_mfa: true, ..TenantPolicy::default() };
        let mut live = session();
        assert_eq!(live.step(Event::Policy(policy.clone()), Timestamp(1), 1), Verdict::Over);
        let mut live = LiveSession { one_factor: false, ..session() };
        assert_eq!(live.step(Event::Policy(policy), Timestamp(1), 1), Verdict::Lives);
    }

    #[test]
    fn a_shorter_policy_applies_to_live_sessions() {
        let mut live = session();
        let policy = TenantPolicy { session_idle_ms: HOUR / 4, ..TenantPolicy::default() };
        assert_eq!(live.step(Event::Policy(policy), Timestamp(HOUR / 2), 0), Verdict::Over);
    }
}
