//! Whether the database answers, as all callers together see it.
//!
//! One caller that waits proves nothing: it may wait for a lock. A database that answers nobody, and not even a
//! question for which nothing has to be waited for, is lost. From then on nobody waits for it: those who do are
//! told at once, and of those who come one now and then gives it a short chance. Without this a caller in the
//! middle of a transaction would wait for as long as a lawful wait for a lock may last, and callers that wait for
//! each other, as those of one tenant do, would add their waits up.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ocmt_types::{Clock as _, SystemClock};
use sqlx::{Connection as _, PgPool};
use tokio::{sync::watch, time::timeout};

use super::PgTimes;

/// Shared by all who use one database; clones are the same.
#[derive(Clone)]
pub(super) struct Pulse(Arc<Inner>);

/// Nobody tries a lost database for so long after it was lost, or after a try.
const REST: Duration = Duration::from_millis(250);

struct Inner {
    answers: AtomicU64,
    lost: watch::Sender<bool>,
    /// When it may be tried again, in milliseconds of boot time.
    next_try: AtomicU64,
    times: PgTimes,
}

impl Pulse {
    pub(super) fn new(times: PgTimes) -> Self {
        let lost = watch::Sender::new(false);
        Self(Arc::new(Inner { answers: AtomicU64::new(0), lost, next_try: AtomicU64::new(0), times }))
    }

    /// Takes note of an outcome that somebody had: of the database itself, or of the way to it.
    pub(super) fn note<T>(&self, outcome: &Result<T, sqlx::Error>) {
        if matches!(outcome, Ok(_) | Err(sqlx::Error::Database(_))) {
            self.beat();
        }
    }

    /// The database has answered somebody.
    pub(super) fn beat(&self) {
        self.0.answers.fetch_add(1, Ordering::Relaxed);
        if self.is_lost() {
            self.0.lost.send_replace(false);
        }
    }

    /// Whether it was lost when last asked.
    pub(super) fn is_lost(&self) -> bool {
        *self.0.lost.borrow()
    }

    /// Whether to turn to it now: of a lost one, one caller at a time, with a rest after each.
    pub(super) fn may_try(&self) -> bool {
        if !self.is_lost() {
            return true;
        }
        let (now, due) = (now_ms(), self.0.next_try.load(Ordering::Relaxed));
        let next = now.saturating_add(ms(self.0.times.sign_of_life + REST));
        // of those who come at the same time one wins
        now >= due
            && self.0.next_try.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn lose(&self) {
        self.0.next_try.store(now_ms().saturating_add(ms(REST)), Ordering::Relaxed);
        self.0.lost.send_replace(true);
    }

    /// Ready once it is lost.
    pub(super) async fn loss(&self) {
        // the sender lives as long as `self`, so this ends with a yes
        let _ = self.0.lost.subscribe().wait_for(|lost| *lost).await;
    }

    /// Puts a question that waits for no lock: the answer, or none after [`PgTimes::sign_of_life`]. If nobody
    /// else had an answer in that time either, the database is lost.
    pub(super) async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Option<Result<T, sqlx::Error>> {
        let outcome = self.wait(self.0.times.sign_of_life, question).await;
        outcome.inspect(|outcome| self.note(outcome))
    }

    /// Waits for so long. Where that was in vain, and nobody had an answer meanwhile, the database is lost.
    pub(super) async fn wait<T>(&self, patience: Duration, work: impl Future<Output = T>) -> Option<T> {
        let before = self.answers();
        let done = timeout(patience, work).await.ok();
        if done.is_none() && self.answers() == before {
            self.lose();
        }
        done
    }

    /// Ready once a caller who waits for the answer to a statement waits in vain: somebody else has found the
    /// database lost, or nobody has had an answer for a while and `probe` has none either.
    pub(super) async fn in_vain(&self, probe: &PgPool) {
        tokio::select! {
            () = self.loss() => {}
            () = self.silence(probe) => {}
        }
    }

    async fn silence(&self, probe: &PgPool) {
        loop {
            let before = self.answers();
            tokio::time::sleep(self.0.times.sign_of_life).await;
            if self.answers() != before {
                continue;
            }
            let times = &self.0.times;
            let patience = if probe.num_idle() > 0 { times.sign_of_life } else { times.connect };
            // boxed: it is large, rarely needed, and a part of every statement's future
            let asked = Box::pin(async { probe.acquire().await?.ping().await });
            match self.wait(patience, asked).await {
                Some(outcome @ Ok(())) => self.note(&outcome),
                Some(Err(_)) | None => return,
            }
        }
    }

    fn answers(&self) -> u64 {
        self.0.answers.load(Ordering::Relaxed)
    }
}

fn now_ms() -> u64 {
    ms(SystemClock.boottime())
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
