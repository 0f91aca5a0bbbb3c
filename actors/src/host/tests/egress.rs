//! The way out of a container: who sets its policy, that it holds on every node, and what is written down of it.
//!
//! The proxies are real, on loopback; what the tests take for a public address is one of these too.

use std::{
    cell::Cell,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use ocmt_runtime::egress::{Bounds, Door, Internet, Network, Outlet, Places, name::HostName};
use ocmt_store::tables::{EgressPolicyRow, EgressUse};
use ocmt_types::ContainerId;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
    time::timeout,
};

use super::{World, nodes::apart};
use crate::{
    ActorError,
    api::{
        audit::QueryAudit,
        container::{RemoveContainer, StopContainer},
        egress::{GetEgressPolicy, Policy, PolicySet, PutEgressPolicy, Rule},
        users::Role,
    },
    tests::kit::{Kit, Person, until},
};

const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[derive(Debug)]
struct Everywhere;

impl Network for Everywhere {
    fn resolve(&self, _: HostName, _: OwnedSemaphorePermit) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        async { Ok(vec![PUBLIC]) }.boxed()
    }
    fn refuses(&self, address: IpAddr) -> bool {
        address != PUBLIC && Internet::without(Vec::new()).refuses(address)
    }
}

/// A destination, and the door of the containers of one host.
struct Way {
    outside: TcpListener,
    door: SocketAddr,
}

impl Way {
    async fn out_of(world: &World, bounds: Bounds) -> Self {
        // free until the container runs, and again between two proxies: at an address that nobody else takes a port of
        let [a, b] = rand::random();
        let own = IpAddr::V4(Ipv4Addr::new(127, 77, a, b));
        let door = TcpListener::bind((own, 0)).await.unwrap().local_addr().unwrap();
        let outlet = Arc::new(Outlet::new(Arc::new(Everywhere), bounds, Places { node: 100, tenant: 100 }));
        world.runtime.lets_out(outlet, Door { listen: door, container: LOOPBACK });
        Self { outside: TcpListener::bind((PUBLIC, 0)).await.unwrap(), door }
    }

    fn port(&self) -> u16 {
        self.outside.local_addr().unwrap().port()
    }

    fn policy(&self, host: &str) -> Policy {
        let rules = vec![Rule { host: host.parse().unwrap(), ports: vec![self.port()] }];
        Policy { rules, max_bytes_per_day: 0 }
    }

    /// The head of the answer, and the connection.
    async fn ask(&self, host: &str) -> Option<(String, TcpStream)> {
        let mut stream = TcpStream::connect(self.door).await.ok()?;
        let ask = format!("CONNECT {host}:{} HTTP/1.1\r\n\r\n", self.port());
        stream.write_all(ask.as_bytes()).await.ok()?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(char::from(stream.read_u8().await.ok()?));
        }
        Some((head, stream))
    }

    async fn answers(&self, host: &str, what: &str) {
        until(what, async || self.ask(host).await.is_some_and(|(head, _)| head.contains(what))).await;
    }

    /// A tunnel, as soon as the door is open.
    async fn tunnel(&self, host: &str) -> (TcpStream, TcpStream) {
        let answered = Cell::new(None);
        let is_open = async || {
            let answer = self.ask(host).await;
            let open = answer.is_some();
            answered.set(answer);
            open
        };
        until("the door is open", is_open).await;
        let (head, near) = answered.take().unwrap();
        assert!(head.contains(" 200 "), "{head}");
        (near, self.outside.accept().await.unwrap().0)
    }
}

async fn put(
    kit: &Kit,
    who: &Person,
    container: Option<ContainerId>,
    policy: Policy,
    version: i64,
) -> Result<i64, ActorError> {
    let put = PutEgressPolicy { container, policy, expected_version: version };
    kit.call(&who.caller, put).await.map(|set| set.version)
}

async fn is_ended(stream: &mut TcpStream) -> bool {
    timeout(Duration::from_secs(20), stream.read_to_end(&mut Vec::new())).await.is_ok()
}

/// What the audit says of the way out.
async fn noted(world: &World, who: &Person) -> String {
    let query =
        QueryAudit { method: Some("container.egress".to_owned()), limit: 100, ..QueryAudit::default() };
    let page = world.kit.call(&who.caller, query).await.unwrap();
    format!("{:?}", page.records)
}

