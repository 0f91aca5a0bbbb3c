//! The heartbeat: renews, observes, declares the dead, and knows when it is over itself.
//!
//! It has its own thread, runtime and connection: a busy main runtime, a full pool or a slow query of a
//! tenant must not cost the lease. Every call of the store is bounded in time.

use std::{collections::BTreeMap, future::Future, io, pin::Pin, sync::Arc, time::Duration};

use ocmt_store::{
    ClusterStore, Observed, Revocations, StoreError,
    tables::{Node, NodeState},
};
use ocmt_types::{ClusterId, Incarnation, NodeId};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use crate::{
    ClusterError, Lease, LeaseEvent, LeaseState, MembershipConfig, Observer, Progress, Remembered, Sighting,
    View,
    membership::{End, Ending},
};

/// What a [`Thread`] runs.
pub type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where the heartbeat runs. Injected, so that a simulation can run it as a task.
pub trait Thread: Send + Sync {
    /// Runs a job to its end, beside the caller.
    ///
    /// # Errors
    /// If no thread can be started.
    fn run(&self, job: Job) -> io::Result<()>;
}

/// A thread of the operating system with a runtime of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeartbeatThread;

impl Thread for HeartbeatThread {
    fn run(&self, job: Job) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("ocmt-heartbeat".to_owned());
        thread.spawn(move || runtime.block_on(job)).map(drop)
    }
}

/// What the membership asks of the heartbeat.
pub(crate) enum Order {
    SetState(NodeState, oneshot::Sender<Result<bool, ClusterError>>),
    Leave(oneshot::Sender<Result<(), ClusterError>>),
}

/// How often a registration is tried while others change the view at the same moment.
const REGISTRATIONS: u32 = 10;
/// The counter is written to the data folder once in so many renewals.
const REMEMBER_EVERY: i64 = 8;

/// The heartbeat of one incarnation.
pub(crate) struct Heart {
    config: MembershipConfig,
    store: ClusterStore,
    cluster_id: ClusterId,
    incarnation: Incarnation,
    state: NodeState,
    lease: Lease,
    observer: Observer,
    progress: Progress,
    view: watch::Sender<Arc<View>>,
    inbox: mpsc::Receiver<Order>,
    remembered: Option<Remembered>,
    /// Everybody whom this node has ever seen revoked.
    revoked: Revocations,
    /// Lives that it declared dead.
    buried: BTreeMap<Incarnation, NodeId>,
}

/// Lives that were declared dead and are told of, at the most.
const MOST_BURIED: usize = 64;

