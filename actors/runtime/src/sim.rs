//! An engine in memory: deterministic, without processes, with faults on order. For the tests of others.
//!
//! It keeps the contract of [`Runtime`] to the letter (the conformance suite runs on it), answers at once,
//! and remembers what it was asked ([`SimRuntime::calls`]) and which secret each cell was given.

mod archive;
mod asked;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, future, stream::BoxStream};
use ocmt_types::{Clock, NodeId, Secret, TenantId, UserId};
use tokio::sync::broadcast;

pub use archive::Archive;
pub use asked::{Fault, Op};

use crate::{
    ArchiveCell, ArchiveErrand, CELL_PORT, Call, CellAddress, ContainerRef, ContainerSpec, Egress, Exit,
    Isolation, Limits, Observed, Runtime, RuntimeError, RuntimeEvent, RuntimeKind, StartSecret, State,
    egress::{Door, Outlet},
};

struct Sandbox {
    observed: Observed,
    secret: Option<StartSecret>,
    listens_at: Option<SocketAddr>,
}

#[derive(Default)]
struct Inner {
    containers: BTreeMap<String, Sandbox>,
    removed: BTreeMap<String, Sandbox>,
    /// Tenants with volumes.
    volumes: BTreeSet<TenantId>,
    /// Users whose volume was erased.
    erased: Vec<UserId>,
    faults: HashMap<Op, VecDeque<Fault>>,
    calls: Vec<(Op, Option<ContainerRef>)>,
    down: bool,
    starts: u32,
    outlet: Option<(Arc<Outlet>, Door)>,
    /// What is not as it was made, and how often that was asked.
    drifts: BTreeMap<String, Vec<String>>,
    compared: usize,
    /// What stands for cells that run nothing.
    archivist: Option<Arc<dyn Archive>>,
}

/// The engine. Clones are the same engine.
#[derive(Clone)]
pub struct SimRuntime {
    node: NodeId,
    clock: Arc<dyn Clock>,
    ceiling: Limits,
    inner: Arc<Mutex<Inner>>,
    events: broadcast::Sender<RuntimeEvent>,
}

impl fmt::Debug for SimRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimRuntime").field("node", &self.node).finish_non_exhaustive()
    }
}

impl SimRuntime {
    /// An engine without containers, those of `node` to come.
    pub fn new(node: NodeId, clock: Arc<dyn Clock>) -> Self {
        Self {
            node,
            clock,
            ceiling: Limits::default(),
            inner: Arc::default(),
            events: broadcast::channel(1024).0,
        }
    }

    /// With another most that a container may use than the default [`Limits`].
    #[must_use]
    pub const fn with_ceiling(mut self, ceiling: Limits) -> Self {
        self.ceiling = ceiling;
        self
    }

    /// This is not as it was made, of a container.
    pub fn drifts(&self, container: &ContainerRef, what: &[&str]) {
        let what = what.iter().map(|it| (*it).to_owned()).collect();
        self.lock().drifts.insert(container.to_string(), what);
    }

    /// Its containers have a way out from now on, with the proxy of each at this door.
    pub fn lets_out(&self, outlet: Arc<Outlet>, door: Door) {
        self.lock().outlet = Some((outlet, door));
    }

    /// Whose containers these are.
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// The next call of `op` that has no fault yet meets `fault`.
    pub fn fault(&self, op: Op, fault: Fault) {
        self.lock().faults.entry(op).or_default().push_back(fault);
    }

    /// How many listen to its events.
    pub fn listeners(&self) -> usize {
        self.events.receiver_count()
    }

    /// While down, every call answers [`RuntimeError::EngineDown`]; listeners get a `Resync` when it is back.
    pub fn set_down(&self, down: bool) {
        let was = std::mem::replace(&mut self.lock().down, down);
        if was && !down {
            self.tell(RuntimeEvent::Resync);
        }
    }

    /// Ends a running or paused container as if by itself.
    pub fn end(&self, container: &ContainerRef, exit: Exit) {
        if let Some(sandbox) = self.lock().containers.get_mut(&container.to_string()) {
            self.finish(sandbox, exit);
        }
    }

    /// Something in it is ended for want of memory, and it goes on.
    pub fn starves(&self, container: &ContainerRef) {
        self.tell(RuntimeEvent::OutOfMemory { container: *container, at: self.clock.now() });
    }

    /// The cell of `container` listens at `address` from its next start on: for tests that run a cell of their own.
    pub fn listen_at(&self, container: &ContainerRef, address: SocketAddr) {
        if let Some(sandbox) = self.lock().containers.get_mut(&container.to_string()) {
            sandbox.listens_at = Some(address);
        }
    }

