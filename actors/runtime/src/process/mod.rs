//! The cell as a child process of the node: for a machine without Docker, in `dev` and `demo` alone.
//!
//! **It isolates nothing.** The workload runs as the node's user, sees its files, its network and its other
//! processes. It exists so that everything above it can be tried and shown; it is refused in production.
//!
//! A cell leads a process group of its own. Pausing stops the whole tree with SIGSTOP; a record per
//! container lets a restarted node adopt cells that live on, or clear up after those that do not.

mod archive;
mod group;
mod launch;
mod left;
mod reaper;
mod record;

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, future, stream::BoxStream};
use ocmt_types::{Clock, NodeId, TenantId, Timestamp, UserId};
use rustix::process::Signal;
use tokio::sync::{broadcast, watch};

use crate::{
    ArchiveCell, ArchiveErrand, Call, CellAddress, ContainerRef, ContainerSpec, Egress, Exit, Isolation,
    Labels, Limits, Mode, Observed, Runtime, RuntimeError, RuntimeEvent, RuntimeKind, StartSecret, State,
    erasing, volume,
};
use group::Process;
pub use left::end_left;
use record::{Record, Records};

const WARNING: &str = "the process runtime isolates nothing: workloads run as this user, on this network, beside the node's own files";

/// How long a killed tree may take to be gone.
const END_WITHIN: Duration = Duration::from_secs(10);

/// Where cells run.
#[derive(Clone)]
pub struct ProcessConfig {
    /// [`Mode::Dev`] or [`Mode::Demo`]; anything else is refused.
    pub mode: Mode,
    /// Whose containers these are.
    pub node: NodeId,
    /// The `ocmt-cell` binary.
    pub cell: PathBuf,
    /// Where the records are; of this node alone.
    pub state_dir: PathBuf,
    /// Where the volumes are. A cell's working folder is its volume.
    pub data_dir: PathBuf,
    /// How long a cell may take to say where it listens.
    pub start_within: Duration,
    /// The time of starts and deaths.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for ProcessConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessConfig")
            .field("cell", &self.cell)
            .field("state_dir", &self.state_dir)
            .finish_non_exhaustive()
    }
}

/// Child processes as a [`Runtime`].
#[derive(Debug)]
pub struct ProcessRuntime {
    shared: Arc<Shared>,
    ceiling: Limits,
}

#[derive(Debug)]
struct Shared {
    config: ProcessConfig,
    records: Records,
    cells: Mutex<BTreeMap<ContainerRef, Cell>>,
    events: broadcast::Sender<RuntimeEvent>,
}

#[derive(Debug)]
struct Cell {
    labels: Labels,
    record: Record,
    /// Becomes true when the running cell has ended; none when none was started or adopted by this process.
    ended: Option<watch::Receiver<bool>>,
}

/// A cell that has not ended: whom to signal, and how to wait for the end.
struct Living {
    leader: Process,
    ended: Option<watch::Receiver<bool>>,
}

impl ProcessRuntime {
    /// Reads the records of an earlier life: cells that live are adopted, what others left is killed. Call
    /// within a Tokio runtime.
    ///
    /// # Errors
    /// `Refused` in production or without a cell binary; `Io`, `Volume` for the folders.
    pub async fn open(config: ProcessConfig) -> Result<Self, RuntimeError> {
        if !config.mode.is_development() {
            return Err(RuntimeError::Refused(format!("{WARNING}; use containers.runtime = \"docker\"")));
        }
        if !config.cell.is_absolute() || !config.cell.is_file() {
            return Err(RuntimeError::Refused(format!(
                "{} is no cell binary (an absolute path is needed)",
                config.cell.display()
            )));
        }
        tracing::warn!(runtime = "process", "{WARNING}");
        let config = ProcessConfig { data_dir: volume::data_dir(&config.data_dir)?, ..config };
        crate::archive::clear(&config.data_dir)?;
        let records = Records::open(&config.state_dir)?;
        let shared =
            Arc::new(Shared { config, records, cells: Mutex::default(), events: broadcast::channel(1024).0 });
        for (labels, record) in shared.records.all()? {
            if labels.node == shared.config.node {
                adopt(&shared, labels, record).await;
            } else {
                tracing::warn!(node = %labels.node, container = %labels.container_ref(), "a process record of another node is left alone");
            }
        }
        Ok(Self { shared, ceiling: Limits::default() })
    }

    /// With another most that a container may ask for than the default [`Limits`]. Nothing holds it to it.
    #[must_use]
    pub const fn with_ceiling(mut self, ceiling: Limits) -> Self {
        self.ceiling = ceiling;
        self
    }

