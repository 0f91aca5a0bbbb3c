//! The way out of a container, tried from inside: its own proxy, what the policy names, and nothing else.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use ocmt_runtime::{
    CellAddress, ContainerSpec, Egress, Runtime as _,
    egress::{
        Allowed, Book, Bounds, Internet, Network, Outlet, Places, Policies, Policy, Proxy, Rule,
        name::HostName,
    },
};
use ocmt_types::{Id as _, SystemClock, TenantId};
use tokio::{io::AsyncWriteExt as _, net::TcpListener, sync::OwnedSemaphorePermit, task::JoinSet};

use crate::{
    Docker,
    conformance::{Bench, ask, on, secret},
    docker_with,
    profile::client,
};

/// The one address inside that these tests take for a public one.
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

/// `a-b-c-d.example.com` is at a.b.c.d, `public.example.com` at [`PUBLIC`], in turn with the host's loopback for
/// `turning.example.com`.
#[derive(Debug, Default)]
struct Names(std::sync::atomic::AtomicBool);

impl Network for Names {
    fn resolve(
        &self,
        host: HostName,
        _: OwnedSemaphorePermit,
    ) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let name = host.as_str().trim_end_matches(".example.com").replace('-', ".");
        let turned = name == "turning" && self.0.fetch_xor(true, std::sync::atomic::Ordering::SeqCst);
        let found = match name.as_str() {
            "turning" if turned => Ok(vec![Ipv4Addr::LOCALHOST.into()]),
            "public" | "turning" => Ok(vec![PUBLIC]),
            address => address.parse().map(|address| vec![address]).map_err(io::Error::other),
        };
        async move { found }.boxed()
    }
    fn refuses(&self, address: IpAddr) -> bool {
        address != PUBLIC && Internet::without(Vec::new()).refuses(address)
    }
}

/// As wide as a policy can be: every port that the test uses, of every name of the test's.
struct Wide(Vec<u16>);

impl Policies for Wide {
    fn allowed(&self) -> BoxFuture<'_, Option<Allowed>> {
        let rule = Rule { host: "*.example.com".parse().unwrap(), ports: self.0.clone() };
        let tenant = Policy { rules: vec![rule], max_bytes_per_day: 0 };
        async move { Some(Allowed { tenant, ..Allowed::default() }) }.boxed()
    }
}

async fn proxied() -> Docker {
    docker_with(|config| config.egress = Egress::Proxied).await
}

fn spec(bench: &Bench) -> ContainerSpec {
    ContainerSpec { egress: Egress::Proxied, ..bench.spec() }
}

/// Says hello to whoever connects.
async fn greet(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let _ = stream.write_all(b"hello from outside").await;
    }
}

/// Opens the proxy of the container whose cell is at `cell`; where it listens.
fn open(
    docker: &Arc<ocmt_runtime::docker::DockerRuntime>,
    cell: CellAddress,
    ports: Vec<u16>,
    tasks: &mut JoinSet<()>,
) -> SocketAddr {
    let door = docker.door(cell).unwrap();
    let outlet = Arc::new(Outlet::new(
        Arc::new(Names::default()),
        Bounds::default(),
        Places { node: 100, tenant: 100 },
    ));
    let proxy = Proxy::new(
        outlet,
        TenantId::from_bytes([1; 16]),
        Arc::new(Wide(ports)),
        Book::new(Arc::new(SystemClock)),
    );
    tasks.spawn(async move {
        let never = proxy.serve(door).await;
        panic!("{never:?}");
    });
    door.listen
}

