//! What `ocmt security audit` would say of this node, as far as the node can look at itself.
//!
//! A look asks after every tenant and may take long, so it is made behind the pages: one at a time, for all who wait for it. A page
//! waits a little. Where that is not enough it shows the look before, and says so. One that was cut off, or broke, has found nothing
//! out: what was found before it stays, with a line that says so.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{extract::State, http::StatusCode, response::Response};
use ocmt_types::{Clock, Timestamp};
use tokio::{sync::watch, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::{answer::html, frame::Frame, view::at},
    Console,
    at::At,
    view::{Findings, OneFinding},
};
use crate::{
    security::{self, Report, Severity},
    tasks,
};

/// How long a look is good after it ended: files are read for it, and the database is asked.
const FRESH: Duration = Duration::from_secs(60);
/// How long a page waits for a look that is being made.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest look.
const LONGEST: Duration = Duration::from_secs(600);
/// Said of a look that took longer.
const CUT_OFF: &str = "it took longer than ten minutes: run `ocmt security audit` on the node's machine";
/// Said of one that panicked.
const BROKE: &str = "it broke, and the node's log says how: run `ocmt security audit` on its machine";
/// What such a look is a look at.
const ALL: &str = "the last look";
/// Most findings of a page, the worst: each tenant may have some.
const MOST: usize = 200;

/// The last look, and the one that is being made.
#[derive(Default)]
pub(super) struct Looked(Mutex<Looks>);

#[derive(Default)]
struct Looks {
    last: Option<Look>,
    running: Option<Running>,
}

/// What was found. Some of it is as old as its beginning.
#[derive(Clone)]
struct Look {
    /// When that which was found began to be looked for; none if nothing was looked at to the end yet.
    began: Option<Timestamp>,
    /// When it ended, or another one that found nothing out.
    ended: Timestamp,
    report: Arc<Report>,
}

/// How one ended.
#[derive(Clone)]
enum Ended {
    Whole(Arc<Report>),
    /// Why it was not.
    Short(&'static str),
}

/// Ends with the console.
struct Running {
    began: Timestamp,
    clock: Arc<dyn Clock>,
    done: watch::Receiver<Option<(Ended, Timestamp)>>,
    _task: AbortOnDropHandle<()>,
}

/// What there is to show.
struct Seen {
    last: Option<Look>,
    /// Since when another look is being made.
    running: Option<Timestamp>,
}

impl Looked {
    /// The last look if it is good still, else the one that is made with `make`, by whoever asked for it first. After `patience` what
    /// there is by then.
    async fn look<F>(&self, clock: &Arc<dyn Clock>, patience: Duration, make: impl FnOnce() -> F) -> Seen
    where
        F: Future<Output = Report> + Send + 'static,
    {
        if let Some(mut done) = self.made(clock, make) {
            let _ = timeout(patience, done.wait_for(Option::is_some)).await;
        }
        let mut looks = self.lock();
        looks.settle();
        Seen { last: looks.last.clone(), running: looks.running.as_ref().map(|running| running.began) }
    }