impl Heart {
    /// Connects, makes sure that the database is the one this node knows, registers, and looks around.
    pub(crate) async fn start(
        config: MembershipConfig,
        progress: Progress,
        view: watch::Sender<Arc<View>>,
        inbox: mpsc::Receiver<Order>,
    ) -> Result<Self, ClusterError> {
        let bound = config.times.ttl;
        let store = within(bound, (config.connect)()).await?.cluster();
        let remembered = config.memory.recall()?;
        let revoked = config.memory.recall_revoked()?;
        let seen = within(bound, store.observe()).await?;
        if seen.revoked.nodes.contains(&config.node_id) || revoked.nodes.contains(&config.node_id) {
            return Err(ClusterError::Revoked);
        }
        if let Some(remembered) = &remembered {
            let renewals = within(bound, store.renewals(remembered.incarnation)).await?;
            remembered.check(seen.cluster.as_ref(), renewals)?;
        }
        let now = config.clock.now();
        let cluster = within(bound, store.cluster(config.ids.id(), now)).await?;
        let forgotten = revoked.without(&seen.revoked);
        // before it is let in itself; a restore that nobody has accepted lets nobody in
        if cluster.restored_at.is_none() && !forgotten.is_empty() {
            let again = store.revoke_again(config.node_id, &forgotten, config.ids.id(), now);
            within(bound, Box::pin(again)).await?;
        }
        let (incarnation, sent) = register(&config, &store).await?;
        let lease = Lease::new(LeaseState::registered(config.times, sent), Arc::clone(&config.clock));
        let highest = cluster.view_version.max(remembered.map_or(0, |seen| seen.view_version));
        let mut heart = Self {
            store,
            cluster_id: cluster.cluster_id,
            incarnation,
            state: NodeState::Joining,
            lease,
            observer: Observer::new(incarnation, highest, config.times),
            progress,
            view,
            inbox,
            remembered: None,
            revoked,
            buried: BTreeMap::new(),
            config,
        };
        match heart.observe().await {
            Ok(()) => Ok(heart),
            Err(Trouble::Store(error)) => Err(error.into()),
            Err(Trouble::Over(Ending::DatabaseWentBack(back))) => Err(back.into()),
            Err(Trouble::Over(Ending::Revoked)) => Err(ClusterError::Revoked),
            Err(Trouble::Over(Ending::LeaseLost | Ending::DeclaredDead)) => Err(ClusterError::Over),
        }
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    pub(crate) fn lease(&self) -> Lease {
        self.lease.clone()
    }

    /// Beats until this life is over.
    pub(crate) async fn beat(mut self) -> End {
        loop {
            let (began, heartbeat) = (self.config.clock.boottime(), self.config.times.heartbeat);
            let pause = match self.round().await {
                // from beginning to beginning, but never without a pause
                Ok(()) => {
                    let took = self.config.clock.boottime().saturating_sub(began);
                    heartbeat.saturating_sub(took).max(heartbeat / 4)
                }
                Err(Trouble::Store(error)) => {
                    tracing::debug!(%error, "the database did not answer the heartbeat");
                    self.observer.unanswered();
                    heartbeat / 4
                }
                Err(Trouble::Over(ending)) => return self.over(ending),
            };
            let left = self.lease.left().unwrap_or_default();
            tokio::select! {
                biased;
                order = self.inbox.recv() => if let Some(end) = self.obey(order).await {
                    return end;
                },
                () = tokio::time::sleep(pause.min(left)) => {}
            }
        }
    }

    fn over(&self, ending: Ending) -> End {
        self.lease.step(LeaseEvent::Refused);
        tracing::error!(incarnation = %self.incarnation, %ending, "this life of the node is over");
        End::Over(ending)
    }

    async fn round(&mut self) -> Result<(), Trouble> {
        self.renew().await?;
        self.observe().await?;
        self.bury().await
    }

    /// Renews the lease, unless it has run out or the main runtime stands still.
    async fn renew(&mut self) -> Result<(), Trouble> {
        if self.lease.left().is_none_or(|left| left.is_zero()) {
            return Err(Trouble::Over(Ending::LeaseLost));
        }
        if !self.progress.moves() {
            tracing::warn!("the main runtime stands still, the lease is not renewed");
            return Ok(());
        }
        let sent = self.config.clock.boottime();
        let Some(renewals) = self.call(self.store.renew(self.incarnation)).await? else {
            return Err(Trouble::Over(Ending::DeclaredDead));
        };
        self.observer.renewed(renewals).map_err(went_back)?;
        self.lease.step(LeaseEvent::Acknowledged { sent });
        Ok(())
    }

    /// Looks at the cluster, and makes the view of what it sees.
    async fn observe(&mut self) -> Result<(), Trouble> {
        let asked = self.config.clock.boottime();
        let mut observed = self.call(self.store.observe()).await?;
        let counters = observed.nodes.iter().map(|(node, renewals)| (node.incarnation, *renewals)).collect();
        let view_version = observed.cluster.as_ref().map_or(0, |cluster| cluster.view_version);
        let sighting = Sighting { life: &observed.life, view_version, counters, asked };
        self.observer.sighted(&sighting, self.config.clock.boottime()).map_err(went_back)?;
        self.keep_revoked(&mut observed).await?;
        if observed.revoked.nodes.contains(&self.config.node_id) {
            return Err(Trouble::Over(Ending::Revoked));
        }
        self.remember();
        self.publish(observed);
        Ok(())
    }

    /// Who was seen revoked is refused from then on, whatever a database says that was put back meanwhile.
    async fn keep_revoked(&mut self, observed: &mut Observed) -> Result<(), Trouble> {
        if observed.revoked == self.revoked {
            return Ok(());
        }
        let forgotten = self.revoked.without(&observed.revoked);
        observed.revoked.extend(&self.revoked);
        if observed.revoked != self.revoked {
            self.config.memory.remember_revoked(&observed.revoked);
            self.revoked = observed.revoked.clone();
        }
        if !forgotten.is_empty() {
            let (request, now) = (self.config.ids.id(), self.config.clock.now());
            let again = self.store.revoke_again(self.config.node_id, &forgotten, request, now);
            self.call(Box::pin(again)).await?;
        }
        Ok(())
    }

    /// Declares those dead whose counters stood for a TTL.
    async fn bury(&mut self) -> Result<(), Trouble> {
        let Some(lease) = self.lease.state() else {
            return Ok(());
        };
        for (incarnation, seen) in self.observer.stale(&lease, self.config.clock.boottime()) {
            let buried = self.store.declare_dead(self.incarnation, incarnation, seen);
            match self.call(buried).await {
                Ok(true) => {
                    tracing::warn!(%incarnation, "declared a node dead that did not renew its lease");
                    self.tell_of(incarnation);
                }
                // it renewed, or another was first
                Ok(false) | Err(Trouble::Store(StoreError::Conflict)) => {}
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(())
    }

    fn tell_of(&mut self, incarnation: Incarnation) {
        let view = self.view.borrow();
        let node = view.nodes.values().find(|peer| peer.incarnation == incarnation).map(|peer| peer.node_id);
        drop(view);
        if let Some(node) = node.filter(|_| self.buried.len() < MOST_BURIED) {
            self.buried.insert(incarnation, node);
        }
    }

    fn publish(&self, observed: Observed) {
        let view = View { buried: self.buried.clone(), ..View::from(observed) };
        self.view.send_if_modified(|current| {
            let changed = **current != view;
            if changed {
                *current = Arc::new(view);
            }
            changed
        });
    }

    fn remember(&mut self) {
        let now = Remembered {
            cluster_id: self.cluster_id,
            view_version: self.observer.highest(),
            incarnation: self.incarnation,
            renewals: self.observer.acknowledged(),
        };
        let due = self.remembered.is_none_or(|last| {
            last.view_version != now.view_version || now.renewals - last.renewals >= REMEMBER_EVERY
        });
        if due {
            self.config.memory.remember(now);
            self.remembered = Some(now);
        }
    }

    /// Does as it is told; the end, if that is one. Nobody left to give orders is one too.
    async fn obey(&mut self, order: Option<Order>) -> Option<End> {
        match order {
            Some(Order::SetState(to, reply)) => {
                // nobody waits for it if the caller gave up
                let _ = reply.send(self.set_state(to).await);
                None
            }
            Some(Order::Leave(reply)) => {
                self.lease.step(LeaseEvent::Refused);
                let left = within(self.config.times.heartbeat, self.store.mark_dead(self.incarnation));
                let _ = reply.send(left.await.map(drop));
                Some(End::Left)
            }
            None => {
                self.lease.step(LeaseEvent::Refused);
                Some(End::Left)
            }
        }
    }

    async fn set_state(&mut self, to: NodeState) -> Result<bool, ClusterError> {
        if to == self.state {
            return Ok(true);
        }
        let done = self.store.set_state(self.incarnation, self.state, to);
        let done = within(self.config.times.heartbeat, done).await?;
        if done {
            self.state = to;
        }
        Ok(done)
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, Trouble> {
        bounded(self.config.times.call(), call).await.map_err(Trouble::Store)
    }
}

/// Why a round was cut short.
enum Trouble {
    /// For now.
    Store(StoreError),
    /// For good.
    Over(Ending),
}

fn went_back(back: crate::WentBack) -> Trouble {
    Trouble::Over(Ending::DatabaseWentBack(back))
}

/// Registers a new incarnation; returns it, and when the registration was sent.
async fn register(
    config: &MembershipConfig,
    store: &ClusterStore,
) -> Result<(Incarnation, Duration), ClusterError> {
    let node = Node {
        incarnation: Incarnation(config.ids.random16()),
        node_id: config.node_id,
        addr: config.addr.clone(),
        endpoint: config.endpoint.clone(),
        state: NodeState::Joining,
        capacity: config.capacity.max(1),
        memory_mib: config.memory_mib,
        version: config.version.clone(),
        registered_at: config.clock.now(),
    };
    for _ in 1..REGISTRATIONS {
        let sent = config.clock.boottime();
        match within(config.times.ttl, store.register(&node)).await {
            Ok(()) => return Ok((node.incarnation, sent)),
            Err(ClusterError::Store(StoreError::Conflict)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(StoreError::Conflict.into())
}

async fn within<T>(
    bound: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, ClusterError> {
    bounded(bound, call).await.map_err(ClusterError::Store)
}

async fn bounded<T>(
    bound: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = || StoreError::Unavailable(format!("no answer within {} ms", bound.as_millis()));
    timeout(bound, call).await.unwrap_or_else(|_| Err(late()))
}
