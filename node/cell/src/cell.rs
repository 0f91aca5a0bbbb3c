//! The cell: what is locked or unlocked, and the order in which the parts come and go.
//!
//! Unlocking and locking are serialised by one lock and run to their end even if the caller goes
//! away, so that no half of either is left. What the state is, [`crate::state`] decides.

mod connect;
mod converse;
mod lease;
pub(crate) mod plain;
mod policy;
mod put;
mod together;
mod volume;

pub use policy::Delivered;
use together::Brought;

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use ocmt_crypto::{
    cell::{CellPlace, GatewayAuthority, StartSecret},
    unlock::{Lease, UnlockKey, UnlockPayload},
};
use ocmt_types::{Clock, Timestamp, UnlockId};
use rustix::process::Signal;
use tokio::sync::Notify;

use crate::{
    CellError,
    activity::{Activity, ActivityReading},
    channels::{Channels, Ending, Surroundings, Transport},
    children::Children,
    conversations::{Conversations, wishes::Wishes},
    inbox::{Inbox, Writing},
    keys::Keys,
    logs::Logs,
    oauth::{Connections, reach::Reach},
    opening::{self, Opened, SealedObject},
    policy::Policies,
    sealed::{OpenVolume, SealedVolume, Unsealed},
    state::{Effect, Event, State, step},
    tasks::{self, Task},
    workload::{Phase, Workload, WorkloadSpec},
};

/// A lock does not wait longer than this for the workload to end in peace: until it has ended, its
/// secrets are in memory.
const LOCK_GRACE: Duration = Duration::from_secs(3);

/// The cell. Dropped, it ends what it started.
pub struct Cell {
    place: CellPlace,
    start_locked: bool,
    clock: Arc<dyn Clock>,
    children: Arc<Children>,
    logs: Arc<Logs>,
    activity: Arc<Activity>,
    workload: Workload,
    volume: Option<Arc<SealedVolume>>,
    inbox: Inbox,
    wishes: Arc<Wishes>,
    policies: Policies,
    gateway: Option<GatewayAuthority>,
    reach: Arc<Reach>,
    inner: Mutex<Inner>,
    /// held over a whole unlock or lock
    transition: tokio::sync::Mutex<()>,
    lease_moved: Notify,
    not_emptied: Notify,
    timers: OnceLock<[Option<Task>; 2]>,
}

struct Inner {
    state: State,
    keys: Keys,
    unlocked: Option<Unlocked>,
    stopping: bool,
}

struct Unlocked {
    id: UnlockId,
    lease: Lease,
    key: UnlockKey,
    channels: Arc<Channels>,
    writing: Writing,
    conversations: Arc<Conversations>,
    connections: Arc<Connections>,
    volume: Option<Arc<OpenVolume>>,
}

/// How the cell is.
#[derive(Debug, Clone, Copy)]
pub struct CellStatus {
    /// The unlock it is in and what is left of its lease; `None` while it is locked.
    pub unlocked: Option<(UnlockId, Duration)>,
    /// Random at each start.
    pub boot_nonce: [u8; 32],
    /// How far the workload is.
    pub workload: Phase,
    /// Whether the workload runs with the mapped secrets.
    pub workload_has_secrets: bool,
    /// Counters since the start.
    pub activity: ActivityReading,
    /// Time since the last of them.
    pub idle_for: Option<Duration>,
    /// Open channels.
    pub channels: usize,
    /// Items for the vault's inbox that wait.
    pub inbox_items: usize,
    /// That the sealed volume was not sealed the last time.
    pub unsealed: Option<Unsealed>,
}

impl Cell {
    /// A locked cell. `start` has come over standard input. A sealed volume is sealed as often as stands beside it.
    pub fn new(
        place: CellPlace,
        start: StartSecret,
        spec: WorkloadSpec,
        volume: Option<(SealedVolume, Duration)>,
        children: Arc<Children>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let logs = Arc::new(Logs::default());
        let (volume, seal_every) = volume.map(|(volume, every)| (Arc::new(volume), every)).unzip();
        let cell = Arc::new(Self {
            place,
            start_locked: spec.start_locked,
            clock,
            volume,
            workload: Workload::new(spec, Arc::clone(&children), Arc::clone(&logs)),
            children,
            logs,
            activity: Arc::default(),
            inbox: Inbox::default(),
            wishes: Arc::default(),
            policies: Policies::new(&start, place),
            gateway: GatewayAuthority::of(&start, place).ok(),
            reach: Arc::default(),
            inner: Mutex::new(Inner {
                state: State::Locked,
                keys: Keys::new(place, start),
                unlocked: None,
                stopping: false,
            }),
            transition: tokio::sync::Mutex::new(()),
            lease_moved: Notify::new(),
            not_emptied: Notify::new(),
            timers: OnceLock::new(),
        });
        let lease = Task::start(lease::keep(Arc::downgrade(&cell)));
        let sealing = seal_every.map(|every| Task::start(volume::keep(Arc::downgrade(&cell), every)));
        cell.timers.get_or_init(|| [Some(lease), sealing]);
        cell
    }