    /// The start secret that the cell of `container` was last given.
    pub fn start_secret(&self, container: &ContainerRef) -> Option<[u8; 32]> {
        self.lock().containers.get(&container.to_string())?.secret.as_ref().map(|secret| *secret.expose())
    }

    /// A container that was removed is there again and runs, as after the engine was put back to an older state.
    pub fn restore(&self, container: &ContainerRef) {
        let mut inner = self.lock();
        let removed = inner.removed.remove(&container.to_string());
        if let Some(mut sandbox) = removed {
            sandbox.observed.state = State::Running;
            inner.containers.insert(container.to_string(), sandbox);
        }
    }

    /// What it was asked about containers so far, in order.
    pub fn calls(&self) -> Vec<(Op, Option<ContainerRef>)> {
        let of_containers = |(op, _): &&(Op, _)| !matches!(op, Op::Volumes | Op::Erase | Op::Swap);
        self.lock().calls.iter().filter(of_containers).copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: RuntimeEvent) {
        // nobody listening is fine
        let _ = self.events.send(event);
    }

    fn finish(&self, sandbox: &mut Sandbox, exit: Exit) {
        if matches!(sandbox.observed.state, State::Running | State::Paused) {
            sandbox.observed = Observed {
                state: State::Stopped,
                exit: Some(exit),
                address: None,
                ..sandbox.observed.clone()
            };
            self.tell(RuntimeEvent::Died {
                container: sandbox.observed.container,
                exit,
                at: self.clock.now(),
            });
        }
    }

    /// Runs `body` on the state, unless a fault is due.
    fn call<'a, T: Send + 'a>(
        &'a self,
        op: Op,
        container: Option<ContainerRef>,
        body: impl FnOnce(&Self, &mut Inner) -> Result<T, RuntimeError> + Send + 'a,
    ) -> Call<'a, T> {
        let down = || RuntimeError::EngineDown("simulated".to_owned());
        future::lazy(move |_| {
            let mut inner = self.lock();
            inner.calls.push((op, container));
            if inner.down {
                return Some(Err(down()));
            }
            match inner.faults.get_mut(&op).and_then(VecDeque::pop_front) {
                None => Some(body(self, &mut inner)),
                Some(Fault::EngineDown) => Some(Err(down())),
                Some(Fault::Refused) => Some(Err(RuntimeError::Refused("simulated".to_owned()))),
                Some(Fault::Hang) => None,
                Some(Fault::LostAnswer) => Some(body(self, &mut inner).and_then(|_| Err(down()))),
                Some(Fault::Dies) => {
                    let answer = body(self, &mut inner);
                    if let Some(sandbox) = container.and_then(|it| inner.containers.get_mut(&it.to_string()))
                    {
                        self.finish(sandbox, Exit { code: Some(1), oom: false });
                    }
                    Some(answer)
                }
            }
        })
        .then(|answer| async { if let Some(answer) = answer { answer } else { future::pending().await } })
        .boxed()
    }

    /// Moves a container from `from` to `to`; being in `to` already is fine.
    fn shift<'a>(
        &'a self,
        op: Op,
        name: &'static str,
        container: &ContainerRef,
        from: State,
        to: State,
    ) -> Call<'a, ()> {
        let container = *container;
        self.call(op, Some(container), move |_, inner| {
            let observed = &mut found(inner, &container)?.observed;
            if observed.state != from && observed.state != to {
                return Err(RuntimeError::conflict(&container, name, observed.state));
            }
            observed.state = to;
            Ok(())
        })
    }

    fn finish_by(&self, op: Op, container: &ContainerRef, code: i64) -> Call<'_, ()> {
        let container = *container;
        self.call(op, Some(container), move |sim, inner| {
            sim.finish(found(inner, &container)?, Exit { code: Some(code), oom: false });
            Ok(())
        })
    }
}

fn found<'i>(inner: &'i mut Inner, container: &ContainerRef) -> Result<&'i mut Sandbox, RuntimeError> {
    inner.containers.get_mut(&container.to_string()).ok_or(RuntimeError::NotFound(*container))
}

