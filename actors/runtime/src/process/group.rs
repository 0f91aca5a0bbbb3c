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
    /// Of its first thread, until [`Stat::read`] has asked the others where that one does not tell.
    state: u8,
    parent: i32,
    group: i32,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let stat = Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        // a first thread may end, or stand, before the others do
        let tells = !stat.is_dead() && !stat.is_frozen();
        Some(if tells { stat } else { Self { state: state_of_all(thread_states(pid)), ..stat } })
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
        stands(self.state)
    }

    const fn is_dead(&self) -> bool {
        is_over(self.state)
    }
}

const fn stands(state: u8) -> bool {
    matches!(state, b'T' | b't')
}

const fn is_over(state: u8) -> bool {
    matches!(state, b'Z' | b'X' | b'x')
}

/// States of a process's threads.
fn thread_states(pid: i32) -> impl Iterator<Item = u8> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("stat")).ok()?;
        Stat::parse(&text).map(|stat| stat.state)
    })
}

/// The state of a process by those of its threads: dead when all are, and standing when all that live are.
fn state_of_all(threads: impl Iterator<Item = u8>) -> u8 {
    let live = threads.filter(|state| !is_over(*state));
    live.reduce(|all, one| if stands(all) { one } else { all }).unwrap_or(b'Z')
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

    /// The same where nothing can be awaited.
    pub(super) fn kill_blocking(self) -> bool {
        let until = |done: &dyn Fn() -> bool| {
            (0..ROUNDS).any(|_| {
                let done = done();
                if !done {
                    std::thread::sleep(ROUND);
                }
                done
            })
        };
        until(&|| self.all_are(Stat::is_frozen, Signal::STOP));
        let all = self.members();
        for member in &all {
            member.signal(Signal::KILL);
        }
        until(&|| !all.iter().any(|member| member.is_alive()))
    }

    /// Signals whatever is not as it should be, until all is; false when it never is.
    async fn until(self, good: impl Fn(&Stat) -> bool, signal: Signal) -> bool {
        for _ in 0..ROUNDS {
            if self.all_are(&good, signal) {
                return true;
            }
            tokio::time::sleep(ROUND).await;
        }
        false
    }

    /// Whether the whole tree is as it should be; whatever is not gets `signal`.
    fn all_are(self, good: impl Fn(&Stat) -> bool, signal: Signal) -> bool {
        let bad: Vec<Stat> = self.tree().into_iter().filter(|member| !good(member)).collect();
        for member in &bad {
            member.process.signal(signal);
        }
        bad.is_empty()
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
    fn a_process_is_dead_or_frozen_only_with_all_its_threads() {
        for (threads, frozen, dead) in [
            ("TR", false, false),
            ("Tt", true, false),
            ("ZS", false, false),
            ("ZTX", true, false),
            ("TD", false, false),
            ("Z", false, true),
            ("XZx", false, true),
            ("", false, true),
        ] {
            let process = Process { pid: 42, started: 1 };
            let stat = Stat { process, state: state_of_all(threads.bytes()), parent: 7, group: 42 };
            assert_eq!((stat.is_frozen(), stat.is_dead()), (frozen, dead), "{threads}");
        }
    }

    #[test]
    fn another_start_time_is_another_process() {
        let ours = Process::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(ours.is_alive());
        let impostor = Process { started: ours.started + 1, ..ours };
        assert!(!impostor.is_alive() && impostor.open().is_err());
    }
}