    /// What tells of the look that is being made; none if the last is good still.
    fn made<F>(
        &self,
        clock: &Arc<dyn Clock>,
        make: impl FnOnce() -> F,
    ) -> Option<watch::Receiver<Option<(Ended, Timestamp)>>>
    where
        F: Future<Output = Report> + Send + 'static,
    {
        let mut looks = self.lock();
        looks.settle();
        let now = clock.now();
        let good = |last: &Look| last.ended <= now && now.since(last.ended) < FRESH;
        if looks.running.is_none() && looks.last.as_ref().is_some_and(good) {
            return None;
        }
        let running = looks.running.get_or_insert_with(|| Running::begin(clock.clone(), make()));
        Some(running.done.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Looks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Looks {
    /// One that is being made is the last once it has ended.
    fn settle(&mut self) {
        let Some(running) = &self.running else { return };
        // looked at first: whatever it says, it says before it goes
        let gone = running.done.has_changed().is_err();
        let said = running.done.borrow().clone();
        let Some((how, ended)) = said.or_else(|| gone.then(|| (Ended::Short(BROKE), running.clock.now())))
        else {
            return;
        };
        self.last = Some(match how {
            Ended::Whole(report) => Look { began: Some(running.began), ended, report },
            Ended::Short(why) => self.last.take().unwrap_or_else(Look::none).kept(why, ended),
        });
        self.running = None;
    }
}

impl Look {
    /// The one before the first.
    fn none() -> Self {
        Self { began: None, ended: Timestamp(0), report: Arc::default() }
    }

    /// The same after one that was not looked to the end.
    fn kept(self, why: &'static str, ended: Timestamp) -> Self {
        let mut report = Report::clone(&self.report);
        report.unchecked.retain(|one| one.check != ALL);
        report.could_not(ALL, why);
        Self { ended, report: Arc::new(report), ..self }
    }
}

impl Running {
    fn begin(clock: Arc<dyn Clock>, look: impl Future<Output = Report> + Send + 'static) -> Self {
        let (tell, done) = watch::channel(None);
        let (began, now) = (clock.now(), clock.clone());
        let task = tasks::spawn(async move {
            let how = match timeout(LONGEST, look).await {
                Ok(report) => Ended::Whole(Arc::new(report)),
                Err(_) => Ended::Short(CUT_OFF),
            };
            tell.send_replace(Some((how, now.now())));
        });
        Self { began, clock, done, _task: AbortOnDropHandle::new(task) }
    }
}

/// The findings, the worst first.
pub(super) async fn show(State(console): State<Console>, who: At) -> Response {
    let ground = &console.ground;
    let make = || {
        let (config, clock) = (ground.config.clone(), ground.clock.clone());
        async move { Box::pin(security::audit_from_within(&config, &clock)).await }
    };
    let Seen { last, running } = console.looked.look(&ground.clock, PATIENCE, make).await;
    let (frame, report) = (who.frame(), last.as_ref().map(|last| last.report.clone()).unwrap_or_default());
    let findings = report.findings.iter().take(MOST).map(|one| OneFinding {
        severity: severity(&frame, one.severity),
        rule: one.rule,
        place: one.place.clone(),
        what: one.what.clone(),
        why: one.why,
        mend: one.mend.clone(),
    });
    let page = Findings {
        findings: findings.collect(),
        left_out: report.findings.len().saturating_sub(MOST),
        unchecked: report.unchecked.iter().map(|one| format!("{}: {}", one.check, one.why)).collect(),
        passed: report.passed.len(),
        node: ground.node.to_string(),
        at: last.and_then(|last| last.began).map(at).unwrap_or_default(),
        running: running.map(at).unwrap_or_default(),
        frame,
    };
    html(StatusCode::OK, &page, [])
}

fn severity(frame: &Frame, severity: Severity) -> String {
    let said = match severity {
        Severity::Critical => frame.say("finding.critical"),
        Severity::High => frame.say("finding.high"),
        Severity::Medium => frame.say("finding.medium"),
        Severity::Low => frame.say("finding.low"),
    };
    said.to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use askama::Template as _;
    use ocmt_types::ManualClock;
    use tokio::sync::oneshot;

    use super::{super::super::hostile, *};

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(60);

    /// Looks, counted, of which the first ends when it is told to and each passes as many checks as there were looks.
    struct Table {
        looked: Looked,
        clock: ManualClock,
        made: Arc<AtomicUsize>,
    }

    impl Table {
        fn set() -> Self {
            let clock = ManualClock::at(Timestamp(1_000_000));
            Self { looked: Looked::default(), clock, made: Arc::default() }
        }

        async fn ask(&self, patience: Duration, ends: Option<oneshot::Receiver<()>>) -> Seen {
            let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
            let made = self.made.clone();
            let make = move || async move {
                let count = made.fetch_add(1, Ordering::SeqCst) + 1;
                if let Some(ends) = ends {
                    ends.await.unwrap();
                }
                Report { passed: vec!["one"; count], ..Report::default() }
            };
            self.looked.look(&clock, patience, make).await
        }
    }

    fn passed(seen: &Seen) -> usize {
        seen.last.as_ref().unwrap().report.passed.len()
    }

    #[tokio::test]
    async fn who_comes_while_one_looks_waits_for_the_same_look_and_no_longer_than_they_like() {
        let table = Table::set();
        let (end, ends) = oneshot::channel();
        let first = table.ask(Duration::ZERO, Some(ends)).await;
        assert!(first.last.is_none() && first.running == Some(Timestamp(1_000_000)));
        // nobody is kept by it, and it goes on without whoever asked for it
        let second = table.ask(Duration::ZERO, None).await;
        assert!(second.last.is_none() && second.running == Some(Timestamp(1_000_000)));
        table.clock.advance(Duration::from_secs(30));
        let waits = table.ask(LONG, None);
        end.send(()).unwrap();
        let third = waits.await;
        assert_eq!((passed(&third), third.running), (1, None));
        assert_eq!(third.last.unwrap().began, Some(Timestamp(1_000_000)), "it is as old as its beginning");
        assert_eq!(table.made.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn an_older_look_is_shown_with_the_word_that_another_is_made() {
        let table = Table::set();
        assert_eq!(passed(&table.ask(LONG, None).await), 1);
        table.clock.advance(FRESH - Duration::from_secs(1));
        let same = table.ask(LONG, None).await;
        assert_eq!((passed(&same), same.running), (1, None), "it is good for a minute");
        table.clock.advance(Duration::from_secs(1));
        let (end, ends) = oneshot::channel();
        let older = table.ask(Duration::ZERO, Some(ends)).await;
        assert_eq!((passed(&older), older.running), (1, Some(Timestamp(1_060_000))));
        end.send(()).unwrap();
        let newer = table.ask(LONG, None).await;
        assert_eq!((passed(&newer), newer.running), (2, None));
    }

    #[test]
    fn that_nothing_was_found_is_said_only_where_all_was_looked_at() {
        let says_so = |at: &str, unchecked: &[&str]| {
            let frame = hostile::frame();
            let page = Findings {
                frame,
                node: String::new(),
                at: at.to_owned(),
                running: String::new(),
                findings: Vec::new(),
                left_out: 0,
                unchecked: unchecked.iter().map(|one| (*one).to_owned()).collect(),
                passed: 1,
            };
            page.render().unwrap().contains(frame.say("finding.none"))
        };
        assert!(says_so("today", &[]));
        assert!(!says_so("today", &[CUT_OFF]) && !says_so("", &[]));
    }

    fn unchecked(seen: &Seen) -> Vec<&str> {
        seen.last.as_ref().unwrap().report.unchecked.iter().map(|one| one.why.as_str()).collect()
    }

    #[tokio::test]
    async fn a_look_that_breaks_says_so_and_is_made_anew() {
        let table = Table::set();
        let breaks = || {
            let (end, ends) = oneshot::channel();
            drop(end);
            Some(ends)
        };
        let first = table.ask(LONG, breaks()).await;
        assert_eq!((unchecked(&first), first.running), (vec![BROKE], None));
        assert_eq!(first.last.unwrap().began, None, "nothing was looked at");
        table.clock.advance(FRESH);
        let whole = table.ask(LONG, None).await;
        assert_eq!((passed(&whole), unchecked(&whole)), (2, vec![]));
        let began = whole.last.unwrap().began;
        for _ in 0..2 {
            table.clock.advance(FRESH);
            let kept = table.ask(LONG, breaks()).await;
            assert_eq!((passed(&kept), unchecked(&kept), kept.running), (2, vec![BROKE], None));
            assert_eq!(kept.last.unwrap().began, began, "it is as old as it is");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_is_cut_off_takes_nothing_back_of_what_was_found() {
        let table = Table::set();
        assert_eq!(passed(&table.ask(LONG, None).await), 1);
        table.clock.advance(FRESH);
        let (_end, never) = oneshot::channel();
        let kept = table.ask(LONGEST * 2, Some(never)).await;
        assert_eq!((passed(&kept), unchecked(&kept), kept.running), (1, vec![CUT_OFF], None));
        assert_eq!(kept.last.unwrap().began, Some(Timestamp(1_000_000)));
    }
}
