//! A node of the simulation: the real membership and router, and under them a small tenant service.
//!
//! Tenants are logs. A write appends under the fence; a read is answered from memory, under the lease, which
//! is asked just before the answer. Any error of a write is terminal for what is in memory: the next call
//! claims and loads anew.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ocmt_cluster::{LeaseTimes, Membership, MembershipConfig, Route, Router};
use ocmt_store::{
    Claim, Filter, Store, StoreError,
    tables::{NodeState, Timer},
    testing::id,
};
use ocmt_types::{Incarnation, Ownership, SeededIds, TenantId, Timestamp};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    task::JoinSet,
    time::timeout,
};
use turmoil::net::{TcpListener, TcpStream};

use crate::{
    link::HostLink,
    oracle::Event,
    world::{HostTask, Life, SimClock, World},
};

/// Where nodes listen.
pub(crate) const PORT: u16 = 7000;
/// How long a call may take, forwarding included.
pub(crate) const CALL: Duration = Duration::from_secs(3);

/// A process of machine `machine`: lives, one after the other, until it is crashed.
///
/// # Errors
/// None; the type is the simulator's.
pub(crate) async fn process(world: World, machine: usize) -> turmoil::Result {
    loop {
        let start = world.machines[machine].starts.fetch_add(1, Ordering::SeqCst);
        if let Err(error) = live(&world, machine, start).await {
            note(&world, machine, &format!("did not start: {error}"));
        }
        world.bury(machine);
        tokio::time::sleep(Duration::from_millis(200)).await; // why: a supervisor's pause before a restart, simulated
    }
}

fn note(world: &World, machine: usize, what: &str) {
    world.oracle.saw(world.now(), Event::Noted(format!("n{} {what}", machine + 1)));
}

/// One life, to its end.
async fn live(world: &World, machine: usize, start: u64) -> anyhow::Result<()> {
    let seed = world.seed.wrapping_mul(1_000_003) ^ (machine as u64) << 32 ^ start;
    world.thaw(machine).await;
    let link = |more: u64| Arc::new(HostLink::new(world.clone(), machine, seed ^ more << 56));
    let (own, beat) = (world.store.linked(link(1)), world.store.linked(link(2)));
    let membership = Membership::start(config(world, machine, seed, &beat)).await?;
    let gone = Arc::new(AtomicBool::new(false));
    world.lives().push(Life {
        incarnation: membership.incarnation(),
        lease: membership.lease(),
        gone,
        machine,
    });
    note(world, machine, &format!("is {}", membership.incarnation()));
    let node = Node {
        world: world.clone(),
        machine,
        router: Router::new(own.clone(), &membership),
        membership: membership.clone(),
        store: own,
        tenants: Arc::default(),
    };
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(membership.progress().run());
    membership.set_state(NodeState::Live).await?;
    loop {
        tokio::select! {
            biased;
            ending = membership.ended() => {
                note(world, machine, &format!("ended: {ending}"));
                return Ok(());
            }
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let node = node.clone();
                tasks.spawn(async move { node.answer(stream).await });
            }
        }
    }
}

fn config(world: &World, machine: usize, seed: u64, store: &Store) -> MembershipConfig {
    let (name, store) = (format!("n{}:{PORT}", machine + 1), store.clone());
    MembershipConfig {
        node_id: id(machine as u64 + 1),
        addr: name.clone(),
        endpoint: format!("https://{name}"),
        capacity: 1,
        memory_mib: 0,
        version: "0.1.0".to_owned(),
        times: LeaseTimes::default(),
        connect: Arc::new(move || {
            let store = store.clone();
            Box::pin(async move { Ok(store) })
        }),
        clock: Arc::new(SimClock { world: world.clone(), machine }),
        ids: Arc::new(SeededIds::new(seed)),
        thread: Arc::new(HostTask),
        memory: Arc::new(world.machines[machine].memory.clone()),
    }
}

/// The state of one tenant on its owner.
#[derive(Default)]
struct Tenant {
    own: Option<Ownership>,
    seq: u64,
    last: u64,
}

type Tenants = Arc<Mutex<BTreeMap<u64, Arc<tokio::sync::Mutex<Tenant>>>>>;

#[derive(Clone)]
struct Node {
    world: World,
    machine: usize,
    membership: Membership,
    router: Router,
    store: Store,
    tenants: Tenants,
}

impl Node {
    /// One call on one connection: `W tenant op hop` or `R tenant op hop`.
    async fn answer(&self, mut stream: TcpStream) {
        let mut line = String::new();
        if BufReader::new(&mut stream).read_line(&mut line).await.is_err() {
            return;
        }
        self.world.thaw(self.machine).await;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words.as_slice() {
            [kind, tenant, op, hop] => match (tenant.parse(), op.parse(), hop.parse()) {
                (Ok(tenant), Ok(op), Ok(hop)) => self.call(*kind == "W", tenant, op, hop).await,
                _ => "NO".to_owned(),
            },
            _ => "NO".to_owned(),
        };
        self.world.thaw(self.machine).await;
        // the caller may be gone
        let _ = stream.write_all(format!("{answer}\n").as_bytes()).await;
        let _ = stream.shutdown().await;
    }

