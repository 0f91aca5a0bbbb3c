//! The workload: one program of the user's, started with the mapped secrets in its environment,
//! watched until it ends, stopped on lock. It stays in the cell's process group, so that a pause
//! of the group stops both.

use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    net::TcpStream,
    process::{ChildStderr, ChildStdout},
    sync::{Semaphore, watch},
    time,
};
use zeroize::Zeroizing;

use crate::{
    CellError,
    children::{Children, Exit},
    environment::{self, Variables},
    logs::Logs,
    redact::Redactor,
    tasks::Task,
};

/// First and longest pause between two looks at the workload's port.
const PROBE_EVERY: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));
/// Connections to its port from outside the cell at the same time.
const PLAIN_CONNECTIONS: usize = 64;
/// Bytes read of its output at once.
const OUTPUT_CHUNK: usize = 8 * 1024;

/// What to run.
#[derive(Debug, Clone)]
pub struct WorkloadSpec {
    /// Program and arguments; empty for none.
    pub argv: Vec<OsString>,
    /// Port on 127.0.0.1 that it serves; it is told by `PORT`.
    pub port: Option<u16>,
    /// How long it may take to end after SIGTERM, before SIGKILL.
    pub stop_grace: Duration,
    /// Whether its port may be reached from outside the cell.
    pub plain: bool,
    /// Whether it starts at once and without secrets, instead of with the first unlock.
    pub start_locked: bool,
}

/// How far the workload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Not started.
    #[default]
    Stopped,
    /// Started; its port does not accept yet.
    Starting,
    /// Its port accepts, or it has none.
    Ready,
    /// It has ended by itself.
    Exited(Exit),
}

/// The workload and what watches it.
pub struct Workload {
    spec: WorkloadSpec,
    children: Arc<Children>,
    logs: Arc<Logs>,
    phase: Arc<watch::Sender<Phase>>,
    running: Mutex<Option<Running>>,
    places: Arc<Semaphore>,
}

struct Running {
    pid: Pid,
    with_secrets: bool,
    exit: watch::Receiver<Option<Exit>>,
    tasks: Vec<Task>,
}

