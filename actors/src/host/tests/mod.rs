//! Containers over the simulated engine, with cells that are only told of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod agent_policy;
pub(crate) mod cells;
mod connecting;
mod connections;
mod deletion;
mod egress;
mod gateway;
mod gateway_keys;
mod groups;
mod guard;
mod health;
mod inbox;
mod limits;
mod links;
mod nodes;
mod pairing;
mod place;
mod plain;
mod profile;
mod repeats;
mod restart;
mod rewrap;
mod schedules;
mod sealing;
mod sleep;
mod snapshots;
mod starts;
mod transcripts;
mod unfinished;
mod volumes;
mod wake;
mod watch;

use std::{sync::Arc, time::Duration};

use ocmt_runtime::{
    ContainerRef, Runtime as _, State,
    sim::{Op, SimRuntime},
};
use ocmt_store::{
    Filter,
    tables::{Node, NodeState, Timer},
};
use ocmt_types::{ContainerId, Incarnation, Timestamp, UnlockId, VaultId};

use self::cells::{FakeCells, PAYLOAD};
use crate::{
    ActorError, SystemConfig,
    api::{audit::QueryAudit, container::*},
    tests::kit::{Kit, Person, until},
};

const IMAGE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
const PAUSE: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(600);

/// A node with an engine and cells.
pub(crate) struct World {
    pub(crate) kit: Kit,
    runtime: SimRuntime,
    pub(crate) cells: Arc<FakeCells>,
}

/// The parts that outlive a node.
fn parts(config: &SystemConfig) -> (SimRuntime, Arc<FakeCells>) {
    let runtime = SimRuntime::new(config.signer.node(), config.clock.clone());
    let cells = Arc::new(FakeCells::new(runtime.clone(), config.clock.clone()));
    (runtime, cells)
}

impl World {
    pub(crate) async fn sim() -> Self {
        Self::sim_with(|_| {}).await
    }

    async fn sim_with(change: impl FnOnce(&mut SystemConfig)) -> Self {
        let mut made = None;
        let kit = Kit::sim_with(|config| {
            made = Some(Self::change(config));
            change(config);
        })
        .await;
        let (runtime, cells) = made.unwrap();
        Self { kit, runtime, cells }
    }

    /// The `n`th node over the same store, with an engine of its own.
    async fn beside(&self, n: u64) -> Self {
        self.beside_with(n, |_| {}).await
    }

    async fn beside_with(&self, n: u64, change: impl FnOnce(&mut SystemConfig)) -> Self {
        let mut made = None;
        let kit = self
            .kit
            .beside_with(n, |config| {
                made = Some(Self::change(config));
                change(config);
            })
            .await;
        let (runtime, cells) = made.unwrap();
        Self { kit, runtime, cells }
    }

    async fn sqlite() -> Self {
        Self::sqlite_with(|_| {}).await
    }

    async fn sqlite_with(change: impl FnOnce(&mut SystemConfig)) -> Self {
        let mut made = None;
        let kit = Kit::sqlite_with(|config| {
            made = Some(Self::change(config));
            change(config);
        })
        .await;
        let (runtime, cells) = made.unwrap();
        Self { kit, runtime, cells }
    }

    async fn postgres() -> Self {
        let mut made = None;
        let kit = Kit::postgres_with(|config| made = Some(Self::change(config))).await;
        let (runtime, cells) = made.unwrap();
        Self { kit, runtime, cells }
    }

    fn change(config: &mut SystemConfig) -> (SimRuntime, Arc<FakeCells>) {
        let (runtime, cells) = parts(config);
        config.runtime = Arc::new(runtime.clone());
        config.cells = Arc::clone(&cells) as Arc<dyn crate::CellLink>;
        (runtime, cells)
    }

    /// The node comes back after a crash, to the same engine and cells.
    async fn restart(&mut self) {
        self.restart_with(|_| {}).await;
    }

    /// The same with another configuration.
    async fn restart_with(&mut self, change: impl FnOnce(&mut SystemConfig)) {
        let (runtime, cells) = (self.runtime.clone(), Arc::clone(&self.cells));
        let system = self
            .kit
            .another_tree_with(|config| {
                config.runtime = Arc::new(runtime);
                config.cells = cells;
                change(config);
            })
            .await;
        let before = std::mem::replace(&mut self.kit.system, system);
        before.root.kill();
    }