    /// Starts the workload without secrets, if that is the policy, and if it is known what its agents may do.
    pub fn start_locked_workload(&self) {
        if !self.start_locked || self.policies.document().is_none() || self.lock_inner().stopping {
            return;
        }
        if let Err(error) = self.workload.start(None) {
            tracing::warn!(%error, "workload not started");
        }
    }

    /// The offer of the cell's key, for the node to check and sign.
    ///
    /// # Errors
    /// As [`Keys::offer`].
    pub fn offer_key(&self) -> Result<Bytes, CellError> {
        let (now, now_ms) = (self.clock.now(), self.now_ms());
        self.lock_inner().keys.offer(now, now_ms)
    }

    /// Takes the one payload of this unlock, starts the workload with what it maps; returns what the
    /// lease has left. Refused, it leaves the cell locked; once the payload itself has opened, under
    /// a key that is not offered again.
    ///
    /// # Errors
    /// [`CellError::AlreadyUnlocked`]; [`CellError::NotForThisCell`]; [`CellError::Spawn`].
    pub async fn unlock(
        self: &Arc<Self>,
        unlock: UnlockId,
        sealed: Bytes,
        objects: Vec<SealedObject>,
    ) -> Result<Duration, CellError> {
        let cell = Arc::clone(self);
        let brought = Brought::Payload { unlock, sealed, objects };
        tasks::to_its_end(async move { cell.unlock_to_its_end(brought).await }).await?
    }

    async fn unlock_to_its_end(&self, brought: Brought) -> Result<Duration, CellError> {
        let _transition = self.transition.lock().await;
        if self.policies.document().is_none() {
            return Err(CellError::NoPolicy);
        }
        if self.inbox.has_tokens() {
            // the user's client has not seen them, and what it has is used up
            return Err(CellError::Exhausted(
                "tokens are on their way to the vault: unlock again in a moment",
            ));
        }
        self.step(Event::UnlockAsked)?;
        match self.take(brought).await {
            Ok((unlock, lease_ms)) => {
                self.step(Event::UnlockOpened { lease_ms })?;
                self.lease_moved.notify_one();
                tracing::info!(%unlock, lease_ms, "unlocked");
                Ok(self.lease_remaining().unwrap_or_default())
            }
            Err(error) => {
                tracing::info!(reason = error.reason(), "unlock refused");
                self.step(Event::UnlockFailed)?;
                Err(error)
            }
        }
    }

    async fn take(&self, brought: Brought) -> Result<(UnlockId, u64), CellError> {
        let (now, now_ms) = (self.clock.now(), self.now_ms());
        if self.lock_inner().stopping {
            return Err(CellError::Locked);
        }
        let together = matches!(brought, Brought::Together(_));
        let (mut payload, objects) = self.open_brought(brought, now, now_ms)?;
        let unlock = payload.unlock;
        let opened = opening::open_entries(self.place.tenant, &payload, &objects);
        let opened = opened.inspect_err(|_| self.lock_inner().keys.forget())?;
        let volume = self.open_volume(payload.volume.take()).await;
        let volume = volume.inspect_err(|_| self.lock_inner().keys.forget())?;
        if together {
            self.clear_below().await;
        }
        let begun = self.begin(payload, opened, volume, now).await;
        if begun.is_err() {
            self.lock_inner().keys.forget();
            self.clear_volume().await?;
        }
        Ok((unlock, if together { self.left_of(begun?, now_ms) } else { begun? }))
    }

    async fn begin(
        &self,
        mut payload: UnlockPayload,
        opened: Opened,
        volume: Option<Arc<OpenVolume>>,
        now: Timestamp,
    ) -> Result<u64, CellError> {
        if payload.start_workload {
            // it may run without secrets by policy
            self.workload.stop(LOCK_GRACE).await;
            self.workload.start(Some(&opened.variables))?;
        }
        let (unlock, mut inner) = (payload.unlock, self.lock_inner());
        let channels = Channels::new(inner.keys.channels(&payload)?, self.surroundings());
        let lease = Lease::begin(unlock, payload.lease_ms, now);
        let writing = Writing::of(self.place.tenant, &payload);
        let conversations = Conversations::of(self.place.tenant, &mut payload, &self.wishes).into();
        let key = payload.unlock_key;
        let connections = Connections::new(unlock, key.duplicate(), opened.connections, &self.reach).into();
        inner.unlocked =
            Some(Unlocked { id: unlock, lease, key, channels, writing, conversations, connections, volume });
        Ok(payload.lease_ms)
    }

