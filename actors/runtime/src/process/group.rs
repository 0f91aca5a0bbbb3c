//! The processes of one cell, read from `/proc`: its process group and all that descends from it.
//!
//! A process is known by its id *and* its start time, since ids are used again; signals go through a pidfd
//! taken before the start time is read, so that they cannot reach a later process of the same id.

use std::{io, time::Duration};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// How long signals may take to be felt: a second in all.
const ROUNDS: u32 = 500;
const ROUND: Duration = Duration::from_millis(2);

/// A process that cannot be taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// Clock ticks from boot to its start (proc(5), field 22 of `stat`).
    pub(super) started: u64,
}

/// What `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    process: Process,
    state: u8,
    parent: i32,
    group: i32,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name in parentheses may hold anything, parentheses and spaces too: the last one ends it.
    fn parse(text: &str) -> Option<Self> {
        let (head, tail) = text.rsplit_once(')')?;
        let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
        Some(Self {
            process: Process {
                pid: head.split_once(' ')?.0.parse().ok()?,
                started: fields.get(19)?.parse().ok()?,
            },
            state: *fields.first()?.as_bytes().first()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
        })
    }

    const fn is_frozen(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }

    const fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

impl Process {
    /// The process of this id, as it is now.
    pub(super) fn of(pid: i32) -> Option<Self> {
        Stat::read(pid).map(|stat| stat.process)
    }

    pub(super) fn is_alive(self) -> bool {
        self.stat().is_some_and(|stat| !stat.is_dead())
    }

    pub(super) fn is_frozen(self) -> bool {
        self.stat().is_some_and(|stat| stat.is_frozen())
    }

    fn stat(self) -> Option<Stat> {
        Stat::read(self.pid).filter(|stat| stat.process == self)
    }

    /// A handle that becomes readable when the process ends.
    pub(super) fn open(self) -> io::Result<std::os::fd::OwnedFd> {
        let pid = Pid::from_raw(self.pid).ok_or(io::ErrorKind::InvalidInput)?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        if self.is_alive() { Ok(handle) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Sends `signal` to this process alone.
    pub(super) fn signal(self, signal: Signal) {
        // it may end at any time, and then there is nothing to signal
        if let Ok(handle) = self.open() {
            let _ = pidfd_send_signal(&handle, signal);
        }
    }

    /// It and its group and their descendants, those alive, itself first.
    fn tree(self) -> Vec<Stat> {
        let pids = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let all: Vec<Stat> = pids.filter_map(Stat::read).filter(|stat| !stat.is_dead()).collect();
        // nothing that started before the leader descends from it: the guard against a group id used again
        let later = |stat: &&Stat| stat.process.started >= self.started;
        let mut members: Vec<Stat> = all
            .iter()
            .filter(later)
            .filter(|stat| stat.process == self || stat.group == self.pid)
            .copied()
            .collect();
        let mut next = 0;
        while let Some(member) = members.get(next).copied() {
            for child in all.iter().filter(|stat| stat.parent == member.process.pid) {
                if !members.contains(child) {
                    members.push(*child);
                }
            }
            next += 1;
        }
        members.sort_by_key(|stat| stat.process != self);
        members
    }

    /// The processes of the tree as they are now; none when nothing of it is left.
    pub(super) fn members(self) -> Vec<Self> {
        self.tree().into_iter().map(|member| member.process).collect()
    }

    /// Stops the whole tree and returns when all of it stands still. A process that forks meanwhile is
    /// caught in the next round, since its parent stands.
    pub(super) async fn freeze(self) -> bool {
        self.until(Stat::is_frozen, Signal::STOP).await
    }

    /// Lets the whole tree go on.
    pub(super) async fn thaw(self) -> bool {
        self.until(|member| !member.is_frozen(), Signal::CONT).await
    }

    /// Kills the whole tree. It is frozen first: whoever dies leaves its children to another parent, and
    /// those in a group of their own would no longer be known as ours.
    pub(super) async fn kill(self) -> bool {
        self.freeze().await;
        let all = self.members();
        for member in &all {
            member.signal(Signal::KILL);
        }
        for _ in 0..ROUNDS {
            if !all.iter().any(|member| member.is_alive()) {
                return true;
            }
            tokio::time::sleep(ROUND).await;
        }
        false
    }

    /// Signals whatever is not as it should be, until all is; false when it never is.
    async fn until(self, good: impl Fn(&Stat) -> bool, signal: Signal) -> bool {
        for _ in 0..ROUNDS {
            let bad: Vec<Stat> = self.tree().into_iter().filter(|member| !good(member)).collect();
            if bad.is_empty() {
                return true;
            }
            for member in bad {
                member.process.signal(signal);
            }
            tokio::time::sleep(ROUND).await;
        }
        false
    }
}

/// The id of this boot: start times of another mean nothing.
pub(super) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let text = "42 (a) R 9 (b) T 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(
            stat,
            Stat { process: Process { pid: 42, started: 987_654 }, state: b'T', parent: 7, group: 42 }
        );
    }

    #[test]
    fn another_start_time_is_another_process() {
        let ours = Process::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(ours.is_alive());
        let impostor = Process { started: ours.started + 1, ..ours };
        assert!(!impostor.is_alive() && impostor.open().is_err());
    }
}