/// Asks once the proxy listens.
async fn via(cell: CellAddress, proxy: SocketAddr, line: &str) -> String {
    for _ in 0..100 {
        let answer = ask(cell, &format!("via {proxy} {line}")).await;
        if answer != "Err(ConnectionRefused)" {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await; // why: between two looks of a bounded wait
    }
    panic!("nobody listens at {proxy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn from_inside_the_proxy_leads_where_the_policy_says_and_never_inside() {
    let docker = proxied().await;
    let runtime = docker.runtime;
    on(docker.bench, async |bench| {
        let mut tasks = JoinSet::new();
        let (container, one) = bench.started(&spec(bench), &secret(1)).await;
        let (_, other) = bench.started(&spec(bench), &secret(2)).await;
        // beside it a service of the host's, on the very port that the policy allows: one that is free at both addresses
        let (outside, port, host) = loop {
            let outside = TcpListener::bind((PUBLIC, 0)).await.unwrap();
            let port = outside.local_addr().unwrap().port();
            if let Ok(host) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
                break (outside, port, host);
            }
        };
        tasks.spawn(greet(outside));
        let proxy = open(&runtime, one, vec![port, 80, 443, 5432, 7450, 7451], &mut tasks);
        let told = ask(one, "env").await;
        assert!(told.contains("HTTPS_PROXY") && told.contains("no_proxy"), "{told}");
        assert_eq!(runtime.audit(&container).await.unwrap(), []);

        let answer = via(one, proxy, &format!("CONNECT public.example.com:{port}")).await;
        assert!(answer.contains("200 OK") && answer.contains("hello from outside"), "{answer}");
        let direct = ask(one, &format!("connect {PUBLIC}:{port}")).await;
        assert!(direct.starts_with("Err"), "{direct}");
        let first = via(one, proxy, &format!("CONNECT turning.example.com:{port}")).await;
        let second = via(one, proxy, &format!("CONNECT turning.example.com:{port}")).await;
        assert!(first.contains("hello from outside") && second.contains("NOT_PUBLIC"), "{first} {second}");

        let dashed = |ip: IpAddr| ip.to_string().replace('.', "-");
        let neighbour = dashed(other.0.ip());
        let gateway = dashed(proxy.ip());
        for inside in
            ["127-0-0-1", "10-0-0-1", "192-168-0-1", "169-254-169-254", "100-64-0-1", &neighbour, &gateway]
        {
            for at in [port, 80, 5432, 7450, 7451] {
                let answer = via(one, proxy, &format!("CONNECT {inside}.example.com:{at}")).await;
                assert!(answer.contains("403") && answer.contains("NOT_PUBLIC"), "{inside}:{at}: {answer}");
            }
            let answer = via(one, proxy, &format!("GET http://{inside}.example.com/latest/meta-data")).await;
            assert!(answer.contains("NOT_PUBLIC"), "{inside}: {answer}");
        }
        for notation in [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "017700000001",
            "127.1",
            "[::1]",
            "[::ffff:7f00:1]",
            "169.254.169.254",
            "localhost",
        ] {
            let answer = via(one, proxy, &format!("CONNECT {notation}:{port}")).await;
            assert!(answer.contains("400"), "{notation}: {answer}");
        }
        assert!(host.accept().now_or_never().is_none(), "the host's own service was reached");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_is_the_only_port_of_the_host_and_each_container_has_its_own() {
    let docker = proxied().await;
    let runtime = docker.runtime;
    on(docker.bench, async |bench| {
        let mut tasks = JoinSet::new();
        let (container, one) = bench.started(&spec(bench), &secret(1)).await;
        let (_, other) = bench.started(&spec(bench), &secret(2)).await;
        let doors =
            [open(&runtime, one, vec![443], &mut tasks), open(&runtime, other, vec![443], &mut tasks)];
        let service = TcpListener::bind((doors[0].ip(), 0)).await.unwrap();
        let port = service.local_addr().unwrap().port();
        assert!(via(one, doors[0], "CONNECT public.example.com:1").await.contains("NOT_IN_POLICY"));
        let refused = async |why: &str| {
            for target in
                [SocketAddr::new(doors[0].ip(), port), doors[1], other.0, "192.0.2.1:443".parse().unwrap()]
            {
                let answer = ask(one, &format!("connect {target}")).await;
                assert!(answer.starts_with("Err"), "{why} {target}: {answer}");
            }
        };
        refused("as it is made").await;
        // with a way to the other bridge the kernel would take it at that address: the packet filter does not
        let inspect = client().inspect_container(&container.to_string(), None).await.unwrap();
        let process = inspect.state.unwrap().pid.unwrap().to_string();
        let gateway = doors[0].ip().to_string();
        let routed = std::process::Command::new("nsenter")
            .args(["-t", &process, "-n", "ip", "route", "replace", "default", "via", &gateway])
            .status()
            .unwrap();
        assert!(routed.success(), "no route");
        refused("with a route").await;
        assert!(via(one, doors[0], "CONNECT public.example.com:1").await.contains("NOT_IN_POLICY"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_proxy_the_door_is_shut_and_nobody_is_told_of_one() {
    let docker = docker_with(|_| {}).await;
    let runtime = docker.runtime;
    on(docker.bench, async |bench| {
        let wide = bench.runtime.create(&spec(bench)).await;
        assert!(wide.is_err(), "a way out that the node does not have was given");
        let (_, address) = bench.started(&bench.spec(), &secret(1)).await;
        assert_eq!(runtime.door(address), None);
        let IpAddr::V4(cell) = address.0.ip() else { panic!() };
        let gateway = Ipv4Addr::from(u32::from(cell) - 1);
        let listener = TcpListener::bind((gateway, 7451)).await.unwrap();
        assert_eq!(ask(address, &format!("connect {gateway}:7451")).await, "Err(ConnectionRefused)");
        assert!(!ask(address, "env").await.contains("PROXY"));
        drop(listener);
    })
    .await;
}
