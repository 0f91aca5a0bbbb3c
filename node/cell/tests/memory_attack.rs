//! The attack of a workload on the cell's memory: same uid, `/proc` alone. With the guard it gets
//! nothing; without it (only a build with the feature `attack-test` can be told so) it gets all.
//!
//! Both halves: `cargo nextest run -p ocmt-cell --features attack-test --test memory_attack`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use std::{
    fs,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::Command,
};

use common::{Options, TestCell, WORKLOAD, is_root, level, user::User};
use rustix::process::{Resource, Rlimit, Signal};

/// An unprivileged uid that cell and attacker share.
const UID: u32 = 1000;

struct Attack {
    said: String,
    code: Option<i32>,
}

/// Unlocks a cell and attacks it as its workload would, looking for the unlock key, which the cell
/// alone has.
async fn attack(extra: &[&str]) -> Attack {
    let cell = TestCell::start(&Options {
        extra,
        workload: &["sleep", "600"],
        uid: is_root().then_some(UID),
        ..Options::default()
    });
    let mut client = cell.client().await;
    let unlock = User::new().unlock(&cell, &mut client, &[("TOKEN", b"marked-value-55aa")]).await.unwrap();
    let mark = data_encoding::HEXLOWER.encode(unlock.key.expose());
    let mut command = Command::new(WORKLOAD);
    command.args(["attack", &cell.pid().to_string(), &mark]);
    if is_root() {
        command.uid(UID).gid(UID);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    println!("{said}");
    Attack { said, code: output.status.code() }
}

#[tokio::test]
async fn with_the_guard_a_workload_reads_nothing_of_the_cell() {
    let attack = attack(&[]).await;
    assert_eq!(attack.code, Some(0), "{}", attack.said);
    for name in ["environ", "auxv", "syscall", "mem"] {
        assert!(attack.said.contains(&format!("{name}: refused")), "{}", attack.said);
    }
}

/// On a system that keeps every core: none of a cell is written, in which the unlock key would be.
#[tokio::test]
async fn a_cell_that_crashes_leaves_no_core() {
    let most = rustix::process::getrlimit(Resource::Core).maximum;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: most, maximum: most }).unwrap();
    for signal in [Signal::ABORT, Signal::SEGV] {
        let mut cell = TestCell::start(&Options {
            workload: &["sleep", "600"],
            uid: is_root().then_some(UID),
            ..Options::default()
        });
        let mut client = cell.client().await;
        User::new().unlock(&cell, &mut client, &[("TOKEN", b"marked-value-55aa")]).await.unwrap();
        let limits = fs::read_to_string(format!("/proc/{}/limits", cell.pid())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
        // a signal that is sent is no fault: the first SIGSEGV only takes Rust's handler away
        let ended = level("the cell to crash", || {
            let ended = cell.child.try_wait().unwrap();
            if ended.is_none() {
                cell.signal(signal);
            }
            ended
        });
        let ended = ended.await;
        assert!(ended.signal().is_some() && !ended.core_dumped(), "{ended}");
    }
}

#[cfg(feature = "attack-test")]
#[tokio::test]
async fn without_the_guard_a_workload_reads_the_unlock_key_in_the_cells_memory() {
    let attack = attack(&["--no-memory-guard"]).await;
    assert_eq!(attack.code, Some(3), "{}", attack.said);
    assert!(attack.said.contains("mem: ") && attack.said.contains("marked bytes found"), "{}", attack.said);
    assert!(!attack.said.contains("found 0 times"), "{}", attack.said);
}

#[cfg(not(feature = "attack-test"))]
#[test]
fn a_release_cannot_be_told_to_leave_its_guard_off() {
    let output = Command::new(common::CELL).args(["run", "--no-memory-guard"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("unexpected argument '--no-memory-guard'"));
}
