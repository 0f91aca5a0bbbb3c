//! What waits to be handed over, and when to give up. Pure.
//!
//! Turns go round by tenant: a storm of one fills its own places, and others' go out between its.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use ocmt_types::{NoticeId, TenantId};

use super::Parcel;

/// Hand-overs at the same time: of letters, and of alerts to channels beside them.
const AT_ONCE: usize = 8;
const LETTERS: Bounds = Bounds { waiting: 10_000, of_one: 1_000, of_one_at_once: AT_ONCE };
/// How long an alert takes is its tenant's to choose.
const ALERTS: Bounds = Bounds { waiting: 8_192, of_one: 64, of_one_at_once: 1 };
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

/// What waits: letters, and alerts to channels. No letter ever stands behind an alert, and of each tenant one alert is on its
/// way at a time.
pub(super) struct Queues {
    letters: Queue,
    alerts: Queue,
}

impl Default for Queues {
    fn default() -> Self {
        Self { letters: Queue::new(LETTERS), alerts: Queue::new(ALERTS) }
    }
}

impl Queues {
    /// Takes a parcel in.
    pub(super) fn push(&mut self, attempt: Attempt) {
        if attempt.parcel.is_alert() {
            self.alerts.push(attempt);
        } else {
            self.letters.push(attempt);
        }
    }

    /// What may start now.
    pub(super) fn next(&mut self) -> Option<Attempt> {
        self.letters.next().or_else(|| self.alerts.next())
    }

    /// An attempt has ended.
    pub(super) fn ended(&mut self, notice: Option<(TenantId, NoticeId)>, is_alert: bool) {
        if is_alert { self.alerts.ended(notice) } else { self.letters.ended(notice) }
    }
}

/// How many.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// May wait. Past it the oldest of whoever has most are let go: stored notices come back by their timers.
    waiting: usize,
    /// The same of one tenant; past it its own oldest are.
    of_one: usize,
    /// Of one tenant on their way.
    of_one_at_once: usize,
}

/// Whose it is; of mails with tokens, nobody's.
type Whose = Option<TenantId>;

/// A queue in front of the carrier.
struct Queue {
    bounds: Bounds,
    waiting: BTreeMap<Whose, VecDeque<Attempt>>,
    count: usize,
    /// Each that has something waiting, once: whose turn is next.
    turns: VecDeque<Whose>,
    /// On their way.
    running: BTreeMap<Whose, usize>,
    /// Those that wait or run. The timer of one comes again while a slow carrier still has it.
    notices: BTreeSet<(TenantId, NoticeId)>,
}

