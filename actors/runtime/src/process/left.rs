//! Ends cells that a node left and nobody will adopt.

use std::path::Path;

use super::{group::Process, record::Records};

/// Ends the cells that the records in `state_dir` say run, with all that descends from them: for whoever takes the folder of a killed node
/// away. Blocks until they are gone. A node on that folder must have ended.
pub fn end_left(state_dir: &Path) {
    // a node that hosted nothing has none, and gets none here
    if !state_dir.is_dir() {
        return;
    }
    let records = match Records::open(state_dir).and_then(|records| records.all()) {
        Ok(records) => records,
        Err(error) => return tracing::warn!(%error, "cells that a node left cannot be found"),
    };
    for (labels, record) in records {
        let run = record.run.filter(|run| !record.ended && run.is_of_this_boot());
        // while anything of its group lives its id is given to nobody: another process there means that nothing of it is left
        let leader = run.map(|run| run.leader).filter(|it| Process::of(it.pid).is_none_or(|now| now == *it));
        if leader.is_some_and(|leader| !leader.kill_blocking()) {
            tracing::warn!(container = %labels.container_ref(), "a cell that a node left did not end");
        }
    }
}
