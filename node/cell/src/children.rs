//! The cell's children: started here, waited for here, and nowhere else.
//!
//! PID 1 must reap orphans it never started, and one `wait` for any child would take the exit
//! status away from a library that waits for its own. So this is the only waiter. One lock spans
//! `spawn` and the whole reaping loop: a child cannot be reaped before it is known, and a signal
//! cannot reach a process id that was reaped and given to another process.

use std::{
    collections::HashMap,
    io,
    process::{Child, Command},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tokio::{sync::oneshot, time};

use crate::tree::{self, Frozen};

/// Rounds of killing before giving up, and the pause between two: a second in all.
const KILL_ROUNDS: usize = 200;
const KILL_PAUSE: Duration = Duration::from_millis(5);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code, 0–255.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    fn of(status: WaitStatus) -> Option<Self> {
        status.exit_status().map(Self::Code).or_else(|| status.terminating_signal().map(Self::Signal))
    }
}

/// A started child: its process id, its ends of the pipes, and when it ends.
pub struct Started {
    /// Process id; valid for signals only through [`Children::signal`].
    pub pid: Pid,
    /// The pipes that the command asked for. It must not be waited for.
    pub pipes: Child,
    /// Resolves when the child has been reaped.
    pub exit: oneshot::Receiver<Exit>,
}

/// All children of this process.
#[derive(Default)]
pub struct Children {
    known: Mutex<HashMap<Pid, oneshot::Sender<Exit>>>,
    started: AtomicU64,
    own_only: bool,
}

impl Children {
    /// Waits for every child, orphans included: for the binary, where nothing else waits.
    pub fn reaping_all() -> Self {
        Self::default()
    }

    /// Waits only for children started here: for a process that has others, such as a test.
    pub fn reaping_own() -> Self {
        Self { own_only: true, ..Self::default() }
    }

    /// Starts `command`. Blocks for the fork and exec, a few milliseconds.
    ///
    /// # Errors
    /// What the operating system said; nothing is left running then.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Started> {
        let mut known = self.lock();
        // before there is one: whoever looks in between sees that something began
        self.started.fetch_add(1, Ordering::SeqCst);
        let pipes = command.spawn()?;
        let pid = Pid::from_child(&pipes);
        let (ended, exit) = oneshot::channel();
        known.insert(pid, ended);
        Ok(Started { pid, pipes, exit })
    }

    /// Signals a child that was started here and is not reaped yet; otherwise does nothing.
    pub fn signal(&self, pid: Pid, signal: Signal) {
        let known = self.lock();
        if known.contains_key(&pid)
            && let Err(errno) = rustix::process::kill_process(pid, signal)
        {
            tracing::debug!(pid = pid.as_raw_pid(), %errno, "signal not delivered");
        }
    }

    /// Waits for all that have ended, without blocking, and reports them. Returns how many
    /// orphans were among them. Called at each SIGCHLD.
    pub fn reap(&self) -> usize {
        let mut known = self.lock();
        if self.own_only {
            let pids: Vec<Pid> = known.keys().copied().collect();
            for pid in pids {
                if let Ok(Some((_, status))) = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG) {
                    report(&mut known, pid, status);
                }
            }
            return 0;
        }
        let mut orphans = 0;
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => orphans += usize::from(!report(&mut known, pid, status)),
                Err(rustix::io::Errno::INTR) => {}
                Ok(None) | Err(_) => return orphans,
            }
        }
    }

    /// Kills everything below this process, or only what was started here (as for waiting). Returns
    /// whether nothing is left; what is dead but not reaped does not count, it holds no memory.
    pub async fn kill_all_below(&self) -> bool {
        if self.own_only {
            let pids: Vec<Pid> = self.lock().keys().copied().collect();
            for pid in pids {
                self.signal(pid, Signal::KILL);
            }
            return true;
        }
        until_none_is_left(tree::kill_descendants).await
    }

    /// How many were started here so far.
    pub(crate) fn started(&self) -> u64 {
        self.started.load(Ordering::SeqCst)
    }

    /// Lets everything below this process stand still. What is started here meanwhile does not: [`Children::started`] tells. A
    /// process that has children of others lets nothing stand still.
    pub(crate) fn freeze(&self) -> Option<Frozen> {
        if self.own_only { Some(Frozen::default()) } else { tree::freeze() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Pid, oneshot::Sender<Exit>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kills again and again, until two looks in a row have found nothing: what was forked while one lasted may have been missed by it.
async fn until_none_is_left(mut kill: impl FnMut() -> usize) -> bool {
    let mut none = 0;
    for _ in 0..KILL_ROUNDS {
        none = if kill() == 0 { none + 1 } else { 0 };
        if none == 2 {
            return true;
        }
        time::sleep(KILL_PAUSE).await;
    }
    false
}

/// Tells the child's owner; `false` if nobody here started it, which makes it an orphan.
fn report(known: &mut HashMap<Pid, oneshot::Sender<Exit>>, pid: Pid, status: WaitStatus) -> bool {
    let Some(exit) = Exit::of(status) else { return true };
    match known.remove(&pid) {
        Some(owner) => {
            // the owner may have gone: then nobody asks how it ended
            let _ = owner.send(exit);
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn reap_until_ended(children: &Children, mut exit: oneshot::Receiver<Exit>) -> Exit {
        loop {
            children.reap();
            match exit.try_recv() {
                Ok(exit) => return exit,
                Err(oneshot::error::TryRecvError::Empty) => std::thread::yield_now(),
                Err(closed @ oneshot::error::TryRecvError::Closed) => panic!("{closed}"),
            }
        }
    }

    #[test]
    fn reports_the_exit_code_and_the_signal() {
        let children = Children::reaping_own();
        let coded = children.spawn(&mut Command::new("false")).unwrap();
        assert_eq!(reap_until_ended(&children, coded.exit), Exit::Code(1));
        let killed = children.spawn(Command::new("/bin/sleep").arg("600")).unwrap();
        children.signal(killed.pid, Signal::KILL);
        assert_eq!(reap_until_ended(&children, killed.exit), Exit::Signal(9));
    }

    #[tokio::test]
    async fn one_look_that_finds_nothing_is_not_believed() {
        // the third one finds what the second one has missed
        let mut looks = [1, 0, 1, 0, 0].into_iter();
        assert!(until_none_is_left(|| looks.next().unwrap()).await);
        assert_eq!(looks.next(), None);
    }

    #[test]
    fn a_command_that_is_not_there_is_an_error_and_leaves_nothing() {
        let children = Children::reaping_own();
        assert!(children.spawn(&mut Command::new("/no/such/program")).is_err());
        assert!(children.lock().is_empty());
    }
}