impl Workload {
    /// A workload that is not started yet.
    pub fn new(spec: WorkloadSpec, children: Arc<Children>, logs: Arc<Logs>) -> Self {
        Self {
            spec,
            children,
            logs,
            phase: Arc::new(watch::Sender::new(Phase::Stopped)),
            running: Mutex::new(None),
            places: Arc::new(Semaphore::new(PLAIN_CONNECTIONS)),
        }
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// How far it is, as that goes on.
    pub(crate) fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// The port that may be reached from outside the cell, and the places for connections to it.
    pub(crate) fn plain_port(&self) -> Option<(u16, Arc<Semaphore>)> {
        self.spec.port.filter(|_| self.spec.plain).map(|port| (port, Arc::clone(&self.places)))
    }

    /// Its port, if it has one.
    pub fn port(&self) -> Option<u16> {
        self.spec.port
    }

    /// Whether it runs with the mapped secrets (it may also run without, by policy).
    pub fn has_secrets(&self) -> bool {
        self.lock().as_ref().is_some_and(|running| running.with_secrets)
    }

    /// Starts it, with `secrets` if the cell is unlocked. Must be stopped before. Without argv
    /// nothing is started: the cell then serves exec channels only.
    ///
    /// # Errors
    /// [`CellError::Spawn`] if the program is not there or the system refuses.
    pub fn start(&self, secrets: Option<&Variables>) -> Result<(), CellError> {
        let Some((program, arguments)) = self.spec.argv.split_first() else {
            return Ok(());
        };
        let spawn_error = |source| CellError::Spawn { what: "the workload", source };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        environment::apply(&mut command, self.spec.port, secrets);

        let mut running = self.lock();
        let mut started = self.children.spawn(&mut command).map_err(spawn_error)?;
        drop(command);
        let mut tasks = Vec::new();
        if let Some(output) = started.pipes.stdout.take() {
            let output = ChildStdout::from_std(output).map_err(spawn_error)?;
            tasks.push(Task::start(keep_output(output, redactor(secrets), Arc::clone(&self.logs))));
        }
        if let Some(output) = started.pipes.stderr.take() {
            let output = ChildStderr::from_std(output).map_err(spawn_error)?;
            tasks.push(Task::start(keep_output(output, redactor(secrets), Arc::clone(&self.logs))));
        }
        let (ended, exit) = watch::channel(None);
        self.phase.send_replace(if self.spec.port.is_some() { Phase::Starting } else { Phase::Ready });
        tasks.push(Task::start(watch_exit(started.exit, ended, Arc::clone(&self.phase))));
        if let Some(port) = self.spec.port {
            tasks.push(Task::start(watch_port(port, Arc::clone(&self.phase))));
        }
        tracing::info!(pid = started.pid.as_raw_pid(), with_secrets = secrets.is_some(), "workload started");
        *running = Some(Running { pid: started.pid, with_secrets: secrets.is_some(), exit, tasks });
        Ok(())
    }

    /// Stops it: SIGTERM, its grace but at most `at_most`, SIGKILL. When this returns it is reaped,
    /// and nothing here holds its secrets.
    pub async fn stop(&self, at_most: Duration) {
        let Some(mut running) = self.lock().take() else {
            return;
        };
        self.children.signal(running.pid, Signal::TERM);
        // a stopped process takes its signals only when it goes on
        self.children.signal(running.pid, Signal::CONT);
        if time::timeout(self.spec.stop_grace.min(at_most), running.exit.wait_for(Option::is_some))
            .await
            .is_err()
        {
            tracing::info!(pid = running.pid.as_raw_pid(), "workload did not end in its grace, killing it");
            self.children.signal(running.pid, Signal::KILL);
            // an error means that the watcher is gone, and with it the child
            let _ = running.exit.wait_for(Option::is_some).await;
        }
        for task in running.tasks {
            task.end().await;
        }
        self.phase.send_replace(Phase::Stopped);
    }

    /// Tells it that what its agents may do has changed: SIGHUP, if it takes that. Whoever does not would end of it.
    pub fn tell(&self) {
        if let Some(running) = self.lock().as_ref().filter(|running| catches(running.pid, Signal::HUP)) {
            self.children.signal(running.pid, Signal::HUP);
        }
    }

    /// Passes a signal on to it.
    pub fn signal(&self, signal: Signal) {
        if let Some(running) = self.lock().as_ref() {
            self.children.signal(running.pid, signal);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a process has a handler for a signal (proc_pid_status(5), `SigCgt`).
fn catches(pid: Pid, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status", pid = pid.as_raw_pid()));
    let status = status.unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    u32::try_from(signal.as_raw() - 1).is_ok_and(|bit| caught.checked_shr(bit).unwrap_or(0) & 1 == 1)
}

fn redactor(secrets: Option<&Variables>) -> Redactor {
    Redactor::new(secrets.into_iter().flat_map(Variables::values))
}

async fn keep_output(mut output: impl AsyncRead + Unpin, mut redactor: Redactor, logs: Arc<Logs>) {
    let mut chunk = Zeroizing::new(vec![0; OUTPUT_CHUNK]);
    loop {
        match output.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(len) => logs.append(&redactor.filter(&chunk[..len])),
        }
    }
    logs.append(&redactor.finish());
}

async fn watch_exit(
    exit: tokio::sync::oneshot::Receiver<Exit>,
    ended: watch::Sender<Option<Exit>>,
    phase: Arc<watch::Sender<Phase>>,
) {
    if let Ok(exit) = exit.await {
        tracing::info!(?exit, "workload ended");
        phase.send_replace(Phase::Exited(exit));
        ended.send_replace(Some(exit));
    }
}

async fn watch_port(port: u16, phase: Arc<watch::Sender<Phase>>) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (mut pause, longest) = PROBE_EVERY;
    while *phase.borrow() == Phase::Starting {
        if let Ok(Ok(_)) = time::timeout(Duration::from_secs(1), TcpStream::connect(address)).await {
            phase.send_if_modified(|phase| {
                let started = *phase == Phase::Starting;
                if started {
                    *phase = Phase::Ready;
                }
                started
            });
            return;
        }
        time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}