#[tokio::test]
async fn an_owner_who_was_there_a_moment_ago_sets_it_and_others_read_it() {
    for world in [World::sim().await, World::sqlite().await] {
        let way = Way::out_of(&world, Bounds::default()).await;
        let ann = world.kit.founder("ann@example.com").await;
        let bob = world.kit.member(&ann, "bob@example.com", Role::Admin).await;
        let policy = way.policy("*.example.com");
        let none = PolicySet { policy: Policy::default(), version: 0 };
        assert_eq!(world.kit.call(&bob.caller, GetEgressPolicy { container: None }).await.unwrap(), none);
        let denied = put(&world.kit, &bob, None, policy.clone(), 0).await.unwrap_err();
        assert_eq!(denied.reason(), "PERMISSION_DENIED");
        assert_eq!(put(&world.kit, &ann, None, policy.clone(), 0).await, Ok(1));
        let seen = world.kit.call(&bob.caller, GetEgressPolicy { container: None }).await.unwrap();
        assert_eq!(seen, PolicySet { policy: policy.clone(), version: 1 });
        let old = put(&world.kit, &ann, None, policy.clone(), 0).await.unwrap_err();
        assert_eq!(old.reason(), "CHANGED_MEANWHILE");
        world.kit.clock.advance(Duration::from_secs(16 * 60));
        let late = put(&world.kit, &ann, None, policy, 1).await.unwrap_err();
        assert_eq!(late.reason(), "STEP_UP_REQUIRED");
    }
}

#[tokio::test]
async fn parallel_changes_of_one_version_are_one_change() {
    let world = World::sqlite().await;
    let way = Way::out_of(&world, Bounds::default()).await;
    let ann = world.kit.founder("ann@example.com").await;
    let puts = (0..10).map(|_| put(&world.kit, &ann, None, way.policy("a.example.com"), 0));
    let done = futures_util::future::join_all(puts).await;
    assert_eq!(done.iter().filter(|version| **version == Ok(1)).count(), 1, "{done:?}");
    assert!(
        done.iter()
            .flat_map(|version| version.as_ref().err())
            .all(|error| error.reason() == "CHANGED_MEANWHILE")
    );
}

#[tokio::test]
async fn a_node_without_a_way_out_takes_no_policy_that_needs_one() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let rule = Rule { host: "a.example.com".parse().unwrap(), ports: vec![443] };
    let policy = Policy { rules: vec![rule], max_bytes_per_day: 0 };
    assert_eq!(put(&world.kit, &ann, None, policy, 0).await.unwrap_err().reason(), "EGRESS_OFF");
    assert_eq!(
        put(&world.kit, &ann, None, Policy::default(), 0).await,
        Ok(1),
        "nothing can always be allowed"
    );
}

#[tokio::test]
async fn a_policy_out_of_bounds_and_one_of_a_container_that_is_not_ours_is_refused() {
    let world = World::sim().await;
    let way = Way::out_of(&world, Bounds::default()).await;
    let (ann, eve) = (world.kit.founder("ann@example.com").await, world.kit.founder("eve@example.com").await);
    let container = world.container(&ann).await;
    let foreign = put(&world.kit, &eve, Some(container), way.policy("a.example.com"), 0).await.unwrap_err();
    assert_eq!(foreign, ActorError::NotFound);
    let read = GetEgressPolicy { container: Some(container) };
    assert_eq!(world.kit.call(&eve.caller, read).await.unwrap_err(), ActorError::NotFound);
    let rule = |ports: Vec<u16>| Rule { host: "a.example.com".parse().unwrap(), ports };
    for (rules, max_bytes_per_day) in [
        (vec![rule(vec![80]); 257], 0),
        (vec![rule(Vec::new())], 0),
        (vec![rule(vec![0])], 0),
        (vec![rule(vec![80; 17])], 0),
        (Vec::new(), (1 << 40) + 1),
    ] {
        let bad = put(&world.kit, &ann, None, Policy { rules, max_bytes_per_day }, 0).await.unwrap_err();
        assert_eq!(bad.reason(), "INVALID_ARGUMENT");
    }
}

