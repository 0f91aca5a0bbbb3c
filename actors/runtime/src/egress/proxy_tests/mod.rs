//! Tests, which `proxy.rs` takes in under `cfg(test)`: the proxy on loopback addresses: its door is one, its destinations are others that the tests' own network allows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bounds;
mod requests;

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use ocmt_types::{Id as _, ManualClock, Timestamp};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

use super::*;
use crate::egress::{Allowed, Batch, Bounds, Internet, Network, Places, Policy, Rule};

/// Where destinations of tests listen: refused as loopback but for the tests' network.
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Where proxies of tests listen: no connection of the machine goes out from it, and takes a port that was free.
const DOOR: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 8));

/// Answers in turn, the last for ever; refuses all that the internet does, but for one address.
#[derive(Debug)]
struct Names(Mutex<VecDeque<Vec<IpAddr>>>, Mutex<u32>);

impl Network for Names {
    fn resolve(&self, _: HostName, _: OwnedSemaphorePermit) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        *self.1.lock().unwrap() += 1;
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        async move { Ok(answer.unwrap_or_default()) }.boxed()
    }
    fn refuses(&self, address: IpAddr) -> bool {
        address != PUBLIC && Internet::without(Vec::new()).refuses(address)
    }
}

struct Said(Mutex<Option<Allowed>>);

impl Policies for Said {
    fn allowed(&self) -> BoxFuture<'_, Option<Allowed>> {
        let said = self.0.lock().unwrap().clone();
        async move { said }.boxed()
    }
}

struct Bench {
    door: SocketAddr,
    book: Arc<Book>,
    said: Arc<Said>,
    names: Arc<Names>,
    upstream: TcpListener,
    bounds: Bounds,
    clock: ManualClock,
    outlet: Arc<Outlet>,
    /// Places of another tenant.
    neighbour: Arc<Semaphore>,
    _running: JoinSet<()>,
}

fn allowing(host: &str, port: u16) -> Allowed {
    let rules = vec![Rule { host: host.parse().unwrap(), ports: vec![port] }];
    Allowed { tenant: Policy { rules, max_bytes_per_day: 0 }, ..Allowed::default() }
}

impl Bench {
    async fn with(bounds: Bounds, answers: &[&[IpAddr]], knows: IpAddr) -> Self {
        Self::of_a_node_with(100, bounds, answers, knows).await
    }

    async fn of_a_node_with(places: usize, bounds: Bounds, answers: &[&[IpAddr]], knows: IpAddr) -> Self {
        Self::at(Places { node: places, tenant: 100 }, bounds, answers, knows).await
    }

    async fn at(places: Places, bounds: Bounds, answers: &[&[IpAddr]], knows: IpAddr) -> Self {
        let upstream = TcpListener::bind((PUBLIC, 0)).await.unwrap();
        let said = Arc::new(Said(Mutex::new(Some(allowing(
            "*.example.com",
            upstream.local_addr().unwrap().port(),
        )))));
        let answers = answers.iter().map(|found| found.to_vec()).collect();
        let names = Arc::new(Names(Mutex::new(answers), Mutex::new(0)));
        let clock = ManualClock::at(Timestamp(1_000_000_000_000));
        let book = Book::new(Arc::new(clock.clone()));
        let outlet = Arc::new(Outlet::new(names.clone(), bounds, places));
        let neighbour = outlet.places_of(TenantId::from_bytes([2; 16]));
        let proxy =
            Proxy::new(Arc::clone(&outlet), TenantId::from_bytes([1; 16]), said.clone(), Arc::clone(&book));
        // a free port; taken again at once
        let door = TcpListener::bind((DOOR, 0)).await.unwrap().local_addr().unwrap();
        let mut running = JoinSet::new();
        running.spawn(async move {
            let never = proxy.serve(Door { listen: door, container: knows }).await;
            panic!("{never:?}");
        });
        Self { door, book, said, names, upstream, bounds, clock, outlet, neighbour, _running: running }
    }

    async fn new(answers: &[&[IpAddr]]) -> Self {
        Self::with(Bounds::default(), answers, LOOPBACK).await
    }

    fn port(&self) -> u16 {
        self.upstream.local_addr().unwrap().port()
    }

    async fn knock(&self) -> TcpStream {
        for _ in 0..4000 {
            if let Ok(stream) = TcpStream::connect(self.door).await {
                return stream;
            }
            // why: the listener comes up beside us
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the proxy does not listen");
    }

    /// Asks and reads until the end.
    async fn ask(&self, request: &str) -> String {
        let mut stream = self.knock().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A tunnel to the destination, and the destination's end of it.
    async fn tunnel(&self) -> (TcpStream, TcpStream) {
        let mut stream = self.knock().await;
        let ask = format!("CONNECT a.example.com:{} HTTP/1.1\r\nHost: x\r\n\r\n", self.port());
        stream.write_all(ask.as_bytes()).await.unwrap();
        let accepted = timeout(Duration::from_secs(60), self.upstream.accept()).await;
        let (far, _) = accepted.expect("the destination was not reached").unwrap();
        let mut head = vec![0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(head, b"HTTP/1.1 200");
        let mut last = [0; 4];
        while &last != b"\r\n\r\n" {
            last.rotate_left(1);
            last[3] = stream.read_u8().await.unwrap();
        }
        (stream, far)
    }

    async fn drained(&self, until: impl Fn(&Batch) -> bool) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..4000 {
            self.book.put_back(std::mem::take(&mut batch));
            batch = self.book.drain();
            if until(&batch) {
                return batch;
            }
            // why: bytes are counted beside us
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{batch:?}");
    }

    fn refusals(&self) -> Vec<(String, &'static str, u64)> {
        self.book.drain().refused.into_iter().map(|((place, why), times)| (place, why, times)).collect()
    }
}

async fn is_ended(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    timeout(Duration::from_secs(60), stream.read_to_end(&mut rest)).await.is_ok()
}
