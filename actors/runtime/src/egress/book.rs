//! What goes through one container's proxy: counted against its bounds, noted for the audit, and ended when it is no
//! longer allowed.
//!
//! Notes are sums by destination, of at most [`MOST_NOTED`] destinations at a time, so that however busy a container
//! is, little is written down of it. Bytes are taken before they are moved: parallel connections never use more than
//! there is.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ocmt_types::Clock;
use tokio::sync::Notify;

use super::{
    name::HostName,
    policy::{Allowed, Bounds, Used},
};

/// Destinations that are told apart in one batch; the rest is summed up under [`OTHERS`].
pub const MOST_NOTED: usize = 24;
/// Refusals that are told apart: their names are the workload's choice.
pub(super) const MOST_REFUSED: usize = 8;
/// All destinations beyond that.
pub const OTHERS: &str = "(others)";
const DAY_MS: i64 = 24 * 3600 * 1000;
const MINUTE_MS: i64 = 60 * 1000;

/// What went to one destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections that were made.
    pub connections: u64,
    /// Bytes out.
    pub sent: u64,
    /// Bytes in.
    pub received: u64,
}

/// What happened since the batch before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// By destination (`host:port`).
    pub allowed: BTreeMap<String, Tally>,
    /// How often nothing came of it, by destination and reason.
    pub refused: BTreeMap<(String, &'static str), u64>,
    /// All of the day so far.
    pub used: Used,
}

impl Batch {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.allowed.is_empty() && self.refused.is_empty()
    }
}

/// The book of one container.
pub struct Book {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// What was used before this book was opened has been added.
    learned: bool,
    batch: Batch,
    most_sent: u64,
    most_received: u64,
    /// The running minute, and requests in it.
    minute: (i64, u32),
    live: HashMap<u64, (HostName, u16, Arc<Line>)>,
    next: u64,
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").finish_non_exhaustive()
    }
}

impl Book {
    /// An empty book.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, inner: Mutex::default() })
    }

    /// What happened since the last time this was asked.
    pub fn drain(&self) -> Batch {
        let mut inner = self.lock();
        let used = inner.batch.used;
        std::mem::replace(&mut inner.batch, Batch { used, ..Batch::default() })
    }

    /// A batch that could not be written down: it comes with the next.
    pub fn put_back(&self, batch: Batch) {
        let mut inner = self.lock();
        for (place, tally) in batch.allowed {
            inner.note(&place, |note| {
                note.connections += tally.connections;
                note.sent += tally.sent;
                note.received += tally.received;
            });
        }
        for ((place, reason), times) in batch.refused {
            inner.note_refusal(&place, reason, times);
        }
    }

    /// Ends every connection that is not allowed any more.
    pub fn hold_to(&self, allowed: &Allowed, bounds: &Bounds) {
        let mut inner = self.lock();
        inner.most_sent = allowed.most_sent(bounds);
        inner.end(|host, port| !allowed.allows(host, port), "POLICY_CHANGED");
    }

    /// Ends every connection: nobody can say what is allowed.
    pub fn end_all(&self) {
        self.lock().end(|_, _| true, "POLICY_UNKNOWN");
    }

    /// Whether there are connections.
    pub fn is_live(&self) -> bool {
        !self.lock().live.is_empty()
    }

    /// Counts a request; `false` if there were too many in this minute.
    pub(super) fn take_request(&self, bounds: &Bounds) -> bool {
        let minute = self.clock.now().0 / MINUTE_MS;
        let mut inner = self.lock();
        if inner.minute.0 != minute {
            inner.minute = (minute, 0);
        }
        inner.minute.1 = inner.minute.1.saturating_add(1);
        inner.minute.1 <= bounds.requests_per_minute
    }

    /// Notes that nothing came of it.
    pub(super) fn refused(&self, place: &str, reason: &'static str) {
        self.lock().note_refusal(place, reason, 1);
    }

    /// Begins a connection, if there are bytes left for it.
    pub(super) fn begin(
        self: &Arc<Self>,
        allowed: &Allowed,
        bounds: &Bounds,
        place: (HostName, u16),
        line: &Arc<Line>,
    ) -> Option<Flow> {
        let today = self.today();
        let mut inner = self.lock();
        inner.roll(today);
        if !std::mem::replace(&mut inner.learned, true) && allowed.used.day == today {
            inner.batch.used.sent += allowed.used.sent;
            inner.batch.used.received += allowed.used.received;
        }
        (inner.most_sent, inner.most_received) = (allowed.most_sent(bounds), bounds.received_per_day);
        if inner.batch.used.sent >= inner.most_sent || inner.batch.used.received >= inner.most_received {
            return None;
        }
        let (id, name) = (inner.next, format!("{}:{}", place.0, place.1));
        inner.next += 1;
        inner.live.insert(id, (place.0, place.1, Arc::clone(line)));
        Some(Flow { book: Arc::clone(self), id, place: name, line: Arc::clone(line) })
    }

    fn today(&self) -> i64 {
        self.clock.now().0.div_euclid(DAY_MS)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn roll(&mut self, today: i64) {
        if self.batch.used.day != today {
            self.batch.used = Used { day: today, sent: 0, received: 0 };
        }
    }

    fn note(&mut self, place: &str, change: impl FnOnce(&mut Tally)) {
        let full = self.batch.allowed.len() >= MOST_NOTED && !self.batch.allowed.contains_key(place);
        let place = if full { OTHERS } else { place };
        change(self.batch.allowed.entry(place.to_owned()).or_default());
    }

    fn note_refusal(&mut self, place: &str, reason: &'static str, times: u64) {
        let key = (place.to_owned(), reason);
        let full = self.batch.refused.len() >= MOST_REFUSED && !self.batch.refused.contains_key(&key);
        let key = if full { (OTHERS.to_owned(), "MANY") } else { key };
        *self.batch.refused.entry(key).or_default() += times;
    }

    fn end(&mut self, which: impl Fn(&HostName, u16) -> bool, reason: &'static str) {
        let ended: Vec<u64> =
            self.live.iter().filter(|(_, (host, port, _))| which(host, *port)).map(|(id, _)| *id).collect();
        for id in ended {
            if let Some((host, port, line)) = self.live.remove(&id) {
                line.ended.notify_one();
                self.note_refusal(&format!("{host}:{port}"), reason, 1);
            }
        }
    }
}