    /// Locks: ends channels, stops the workload and all below it, wipes. Returns when that is done;
    /// a cell that is locked stays so.
    ///
    /// # Errors
    /// [`CellError::Volume`] if its volume was not sealed, or is still in memory; [`CellError::Io`] if the lock itself panicked.
    pub async fn lock(self: &Arc<Self>) -> Result<(), CellError> {
        self.lock_on(Event::LockAsked).await
    }

    async fn lock_on(self: &Arc<Self>, event: Event) -> Result<(), CellError> {
        let cell = Arc::clone(self);
        tasks::to_its_end(async move {
            let _transition = cell.transition.lock().await;
            if event == Event::LockAsked {
                cell.lock_inner().keys.let_go();
            }
            if !matches!(cell.step(event), Ok(Effect::Wipe)) {
                return Ok(());
            }
            let sealed = cell.wipe(LOCK_GRACE).await;
            cell.start_locked_workload();
            sealed
        })
        .await?
    }

    /// Stops for good: as a lock, and nothing starts again.
    pub async fn stop(&self) {
        self.lock_inner().stopping = true;
        let _transition = self.transition.lock().await;
        // locked or not, a workload without secrets ends too
        let _ = self.step(Event::LockAsked);
        // what went wrong is in the log: nobody is there to hear it
        let _ = self.wipe(Duration::MAX).await;
        self.inbox.close();
        self.wishes.close();
    }

    async fn wipe(&self, grace: Duration) -> Result<(), CellError> {
        let channels = self.lock_inner().unlocked.as_ref().map(|it| (it.id, Arc::clone(&it.channels)));
        if let Some((unlock, channels)) = channels {
            channels.end_all().await;
            tracing::info!(%unlock, "locking");
        }
        self.workload.stop(grace).await;
        // never "locked" while a process with the secrets lives: a node that waits in vain kills the container
        while !self.children.kill_all_below().await {
            tracing::warn!("processes below the cell could not be ended yet");
        }
        let sealed = self.close_volume().await;
        self.end_conversations().await;
        self.settle_connections().await;
        {
            let mut inner = self.lock_inner();
            inner.keys.forget();
            inner.unlocked = None;
        }
        self.logs.wipe();
        self.tell_what_is_lost(&sealed);
        // a wipe is always lawful
        let _ = self.step(Event::Wiped);
        tracing::info!("locked");
        sealed
    }

    /// Connects a client's transport to the channel that its first frame is for.
    ///
    /// # Errors
    /// [`Ending`].
    pub async fn connect(&self, first: Bytes, transport: Transport) -> Result<(), Ending> {
        let channels = self.lock_inner().unlocked.as_ref().map(|unlocked| Arc::clone(&unlocked.channels));
        channels.ok_or(Ending::Locked)?.connect(first, transport).await
    }

    /// How the cell is.
    pub fn status(&self) -> CellStatus {
        let remaining = self.lease_remaining();
        let (activity, exchanging, now_ms) = (self.activity.read(), self.is_exchanging(), self.now_ms());
        let inner = self.lock_inner();
        let busy = exchanging || inner.keys.is_holding(now_ms);
        let unlocked = inner.unlocked.as_ref().filter(|_| matches!(inner.state, State::Unlocked { .. }));
        CellStatus {
            unlocked: unlocked.zip(remaining).map(|(unlocked, remaining)| (unlocked.id, remaining)),
            boot_nonce: *inner.keys.boot_nonce(),
            workload: self.workload.phase(),
            workload_has_secrets: self.workload.has_secrets(),
            activity,
            idle_for: match activity.last_ms {
                _ if busy => Some(Duration::ZERO),
                0 => None,
                last => Some(Duration::from_millis(now_ms.saturating_sub(last))),
            },
            channels: unlocked.map_or(0, |unlocked| unlocked.channels.live()),
            inbox_items: self.inbox.len(),
            unsealed: self.volume.as_ref().and_then(|volume| volume.unsealed()),
        }
    }

    /// Passes a signal on to the workload.
    pub fn signal_workload(&self, signal: Signal) {
        self.workload.signal(signal);
    }

    fn step(&self, event: Event) -> Result<Effect, CellError> {
        let now_ms = self.now_ms();
        let mut inner = self.lock_inner();
        let (state, effect) = step(inner.state, event, now_ms)?;
        inner.state = state;
        Ok(effect)
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings {
            children: Arc::clone(&self.children),
            logs: Arc::clone(&self.logs),
            activity: Arc::clone(&self.activity),
            clock: Arc::clone(&self.clock),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.boottime().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock_inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