#[tokio::test]
async fn what_goes_out_is_allowed_by_both_policies_and_written_into_the_audit() {
    let world = World::sqlite().await;
    let way = Way::out_of(&world, Bounds::default()).await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    way.answers("a.example.com", "NOT_IN_POLICY").await;
    put(&world.kit, &ann, None, way.policy("*.example.com"), 0).await.unwrap();
    let (mut near, mut far) = way.tunnel("a.example.com").await;
    near.write_all(b"out").await.unwrap();
    far.read_exact(&mut [0; 3]).await.unwrap();
    far.write_all(b"in").await.unwrap();
    near.read_exact(&mut [0; 2]).await.unwrap();
    put(&world.kit, &ann, Some(container), way.policy("b.example.com"), 0).await.unwrap();
    assert!(is_ended(&mut near).await, "it outlives the policy of its container");
    way.answers("a.example.com", "NOT_IN_POLICY").await;
    let (_near, _far) = way.tunnel("b.example.com").await;
    world.kit.clock.advance(Duration::from_secs(130));
    until("it is written down", async || {
        let all = noted(&world, &ann).await;
        let has = |what: &str| all.contains(what);
        let place = format!("a.example.com:{}", way.port());
        has(&place)
            && has("bytes out 3, in 2")
            && has("NOT_IN_POLICY")
            && has("POLICY_CHANGED")
            && has("b.example.com")
    })
    .await;
    let mut tx = world.kit.store.read(world.ownership(&ann).await).await.unwrap();
    let used = tx.get::<EgressUse>(container).await.unwrap().unwrap();
    assert_eq!((used.sent, used.received), (3, 2));
}

#[tokio::test]
async fn a_change_on_the_owners_node_ends_connections_on_the_host() {
    let (a, b, ann, container) = apart().await;
    let (way, _) = (Way::out_of(&b, Bounds::default()).await, Way::out_of(&a, Bounds::default()).await);
    put(&a.kit, &ann, None, way.policy("*.example.com"), 0).await.unwrap();
    a.wake(&ann, container).await.unwrap();
    let (mut near, _far) = way.tunnel("a.example.com").await;
    put(&a.kit, &ann, None, Policy::default(), 1).await.unwrap();
    assert!(is_ended(&mut near).await, "it goes on");
    way.answers("a.example.com", "NOT_IN_POLICY").await;
}

#[tokio::test]
async fn the_door_is_shut_while_it_does_not_run_and_nothing_is_left_of_a_removed_one() {
    let world = World::sqlite().await;
    let way = Way::out_of(&world, Bounds::default()).await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    put(&world.kit, &ann, None, way.policy("*.example.com"), 0).await.unwrap();
    put(&world.kit, &ann, Some(container), way.policy("*.example.com"), 0).await.unwrap();
    let (mut near, mut far) = way.tunnel("a.example.com").await;
    near.write_all(b"x").await.unwrap();
    far.read_exact(&mut [0; 1]).await.unwrap();
    let stop = StopContainer { container, grace: Duration::ZERO };
    world.kit.call(&ann.caller, stop).await.unwrap();
    assert!(is_ended(&mut near).await, "it outlives its container");
    until("nobody listens", async || TcpStream::connect(way.door).await.is_err()).await;
    let ownership = world.ownership(&ann).await;
    let used = async || {
        let mut tx = world.kit.store.read(ownership).await.unwrap();
        tx.get::<EgressUse>(container).await.unwrap()
    };
    until("the end is written down", async || used().await.is_some_and(|used| used.sent == 1)).await;
    world.kit.call(&ann.caller, RemoveContainer { container, delete_volume: false }).await.unwrap();
    assert_eq!(used().await, None);
    let mut tx = world.kit.store.read(ownership).await.unwrap();
    let subject = EgressPolicyRow::subject_of(Some(container));
    assert_eq!(tx.get::<EgressPolicyRow>(subject).await.unwrap(), None);
}

#[tokio::test]
async fn the_bytes_of_a_day_are_counted_over_a_restart_of_the_host() {
    let bounds = Bounds { sent_per_day: 10, ..Bounds::default() };
    let mut world = World::sqlite().await;
    let way = Way::out_of(&world, bounds).await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    put(&world.kit, &ann, None, way.policy("*.example.com"), 0).await.unwrap();
    let (mut near, mut far) = way.tunnel("a.example.com").await;
    near.write_all(&[1; 8]).await.unwrap();
    far.read_exact(&mut [0; 8]).await.unwrap();
    let stop = StopContainer { container, grace: Duration::ZERO };
    world.kit.call(&ann.caller, stop).await.unwrap();
    let ownership = world.ownership(&ann).await;
    until("it is written down", async || {
        let mut tx = world.kit.store.read(ownership).await.unwrap();
        tx.get::<EgressUse>(container).await.unwrap().is_some_and(|used| used.sent == 8)
    })
    .await;
    world.restart().await;
    world.wake(&ann, container).await.unwrap();
    let (mut near, mut far) = way.tunnel("a.example.com").await;
    let _ = near.write_all(&[1; 8]).await;
    let mut got = Vec::new();
    timeout(Duration::from_secs(20), far.read_to_end(&mut got)).await.unwrap().ok();
    assert_eq!(got.len(), 2);
    way.answers("a.example.com", "DAY_SPENT").await;
}