/// One client's connection to the proxy: whether something goes over it, and the word to end it.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) ended: Notify,
    moved: AtomicU64,
}

impl Line {
    /// Ready when nothing has moved for `longest`, at the latest after twice that.
    pub(super) async fn is_idle(&self, longest: Duration) {
        loop {
            let before = self.moved.load(Ordering::Relaxed);
            tokio::time::sleep(longest).await;
            if self.moved.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

/// A connection to a destination, while it lasts.
pub(super) struct Flow {
    book: Arc<Book>,
    id: u64,
    place: String,
    line: Arc<Line>,
}

impl Flow {
    /// The destination was reached.
    pub(super) fn connected(&self) {
        self.book.lock().note(&self.place, |note| note.connections += 1);
    }

    /// Takes up to `wanted` bytes of what may still go out today.
    pub(super) fn take_sent(&self, wanted: usize) -> usize {
        self.take(wanted, |inner| (&mut inner.batch.used.sent, inner.most_sent))
    }

    /// The same of what may come in.
    pub(super) fn take_received(&self, wanted: usize) -> usize {
        self.take(wanted, |inner| (&mut inner.batch.used.received, inner.most_received))
    }

    /// Of `taken` bytes so many went out.
    pub(super) fn sent(&self, taken: usize, moved: usize) {
        self.moved(taken, moved, |inner| &mut inner.batch.used.sent, |note| &mut note.sent);
    }

    /// Of `taken` bytes so many came in.
    pub(super) fn received(&self, taken: usize, moved: usize) {
        self.moved(taken, moved, |inner| &mut inner.batch.used.received, |note| &mut note.received);
    }

    fn take(&self, wanted: usize, of: impl FnOnce(&mut Inner) -> (&mut u64, u64)) -> usize {
        let today = self.book.today();
        let mut inner = self.book.lock();
        inner.roll(today);
        let (used, most) = of(&mut inner);
        let granted = most.saturating_sub(*used).min(u64::try_from(wanted).unwrap_or(u64::MAX));
        *used += granted;
        if granted == 0 && wanted > 0 {
            inner.note_refusal(&self.place, "DAY_SPENT", 1);
        }
        usize::try_from(granted).unwrap_or(usize::MAX)
    }

    fn moved(
        &self,
        taken: usize,
        moved: usize,
        used: impl FnOnce(&mut Inner) -> &mut u64,
        noted: impl FnOnce(&mut Tally) -> &mut u64,
    ) {
        let count = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        let mut inner = self.book.lock();
        let used = used(&mut inner);
        *used = used.saturating_sub(count(taken.saturating_sub(moved)));
        if moved > 0 {
            self.line.moved.fetch_add(count(moved), Ordering::Relaxed);
            inner.note(&self.place, |note| *noted(note) += count(moved));
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.book.lock().live.remove(&self.id);
    }
}