    /// The node comes back as another life of it, after it was declared dead.
    async fn comes_back(&mut self, incarnation: Incarnation) {
        let cluster = self.kit.store.cluster();
        let node = Node {
            incarnation,
            node_id: self.kit.node.node_id,
            addr: "127.0.0.1:9".to_owned(),
            endpoint: "https://127.0.0.1:9".to_owned(),
            state: NodeState::Live,
            capacity: 1,
            memory_mib: 0,
            version: "test".to_owned(),
            registered_at: Timestamp(0),
        };
        cluster.register(&node).await.unwrap();
        let (runtime, cells) = (self.runtime.clone(), Arc::clone(&self.cells));
        let linked = self.kit.linked.clone();
        let change = |config: &mut SystemConfig| {
            config.incarnation = incarnation;
            config.runtime = Arc::new(runtime);
            config.cells = cells;
            config.neighbours = linked;
        };
        self.kit.system = self.kit.another_tree_with(change).await;
        self.kit.linked.joined(self.kit.system.clone());
    }

    async fn container(&self, person: &Person) -> ContainerId {
        let create = CreateContainer { user: None, spec: spec(), start: false };
        self.kit.call(&person.caller, create).await.unwrap().container.id
    }

    pub(crate) async fn running(&self, person: &Person) -> ContainerId {
        let container = self.container(person).await;
        self.wake(person, container).await.unwrap();
        container
    }

    async fn wake(&self, person: &Person, container: ContainerId) -> Result<Wake, ActorError> {
        self.kit.call(&person.caller, WakeContainer { container }).await.map(|woken| woken.wake)
    }

    async fn info(&self, person: &Person, container: ContainerId) -> ContainerInfo {
        self.kit.call(&person.caller, GetContainer { container }).await.unwrap()
    }

    /// Waits until the row says so.
    async fn comes_to(&self, person: &Person, container: ContainerId, state: ContainerState) {
        until(&format!("{state:?}"), async || self.info(person, container).await.state == state).await;
    }

    async fn engine(&self, container: ContainerId) -> Option<State> {
        self.runtime.inspect(&of(container)).await.ok().map(|seen| seen.state)
    }

    /// Unlocks the cell with a vault that maps nothing.
    async fn unlock(&self, person: &Person, container: ContainerId, vault: VaultId) -> Timestamp {
        self.kit.call(&person.caller, unlock_cell(container, vault)).await.unwrap().until
    }

    /// When the idle clock of a container is due, as the store has it.
    async fn due(&self, person: &Person, container: ContainerId) -> Option<Timestamp> {
        let mut tx = self.kit.rows(person.tenant).await;
        let timers = tx.find::<Timer>(Filter::all()).await.unwrap();
        let subject = container.to_string();
        timers
            .iter()
            .find(|timer| timer.kind == "container.look" && timer.subject == subject)
            .map(|timer| timer.due_at)
    }

    async fn ownership(&self, person: &Person) -> ocmt_types::Ownership {
        let owner = self.kit.store.cluster().owner(person.tenant).await.unwrap().unwrap();
        ocmt_types::Ownership {
            tenant: person.tenant,
            incarnation: owner.incarnation.unwrap(),
            epoch: owner.epoch,
        }
    }

    /// How many calls of a method were admitted.
    async fn admitted(&self, person: &Person, method: &str) -> usize {
        let method = Some(format!("ContainerService/{method}"));
        let query = QueryAudit { method, limit: 100, ..QueryAudit::default() };
        self.kit.call(&person.caller, query).await.unwrap().records.len()
    }

    fn calls(&self, op: Op) -> usize {
        self.runtime.calls().iter().filter(|(called, _)| *called == op).count()
    }
}

pub(crate) fn spec() -> ContainerSpec {
    ContainerSpec {
        image: IMAGE.to_owned(),
        argv: vec!["/app".to_owned()],
        workload_port: Some(8080),
        memory_bytes: None,
        pids: None,
        cpu_shares: None,
        pause_after_ms: Some(60_000),
        stop_after_ms: Some(600_000),
        gateway_plain: true,
        sealed_volume_bytes: None,
    }
}

fn of(container: ContainerId) -> ContainerRef {
    ContainerRef { container, generation: 1 }
}

/// An unlock of its own, with a vault that maps nothing.
pub(crate) fn unlock_cell(container: ContainerId, vault: VaultId) -> UnlockCell {
    UnlockCell { container, unlock: unlock_id(), sealed_payload: PAYLOAD.to_vec(), vault, objects: vec![] }
}

fn unlock_id() -> UnlockId {
    let ids: &dyn ocmt_types::IdGen = &ocmt_types::RandomIds;
    ids.id()
}
