//! When all is healed, rows and engines come to agree: what a row says runs runs there, in that making, and
//! nothing lives of which no row says so. What was to be removed is gone.

use ocmt_runtime::{Observed, State};
use ocmt_store::{
    MAX_LIMIT,
    tables::{Container, ContainerState as Phase, DesiredState},
};

use super::super::{
    engine::{containers, lives},
    world::{Tree, node_id},
};

/// What does not agree now; empty when all does.
pub(in super::super) async fn look(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (machine, host) in tree.hosts.iter().enumerate() {
        let rows = tree.ground.store.cluster().hosted(node_id(machine), None, MAX_LIMIT).await;
        let rows = rows.unwrap_or_default();
        let there = containers(&host.engine);
        found.extend(rows.iter().filter_map(|row| differs(row, &there)));
        let known = |seen: &Observed| {
            rows.iter().any(|row| {
                row.container_id == seen.container.container && row.generation == seen.container.generation
            })
        };
        let strays = there.iter().filter(|seen| lives(seen) && !known(seen));
        found.extend(strays.map(|stray| format!("{} lives and no row knows it", stray.container)));
    }
    found
}

/// How the row and what is there differ, if they do.
fn differs(row: &Container, there: &[Observed]) -> Option<String> {
    let its = |seen: &&Observed| {
        seen.container.container == row.container_id && seen.container.generation == row.generation
    };
    let state = there.iter().find(its).map(|seen| seen.state);
    let agrees = match row.observed {
        Phase::Running => state == Some(State::Running),
        Phase::Paused => state == Some(State::Paused),
        Phase::Stopped | Phase::Failed | Phase::Absent | Phase::Held => {
            !matches!(state, Some(State::Running | State::Paused))
        }
        _ => false,
    };
    let (id, phase) = (row.container_id, row.observed);
    if row.desired == DesiredState::Absent {
        return Some(format!("{id} is to be removed and is not"));
    }
    (!agrees).then(|| format!("the row of {id} g{} says {phase:?}, and it is {state:?}", row.generation))
}
