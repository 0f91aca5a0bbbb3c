//! What PID 1 has to do: orphans, signals, stopping, and nothing of the workload left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod common;
mod sealed;

use std::process::{Command, Stdio};

use common::{
    CELL, Options, Script, TestCell, WORKLOAD, children_of, id, is_root, level, status, status_when,
    threads_of, user::User,
};
use ocmt_proto::cell::v1::{LockReason, LockRequest, WorkloadState};
use rustix::process::Signal;

async fn unlocked(extra: &[&str], script: &str) -> (TestCell, common::Client, Script) {
    let script = Script::new(script);
    let cell = TestCell::start(&Options { extra, workload: &script.argv(), ..Options::default() });
    let mut client = cell.client().await;
    User::new().unlock(&cell, &mut client, &[("MARK", b"marked-value")]).await.unwrap();
    (cell, client, script)
}

fn alive(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

/// What the workload wrote into a file of ours, once it has.
async fn written(path: &std::path::Path) -> String {
    level("the workload to write", || std::fs::read_to_string(path).ok().filter(|text| text.ends_with('\n')))
        .await
        .trim()
        .to_owned()
}

#[tokio::test]
async fn orphans_come_to_the_cell_and_are_reaped() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let fifo = folder.path().join("go");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // the inner shell ends at once: its child is an orphan, which ends when we say so
    let script = format!("( read go < {} & echo $! > {} ); sleep 600", fifo.display(), file.display());
    let (cell, _client, _script) = unlocked(&[], &script).await;
    let orphan: u32 = written(&file).await.parse().unwrap();
    level("the orphan to come to the cell", || {
        children_of(cell.pid()).iter().any(|(pid, _)| *pid == orphan).then_some(())
    })
    .await;
    std::fs::write(&fifo, "go\n").unwrap();
    level("the orphan to be reaped", || (!alive(orphan)).then_some(())).await;
    assert!(cell.children().iter().all(|(_, state)| *state != 'Z'));
}

#[tokio::test]
async fn a_lock_ends_even_what_the_workload_left_running_in_a_session_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let stubborn =
        Script::new(&format!("trap '' TERM HUP; echo $$ > {}; while :; do sleep 1; done", file.display()));
    let script = format!("setsid sh {} & sleep 600", stubborn.argv()[1]);
    let (cell, mut client, _script) = unlocked(&[], &script).await;
    let stray: u32 = written(&file).await.parse().unwrap();
    assert!(alive(stray));
    client.lock(LockRequest { reason: LockReason::User.into() }).await.unwrap();
    assert!(
        !alive(stray) || children_of(cell.pid()).iter().all(|(_, state)| *state == 'Z'),
        "a process with the secret outlived the lock"
    );
    level("it to be reaped", || (!alive(stray)).then_some(())).await;
}

#[tokio::test]
async fn a_lock_ends_even_a_process_whose_first_thread_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (pid, notes) = (folder.path().join("pid"), folder.path().join("notes"));
    let script = format!("{WORKLOAD} headless {} & echo $! > {}; sleep 600", notes.display(), pid.display());
    let (_cell, mut client, _script) = unlocked(&[], &script).await;
    let stray: u32 = written(&pid).await.parse().unwrap();
    level("its first thread to end", || threads_of(stray).starts_with(&['Z']).then_some(())).await;
    assert!(threads_of(stray).iter().any(|state| *state != 'Z'), "another goes on");
    client.lock(LockRequest { reason: LockReason::User.into() }).await.unwrap();
    let left = threads_of(stray);
    assert!(left.iter().all(|state| matches!(state, 'Z' | 'X')), "{left:?} outlived the lock");
}

#[tokio::test]
async fn sigterm_ends_the_workload_in_peace_and_then_the_cell() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("said");
    let script = format!("trap 'echo bye > {}; exit 0' TERM; while :; do sleep 0.05; done", file.display());
    let (mut cell, mut client, _script) = unlocked(&[], &script).await;
    status_when(&mut client, "the workload", |status| status.workload_state() == WorkloadState::Ready).await;
    let workload = cell.workload_pid().await;
    level("its trap", || caught(workload, 15).then_some(())).await;
    cell.signal(Signal::TERM);
    assert!(cell.exited().await.success());
    assert_eq!(written(&file).await, "bye");
}

#[tokio::test]
async fn a_workload_that_ignores_sigterm_is_killed_after_its_grace() {
    let (mut cell, _client, _script) =
        unlocked(&["--stop-grace-ms", "50"], "trap '' TERM; while :; do sleep 0.05; done").await;
    let workload = cell.workload_pid().await;
    level("its trap", || ignored(workload, 15).then_some(())).await;
    cell.signal(Signal::TERM);
    assert!(cell.exited().await.success());
    assert!(!alive(workload));
}

