//! Locked or unlocked: the pure state machine that decides what a call may do.
//!
//! `step(state, event, now) -> (state, effects)`; it holds no secret, does no I/O and reads no
//! clock. `now` is milliseconds of boot time, which goes on while the container is paused: a lease
//! that ended in a pause is over at the first tick after it.

/// Lease of an unlock whose payload names none: 30 minutes, in milliseconds.
pub const DEFAULT_LEASE_MS: u64 = 30 * 60 * 1000;
/// Longest lease, and longest extension from now, in milliseconds: what the payload's format allows.
pub const MAX_LEASE_MS: u64 = ocmt_crypto::unlock::MAX_LEASE_MS;

/// Where the cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// No secret in memory. An unlock payload is taken.
    #[default]
    Locked,
    /// One payload is being opened; no other is taken.
    Opening,
    /// Secrets are in memory until the lease ends.
    Unlocked {
        /// End of the lease, boot time in milliseconds.
        until_ms: u64,
    },
    /// The workload is being stopped and everything wiped; nothing is taken until that is done.
    Locking,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A sealed payload arrived.
    UnlockAsked,
    /// It opened; it asked for this lease (0: the default).
    UnlockOpened {
        /// Lease asked for, in milliseconds.
        lease_ms: u64,
    },
    /// It did not open, or what it names did not.
    UnlockFailed,
    /// An extension, already authenticated under the payload, asked for this much from now.
    ExtendAsked {
        /// Lease asked for, in milliseconds from now (0: the default).
        lease_ms: u64,
    },
    /// The user, the node or the stop of the container asked for the lock.
    LockAsked,
    /// Time has passed.
    Tick,
    /// The workload is stopped and everything wiped.
    Wiped,
}

/// What the caller of [`step`] has to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Open the payload, then report `UnlockOpened` or `UnlockFailed`.
    OpenPayload,
    /// Put the secrets in place, start the workload, arm the lease's timer.
    BeginLease,
    /// Arm the lease's timer anew.
    RenewLease,
    /// End channels, stop the workload, wipe, then report `Wiped`.
    Wipe,
}

/// Why an event is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It needs an unlocked cell.
    Locked,
    /// It needs a locked cell.
    NotLocked,
}

/// Decides. A refused event leaves the state as it is.
///
/// # Errors
/// [`Refusal`], when the event does not fit the state.
pub fn step(state: State, event: Event, now_ms: u64) -> Result<(State, Effect), Refusal> {
    let next = match (state, event) {
        (State::Locked, Event::UnlockAsked) => (State::Opening, Effect::OpenPayload),
        (_, Event::UnlockAsked) => return Err(Refusal::NotLocked),

        (State::Opening, Event::UnlockOpened { lease_ms }) => {
            (State::Unlocked { until_ms: lease_end(now_ms, lease_ms) }, Effect::BeginLease)
        }
        (State::Opening, Event::UnlockFailed) => (State::Locked, Effect::None),
        // a lock that came while the payload was being opened has won: what opened is dropped
        (other, Event::UnlockOpened { .. } | Event::UnlockFailed) => (other, Effect::None),

        (State::Unlocked { until_ms }, Event::ExtendAsked { .. }) if now_ms >= until_ms => {
            return Err(Refusal::Locked);
        }
        (State::Unlocked { .. }, Event::ExtendAsked { lease_ms }) => {
            (State::Unlocked { until_ms: lease_end(now_ms, lease_ms) }, Effect::RenewLease)
        }
        (_, Event::ExtendAsked { .. }) => return Err(Refusal::Locked),

        (State::Unlocked { .. } | State::Opening, Event::LockAsked) => (State::Locking, Effect::Wipe),
        (other, Event::LockAsked) => (other, Effect::None),

        (State::Unlocked { until_ms }, Event::Tick) if now_ms >= until_ms => (State::Locking, Effect::Wipe),
        (other, Event::Tick) => (other, Effect::None),

        (State::Locking, Event::Wiped) => (State::Locked, Effect::None),
        (other, Event::Wiped) => (other, Effect::None),
    };
    Ok(next)
}

/// End of a lease that begins now; bounded by [`MAX_LEASE_MS`].
fn lease_end(now_ms: u64, lease_ms: u64) -> u64 {
    let lease = if lease_ms == 0 { DEFAULT_LEASE_MS } else { lease_ms };
    now_ms.saturating_add(lease.min(MAX_LEASE_MS))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ALL: [State; 4] =
        [State::Locked, State::Opening, State::Unlocked { until_ms: 100 }, State::Locking];

    #[test]
    fn only_a_locked_cell_takes_a_payload() {
        for state in ALL {
            let answer = step(state, Event::UnlockAsked, 0);
            assert_eq!(answer.is_ok(), state == State::Locked, "{state:?}");
        }
    }

    #[test]
    fn a_failed_payload_leaves_the_cell_locked() {
        assert_eq!(step(State::Opening, Event::UnlockFailed, 5), Ok((State::Locked, Effect::None)));
    }

    #[test]
    fn a_lock_during_opening_wins_over_the_payload() {
        let (state, effect) = step(State::Opening, Event::LockAsked, 0).unwrap();
        assert_eq!((state, effect), (State::Locking, Effect::Wipe));
        assert_eq!(step(state, Event::UnlockOpened { lease_ms: 10 }, 1), Ok((State::Locking, Effect::None)));
    }

    #[test]
    fn the_lease_ends_by_itself_and_not_before() {
        let (state, _) = step(State::Opening, Event::UnlockOpened { lease_ms: 50 }, 100).unwrap();
        assert_eq!(step(state, Event::Tick, 149), Ok((state, Effect::None)));
        assert_eq!(step(state, Event::Tick, 150), Ok((State::Locking, Effect::Wipe)));
    }

    #[test]
    fn a_lease_is_30_minutes_when_none_is_named_and_a_week_at_most() {
        let lease = |lease_ms| step(State::Opening, Event::UnlockOpened { lease_ms }, 7).unwrap().0;
        assert_eq!(lease(0), State::Unlocked { until_ms: 7 + 1_800_000 });
        assert_eq!(lease(u64::MAX), State::Unlocked { until_ms: 7 + 7 * 86_400_000 });
    }

    #[test]
    fn an_extension_counts_from_now_and_comes_too_late_after_the_end() {
        let state = State::Unlocked { until_ms: 100 };
        assert_eq!(
            step(state, Event::ExtendAsked { lease_ms: 60 }, 99),
            Ok((State::Unlocked { until_ms: 159 }, Effect::RenewLease))
        );
        assert_eq!(step(state, Event::ExtendAsked { lease_ms: 60 }, 100), Err(Refusal::Locked));
        assert_eq!(step(State::Locked, Event::ExtendAsked { lease_ms: 60 }, 1), Err(Refusal::Locked));
    }

    #[test]
    fn a_cell_that_is_locking_takes_nothing_until_it_has_wiped() {
        assert_eq!(step(State::Locking, Event::UnlockAsked, 0), Err(Refusal::NotLocked));
        assert_eq!(step(State::Locking, Event::Wiped, 0), Ok((State::Locked, Effect::None)));
        assert_eq!(step(State::Locked, Event::Wiped, 0), Ok((State::Locked, Effect::None)));
    }
}
