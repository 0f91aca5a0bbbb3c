//! One life of a node in a cluster: the edge between the pure parts and the world.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use ocmt_store::{Store, StoreError, tables::NodeState};
use ocmt_types::{Clock, IdGen, Incarnation, NodeId};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    ClusterError, Lease, LeaseTimes, Memory, Progress, View, WentBack,
    heartbeat::{Heart, Order, Thread},
};

/// What [`Connect`] returns.
pub type Connecting = Pin<Box<dyn Future<Output = Result<Store, StoreError>> + Send>>;

/// Opens the heartbeat's own connection. Called on the heartbeat's runtime, where the connection lives.
pub type Connect = Arc<dyn Fn() -> Connecting + Send + Sync>;

/// What a node says of itself, and what it stands on.
#[derive(Clone)]
pub struct MembershipConfig {
    /// Which node.
    pub node_id: NodeId,
    /// Where peers reach it, `host:port`.
    pub addr: String,
    /// Where clients reach it, an `https` URL.
    pub endpoint: String,
    /// Relative weight for placement, at least 1.
    pub capacity: i64,
    /// Memory that it gives to containers, in MiB; 0 if it hosts none.
    pub memory_mib: i64,
    /// Of its program.
    pub version: String,
    /// The same on all nodes.
    pub times: LeaseTimes,
    /// The heartbeat's own store, of one connection.
    pub connect: Connect,
    /// Boot time for the lease.
    pub clock: Arc<dyn Clock>,
    /// Makes the incarnation.
    pub ids: Arc<dyn IdGen>,
    /// Where the heartbeat runs.
    pub thread: Arc<dyn Thread>,
    /// What this node saw in earlier lives; holds the data folder's lock.
    pub memory: Arc<dyn Memory>,
}

/// Why a life of a node is over. It stops at once, without releasing anything, and comes back as a new
/// incarnation, which may be refused at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// No renewal was acknowledged for one TTL.
    LeaseLost,
    /// Others declared it dead, or its operator did.
    DeclaredDead,
    /// The database is an older state of itself.
    DatabaseWentBack(WentBack),
    /// Its certificates are not honoured any more.
    Revoked,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaseLost => f.write_str("no renewal of its lease was acknowledged in time"),
            Self::DeclaredDead => f.write_str("it was declared dead"),
            Self::DatabaseWentBack(back) => back.fmt(f),
            Self::Revoked => f.write_str("it was revoked"),
        }
    }
}

/// How the heartbeat ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// In good order.
    Left,
    /// Otherwise.
    Over(Ending),
}

/// One life of this node in its cluster. Cheap to clone.
#[derive(Clone)]
pub struct Membership {
    node_id: NodeId,
    incarnation: Incarnation,
    lease: Lease,
    view: watch::Receiver<Arc<View>>,
    end: watch::Receiver<Option<End>>,
    orders: mpsc::Sender<Order>,
    progress: Progress,
    /// Holds the lock of the data folder for as long as anybody holds this.
    _memory: Arc<dyn Memory>,
}

impl Membership {
    /// Registers a new incarnation in state [`NodeState::Joining`], buries the earlier ones of this node, and
    /// starts the heartbeat. The caller runs [`Membership::progress`] on the main runtime, and moves the node
    /// to [`NodeState::Live`] when it can serve.
    ///
    /// # Errors
    /// [`ClusterError::Store`] if the database does not answer (try again); [`ClusterError::WentBack`],
    /// [`ClusterError::OtherCluster`] and [`ClusterError::Revoked`] if the node must not run on it;
    /// [`ClusterError::Memory`], [`ClusterError::Thread`].
    pub async fn start(config: MembershipConfig) -> Result<Self, ClusterError> {
        let node_id = config.node_id;
        let progress = Progress::new(Arc::clone(&config.clock), config.times.heartbeat);
        let (view_sender, view) = watch::channel(Arc::default());
        let (end_sender, end) = watch::channel(None);
        let (orders, inbox) = mpsc::channel(8);
        let (started, starting) = oneshot::channel();
        let (thread, gate) = (Arc::clone(&config.thread), progress.clone());
        let memory = Arc::clone(&config.memory);
        let life = async move {
            let heart = match Heart::start(config, gate, view_sender, inbox).await {
                Ok(heart) => heart,
                Err(error) => {
                    // nobody listens if the caller gave up
                    let _ = started.send(Err(error));
                    return;
                }
            };
            let _ = started.send(Ok((heart.incarnation(), heart.lease())));
            end_sender.send_replace(Some(heart.beat().await));
        };
        thread.run(Box::pin(life)).map_err(ClusterError::Thread)?;
        let (incarnation, lease) = starting.await.map_err(|_| ClusterError::Over)??;
        tracing::info!(node = %node_id, %incarnation, "registered this node in its cluster");
        Ok(Self { node_id, incarnation, lease, view, end, orders, progress, _memory: memory })
    }

    /// This life of the node.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// This node.
    pub fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// Its lease.
    pub fn lease(&self) -> Lease {
        self.lease.clone()
    }

    /// The cluster as observed last. Without the database it stays as it was.
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }

    /// The ticks of the main runtime, without which the lease is not renewed.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Ready when this life is over; never after [`Membership::leave`]. It does not depend on the heartbeat's
    /// thread: when the lease runs out it is over, whatever that thread does.
    pub async fn ended(&self) -> Ending {
        let mut end = self.end.clone();
        loop {
            let left = self.lease.left().unwrap_or_default();
            // a machine that was suspended finds the time passed at the next look
            let look = left.min(self.progress.heartbeat());
            tokio::select! {
                biased;
                seen = end.wait_for(Option::is_some) => {
                    match seen.ok().and_then(|end| *end) {
                        Some(End::Over(ending)) => return ending,
                        Some(End::Left) => return std::future::pending().await,
                        None if left.is_zero() => return Ending::LeaseLost,
                        // the thread is gone without a word: the lease tells when it is over
                        None => tokio::time::sleep(look).await,
                    }
                }
                () = tokio::time::sleep(look), if !left.is_zero() => {}
                () = std::future::ready(()), if left.is_zero() => return Ending::LeaseLost,
            }
        }
    }

    /// Moves this node between joining, live and draining; `false` if it was not in the state it was thought
    /// to be in. The others see it with their next look.
    ///
    /// # Errors
    /// [`ClusterError::Store`]; [`ClusterError::Over`].
    pub async fn set_state(&self, to: NodeState) -> Result<bool, ClusterError> {
        self.order(|reply| Order::SetState(to, reply)).await
    }

    /// Leaves in good order, when nothing is owned any more: marks this incarnation dead, so that nobody
    /// waits for its lease, and ends the heartbeat. Should the database not answer, the lease runs out.
    pub async fn leave(self) {
        if let Err(error) = self.order(Order::Leave).await {
            tracing::warn!(%error, "cannot take leave of the cluster, the lease will run out");
        }
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, ClusterError>>) -> Order,
    ) -> Result<T, ClusterError> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).await.map_err(|_| ClusterError::Over)?;
        answer.await.map_err(|_| ClusterError::Over)?
    }
}
