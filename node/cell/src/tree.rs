//! Everything that runs below the cell, found through `/proc`, so that a lock leaves no process
//! alive that was given a secret: not a child of the workload, nor an orphan of it (orphans come
//! to the cell, see [`crate::guard::adopt_orphans`]).

use std::{collections::HashMap, fs, thread, time::Duration};

use rustix::process::{Pid, Signal};

/// Rounds of stopping before giving up, and the pause between two: half a second in all.
const STOP_ROUNDS: usize = 500;
const STOP_PAUSE: Duration = Duration::from_millis(1);

/// Process ids of all live descendants of this process, zombies left out, parents before their children.
pub fn descendants() -> Vec<Pid> {
    with_states().into_iter().map(|(pid, _)| pid).collect()
}

/// The same, and whether each stands still.
fn with_states() -> Vec<(Pid, bool)> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (pid, parent) in processes() {
        children.entry(parent).or_default().push(pid);
    }
    let mut found = Vec::new();
    let mut open = vec![rustix::process::getpid().as_raw_pid()];
    while let Some(parent) = open.pop() {
        for pid in children.remove(&parent).unwrap_or_default() {
            // one that is dead has no children: they are its parent's, or the cell's
            open.push(pid);
            found.extend(Pid::from_raw(pid).zip(stands_still(task_states(pid))));
        }
    }
    found
}

/// Letters of the states of a process's threads. Its first one tells nothing of the others: it may have ended, or been stopped before them.
fn task_states(pid: i32) -> impl Iterator<Item = String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    tasks.filter_map(|task| {
        let stat = fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        state_and_parent(&stat).map(|(state, _)| state.to_owned())
    })
}

/// Whether all threads that live stand still; `None` if none lives.
fn stands_still(states: impl Iterator<Item = String>) -> Option<bool> {
    let live = states.filter(|state| !matches!(state.as_str(), "Z" | "X" | "x"));
    live.map(|state| matches!(state.as_str(), "T" | "t")).reduce(|all, one| all && one)
}

/// Processes that stand still until this is dropped.
#[derive(Debug, Default)]
pub struct Frozen(Vec<Pid>);

impl Drop for Frozen {
    /// Children first: a shell that asks how its jobs are finds them running.
    fn drop(&mut self) {
        for pid in self.0.iter().rev() {
            let _ = rustix::process::kill_process(*pid, Signal::CONT);
        }
    }
}

/// Stops every descendant, parents first, and gives those that this has stopped; `None` if one does not stand still in half a second. Blocks
/// for as long.
pub fn freeze() -> Option<Frozen> {
    let (mut frozen, mut still) = (Frozen::default(), 0);
    for _ in 0..STOP_ROUNDS {
        let running = with_states().into_iter().filter_map(|(pid, stopped)| (!stopped).then_some(pid));
        let mut any = false;
        for pid in running {
            any = true;
            if !frozen.0.contains(&pid) {
                frozen.0.push(pid);
            }
            // it may have ended in between
            let _ = rustix::process::kill_process(pid, Signal::STOP);
        }
        // what was forked while one look lasted may have been missed by it
        still = if any { 0 } else { still + 1 };
        if still == 2 {
            return Some(frozen);
        }
        thread::sleep(STOP_PAUSE);
    }
    None
}

/// Signals every descendant to die and returns how many there were. All are stopped first, so that
/// none forks faster than it is killed.
pub fn kill_descendants() -> usize {
    let found = descendants();
    for signal in [Signal::STOP, Signal::KILL] {
        for pid in &found {
            // it may have ended in between; its id is not given away before the cell has reaped it
            let _ = rustix::process::kill_process(*pid, signal);
        }
    }
    found.len()
}

/// Process id and parent of every process that `/proc` shows.
fn processes() -> Vec<(i32, i32)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            state_and_parent(&stat).map(|(_, parent)| (pid, parent))
        })
        .collect()
}

/// State and parent in a line of `stat` below `/proc`. The command stands in brackets and may itself hold brackets and blanks, so the fields are
/// counted after the last one.
fn state_and_parent(stat: &str) -> Option<(&str, i32)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    Some((fields.next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_brackets_does_not_hide_a_process() {
        assert_eq!(state_and_parent("42 (a) S 7 (b)) S 3 42 42 0"), Some(("S", 3)));
        assert_eq!(state_and_parent("42 (sh) Z 3 42"), Some(("Z", 3)));
        assert_eq!(state_and_parent("garbage"), None);
    }

    #[test]
    fn a_process_is_dead_or_stands_still_only_with_all_its_threads() {
        for (states, expected) in [
            ("T R", Some(false)),
            ("T t", Some(true)),
            ("Z S", Some(false)),
            ("Z T X", Some(true)),
            ("T D", Some(false)),
            ("Z", None),
            ("X Z x", None),
            ("", None),
        ] {
            let threads = states.split_ascii_whitespace().map(str::to_owned);
            assert_eq!(stands_still(threads), expected, "{states}");
        }
    }
}
