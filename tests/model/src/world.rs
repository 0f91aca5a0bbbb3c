//! The whole: machines, database, time; the steps that may be taken, and what must hold.

use ocmt_cluster::Observer;
use stateright::{Model, Property};

use crate::{
    database::{Database, Life, incarnation},
    machine::{Actor, Machine, Node, TIMES, Write, ticks},
};

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Nothing.
    Sound,
    /// A life is known by its machine alone: a restarted node is taken for the one before.
    NoIncarnation,
    /// The fence does not compare the epoch.
    NoEpoch,
    /// The fence compares nothing.
    NoFence,
    /// Reads from memory do not ask the lease.
    NoLease,
    /// Whoever placement prefers among the nodes it sees is the owner.
    PlacementOwns,
    /// Neither the counter nor the view version is compared with what was seen before.
    Forgetful,
}

/// What may happen, and for how long.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What is left out.
    pub variant: Variant,
    /// Machines.
    pub machines: usize,
    /// How many of them run at the start; the first owns the tenant.
    pub running: usize,
    /// Ticks of chaos.
    pub chaos: u8,
    /// How many times the process of the first machine may end, and start again.
    pub crashes: u8,
    /// How many claims there may be, the first included.
    pub claims: i64,
    /// How many writes.
    pub writes: u8,
    /// Whether the first machine may give the tenant up.
    pub drain: bool,
    /// Whether the database may be rolled back to what it was at the start.
    pub rollback: bool,
}

/// A state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// Ticks since the start.
    pub time: u8,
    /// What is durable.
    pub database: Database,
    /// What it is rolled back to, as long as that may happen.
    pub backup: Option<Box<Database>>,
    /// When it was, and which lives had renewals acknowledged that it lost.
    pub rolled_back: Option<(u8, Vec<Life>)>,
    /// The machines.
    pub machines: Vec<Machine>,
    /// Lives so far.
    pub born: Life,
    /// Crashes so far.
    pub crashed: u8,
    /// A write was committed that did not build on the one before.
    pub lost_update: bool,
    /// A claim took the tenant from a node that still served it.
    pub stolen: bool,
}

/// A step; the number is the machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Time passes.
    Tick,
    /// A renewal is sent and committed; its answer is on its way.
    Renew(usize),
    /// The answer arrives.
    Acknowledge(usize),
    /// The node looks at the database.
    Look(usize),
    /// What it decided then takes effect.
    Declare(usize),
    /// It claims the tenant and loads it; claiming its own anew is an actor restarted.
    Claim(usize),
    /// It computes a write, and the write is there.
    Write(usize),
    /// It computes a write and sends it.
    Send(usize),
    /// The write arrives at the database.
    Arrive(usize),
    /// It gives the tenant up.
    Release(usize),
    /// Its process ends.
    Crash(usize),
    /// A process starts.
    Start(usize),
    /// The database becomes what it was at the start.
    RollBack,
    /// One tick of healing: everybody takes every step.
    Heal,
}

/// Ticks of healing: a death, a claim, and room.
const HEALING: u8 = 12;