    async fn call(&self, writes: bool, tenant: u64, op: u64, hop: u32) -> String {
        let tenant_id: TenantId = id(tenant);
        let route = if hop >= 2 { Ok(Route::Here) } else { self.router.route(tenant_id).await };
        match route {
            Ok(Route::Here) => {
                let answer = if writes { self.write(tenant, op).await } else { self.read(tenant).await };
                answer.unwrap_or_else(|word| word)
            }
            Ok(Route::There(peer)) => {
                let kind = if writes { "W" } else { "R" };
                let call = format!("{kind} {tenant} {op} {}\n", hop + 1);
                let Ok(Ok(answer)) = timeout(CALL, ask(&peer.addr, &call)).await else {
                    self.router.forget(tenant_id);
                    return "UNKNOWN".to_owned();
                };
                if answer.starts_with("NOTOWNER") {
                    self.router.forget(tenant_id);
                }
                answer
            }
            Ok(Route::Nobody) | Err(_) => "NO".to_owned(),
        }
    }

    fn tenant(&self, tenant: u64) -> Arc<tokio::sync::Mutex<Tenant>> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tenants.entry(tenant).or_default())
    }

    /// Claims and loads a tenant that is not here yet.
    async fn wake(&self, tenant: u64, state: &mut Tenant) -> Result<Ownership, String> {
        if let Some(own) = state.own {
            return Ok(own);
        }
        let refused = |_: StoreError| "NO".to_owned();
        let (node_id, incarnation) = (self.membership.node_id(), self.membership.incarnation());
        let claim = self.store.cluster().claim(id(tenant), node_id, incarnation).await.map_err(refused)?;
        let own = match claim {
            Claim::Taken(own) => own,
            Claim::Owned { node_id, incarnation, .. } => {
                self.router.learn(id(tenant), node_id, incarnation);
                return Err("NOTOWNER".to_owned());
            }
            Claim::NoTenant => return Err("NO".to_owned()),
        };
        note(&self.world, self.machine, &format!("claimed {tenant} in epoch {}", own.epoch.0));
        let mut tx = self.store.read(own).await.map_err(refused)?;
        let log = tx.find::<Timer>(Filter::all()).await.map_err(refused)?;
        state.seq = log.len() as u64;
        state.last = log.last().map_or(0, op_of);
        state.own = Some(own);
        Ok(own)
    }

    async fn write(&self, tenant: u64, op: u64) -> Result<String, String> {
        let tenant_state = self.tenant(tenant);
        let mut state = tenant_state.lock().await;
        self.strict()?;
        let own = self.wake(tenant, &mut state).await?;
        let seq = state.seq + 1;
        match self.append(own, seq, op).await {
            Ok(()) => {
                (state.seq, state.last) = (seq, op);
                Ok(format!("OK {} {seq} {}", own.epoch.0, self.membership.incarnation()))
            }
            Err(error) => {
                // terminal for what is in memory
                state.own = None;
                Err(if error.outcome_unknown() { "UNKNOWN" } else { "NO" }.to_owned())
            }
        }
    }

    async fn append(&self, own: Ownership, seq: u64, op: u64) -> Result<(), StoreError> {
        let mut subject = String::new();
        let _ = write!(subject, "{seq:08}");
        let entry = Timer {
            tenant_id: own.tenant,
            kind: "log".to_owned(),
            subject,
            due_at: Timestamp(own.epoch.0),
            payload: op.to_be_bytes().to_vec(),
        };
        let mut tx = self.store.fenced(own).await?;
        // not `insert`: the fence alone is what keeps a stale owner from writing over its successor
        tx.upsert(&entry).await?;
        tx.commit().await
    }

    async fn read(&self, tenant: u64) -> Result<String, String> {
        let tenant_state = self.tenant(tenant);
        let mut state = tenant_state.lock().await;
        let own = self.wake(tenant, &mut state).await?;
        self.world.thaw(self.machine).await;
        // asked just before the answer: between the claim and here a machine may have stood still
        self.strict()?;
        Ok(format!("VAL {} {} {}", own.epoch.0, state.seq, state.last))
    }

    fn strict(&self) -> Result<(), String> {
        self.membership.lease().strict().map_err(|_| "NO".to_owned())
    }
}

/// The operation of a log entry.
pub(crate) fn op_of(entry: &Timer) -> u64 {
    entry.payload.as_slice().try_into().map_or(0, u64::from_be_bytes)
}

/// One call to a node.
///
/// # Errors
/// If the connection fails or ends without an answer.
pub(crate) async fn ask(addr: &str, call: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(call.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if answer.is_empty() { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

/// The incarnation in an answer.
pub(crate) fn incarnation(text: &str) -> Option<Incarnation> {
    Some(Incarnation(u128::from_str_radix(text, 16).ok()?.to_be_bytes()))
}