impl Runtime for SimRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Sim
    }

    fn isolation(&self) -> Isolation {
        Isolation::None
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Call<'a, ContainerRef> {
        let container = spec.container_ref();
        self.call(Op::Create, Some(container), move |sim, inner| {
            let most = if inner.outlet.is_some() { Egress::Proxied } else { Egress::Off };
            spec.check(&sim.ceiling, most)?;
            let name = container.to_string();
            if let Some(there) = inner.containers.get(&name) {
                return Err(RuntimeError::conflict(&container, "create", there.observed.state));
            }
            let observed = Observed {
                container,
                labels: spec.labels(sim.node),
                state: State::Created,
                exit: None,
                started_at: None,
                address: None,
            };
            inner.volumes.insert(observed.labels.tenant);
            inner.containers.insert(name, Sandbox { observed, secret: None, listens_at: None });
            Ok(container)
        })
    }

    fn start<'a>(&'a self, container: &'a ContainerRef, secret: &'a StartSecret) -> Call<'a, CellAddress> {
        self.call(Op::Start, Some(*container), move |sim, inner| {
            let starts = inner.starts;
            let sandbox = found(inner, container)?;
            if matches!(sandbox.observed.state, State::Running | State::Paused) {
                return Err(RuntimeError::conflict(container, "start", sandbox.observed.state));
            }
            // TEST-NET-1: nothing answers there by accident
            let host = u8::try_from(starts % 254).unwrap_or(0) + 1;
            let address = CellAddress(
                sandbox.listens_at.unwrap_or_else(|| (Ipv4Addr::new(192, 0, 2, host), CELL_PORT).into()),
            );
            sandbox.secret = Some(Secret::new(*secret.expose()));
            let observed = &mut sandbox.observed;
            (observed.state, observed.exit) = (State::Running, None);
            (observed.started_at, observed.address) = (Some(sim.clock.now()), Some(address));
            inner.starts += 1;
            Ok(address)
        })
    }

    fn pause<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        self.shift(Op::Pause, "pause", container, State::Running, State::Paused)
    }

    fn unpause<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        self.shift(Op::Unpause, "unpause", container, State::Paused, State::Running)
    }

    fn stop<'a>(&'a self, container: &'a ContainerRef, _grace: Duration) -> Call<'a, ()> {
        self.finish_by(Op::Stop, container, 0)
    }

    fn kill<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        self.finish_by(Op::Kill, container, 137)
    }

    fn remove<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        self.call(Op::Remove, Some(*container), move |sim, inner| {
            if let Some(mut sandbox) = inner.containers.remove(&container.to_string()) {
                sim.finish(&mut sandbox, Exit { code: Some(137), oom: false });
                inner.removed.insert(container.to_string(), sandbox);
            }
            Ok(())
        })
    }

    fn inspect<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, Observed> {
        self.call(Op::Inspect, Some(*container), move |_, inner| {
            Ok(found(inner, container)?.observed.clone())
        })
    }

    fn list(&self) -> Call<'_, Vec<Observed>> {
        self.call(Op::List, None, |_, inner| {
            Ok(inner.containers.values().map(|sandbox| sandbox.observed.clone()).collect())
        })
    }

    fn tenants_with_volumes(&self) -> Call<'_, Vec<TenantId>> {
        self.call(Op::Volumes, None, |_, inner| Ok(inner.volumes.iter().copied().collect()))
    }

    fn erase_volumes(&self, tenant: TenantId) -> Call<'_, ()> {
        self.call(Op::Erase, None, move |_, inner| archive::erase(inner, tenant, None))
    }

    fn erase_volume(&self, tenant: TenantId, user: UserId) -> Call<'_, ()> {
        self.call(Op::Erase, None, move |_, inner| archive::erase(inner, tenant, Some(user)))
    }

    fn archive<'a>(
        &'a self,
        spec: &'a ContainerSpec,
        errand: ArchiveErrand,
        secret: &'a StartSecret,
    ) -> Call<'a, ArchiveCell> {
        let begin = move |_: &Self, inner: &mut Inner| archive::begin(inner, spec, errand, secret);
        self.call(Op::Archive, Some(spec.container_ref()), begin)
    }

    fn swap_volume(&self, tenant: TenantId, user: UserId) -> Call<'_, ()> {
        self.call(Op::Swap, None, move |_, inner| archive::by(inner)?.swap(tenant, user))
    }

    fn drift<'a>(&'a self, spec: &'a ContainerSpec) -> Call<'a, Vec<String>> {
        let mut inner = self.lock();
        inner.compared += 1;
        let found = inner.drifts.get(&spec.container_ref().to_string()).cloned().unwrap_or_default();
        future::ready(Ok(found)).boxed()
    }

    fn outlet(&self) -> Option<Arc<Outlet>> {
        self.lock().outlet.as_ref().map(|(outlet, _)| Arc::clone(outlet))
    }

    fn door(&self, _: CellAddress) -> Option<Door> {
        self.lock().outlet.as_ref().map(|(_, door)| *door)
    }

    fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        crate::observed::live(&self.events)
    }
}
