//! A process's way to the engine of its machine: calls take time, fail, and lose their answers.
//!
//! Here is also where an engine is caught doing what must never be: running two makings of one container.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, stream::BoxStream};
use ocmt_runtime::{
    Call, CellAddress, ContainerRef, ContainerSpec, Isolation, Observed, Runtime, RuntimeError, RuntimeEvent,
    RuntimeKind, StartSecret, State, sim::SimRuntime,
};
use ocmt_types::{TenantId, UserId};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::{invariants::one_making_lives, seen::Seen, world::Tree};

/// The engine as one process of the machine reaches it.
pub(crate) struct Engine {
    tree: Tree,
    machine: usize,
    rng: Mutex<StdRng>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl Engine {
    /// A way whose chances come from `seed`.
    pub(crate) fn new(tree: Tree, machine: usize, seed: u64) -> Self {
        Self { tree, machine, rng: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    fn inner(&self) -> &SimRuntime {
        &self.tree.hosts[self.machine].engine
    }

    fn roll(&self, below: u64) -> u64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..below)
    }

    async fn travel(&self) -> Result<(), RuntimeError> {
        let ms = if self.roll(30) == 0 { self.roll(600) } else { 1 + self.roll(15) };
        tokio::time::sleep(Duration::from_millis(ms)).await; // why: what an engine takes, in simulated time
        self.tree.ground.thaw(self.machine).await;
        if self.tree.is_stormy() && self.roll(80) == 0 {
            return Err(RuntimeError::EngineDown("the connection broke".to_owned()));
        }
        Ok(())
    }

    fn call<'a, T: Send + 'a>(
        &'a self,
        op: &'static str,
        container: &'a ContainerRef,
        act: Call<'a, T>,
    ) -> Call<'a, T> {
        Box::pin(async move {
            self.travel().await?;
            if matches!(op, "start" | "unpause") {
                for other in one_making_lives::others(container, &containers(self.inner())) {
                    self.tree.violation(&format!("{op} of {container} while {other} lives"));
                }
            }
            let answer = act.await;
            if answer.is_ok() {
                let did = format!("{op} {container}");
                self.tree.saw(Seen::Engine { machine: self.machine, did });
            }
            // what was done may be done without anybody hearing of it
            self.travel().await?;
            answer
        })
    }
}

/// What an engine has, past all faults.
pub(crate) fn containers(engine: &SimRuntime) -> Vec<Observed> {
    engine.list().now_or_never().and_then(Result::ok).unwrap_or_default()
}

/// Whether it lives.
pub(crate) fn lives(seen: &Observed) -> bool {
    matches!(seen.state, State::Running | State::Paused)
}

impl Runtime for Engine {
    fn kind(&self) -> RuntimeKind {
        self.inner().kind()
    }

    fn isolation(&self) -> Isolation {
        self.inner().isolation()
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Call<'a, ContainerRef> {
        Box::pin(async move {
            let container = spec.container_ref();
            self.call("create", &container, self.inner().create(spec)).await
        })
    }

    fn start<'a>(&'a self, container: &'a ContainerRef, secret: &'a StartSecret) -> Call<'a, CellAddress> {
        self.call("start", container, self.inner().start(container, secret))
    }

    fn pause<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        self.call("pause", container, self.inner().pause(container))
    }

    fn unpause<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        self.call("unpause", container, self.inner().unpause(container))
    }

    fn stop<'a>(&'a self, container: &'a ContainerRef, grace: Duration) -> Call<'a, ()> {
        self.call("stop", container, self.inner().stop(container, grace))
    }

    fn kill<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        self.call("kill", container, self.inner().kill(container))
    }

    fn remove<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, ()> {
        self.call("remove", container, self.inner().remove(container))
    }

    fn inspect<'a>(&'a self, container: &'a ContainerRef) -> Call<'a, Observed> {
        Box::pin(async move {
            self.travel().await?;
            self.inner().inspect(container).await
        })
    }

    fn list(&self) -> Call<'_, Vec<Observed>> {
        Box::pin(async move {
            self.travel().await?;
            self.inner().list().await
        })
    }

    fn tenants_with_volumes(&self) -> Call<'_, Vec<TenantId>> {
        Box::pin(async move {
            self.travel().await?;
            self.inner().tenants_with_volumes().await
        })
    }

    fn erase_volumes(&self, tenant: TenantId) -> Call<'_, ()> {
        Box::pin(async move {
            self.travel().await?;
            self.inner().erase_volumes(tenant).await
        })
    }

    fn erase_volume(&self, tenant: TenantId, user: UserId) -> Call<'_, ()> {
        Box::pin(async move {
            self.travel().await?;
            self.inner().erase_volume(tenant, user).await
        })
    }

    fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        self.inner().events()
    }
}
