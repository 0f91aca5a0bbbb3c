//! Nodes on one sim store, under tokio's paused clock: a boot time that the tests can move, and a memory
//! that outlives a node.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub, missing_docs, dead_code)]

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ocmt_cluster::{ClusterError, Job, LeaseTimes, Membership, MembershipConfig, Memory, Remembered, Thread};
use ocmt_store::{Fault, Link, Passage, Point, Revocations, Store, tables::NodeState, testing::id};
use ocmt_types::{Clock, SeededIds, Timestamp};

/// Tokio's clock, and what a suspended machine missed.
#[derive(Clone)]
pub struct TestClock {
    from: tokio::time::Instant,
    ahead: Arc<AtomicU64>,
}

impl TestClock {
    pub fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the clock of these tests: tokio's paused one")]
        let from = tokio::time::Instant::now();
        Self { from, ahead: Arc::default() }
    }

    pub fn jump(&self, by: Duration) {
        self.ahead.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(i64::try_from(self.boottime().as_millis()).unwrap())
    }

    fn boottime(&self) -> Duration {
        let ahead = Duration::from_millis(self.ahead.load(Ordering::SeqCst));
        Duration::from_secs(1_000) + self.from.elapsed() + ahead
    }
}

/// The heartbeat as a task.
pub struct Task;

impl Thread for Task {
    fn run(&self, job: Job) -> io::Result<()> {
        #[expect(clippy::disallowed_methods, reason = "the heartbeat of a test ends with its runtime")]
        tokio::spawn(job);
        Ok(())
    }
}

#[derive(Clone, Default)]
pub struct TestMemory(pub Arc<Mutex<Option<Remembered>>>, pub Arc<Mutex<Revocations>>);

impl Memory for TestMemory {
    fn recall(&self) -> Result<Option<Remembered>, ClusterError> {
        Ok(*self.0.lock().unwrap())
    }

    fn remember(&self, what: Remembered) {
        *self.0.lock().unwrap() = Some(what);
    }

    fn recall_revoked(&self) -> Result<Revocations, ClusterError> {
        Ok(self.1.lock().unwrap().clone())
    }

    fn remember_revoked(&self, revoked: &Revocations) {
        *self.1.lock().unwrap() = revoked.clone();
    }
}

/// The machine of a node: what outlives its lives.
#[derive(Clone)]
pub struct Machine {
    pub n: u64,
    pub clock: TestClock,
    pub memory: TestMemory,
    pub store: Store,
}

impl Machine {
    pub fn new(store: &Store, n: u64) -> Self {
        Self { n, clock: TestClock::new(), memory: TestMemory::default(), store: store.clone() }
    }

    pub fn config(&self, life: u64) -> MembershipConfig {
        let store = self.store.clone();
        MembershipConfig {
            node_id: id(self.n),
            addr: format!("127.0.0.1:{}", self.n),
            endpoint: format!("https://127.0.0.1:{}", self.n),
            capacity: 1,
            memory_mib: 0,
            version: "0.1.0".into(),
            times: LeaseTimes::default(),
            connect: Arc::new(move || {
                let store = store.clone();
                Box::pin(async move { Ok(store) })
            }),
            clock: Arc::new(self.clock.clone()),
            ids: Arc::new(SeededIds::new(self.n * 1_000 + life)),
            thread: Arc::new(Task),
            memory: Arc::new(self.memory.clone()),
        }
    }

    /// A life that does not tick.
    pub async fn start_without_ticks(&self, life: u64) -> Membership {
        let membership = Membership::start(self.config(life)).await.unwrap();
        assert!(membership.set_state(NodeState::Live).await.unwrap());
        membership
    }

    /// The same, moving from its registration on.
    pub async fn start_ticking(&self, life: u64) -> (Membership, tokio::task::JoinSet<()>) {
        let membership = Membership::start(self.config(life)).await.unwrap();
        let mut ticks = tokio::task::JoinSet::new();
        ticks.spawn(membership.progress().run());
        assert!(membership.set_state(NodeState::Live).await.unwrap());
        (membership, ticks)
    }

    /// A life that serves; its ticks end when the guard is dropped.
    pub async fn start(&self, life: u64) -> (Membership, tokio::task::JoinSet<()>) {
        let membership = self.start_without_ticks(life).await;
        let mut ticks = tokio::task::JoinSet::new();
        ticks.spawn(membership.progress().run());
        (membership, ticks)
    }
}

/// A way to the database on which each question and each answer takes this long.
pub struct Slow(pub Duration);

impl Link for Slow {
    fn ask(&self, _: Point) -> Passage<'_, Option<Fault>> {
        Box::pin(async move {
            tokio::time::sleep(self.0).await; // why: the way of a packet, under the paused clock
            None
        })
    }

    fn answer(&self, _: Point) -> Passage<'_, ()> {
        Box::pin(tokio::time::sleep(self.0)) // why: the way back
    }
}

/// Two nodes that live on one store and serve.
pub struct Two {
    pub store: Store,
    pub machines: [Machine; 2],
    pub nodes: [Membership; 2],
    /// Whoever drops one of them has that node stand still.
    pub ticks: [tokio::task::JoinSet<()>; 2],
}

impl Two {
    pub async fn live() -> Self {
        let store = Store::sim();
        let machines = [1, 2].map(|n| Machine::new(&store, n));
        let (first, ticks) = machines[0].start(1).await;
        let (second, more) = machines[1].start(1).await;
        Self { store, machines, nodes: [first, second], ticks: [ticks, more] }
    }
}

/// Lets time pass, in steps that every task can follow.
pub async fn pass(time: Duration) {
    for _ in 0..time.as_millis() / 50 {
        tokio::time::sleep(Duration::from_millis(50)).await; // why: the clock is paused, this moves it
    }
}

pub fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
