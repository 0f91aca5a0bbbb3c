//! What waits to be handed over, and when to give up. Pure.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use ocmt_types::{NoticeId, TenantId};

use super::Parcel;

/// Hand-overs at the same time: of letters, and of alerts to channels beside them.
const AT_ONCE: usize = 8;
/// Waiting alerts; past it the oldest are let go, and come back by their timers.
const MOST_ALERTS: usize = 2_000;
/// Waiting mails; past it the oldest are let go (stored notices come back by their timers).
const MOST_WAITING: usize = 10_000;
const ATTEMPTS: u32 = 5;

/// A parcel and how often it was tried.
pub(crate) struct Attempt {
    pub(crate) parcel: Parcel,
    tried: u32,
}

impl Attempt {
    fn tenant(&self) -> Option<TenantId> {
        self.parcel.notice.map(|(tenant, _)| tenant)
    }

    pub(super) fn first(parcel: Parcel) -> Self {
        Self { parcel, tried: 1 }
    }

    /// The attempt after this one and the time to wait before it; none after the last.
    pub(super) fn next(self) -> Option<(Self, Duration)> {
        let wait = Duration::from_secs(1 << self.tried);
        (self.tried < ATTEMPTS).then(|| (Self { tried: self.tried + 1, ..self }, wait))
    }
}

/// What waits: letters, and alerts to channels. How long an alert takes is its tenant's to choose, so no letter ever stands
/// behind one, and of each tenant one is on its way at a time.
#[derive(Default)]
pub(super) struct Queues {
    letters: Queue,
    alerts: Queue,
    /// Tenants with an alert on its way.
    telling: BTreeSet<TenantId>,
}

impl Queues {
    /// Takes a parcel in.
    pub(super) fn push(&mut self, attempt: Attempt) {
        if attempt.parcel.is_alert() {
            self.alerts.push(attempt, MOST_ALERTS);
        } else {
            self.letters.push(attempt, MOST_WAITING);
        }
    }

    /// What may start now.
    pub(super) fn next(&mut self) -> Option<Attempt> {
        if let Some(letter) = self.letters.next(|_| true) {
            return Some(letter);
        }
        let telling = &self.telling;
        let alert =
            self.alerts.next(|attempt| attempt.tenant().is_none_or(|tenant| !telling.contains(&tenant)))?;
        self.telling.extend(alert.tenant());
        Some(alert)
    }

    /// An attempt has ended.
    pub(super) fn ended(&mut self, notice: Option<(TenantId, NoticeId)>, is_alert: bool) {
        if !is_alert {
            return self.letters.ended(notice);
        }
        if let Some((tenant, _)) = notice {
            self.telling.remove(&tenant);
        }
        self.alerts.ended(notice);
    }
}

/// A queue in front of the carrier.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Attempt>,
    running: usize,
    /// Those that wait or run. The timer of one comes again while a slow carrier still has it.
    notices: BTreeSet<(TenantId, NoticeId)>,
}

impl Queue {
    /// Takes a mail in; a notice that is on its way already is on its way once.
    fn push(&mut self, attempt: Attempt, most: usize) {
        if attempt.parcel.notice.is_some_and(|notice| !self.notices.insert(notice)) {
            return;
        }
        if self.waiting.len() >= most {
            tracing::warn!(waiting = self.waiting.len(), "too many mails wait, the oldest is let go");
            let gone = self.waiting.pop_front();
            self.forget(gone.and_then(|attempt| attempt.parcel.notice));
        }
        self.waiting.push_back(attempt);
    }

    /// The first that may start now.
    fn next(&mut self, may: impl Fn(&Attempt) -> bool) -> Option<Attempt> {
        if self.running >= AT_ONCE {
            return None;
        }
        let at = self.waiting.iter().position(may)?;
        let attempt = self.waiting.remove(at)?;
        self.running += 1;
        Some(attempt)
    }

    /// An attempt has ended: at a mail, or at this notice.
    fn ended(&mut self, notice: Option<(TenantId, NoticeId)>) {
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
    use ocmt_types::{Secret, Timestamp};

    use super::*;
    use crate::{
        api::alert::{Alert, AlertKind, AlertTarget, Severity},
        ports::{Mail, MailBody},
    };

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
            queue.push(notice(n), MOST_WAITING);
        }
        let first = queue.next(|_| true);
        queue.push(notice(1), MOST_WAITING);
        assert!(queue.next(|_| true).is_some() && queue.next(|_| true).is_none(), "two notices, each once");
        queue.ended(first.and_then(|attempt| attempt.parcel.notice));
        queue.push(notice(1), MOST_WAITING);
        assert!(queue.next(|_| true).is_some(), "it ended, and may be tried again");
    }

    #[test]
    fn a_notice_that_was_let_go_may_come_again() {
        let mut queue = Queue::default();
        let most = u64::try_from(MOST_WAITING).unwrap_or(u64::MAX);
        for n in 1..=most + 1 {
            queue.push(notice(n), MOST_WAITING);
        }
        queue.push(notice(1), MOST_WAITING);
        assert_eq!(queue.waiting.len(), MOST_WAITING);
        assert!(queue.waiting.iter().any(|attempt| attempt.parcel.notice == notice(1).parcel.notice));
    }

    fn alert(tenant: u64, n: u64) -> Attempt {
        let (tenant, id): (TenantId, NoticeId) =
            (ocmt_store::testing::id(tenant), ocmt_store::testing::id(n));
        let target = AlertTarget {
            kind: AlertKind::Slack,
            target: Secret::new("https://hooks.example.org".to_owned()),
            secret: None,
        };
        let (action, severity, at) = ("test".to_owned(), Severity::Info, Timestamp(0));
        let alert = Alert { id, tenant, action, severity, facts: Vec::new(), at };
        let body = MailBody::Alert { target: Box::new(target), alert: Box::new(alert) };
        Attempt::first(Parcel { mail: Mail { id, to: String::new(), body }, notice: Some((tenant, id)) })
    }

    #[test]
    fn no_letter_stands_behind_alerts_and_no_tenant_behind_anothers() {
        let mut queues = Queues::default();
        for n in 0..1_000 {
            queues.push(alert(1, n));
        }
        queues.push(alert(2, 5_000));
        let on_their_way: Vec<_> = std::iter::from_fn(|| queues.next()).collect();
        assert_eq!(on_their_way.len(), 2, "one of each tenant");
        queues.push(notice(1));
        assert!(queues.next().is_some_and(|attempt| !attempt.parcel.is_alert()), "a letter goes at once");
        queues.ended(on_their_way[0].parcel.notice, true);
        assert!(queues.next().is_some(), "the next of the same tenant");
        for n in 0..2_010 {
            queues.push(alert(3, n));
        }
        assert!(queues.alerts.waiting.len() <= MOST_ALERTS);
    }
}
