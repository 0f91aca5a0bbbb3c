//! The memory of a client at work: nobody else of the same user reads it, and no crash writes it down.

use std::{
    fs,
    os::unix::{
        fs::MetadataExt as _,
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use ocmt::local::wait_every;
use ocmt_testkit::programs;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use tempfile::TempDir;

/// An unprivileged uid that client and attacker share, where the test may become it.
const UID: u32 = 1000;

fn as_user(mut command: Command) -> Command {
    if rustix::process::geteuid().is_root() {
        command.uid(UID).gid(UID);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// `ocmt` as somebody who is asked for a secret: it waits for standard input.
fn client(folder: &Path) -> Child {
    let mut command = Command::new(programs::ocmt().unwrap());
    command.args(["whoami", "--api-key-file", "-", "--state-dir"]).arg(folder).current_dir(folder);
    as_user(command).spawn().unwrap()
}

/// A folder of the user's, to which the kernel would write a core.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(folder.path(), Some(UID), Some(UID)).unwrap();
    }
    folder
}

fn cores_in(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|one| one.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("core")).count()
}

/// How it ends when it crashes. A signal that is sent is no fault: the first SIGSEGV only takes Rust's handler away.
async fn crashed(child: &mut Child, signal: Signal) -> ExitStatus {
    let pid = Pid::from_child(child);
    let ended = async || {
        let ended = child.try_wait().unwrap();
        if ended.is_none() {
            rustix::process::kill_process(pid, signal).unwrap();
        }
        ended
    };
    wait_every(Duration::from_millis(20), Duration::from_secs(60), ended).await.expect("it goes on")
}

/// Whether somebody of the same user can read this file of the process.
fn read_by_the_same_user(pid: u32, file: &str) -> bool {
    let mut command = Command::new("/bin/cat");
    command.arg(format!("/proc/{pid}/{file}"));
    as_user(command).status().unwrap().success()
}

#[tokio::test]
async fn a_clients_memory_is_closed_to_its_user_and_to_core_dumps() {
    // as a system may be set up that keeps every core
    let most = rustix::process::getrlimit(Resource::Core).maximum;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: most, maximum: most }).unwrap();
    let (beside, folder) = (folder(), folder());
    let mut command = Command::new("/bin/sleep");
    command.arg("60").current_dir(beside.path());
    let mut open = as_user(command).spawn().unwrap();
    // what the guard is for: without it the same user reads on
    assert!(read_by_the_same_user(open.id(), "environ") && read_by_the_same_user(open.id(), "auxv"));
    for signal in [Signal::ABORT, Signal::SEGV] {
        let mut guarded = client(folder.path());
        let closed = async || (!read_by_the_same_user(guarded.id(), "environ")).then_some(());
        wait_every(Duration::from_millis(20), Duration::from_secs(60), closed)
            .await
            .expect("it stays readable");
        for file in ["environ", "auxv", "mem", "syscall", "smaps"] {
            assert!(!read_by_the_same_user(guarded.id(), file), "{file}");
        }
        // the kernel gives what is not dumpable to root
        let owner = |pid: u32| fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid();
        assert_eq!(owner(guarded.id()), 0);
        // it closes its memory first, and then forbids itself cores
        let no_cores = async || {
            let limits = fs::read_to_string(format!("/proc/{}/limits", guarded.id())).unwrap();
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            core.split_whitespace().skip(4).take(2).eq(["0", "0"]).then_some(())
        };
        wait_every(Duration::from_millis(20), Duration::from_secs(60), no_cores)
            .await
            .expect("it may leave a core");
        let ended = crashed(&mut guarded, signal).await;
        assert!(ended.signal().is_some() && !ended.core_dumped(), "{ended}");
        assert_eq!(cores_in(folder.path()), 0);
    }
    let ended = crashed(&mut open, Signal::ABORT).await;
    // where this machine writes cores to the folder of who crashes, that of an open program is there
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if most != Some(0) && pattern.starts_with("core") && !pattern.contains('/') {
        assert!(ended.core_dumped() && cores_in(beside.path()) == 1, "{ended}");
    }
}