#[tokio::test]
async fn other_signals_are_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("said");
    let script = format!("trap 'echo hup > {}' HUP; while :; do sleep 0.05; done", file.display());
    let (cell, _client, _script) = unlocked(&[], &script).await;
    let workload = cell.workload_pid().await;
    level("its trap", || caught(workload, 1).then_some(())).await;
    cell.signal(Signal::HUP);
    assert_eq!(written(&file).await, "hup");
}

#[tokio::test]
async fn the_workload_stays_in_the_cells_group_so_that_a_pause_stops_both() {
    let (cell, mut client, _script) = unlocked(&[], "sleep 600").await;
    let workload = cell.workload_pid().await;
    let group = rustix::process::Pid::from_child(&cell.child);
    let state = |pid: u32| {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .unwrap()
            .rsplit_once(')')
            .unwrap()
            .1
            .trim_start()
            .chars()
            .next()
    };
    rustix::process::kill_process_group(group, Signal::STOP).unwrap();
    level("both to stand", || (state(cell.pid()) == Some('T') && state(workload) == Some('T')).then_some(()))
        .await;
    rustix::process::kill_process_group(group, Signal::CONT).unwrap();
    assert!(!status(&mut client).await.locked, "it goes on, unlocked");
}

#[tokio::test]
async fn as_the_first_process_of_a_container_it_reaps_orphans_and_obeys_sigterm() {
    if !is_root() {
        return eprintln!("skipped: a process namespace needs root");
    }
    let script = Script::new("( sleep 600 & echo $! ); exec sleep 600");
    let mut outer = TestCell::start(&Options {
        wrap: &["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"],
        workload: &script.argv(),
        ..Options::default()
    });
    let mut client = outer.client().await;
    User::new().unlock(&outer, &mut client, &[]).await.unwrap();
    let first = outer.children()[0].0;
    let names = std::fs::read_to_string(format!("/proc/{first}/status")).unwrap();
    assert!(names.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1")), "{names}");

    // the workload and its orphan
    let orphans = || children_of(first).into_iter().map(|(pid, _)| pid).collect::<Vec<_>>();
    level("the orphan to come to the cell", || (orphans().len() == 2).then_some(())).await;
    let cell = |signal| {
        rustix::process::kill_process(rustix::process::Pid::from_raw(first.cast_signed()).unwrap(), signal)
    };
    for pid in orphans() {
        let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
    }
    level("both to be reaped", || orphans().is_empty().then_some(())).await;
    let ended =
        status_when(&mut client, "its end", |status| status.workload_state() == WorkloadState::Exited).await;
    assert_eq!(ended.exit_signal, 9);
    cell(Signal::TERM).unwrap();
    assert!(outer.exited().await.success());
}

#[tokio::test]
async fn how_the_workload_ended_is_told_and_the_cell_goes_on() {
    let (_cell, mut client, _script) = unlocked(&[], "exit 3").await;
    let ended =
        status_when(&mut client, "its end", |status| status.workload_state() == WorkloadState::Exited).await;
    assert_eq!((ended.exit_code, ended.exit_signal, ended.locked), (3, 0, false));
    let (_cell, mut client, _script) = unlocked(&[], "kill -KILL $$").await;
    let ended =
        status_when(&mut client, "its end", |status| status.workload_state() == WorkloadState::Exited).await;
    assert_eq!((ended.exit_code, ended.exit_signal), (0, 9));
}

#[tokio::test]
async fn sigterm_ends_a_cell_that_still_waits_for_its_start_secret() {
    let mut child = Command::new(CELL)
        .args(["run", "--listen", "127.0.0.1:0", "--generation", "1"])
        .args([
            "--tenant",
            &id::<ocmt_types::TenantId>().to_string(),
            "--container",
            &id::<ocmt_types::ContainerId>().to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line)
        .unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(level("the cell to exit", || child.try_wait().unwrap()).await.success());
}

#[tokio::test]
async fn a_short_start_secret_ends_the_cell_with_an_error() {
    let mut child = Command::new(CELL)
        .args(["run", "--listen", "127.0.0.1:0", "--generation", "1"])
        .args([
            "--tenant",
            &id::<ocmt_types::TenantId>().to_string(),
            "--container",
            &id::<ocmt_types::ContainerId>().to_string(),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(level("the cell to exit", || child.try_wait().unwrap()).await.code(), Some(1));
}

/// Whether a process has a handler for a signal.
fn caught(pid: u32, signal: u32) -> bool {
    in_mask(pid, "SigCgt:", signal)
}

fn ignored(pid: u32, signal: u32) -> bool {
    in_mask(pid, "SigIgn:", signal)
}

fn in_mask(pid: u32, name: &str, signal: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
