//! What waits to be handed over, and when to give up. Pure.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use ocmt_types::{NoticeId, TenantId};

use super::Parcel;

/// Hand-overs at the same time.
const AT_ONCE: usize = 8;
/// Waiting mails; past it the oldest are let go (stored notices come back by their timers).
const MOST_WAITING: usize = 10_000;
const ATTEMPTS: u32 = 5;

/// A parcel and how often it was tried.
pub(crate) struct Attempt {
    pub(crate) parcel: Parcel,
    tried: u32,
}

impl Attempt {
    pub(super) fn first(parcel: Parcel) -> Self {
        Self { parcel, tried: 1 }
    }

    /// The attempt after this one and the time to wait before it; none after the last.
    pub(super) fn next(self) -> Option<(Self, Duration)> {
        let wait = Duration::from_secs(1 << self.tried);
        (self.tried < ATTEMPTS).then(|| (Self { tried: self.tried + 1, ..self }, wait))
    }
}

/// The queue in front of the carrier.
#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Attempt>,
    running: usize,
    /// Those that wait or run. The timer of one comes again while a slow carrier still has it.
    notices: BTreeSet<(TenantId, NoticeId)>,
}

impl Queue {
    /// Takes a mail in; a notice that is on its way already is on its way once.
    pub(super) fn push(&mut self, attempt: Attempt) {
        if attempt.parcel.notice.is_some_and(|notice| !self.notices.insert(notice)) {
            return;
        }
        if self.waiting.len() >= MOST_WAITING {
            tracing::warn!(waiting = self.waiting.len(), "too many mails wait, the oldest is let go");
            let gone = self.waiting.pop_front();
            self.forget(gone.and_then(|attempt| attempt.parcel.notice));
        }
        self.waiting.push_back(attempt);
    }

    /// What may start now.
    pub(super) fn next(&mut self) -> Option<Attempt> {
        if self.running >= AT_ONCE {
            return None;
        }
        let attempt = self.waiting.pop_front()?;
        self.running += 1;
        Some(attempt)
    }

    /// An attempt has ended: at a mail, or at this notice.
    pub(super) fn ended(&mut self, notice: Option<(TenantId, NoticeId)>) {
        self.running = self.running.saturating_sub(1);
        self.forget(notice);
    }

    fn forget(&mut self, notice: Option<(TenantId, NoticeId)>) {
        if let Some(notice) = notice {
            self.notices.remove(&notice);
        }
    }
}

#[cfg(test)]
mod tests {
    use ocmt_types::Timestamp;

    use super::*;
    use crate::ports::{Mail, MailBody};

    fn notice(n: u64) -> Attempt {
        let (tenant, id): (TenantId, NoticeId) = (ocmt_store::testing::id(1), ocmt_store::testing::id(n));
        let body = MailBody::Notice { tenant, kind: "test".into(), facts: vec![], at: Timestamp(0) };
        let mail = Mail { id, to: "ann@example.com".into(), body };
        Attempt::first(Parcel { mail, notice: Some((tenant, id)) })
    }

    #[test]
    fn a_notice_whose_timer_comes_again_is_on_its_way_once() {
        let mut queue = Queue::default();
        for n in [1, 1, 2] {
            queue.push(notice(n));
        }
        let first = queue.next();
        queue.push(notice(1));
        assert!(queue.next().is_some() && queue.next().is_none(), "two notices, each once");
        queue.ended(first.and_then(|attempt| attempt.parcel.notice));
        queue.push(notice(1));
        assert!(queue.next().is_some(), "it ended, and may be tried again");
    }

    #[test]
    fn a_notice_that_was_let_go_may_come_again() {
        let mut queue = Queue::default();
        let most = u64::try_from(MOST_WAITING).unwrap_or(u64::MAX);
        for n in 1..=most + 1 {
            queue.push(notice(n));
        }
        queue.push(notice(1));
        assert_eq!(queue.waiting.len(), MOST_WAITING);
        assert!(queue.waiting.iter().any(|attempt| attempt.parcel.notice == notice(1).parcel.notice));
    }
}
