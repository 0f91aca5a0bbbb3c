//! Everything that runs below the cell, found through `/proc`, so that a lock leaves no process
//! alive that was given a secret: not a child of the workload, nor an orphan of it (orphans come
//! to the cell, see [`crate::guard::adopt_orphans`]).

use std::{collections::HashMap, fs};

use rustix::process::{Pid, Signal};

/// Process ids of all live descendants of this process, zombies left out.
pub fn descendants() -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (pid, parent) in processes() {
        children.entry(parent).or_default().push(pid);
    }
    let mut found = Vec::new();
    let mut open = vec![rustix::process::getpid().as_raw_pid()];
    while let Some(parent) = open.pop() {
        for pid in children.remove(&parent).unwrap_or_default() {
            open.push(pid);
            found.extend(Pid::from_raw(pid));
        }
    }
    found
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

/// (process id, parent) of every live process that `/proc` shows.
fn processes() -> Vec<(i32, i32)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| Some((pid, parent_of(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// Parent in a line of `/proc/PID/stat`, unless the process is dead. The command stands in
/// brackets and may itself hold brackets and blanks, so the fields are counted after the last one.
fn parent_of(stat: &str) -> Option<i32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    match fields.next()? {
        "Z" | "X" | "x" => None,
        _ => fields.next()?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_with_brackets_does_not_hide_a_process() {
        assert_eq!(parent_of("42 (a) S 7 (b)) S 3 42 42 0"), Some(3));
        assert_eq!(parent_of("42 (sh) Z 3 42"), None);
        assert_eq!(parent_of("garbage"), None);
    }
}