    /// Ends every cell: for the node's own end, since nothing else would end them.
    pub async fn shut_down(&self, grace: Duration) {
        let all: Vec<ContainerRef> = self.shared.lock().keys().copied().collect();
        future::join_all(all.iter().map(|container| async move {
            if let Err(error) = self.stop(container, grace).await {
                tracing::warn!(%container, %error, "a cell did not end");
            }
        }))
        .await;
    }
}

async fn adopt(shared: &Arc<Shared>, labels: Labels, mut record: Record) {
    let container = labels.container_ref();
    let run = record.run.clone().filter(|run| !record.ended && run.is_of_this_boot());
    let leader = run.map(|run| run.leader);
    if let Some(leader) = leader.filter(|leader| leader.is_alive()) {
        tracing::info!(%container, pid = leader.pid, "adopted a cell of an earlier life");
        // in the map first: the reaper looks for it there
        shared.lock().insert(container, Cell { labels, record, ended: None });
        let ended = reaper::watch_adopted(shared, container, leader);
        shared.with(&container, |cell| cell.ended = Some(ended));
        return;
    }
    if let Some(leader) = leader.filter(|leader| !leader.members().is_empty()) {
        tracing::warn!(%container, "a cell ended and left processes behind, killing them");
        leader.kill().await;
    }
    record.ended = record.run.is_some();
    shared.lock().insert(container, Cell { labels, record, ended: None });
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContainerRef, Cell>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, container: &ContainerRef, body: impl FnOnce(&mut Cell) -> T) -> Option<T> {
        self.lock().get_mut(container).map(body)
    }

    fn found<T>(
        &self,
        container: &ContainerRef,
        body: impl FnOnce(&mut Cell) -> T,
    ) -> Result<T, RuntimeError> {
        self.with(container, body).ok_or(RuntimeError::NotFound(*container))
    }

    fn note_end(&self, container: &ContainerRef, exit: Exit) {
        let record = self.with(container, |cell| {
            (cell.record.ended, cell.record.exit_code) = (true, exit.code);
            cell.record.clone()
        });
        if let Some(Err(error)) = record.map(|record| self.records.write(container, &record)) {
            tracing::warn!(%container, %error, "the end of a cell could not be written down");
        }
        // nobody listening is fine
        let _ =
            self.events.send(RuntimeEvent::Died { container: *container, exit, at: self.config.clock.now() });
    }

    /// The running or paused cell; none if it was never started or has ended.
    fn living(&self, container: &ContainerRef) -> Result<Option<Living>, RuntimeError> {
        self.found(container, |cell| {
            let run = cell.record.run.as_ref().filter(|_| !cell.record.ended)?;
            Some(Living { leader: run.leader, ended: cell.ended.clone() })
        })
    }

    /// Moves a living cell by `shift` unless it `is` there already.
    async fn shift(
        &self,
        container: &ContainerRef,
        call: &'static str,
        to: State,
    ) -> Result<(), RuntimeError> {
        let Some(Living { leader, .. }) = self.living(container)? else {
            let state = self.found(container, |cell| cell.observed().state)?;
            return Err(RuntimeError::conflict(container, call, state));
        };
        let done = if to == State::Paused { leader.freeze().await } else { leader.thaw().await };
        match leader.is_alive() {
            true if done => Ok(()),
            true => Err(RuntimeError::TimedOut(END_WITHIN)),
            false => Err(RuntimeError::conflict(container, call, State::Stopped)),
        }
    }
}

impl Living {
    /// Whether the end came within `within`; the one who would tell being gone means that it came.
    async fn wait(&self, within: Duration) -> bool {
        let Some(mut ended) = self.ended.clone() else { return true };
        tokio::time::timeout(within, ended.wait_for(|ended| *ended)).await.is_ok()
    }

    /// Kills what is left of the tree and waits until the end has been noted.
    async fn kill(&self) -> Result<(), RuntimeError> {
        let dead = self.leader.kill().await && self.wait(END_WITHIN).await;
        dead.then_some(()).ok_or(RuntimeError::TimedOut(END_WITHIN))
    }
}

impl Cell {
    fn observed(&self) -> Observed {
        let run = self.record.run.as_ref();
        let state = match run {
            None => State::Created,
            Some(_) if self.record.ended => State::Stopped,
            Some(run) if run.leader.is_frozen() => State::Paused,
            Some(_) => State::Running,
        };
        let lives = matches!(state, State::Running | State::Paused);
        Observed {
            container: self.labels.container_ref(),
            labels: self.labels,
            state,
            exit: (state == State::Stopped).then_some(Exit { code: self.record.exit_code, oom: false }),
            started_at: run.map(|run| Timestamp(run.started_at_ms)),
            address: run.filter(|_| lives).map(|run| CellAddress(run.address)),
        }
    }
}

