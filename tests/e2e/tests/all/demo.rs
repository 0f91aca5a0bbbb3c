//! The demo itself: it works, and leaves nothing.

use std::{fs, path::Path, process::Stdio};

use ocmt_testkit::programs;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

async fn plays_through(runtime: &str) {
    let folder = tempfile::Builder::new().prefix("ocmt-e2e-demo.").tempdir().unwrap();
    let mut demo = Command::new(programs::ocmt().unwrap());
    demo.args(["demo", "--runtime", runtime]).env("TMPDIR", folder.path()).stdin(Stdio::null());
    if let Ok(engine) = std::env::var("OCMT_TEST_DOCKER") {
        demo.env("DOCKER_HOST", engine);
    }
    let output = demo.output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("found: nothing") && told.contains("All of it worked"), "{told}");
    assert!(told.contains("wake_kind: unpause") && told.contains("wake_kind: start"), "{told}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "left on disk: {left:?}");
    assert_eq!(running_below(folder.path()), Vec::<String>::new(), "left running");
}

/// Command lines of processes that name the folder.
fn running_below(folder: &Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(folder.to_str().unwrap())).collect()
}

#[tokio::test]
async fn the_main_job_works_from_end_to_end_on_child_processes() {
    plays_through("process").await;
}

#[tokio::test]
async fn the_main_job_works_from_end_to_end_on_docker() {
    plays_through("docker").await;
}

#[tokio::test]
async fn an_interrupted_demo_clears_away_and_exits_1() {
    let folder = tempfile::Builder::new().prefix("ocmt-e2e-demo.").tempdir().unwrap();
    let mut demo = Command::new(programs::ocmt().unwrap())
        .args(["demo", "--runtime", "process"])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut seen = String::new();
    while let Some(line) = told.next_line().await.unwrap() {
        seen.push_str(&line);
        if line.contains("its cell is PID 1 and locked") {
            let pid = Pid::from_raw(i32::try_from(demo.id().unwrap()).unwrap()).unwrap();
            kill_process(pid, Signal::INT).unwrap();
        }
    }
    assert_eq!(demo.wait().await.unwrap().code(), Some(1), "{seen}");
    // what it had begun it may have ended before it heard of it
    assert!(seen.contains("✗ interrupted") && !seen.contains("All of it worked"), "{seen}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "left on disk");
    assert_eq!(running_below(folder.path()), Vec::<String>::new(), "left running");
}

#[tokio::test]
async fn a_failing_demo_says_which_step_and_exits_1() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(programs::ocmt().unwrap())
        .args(["demo", "--runtime", "docker"])
        // no engine answers there, and none can be started without a PATH
        .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .env("PATH", "/nonexistent")
        .env("TMPDIR", folder.path())
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("✗ Docker is made ready"), "{told}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "left on disk");
}
