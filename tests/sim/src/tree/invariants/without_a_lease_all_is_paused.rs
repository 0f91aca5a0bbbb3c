//! A machine whose process has been without its lease for longer than the dead-man time runs nothing: what does
//! is paused within a few of the watch's looks.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, atomic::Ordering},
};

use ocmt_runtime::{ContainerRef, State};

use super::super::{engine::containers, machine::DEAD_MAN, world::Tree};

/// The watch looks once a second, an engine takes up to 600 ms, and a call may fail by chance.
const WITHIN: u64 = 6_000;

/// Since when what runs has run without a lease.
#[derive(Default)]
pub(in super::super) struct Running(BTreeMap<(usize, ContainerRef), u64>);

impl Running {
    /// Looks at all machines.
    pub(in super::super) fn look(&mut self, tree: &Tree) {
        let now = tree.ground.now();
        let before = std::mem::take(&mut self.0);
        for (machine, host) in tree.hosts.iter().enumerate() {
            let lapse = host.lapse.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let over = lapse.and_then(|lapse| lapse.length()).is_some_and(|length| length >= DEAD_MAN);
            if tree.is_frozen(machine) || !over || !host.up.load(Ordering::SeqCst) {
                continue;
            }
            for seen in containers(&host.engine).iter().filter(|seen| seen.state == State::Running) {
                let key = (machine, seen.container);
                let since = before.get(&key).copied().unwrap_or(now);
                if now - since == WITHIN {
                    tree.violation(&format!("{} runs on n{} without a lease", seen.container, machine + 1));
                }
                self.0.insert(key, since);
            }
        }
    }
}
