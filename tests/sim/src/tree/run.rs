//! One run: a seed in, what happened and what does not hold out.

use std::{sync::atomic::Ordering, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use turmoil::{Builder, Sim};

use super::{
    client::TENANTS,
    hands::Hands,
    invariants::{check, one_making_lives, without_a_lease_all_is_paused::Running},
    keeper::keeper,
    last::last_look,
    ledger::Books,
    machine::process,
    runner::runner,
    seen::Seen,
    world::Tree,
};
use crate::{
    chaos::{Chaos, name},
    oracle::Event,
    run::{Report, begin_at_the_first_list},
};

/// Simulated milliseconds in which people come in.
const CALM: u64 = 5_000;
/// When the chaos ends.
const CHAOS: u64 = 40_000;
/// People go on after it for so long.
const AFTERWARDS: u64 = 6_000;
/// Of healing before the last look.
const HEALING: u64 = 18_000;
/// The last look takes at most so long.
const LAST: u64 = 400_000;
const TICK: Duration = Duration::from_millis(25);

/// Runs the seed: three or four machines, three tenants with two users and a container each.
///
/// # Errors
/// If the simulation itself fails.
pub fn run(seed: u64) -> anyhow::Result<Report> {
    begin_at_the_first_list()?;
    let mut rng = StdRng::seed_from_u64(seed ^ 0x7EE);
    let tree = Tree::new(seed, rng.random_range(3..=4));
    let mut sim = Builder::new()
        .simulation_duration(Duration::from_millis(CHAOS + HEALING + LAST))
        .tick_duration(TICK)
        .rng_seed(seed)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(40))
        .build();
    for machine in 0..tree.hosts.len() {
        let tree = tree.clone();
        sim.host(name(machine), move || process(tree.clone(), machine));
    }
    for n in 1..=TENANTS {
        sim.client(format!("k{n}"), keeper(tree.clone(), n, CHAOS + AFTERWARDS));
        sim.client(format!("r{n}"), runner(tree.clone(), n, CHAOS + AFTERWARDS));
    }
    sim.client("last", last_look(tree.clone(), CHAOS + HEALING));
    live_through(&mut sim, &tree, &mut rng)?;
    drop(sim);
    let setup = tokio::runtime::Builder::new_current_thread().build()?;
    let books = setup.block_on(Books::read(&tree))?;
    let events = tree.ground.oracle.events();
    let mut violations = tree.ground.oracle.violations();
    violations.extend(check(&events, &books));
    let answered = events.iter().filter(|(_, event)| is_answer(event)).count();
    let lives = tree.ground.lives().len();
    Ok(Report { violations, events, answered, lives })
}

/// Calm, chaos, healing.
fn live_through(sim: &mut Sim<'_>, tree: &Tree, rng: &mut StdRng) -> anyhow::Result<()> {
    let (mut chaos, mut hands, mut running) = (Chaos::default(), Hands::default(), Running::default());
    let (mut begun, mut healed) = (false, false);
    loop {
        let done = sim.step().map_err(|error| anyhow::anyhow!("the simulation failed: {error}"))?;
        tree.ground.time.fetch_add(u64::try_from(TICK.as_millis())?, Ordering::SeqCst);
        if done {
            return Ok(());
        }
        let now = tree.ground.now();
        if now.is_multiple_of(100) {
            one_making_lives::look(tree);
            running.look(tree);
        }
        if (CALM..CHAOS).contains(&now) {
            if !std::mem::replace(&mut begun, true) {
                tree.stormy.store(true, Ordering::SeqCst);
            }
            chaos.step(sim, &tree.ground, rng);
            hands.step(tree, rng);
            tree.freeze_clocks();
        } else if now >= CHAOS && !std::mem::replace(&mut healed, true) {
            tree.stormy.store(false, Ordering::SeqCst);
            chaos.heal(sim, &tree.ground);
            hands.heal(tree);
            tree.freeze_clocks();
        }
    }
}

fn is_answer(event: &Event) -> bool {
    matches!(event, Event::Tree(Seen::Wrote { .. } | Seen::Read { .. } | Seen::Done { .. }))
}