impl Queue {
    fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            waiting: BTreeMap::new(),
            count: 0,
            turns: VecDeque::new(),
            running: BTreeMap::new(),
            notices: BTreeSet::new(),
        }
    }

    /// Takes a mail in; a notice that is on its way already is on its way once.
    fn push(&mut self, attempt: Attempt) {
        if attempt.parcel.notice.is_some_and(|notice| !self.notices.insert(notice)) {
            return;
        }
        let whose = attempt.tenant();
        let waiting = self.waiting.entry(whose).or_default();
        if waiting.is_empty() {
            self.turns.push_back(whose);
        }
        waiting.push_back(attempt);
        let too_many = whose.is_some() && waiting.len() > self.bounds.of_one;
        self.count += 1;
        if too_many {
            tracing::debug!(tenant = ?whose, "too many mails of a tenant wait, its oldest is let go");
            self.let_go(whose);
        } else if self.count > self.bounds.waiting {
            tracing::warn!(
                waiting = self.count,
                "too many mails wait, the oldest of whoever has most is let go"
            );
            let most = self.waiting.iter().max_by_key(|(_, waiting)| waiting.len());
            if let Some(whose) = most.map(|(whose, _)| *whose) {
                self.let_go(whose);
            }
        }
    }

    /// The oldest of this one.
    fn let_go(&mut self, whose: Whose) {
        let gone = self.pop(whose);
        if !self.waiting.contains_key(&whose) {
            self.turns.retain(|other| *other != whose);
        }
        self.forget(gone.and_then(|attempt| attempt.parcel.notice));
    }

    fn pop(&mut self, whose: Whose) -> Option<Attempt> {
        let waiting = self.waiting.get_mut(&whose)?;
        let first = waiting.pop_front()?;
        self.count -= 1;
        if waiting.is_empty() {
            self.waiting.remove(&whose);
        }
        Some(first)
    }

    /// The first whose turn it is and that may start now.
    fn next(&mut self) -> Option<Attempt> {
        if self.running.values().sum::<usize>() >= AT_ONCE {
            return None;
        }
        let most = self.bounds.of_one_at_once;
        let at = self
            .turns
            .iter()
            .position(|whose| self.running.get(whose).is_none_or(|running| *running < most))?;
        let whose = self.turns.remove(at)?;
        let attempt = self.pop(whose)?;
        if self.waiting.contains_key(&whose) {
            self.turns.push_back(whose);
        }
        *self.running.entry(whose).or_default() += 1;
        Some(attempt)
    }

    /// An attempt has ended: at a mail, or at this notice.
    fn ended(&mut self, notice: Option<(TenantId, NoticeId)>) {
        let whose = notice.map(|(tenant, _)| tenant);
        if let Some(running) = self.running.get_mut(&whose) {
            *running = running.saturating_sub(1);
            if *running == 0 {
                self.running.remove(&whose);
            }
        }
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
        let mut queue = Queue::new(LETTERS);
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
        let mut queue = Queue::new(LETTERS);
        let most = u64::try_from(LETTERS.of_one).unwrap_or(u64::MAX);
        for n in 1..=most + 1 {
            queue.push(notice(n));
        }
        queue.push(notice(1));
        assert_eq!(queue.count, LETTERS.of_one);
        let its = queue.waiting.values().flatten();
        assert!(its.filter(|attempt| attempt.parcel.notice == notice(1).parcel.notice).count() == 1);
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
    }

    #[test]
    fn a_storm_of_one_tenant_fills_its_own_places_and_others_go_out_between_its() {
        let mut queues = Queues::default();
        queues.push(alert(2, 0));
        for n in 1..=1_000 {
            queues.push(alert(1, n));
        }
        for n in 1..=5 {
            queues.push(alert(2, n));
        }
        let of = |queues: &Queues, tenant| {
            let whose = alert(tenant, 0).tenant();
            queues.alerts.waiting.get(&whose).map_or(0, VecDeque::len)
        };
        assert_eq!((of(&queues, 1), of(&queues, 2)), (ALERTS.of_one, 6), "the storm lets go of its own");
        let mut order = Vec::new();
        while let Some(next) = queues.next() {
            order.push(next.tenant());
            queues.ended(next.parcel.notice, true);
        }
        let second = alert(2, 0).tenant();
        let last = order.iter().rposition(|tenant| *tenant == second);
        assert_eq!(last, Some(10), "every other is of the tenant that has few");
        assert!(queues.alerts.waiting.is_empty() && queues.alerts.turns.is_empty());
        assert!(queues.alerts.notices.is_empty() && queues.alerts.running.is_empty());
        // of many tenants together there is a bound too
        for tenant in 0..400 {
            for n in 0..ALERTS.of_one as u64 {
                queues.push(alert(tenant, n));
            }
        }
        assert_eq!(queues.alerts.count, ALERTS.waiting);
        assert_eq!(queues.alerts.notices.len(), ALERTS.waiting);
    }

    #[test]
    fn letters_of_a_tenant_wait_behind_no_storm_of_anothers() {
        let mut queue = Queue::new(LETTERS);
        for n in 0..500 {
            queue.push(notice(n));
        }
        let (tenant, id) = (ocmt_store::testing::id(2), ocmt_store::testing::id(900));
        let body = MailBody::Notice { tenant, kind: "test".into(), facts: vec![], at: Timestamp(0) };
        let mail = Mail { id, to: "bob@example.com".into(), body };
        queue.push(Attempt::first(Parcel { mail, notice: Some((tenant, id)) }));
        let first: Vec<_> = std::iter::from_fn(|| queue.next()).map(|attempt| attempt.tenant()).collect();
        assert_eq!(first.len(), AT_ONCE);
        assert_eq!(first[1], Some(tenant));
    }
}
