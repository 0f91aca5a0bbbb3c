//! One run: a seed in, what happened and what does not hold out.

use std::{sync::atomic::Ordering, time::Duration};

use anyhow::Context as _;
use ocmt_store::{
    Filter, Store,
    tables::Timer,
    testing::{TestNode, id},
};
use ocmt_types::Incarnation;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::task::JoinSet;
use turmoil::Builder;

use crate::{
    chaos::{Chaos, name},
    client::{TENANTS, client, last_look},
    invariants,
    node::{op_of, process},
    oracle::Event,
    world::World,
};

/// Simulated milliseconds of chaos.
const CHAOS: u64 = 40_000;
/// Of healing before the last look.
const HEALING: u64 = 15_000;
const TICK: Duration = Duration::from_millis(25);

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// What does not hold.
    pub violations: Vec<String>,
    /// What happened, by simulated milliseconds.
    pub events: Vec<(u64, Event)>,
    /// Calls that were answered with success.
    pub answered: usize,
    /// Lives of nodes.
    pub lives: usize,
}

/// To be called before a run. Tokio keeps a runtime's tasks in four lists, by their number, which counts for the whole
/// process, and ends them list by list when the runtime is dropped. What a crash breaks off first is the same in each run
/// only if each begins with a number for the same list.
///
/// # Errors
/// There is no runtime, or its tasks have no numbers.
pub(crate) fn begin_at_the_first_list() -> anyhow::Result<()> {
    const LISTS: u64 = 4;
    tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
        let mut tasks = JoinSet::new();
        while tasks.spawn(async {}).id().to_string().parse::<u64>()? % LISTS != 0 {}
        Ok(())
    })
}

/// Runs the seed: three to five nodes, two clients, three tenants.
///
/// # Errors
/// If the simulation itself fails.
pub fn run(seed: u64) -> anyhow::Result<Report> {
    begin_at_the_first_list()?;
    let mut rng = StdRng::seed_from_u64(seed);
    let world = World::new(seed, rng.random_range(3..=5));
    let setup = tokio::runtime::Builder::new_current_thread().build()?;
    setup.block_on(found(&world.store))?;
    let end = CHAOS + HEALING;
    let mut sim = Builder::new()
        .simulation_duration(Duration::from_millis(end * 4))
        .tick_duration(TICK)
        .rng_seed(seed)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(50))
        .build();
    for machine in 0..world.machines.len() {
        let world = world.clone();
        sim.host(name(machine), move || process(world.clone(), machine));
    }
    for n in 1..=2 {
        sim.client(format!("c{n}"), client(world.clone(), n, CHAOS + HEALING / 2));
    }
    sim.client("last", last_look(world.clone(), end));
    let (mut chaos, mut healed) = (Chaos::default(), false);
    loop {
        let done = sim.step().map_err(|error| anyhow::anyhow!("the simulation failed: {error}"))?;
        world.time.fetch_add(u64::try_from(TICK.as_millis())?, Ordering::SeqCst);
        if done {
            break;
        }
        if world.now() < CHAOS {
            chaos.step(&mut sim, &world, &mut rng);
        } else if !healed {
            healed = true;
            chaos.heal(&mut sim, &world);
        }
    }
    drop(sim);
    let logs = setup.block_on(logs(&world.store))?;
    let events = world.oracle.events();
    let mut violations = world.oracle.violations();
    violations.extend(invariants::check(&events, &logs));
    let answered = events.iter().filter(|(_, event)| is_answer(event)).count();
    let lives = world.lives().len();
    Ok(Report { violations, events, answered, lives })
}

fn is_answer(event: &Event) -> bool {
    matches!(event, Event::Wrote { .. } | Event::Read { .. })
}

/// Tenants without an owner: their founder is a node that is long gone.
async fn found(store: &Store) -> anyhow::Result<()> {
    let founder = TestNode::start(store, 99).await?;
    for tenant in 1..=TENANTS {
        founder.found(tenant).await?;
    }
    store.cluster().mark_dead(founder.incarnation).await?;
    Ok(())
}

/// The log of each tenant as it is stored.
async fn logs(store: &Store) -> anyhow::Result<Vec<invariants::Log>> {
    let reader = TestNode::start(store, 98).await?;
    let lives = store.cluster().living_nodes().await?;
    let others = lives.iter().map(|node| node.incarnation).filter(|life| *life != reader.incarnation);
    for life in others.collect::<Vec<Incarnation>>() {
        store.cluster().mark_dead(life).await?;
    }
    let mut logs = Vec::new();
    for tenant in 1..=TENANTS {
        let own = reader.claim(id(tenant)).await.context("the last claim")?;
        let log = store.read(own).await?.find::<Timer>(Filter::all()).await?;
        logs.push(log.iter().map(op_of).collect());
    }
    Ok(logs)
}
