//! The workload's own HTTP and WebSockets through the gateway, to the demo's workload on the `process` runtime.

mod http;
mod limits;
mod sockets;

use std::time::Duration;

use ocmt_client::{container::Spec, vault::Vault};
use ocmt_testkit::{Person, TestNode, plain::Visitor, ports, programs};
use ocmt_types::{Clock as _, ContainerId, SystemClock};

/// Somebody whose unlocked container runs the demo's workload.
pub(crate) struct Stage {
    pub(crate) node: TestNode,
    pub(crate) ada: Person,
    /// Kept: it has unlocked the cell.
    _vault: Vault,
    pub(crate) container: ContainerId,
    pub(crate) visitor: Visitor,
}

impl Stage {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub(crate) async fn open_with(change: impl FnOnce(&mut Spec)) -> Self {
        Self::on(TestNode::start().await.unwrap(), change).await
    }

    pub(crate) async fn on(node: TestNode, change: impl FnOnce(&mut Spec)) -> Self {
        let ada = node.person("ada").await.unwrap();
        let (container, vault) = unlocked(&ada, change).await;
        let visitor = Visitor::of(&ada.client, node.target().unwrap(), container).await.unwrap();
        Self { node, ada, _vault: vault, container, visitor }
    }
}

/// Theirs, unlocked.
pub(crate) async fn unlocked(person: &Person, change: impl FnOnce(&mut Spec)) -> (ContainerId, Vault) {
    let mut vault = person.vault("violin ledger umbrella quartz").await.unwrap();
    vault.put("key", b"a value").await.unwrap();
    let mut spec = workload();
    change(&mut spec);
    let container = person.client.create_container(&spec, true).await.unwrap().id;
    let maps = ["DEMO_SECRET=key".parse().unwrap()];
    vault.unlock_container(container, &maps, Duration::from_secs(900), false).await.unwrap();
    (container, vault)
}

/// Containers of the `process` runtime share the machine's loopback.
pub(crate) fn workload() -> Spec {
    let program = programs::of_the_cell("ocmt-demo-workload").unwrap().display().to_string();
    Spec {
        argv: vec![program, "serve".to_owned()],
        workload_port: Some(ports::unused().unwrap()),
        gateway_plain: true,
        ..Spec::default()
    }
}

/// By the machine's boot time.
pub(crate) fn now() -> Duration {
    SystemClock.boottime()
}
