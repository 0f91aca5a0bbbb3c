//! A container runs once: nothing is started or thawed on an engine on which another making of it lives, and no
//! container lives on two machines. (An older making may live again beside the present one after the engine
//! was put back, until the node that comes back has looked: it works on nothing before that.)

use std::collections::BTreeMap;

use ocmt_runtime::{ContainerRef, Observed};
use ocmt_types::ContainerId;

use super::super::{
    engine::{containers, lives},
    world::Tree,
};

/// Other makings of it that live on the same engine.
pub(in super::super) fn others(container: &ContainerRef, there: &[Observed]) -> Vec<ContainerRef> {
    let other = |seen: &&Observed| {
        seen.container.container == container.container
            && seen.container.generation != container.generation
            && lives(seen)
    };
    there.iter().filter(other).map(|seen| seen.container).collect()
}

/// Looks through all engines.
pub(in super::super) fn look(tree: &Tree) {
    let mut at: BTreeMap<ContainerId, usize> = BTreeMap::new();
    for (machine, host) in tree.hosts.iter().enumerate() {
        for seen in containers(&host.engine).iter().filter(|seen| lives(seen)) {
            let first = *at.entry(seen.container.container).or_insert(machine);
            if first != machine {
                let container = seen.container.container;
                tree.violation(&format!("{container} lives on n{} and n{}", first + 1, machine + 1));
            }
        }
    }
}
