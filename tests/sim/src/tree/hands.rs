//! What happens to engines and their containers by themselves, or by somebody's hands: containers die, are
//! removed behind the node's back and come back from an older state of the engine, engines go away.

use std::sync::atomic::Ordering;

use futures_util::FutureExt as _;
use ocmt_runtime::{ContainerRef, Exit, Runtime as _};
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};

use super::{
    engine::{containers, lives},
    world::Tree,
};

/// What goes on.
#[derive(Default)]
pub(crate) struct Hands {
    /// What was removed by hand, and where.
    removed: Vec<(usize, ContainerRef)>,
    /// Engines that are away, until when.
    away: Vec<(usize, u64)>,
    next: u64,
}

impl Hands {
    /// Ends what is over, and does something new when it is time.
    pub(crate) fn step(&mut self, tree: &Tree, rng: &mut StdRng) {
        let now = tree.ground.now();
        self.end(tree, now);
        self.restore(tree);
        if now < self.next {
            return;
        }
        self.next = now + rng.random_range(1_000..5_000);
        let machine = rng.random_range(0..tree.hosts.len());
        let engine = &tree.hosts[machine].engine;
        let live: Vec<ContainerRef> =
            containers(engine).iter().filter(|seen| lives(seen)).map(|seen| seen.container).collect();
        match (rng.random_range(0..4), live.choose(rng)) {
            (0, Some(container)) => {
                tree.note(format!("{container} dies on n{}", machine + 1));
                engine.end(container, Exit { code: Some(1), oom: false });
            }
            (1 | 2, Some(container)) => {
                tree.note(format!("{container} is removed by hand on n{}", machine + 1));
                let _ = engine.remove(container).now_or_never();
                self.removed.push((machine, *container));
            }
            (3, _) => {
                let until = now + rng.random_range(500..4_000);
                tree.note(format!("the engine of n{} is away until {until}", machine + 1));
                engine.set_down(true);
                self.away.push((machine, until));
            }
            _ => {}
        }
    }

    /// A machine that is down comes back with its engine as it was before somebody removed something.
    fn restore(&mut self, tree: &Tree) {
        let down = |machine: usize| !tree.hosts[machine].up.load(Ordering::SeqCst);
        let (back, left) = std::mem::take(&mut self.removed).into_iter().partition(|(at, _)| down(*at));
        self.removed = left;
        for (machine, container) in back {
            tree.note(format!("{container} is there again on n{}", machine + 1));
            tree.hosts[machine].engine.restore(&container);
        }
    }

    /// Everything ends.
    pub(crate) fn heal(&mut self, tree: &Tree) {
        self.end(tree, u64::MAX);
    }

    fn end(&mut self, tree: &Tree, now: u64) {
        let (over, left) = std::mem::take(&mut self.away).into_iter().partition(|(_, until)| *until <= now);
        self.away = left;
        for (machine, _) in over {
            if !self.away.iter().any(|(other, _)| *other == machine) {
                tree.hosts[machine].engine.set_down(false);
            }
        }
    }
}
