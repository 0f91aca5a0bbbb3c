//! One machine: a process with its dead-man watch, and in it life after life of a node.

use std::{
    sync::{
        Arc, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ocmt_actors::{
    Limits, Mode, NodeSigner, SealingRing, System, SystemConfig, api::tenant::TenantPolicy, dead_man,
};
use ocmt_cluster::{LeaseTimes, Membership, MembershipConfig, Router};
use ocmt_crypto::{
    audit::{checkpoint::Checkpoint, cut::Cut},
    sealing::{SealingKey, SealingKeys},
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};
use ocmt_store::{Store, tables::NodeState};
use ocmt_types::{NodeId, SeededIds};
use tokio::{task::JoinSet, time::timeout};
use turmoil::net::TcpListener;

use super::{
    cells::Cells,
    engine::Engine,
    link::TreeLink,
    mail::Carrier,
    neighbours::Around,
    node::Node,
    world::{Lapse, Tree, node_id},
};
use crate::world::{HostTask, Life};

/// Where nodes listen.
pub(crate) const PORT: u16 = 7000;
/// A node without its lease pauses what it runs after this.
pub(crate) const DEAD_MAN: Duration = Duration::from_secs(3);
/// The engine is held against the rows within this, or the node serves without.
const RECONCILE: Duration = Duration::from_secs(10);
/// Between two attempts to join.
const AGAIN: Duration = Duration::from_secs(1);

/// A process of a machine, until it is crashed.
///
/// # Errors
/// None; the type is the simulator's.
pub(crate) async fn process(tree: Tree, machine: usize) -> turmoil::Result {
    let _up = Up::rise(&tree, machine);
    let lapse = Lapse::begin(tree.clock(machine));
    *tree.hosts[machine].lapse.lock().unwrap_or_else(PoisonError::into_inner) = Some(lapse.clone());
    let starts = || tree.ground.machines[machine].starts.fetch_add(1, Ordering::SeqCst);
    let engine = Arc::new(Engine::new(tree.clone(), machine, seed_of(&tree, machine, starts()) ^ 9));
    let (mut standing_by, held) = (JoinSet::new(), lapse.clone());
    standing_by.spawn(dead_man(engine, DEAD_MAN, move || held.length()));
    loop {
        let seed = seed_of(&tree, machine, starts());
        if let Err(error) = Box::pin(live(&tree, machine, seed, &lapse)).await {
            tree.note(format!("n{} did not start: {error}", machine + 1));
        }
        tree.ground.bury(machine);
        tokio::time::sleep(AGAIN).await; // why: the pause before another try, in simulated time
    }
}

fn seed_of(tree: &Tree, machine: usize, start: u64) -> u64 {
    tree.ground.seed.wrapping_mul(1_000_003) ^ (machine as u64) << 32 ^ start << 8
}

/// Whether a process runs, whatever ends it.
struct Up(Tree, usize);

impl Up {
    fn rise(tree: &Tree, machine: usize) -> Self {
        tree.hosts[machine].up.store(true, Ordering::SeqCst);
        Self(tree.clone(), machine)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.hosts[self.1].up.store(false, Ordering::SeqCst);
    }
}

/// One life, to its end. As `node` does it (`node/src/server`): lease, tree, listener, the first look through
/// the engine, work.
async fn live(tree: &Tree, machine: usize, seed: u64, lapse: &Lapse) -> anyhow::Result<()> {
    tree.ground.thaw(machine).await;
    let incarnation = Arc::new(OnceLock::new());
    let link = |more: u64| {
        let life = Arc::clone(&incarnation);
        Arc::new(TreeLink::new(tree.clone(), machine, life, seed ^ more << 56))
    };
    let (own, beat) = (tree.ground.store.linked(link(1)), tree.ground.store.linked(link(2)));
    let membership = Membership::start(membership(tree, machine, seed, &beat)).await?;
    let _ = incarnation.set(membership.incarnation());
    tree.ground.lives().push(Life {
        incarnation: membership.incarnation(),
        lease: membership.lease(),
        gone: Arc::new(AtomicBool::new(false)),
        machine,
    });
    lapse.ended_by(membership.lease());
    tree.note(format!("n{} is {}", machine + 1, membership.incarnation()));
    let mut tasks = JoinSet::new();
    tasks.spawn(membership.progress().run());
    let router = Router::new(own.clone(), &membership);
    let config = system(tree, machine, seed, &membership, &own, &router);
    let (clock, ids) = (Arc::clone(&config.clock), Arc::clone(&config.ids));
    let system = System::start(config).await?;
    let node = Node { tree: tree.clone(), machine, clock, ids, router, system: system.clone() };
    let ended = serve(&node, &membership, &mut tasks).await;
    system.abort().await;
    tree.note(format!("n{} ended: {}", machine + 1, ended?));
    Ok(())
}

async fn serve(node: &Node, membership: &Membership, tasks: &mut JoinSet<()>) -> anyhow::Result<String> {
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    let mut entering = Box::pin(async {
        // an engine that does not answer keeps nothing else from being served
        let _ = timeout(RECONCILE, node.system.reconciled()).await;
        membership.set_state(NodeState::Live).await
    });
    let mut entered = false;
    loop {
        tokio::select! {
            biased;
            ending = membership.ended() => return Ok(ending.to_string()),
            done = entering.as_mut(), if !entered => {
                done?;
                entered = true;
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

fn membership(tree: &Tree, machine: usize, seed: u64, store: &Store) -> MembershipConfig {
    let (name, store) = (format!("n{}:{PORT}", machine + 1), store.clone());
    MembershipConfig {
        node_id: node_id(machine),
        addr: name.clone(),
        endpoint: format!("https://{name}"),
        capacity: 1,
        memory_mib: 64 << 10,
        version: "0.1.0".to_owned(),
        times: LeaseTimes::default(),
        connect: Arc::new(move || {
            let store = store.clone();
            Box::pin(async move { Ok(store) })
        }),
        clock: tree.clock(machine),
        ids: Arc::new(SeededIds::new(seed)),
        thread: Arc::new(HostTask),
        memory: Arc::new(tree.ground.machines[machine].memory.clone()),
    }
}

fn system(
    tree: &Tree,
    machine: usize,
    seed: u64,
    membership: &Membership,
    store: &Store,
    router: &Router,
) -> SystemConfig {
    let (tree, clock) = (tree.clone(), tree.clock(machine));
    SystemConfig {
        store: store.clone(),
        ids: Arc::new(SeededIds::new(seed ^ 3 << 56)),
        mailer: Arc::new(Carrier { tree: tree.clone(), machine }),
        cells: Arc::new(Cells { tree: tree.clone(), machine }),
        runtime: Arc::new(Engine::new(tree.clone(), machine, seed ^ 4 << 56)),
        snapshots: None,
        signer: Arc::new(Signer { node: node_id(machine), key: SigningKey::from_bytes(&[9; 32]) }),
        sealing: SealingRing::new(SealingKeys::new([SealingKey::from_bytes(1, [5; 32])])),
        passkeys: None,
        neighbours: Arc::new(Around {
            machine,
            clock: Arc::clone(&clock),
            lease: membership.lease(),
            router: router.clone(),
            views: membership.view(),
            tree,
        }),
        clock,
        policy: TenantPolicy::default(),
        mode: Mode::Dev,
        incarnation: membership.incarnation(),
        limits: Limits {
            passivate_after: Duration::from_secs(4),
            // drawn at random, and a run is to be the same twice
            lobby_spread: Duration::ZERO,
            poll_every: Duration::from_millis(700),
            pinned_for: Duration::from_secs(3),
            ..Limits::default()
        },
    }
}

struct Signer {
    node: NodeId,
    key: SigningKey,
}

impl NodeSigner for Signer {
    fn node(&self) -> NodeId {
        self.node
    }

    fn verify_key(&self) -> VerifyKey {
        self.key.verify_key()
    }

    fn sign(&self, purpose: Purpose, message: &[u8]) -> Signature {
        self.key.sign(purpose, message)
    }

    fn sign_checkpoint(&self, checkpoint: &Checkpoint) -> Signature {
        checkpoint.sign(&self.key)
    }

    fn sign_cut(&self, cut: &Cut) -> Signature {
        cut.sign(&self.key)
    }

    fn certificate_chain(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}