impl Model for Scenario {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let mut database = Database::new();
        let mut machines = Vec::new();
        for machine in 0..self.machines {
            let life = Life::try_from(machine).unwrap_or(Life::MAX);
            let node = (machine < self.running).then(|| {
                database.register(life, machine);
                Node::born(life, 0, &database)
            });
            machines.push(Machine { node, write: None });
        }
        for node in machines.iter_mut().filter_map(|machine| machine.node.as_mut()) {
            node.look(0, &database);
        }
        if let Some(node) = machines[0].node.as_mut() {
            node.actor = database.claim(node.life).map(|epoch| Actor { epoch, value: 0 });
        }
        let backup = self.rollback.then(|| Box::new(database.clone()));
        let born = Life::try_from(self.machines).unwrap_or(Life::MAX);
        vec![World {
            time: 0,
            database,
            backup,
            rolled_back: None,
            machines,
            born,
            crashed: 0,
            lost_update: false,
            stolen: false,
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        if world.time >= self.chaos {
            if world.time < self.chaos + HEALING {
                steps.push(Step::Heal);
            }
            return;
        }
        steps.push(Step::Tick);
        if world.backup.is_some() && world.time > 0 {
            steps.push(Step::RollBack);
        }
        for at in 0..world.machines.len() {
            self.steps_of(world, at, steps);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        match step {
            Step::Tick => self.tick(&mut next),
            Step::Heal => self.heal(&mut next),
            Step::RollBack => {
                next.database = *next.backup.take()?;
                next.rolled_back = Some((next.time, next.losers()));
            }
            Step::Crash(at) => {
                next.machines[at].node = None;
                next.crashed += 1;
            }
            Step::Start(at) => self.start(&mut next, at),
            Step::Arrive(at) => self.arrive(&mut next, at),
            Step::Write(at) => self.write(&mut next, at),
            Step::Renew(at)
            | Step::Acknowledge(at)
            | Step::Look(at)
            | Step::Declare(at)
            | Step::Claim(at)
            | Step::Send(at)
            | Step::Release(at) => self.act(&mut next, at, step),
        }
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no stale strict read", |model: &Self, world: &World| {
                world.rolled_back.is_some() || !world.has_stale_reader(model.variant)
            }),
            Property::always("no steal from a live owner", |_: &Self, world: &World| {
                world.rolled_back.is_some() || !world.stolen
            }),
            Property::always("no lost update", |_: &Self, world: &World| {
                world.rolled_back.is_some() || !world.lost_update
            }),
            Property::always(
                "a rolled back database renews nobody who would lose by it",
                |_: &Self, world: &World| !world.was_renewed_after_rollback(),
            ),
            Property::always("nobody is stuck", |model: &Self, world: &World| {
                world.time < model.chaos + HEALING || world.is_served()
            }),
            Property::sometimes("another node takes over", |_: &Self, world: &World| {
                world.machines.iter().skip(1).any(|m| m.node.as_ref().is_some_and(|n| n.actor.is_some()))
            }),
        ]
    }
}

impl Scenario {
    /// Time passes. The other machines renew; the first does when its steps come.
    fn tick(&self, world: &mut World) {
        world.time += 1;
        for at in 1..world.machines.len() {
            self.act(world, at, Step::Renew(at));
            self.act(world, at, Step::Acknowledge(at));
        }
    }

    fn steps_of(&self, world: &World, at: usize, steps: &mut Vec<Step>) {
        let machine = &world.machines[at];
        if machine.write.is_some() {
            steps.push(Step::Arrive(at));
        }
        let Some(node) = &machine.node else {
            steps.push(Step::Start(at));
            return;
        };
        if at == 0 && world.crashed < self.crashes {
            steps.push(Step::Crash(at));
        }
        if node.over {
            return;
        }
        if at == 0 {
            self.steps_of_the_first(world, node, steps);
        } else if node.looked < world.time {
            steps.push(Step::Look(at));
        }
        if node.verdict.is_some() {
            steps.push(Step::Declare(at));
        }
        if world.database.epoch < self.claims || self.variant == Variant::PlacementOwns {
            steps.push(Step::Claim(at));
        }
        // an actor has one write in flight at a time; what an earlier one of its life sent may still come
        let busy = |actor: Actor| {
            machine.write.is_some_and(|write| write.life == node.life && write.epoch == actor.epoch)
        };
        if world.database.value < self.writes && node.actor.is_some_and(|actor| !busy(actor)) {
            steps.push(Step::Write(at));
        }
    }

    /// The first machine is the one that may be slow, suspended or cut off at every step.
    fn steps_of_the_first(&self, world: &World, node: &Node, steps: &mut Vec<Step>) {
        if node.answer.is_some() {
            steps.push(Step::Acknowledge(0));
        } else if node.lease.ends_at() < ticks(world.time) + TIMES.ttl {
            steps.push(Step::Renew(0));
        }
        if node.actor.is_some() {
            if world.machines[0].write.is_none() && world.database.value < self.writes {
                steps.push(Step::Send(0));
            }
            if self.drain {
                steps.push(Step::Release(0));
            }
        }
    }

