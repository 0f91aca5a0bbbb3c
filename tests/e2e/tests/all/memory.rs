//! The memory of a client at work: nobody else of the same user reads it, and no crash writes it down.

use std::{
    fs,
    os::unix::{
        fs::MetadataExt as _,
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use ocmt::local::wait_every;
use ocmt_testkit::programs;

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
    command.args(["whoami", "--api-key-file", "-", "--state-dir"]).arg(folder);
    as_user(command).spawn().unwrap()
}

/// Whether somebody of the same user can read this file of the process.
fn read_by_the_same_user(pid: u32, file: &str) -> bool {
    let mut command = Command::new("/bin/cat");
    command.arg(format!("/proc/{pid}/{file}"));
    as_user(command).status().unwrap().success()
}

#[tokio::test]
async fn a_clients_memory_is_closed_to_its_user_and_to_core_dumps() {
    let folder = tempfile::tempdir().unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(folder.path(), Some(UID), Some(UID)).unwrap();
    }
    // as a system may be set up that keeps every core
    let most = rustix::process::getrlimit(rustix::process::Resource::Core).maximum;
    let all = rustix::process::Rlimit { current: most, maximum: most };
    rustix::process::setrlimit(rustix::process::Resource::Core, all).unwrap();
    let mut command = Command::new("/bin/sleep");
    command.arg("60");
    let mut open = as_user(command).spawn().unwrap();
    let mut guarded = client(folder.path());
    // what the guard is for: without it the same user reads on
    assert!(read_by_the_same_user(open.id(), "environ") && read_by_the_same_user(open.id(), "auxv"));
    let closed = async || (!read_by_the_same_user(guarded.id(), "environ")).then_some(());
    wait_every(Duration::from_millis(20), Duration::from_secs(20), closed).await.expect("it stays readable");
    for file in ["environ", "auxv", "mem", "syscall", "smaps"] {
        assert!(!read_by_the_same_user(guarded.id(), file), "{file}");
    }
    // the kernel gives what is not dumpable to root
    let owner = |pid: u32| fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid();
    assert_eq!(owner(guarded.id()), 0);
    let limits = fs::read_to_string(format!("/proc/{}/limits", guarded.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    let crash = rustix::process::Pid::from_child(&guarded);
    rustix::process::kill_process(crash, rustix::process::Signal::ABORT).unwrap();
    let ended = guarded.wait().unwrap();
    assert!(ended.signal().is_some() && !ended.core_dumped(), "{ended}");
    open.kill().unwrap();
    open.wait().unwrap();
}