impl Runtime for ProcessRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Process
    }

    fn isolation(&self) -> Isolation {
        Isolation::None
    }

    fn warnings(&self) -> Vec<String> {
        vec![WARNING.to_owned()]
    }

    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Call<'a, ContainerRef> {
        future::lazy(move |_| {
            // it cannot hold the cell to anything, but what Docker would refuse is refused here too
            spec.check(&self.ceiling, Egress::Off)?;
            spec.without_sealed_volume()?;
            let (container, labels) = (spec.container_ref(), spec.labels(self.shared.config.node));
            let record = Record {
                labels: labels.to_map(),
                args: spec.cell_args("127.0.0.1:0"),
                run: None,
                ended: false,
                exit_code: None,
            };
            let mut cells = self.shared.lock();
            if let Some(there) = cells.get(&container) {
                return Err(RuntimeError::conflict(&container, "create", there.observed().state));
            }
            self.shared.records.write(&container, &record)?;
            cells.insert(container, Cell { labels, record, ended: None });
            Ok(container)
        })
        .boxed()
    }

    fn start<'a>(&'a self, container: &'a ContainerRef, secret: &'a StartSecret) -> Call<'a, CellAddress> {
        launch::launch(&self.shared, container, secret).boxed()
    }

    fn pause<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        self.shared.shift(container, "pause", State::Paused).boxed()
    }

    fn unpause<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        self.shared.shift(container, "unpause", State::Running).boxed()
    }

    fn stop<'a>(&'a self, container: &'a ContainerRef, grace: Duration) -> Call<'a, ()> {
        async move {
            let Some(cell) = self.shared.living(container)? else { return Ok(()) };
            // known now: once the cell is gone, a descendant in a group of its own is nobody's
            let family = cell.leader.members();
            // to the cell alone, as Docker does to PID 1: the cell ends its workload in its own order
            cell.leader.signal(Signal::TERM);
            // what is stopped hears no SIGTERM
            cell.leader.thaw().await;
            cell.wait(grace).await;
            for member in family {
                member.kill().await;
            }
            cell.kill().await
        }
        .boxed()
    }

    fn kill<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        async move {
            let Some(cell) = self.shared.living(container)? else { return Ok(()) };
            cell.kill().await
        }
        .boxed()
    }

    fn remove<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        async move {
            match self.kill(container).await {
                Ok(()) => {
                    self.shared.lock().remove(container);
                    self.shared.records.remove(container)
                }
                Err(RuntimeError::NotFound(_)) => Ok(()),
                Err(error) => Err(error),
            }
        }
        .boxed()
    }

    fn inspect<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, Observed> {
        future::lazy(move |_| self.shared.found(container, |cell| cell.observed())).boxed()
    }

    fn list(&self) -> Call<'_, Vec<Observed>> {
        future::lazy(|_| {
            let mut all: Vec<Observed> = self.shared.lock().values().map(Cell::observed).collect();
            all.sort_by_key(|observed| observed.container.to_string());
            Ok(all)
        })
        .boxed()
    }

    fn tenants_with_volumes(&self) -> Call<'_, Vec<TenantId>> {
        volume::on_disk(&self.shared.config.data_dir, volume::tenants).boxed()
    }

    fn erase_volumes(&self, tenant: TenantId) -> Call<'_, ()> {
        erasing::erased(self.list(), &self.shared.config.data_dir, tenant, None).boxed()
    }

    fn erase_volume(&self, tenant: TenantId, user: UserId) -> Call<'_, ()> {
        erasing::erased(self.list(), &self.shared.config.data_dir, tenant, Some(user)).boxed()
    }

    fn archive<'a>(
        &'a self,
        spec: &'a ContainerSpec,
        errand: ArchiveErrand,
        secret: &'a StartSecret,
    ) -> Call<'a, ArchiveCell> {
        archive::start(&self.shared, spec, errand, secret).boxed()
    }

    fn settle_volume(&self, tenant: TenantId, user: UserId) -> Call<'_, ()> {
        let settle = move |data_dir: &std::path::Path| crate::archive::settle(data_dir, tenant, user);
        volume::on_disk(&self.shared.config.data_dir, settle).boxed()
    }

    fn swap_volume(&self, tenant: TenantId, user: UserId) -> Call<'_, ()> {
        let data_dir = &self.shared.config.data_dir;
        volume::on_disk(data_dir, move |data_dir| crate::archive::swap(data_dir, tenant, user)).boxed()
    }

    fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        crate::observed::live(&self.shared.events)
    }
}