    pub(crate) fn act(&self, world: &mut World, at: usize, step: Step) {
        let (now, variant) = (world.time, self.variant);
        let robbed = world.serving_owner(now);
        let (database, machine) = (&mut world.database, &mut world.machines[at]);
        let Some(node) = machine.node.as_mut() else {
            return;
        };
        match step {
            // the node looks at its lease first; what it finds ends it
            Step::Renew(_) if node.lease.is_over(ticks(now)) => node.end(),
            Step::Renew(_) => match database.renew(node.life) {
                Some(renewals) => node.answer = Some((ticks(now), renewals)),
                None => node.end(),
            },
            Step::Acknowledge(_) => {
                if variant == Variant::Forgetful {
                    node.observer = Observer::new(incarnation(node.life), 0, TIMES);
                }
                node.acknowledged(now);
            }
            Step::Look(_) => node.look(now, database),
            Step::Declare(_) => {
                if let Some((life, seen)) = node.verdict.take() {
                    database.declare_dead(node.life, life, seen);
                }
            }
            Step::Claim(_) if variant == Variant::PlacementOwns => {
                // the last machine it sees is the one that placement prefers
                let preferred = node.sees.iter().max() == Some(&at);
                node.actor = preferred.then_some(Actor { epoch: 0, value: database.value });
            }
            Step::Claim(_) => {
                let value = database.value;
                node.actor = database.claim(node.life).map(|epoch| Actor { epoch, value });
                let taken = node.actor.is_some();
                world.stolen |= taken && robbed.is_some_and(|robbed| robbed != at);
            }
            Step::Send(_) => {
                machine.write =
                    node.actor.map(|actor| Write { life: node.life, epoch: actor.epoch, base: actor.value });
            }
            Step::Release(_) => {
                if let Some(actor) = node.actor.take()
                    && database.owner == Some(node.life)
                    && database.epoch == actor.epoch
                {
                    database.owner = None;
                }
            }
            _ => {}
        }
    }

    /// A write that was on its way arrives.
    pub(crate) fn arrive(&self, world: &mut World, at: usize) {
        if let Some(write) = world.machines[at].write.take() {
            self.commit(world, at, write);
        }
    }

    /// A write is computed and arrives at once.
    fn write(&self, world: &mut World, at: usize) {
        if let Some(node) = &world.machines[at].node
            && let Some(actor) = node.actor
        {
            let write = Write { life: node.life, epoch: actor.epoch, base: actor.value };
            self.commit(world, at, write);
        }
    }

    /// The fence decides.
    fn commit(&self, world: &mut World, at: usize, write: Write) {
        let database = &mut world.database;
        let machine = &mut world.machines[at];
        let is_owner = database.owner == Some(write.life);
        let fits = match self.variant {
            Variant::NoFence | Variant::PlacementOwns => true,
            Variant::NoEpoch => is_owner,
            _ => is_owner && database.epoch == write.epoch,
        };
        let node = machine.node.as_mut().filter(|node| node.life == write.life);
        if !fits {
            // terminal for the actor that sent it
            if let Some(node) = node.filter(|node| node.actor.is_some_and(|actor| actor.epoch == write.epoch))
            {
                node.actor = None;
            }
            return;
        }
        world.lost_update |= database.value != write.base;
        database.value = write.base + 1;
        if let Some(actor) =
            node.and_then(|node| node.actor.as_mut()).filter(|actor| actor.epoch == write.epoch)
        {
            actor.value = write.base + 1;
        }
    }

    /// A process starts under the lock of its folder: earlier lives of the machine are gone.
    pub(crate) fn start(&self, world: &mut World, at: usize) {
        let life = if self.variant == Variant::NoIncarnation {
            Life::try_from(at).unwrap_or(Life::MAX)
        } else {
            world.born
        };
        world.born += 1;
        world.database.register(life, at);
        let mut node = Node::born(life, world.time, &world.database);
        node.look(world.time, &world.database);
        world.machines[at].node = Some(node);
    }
}
