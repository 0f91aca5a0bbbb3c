//! A cell with a sealed volume, and what ends it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ocmt_crypto::{cell::CellPlace, channel::StreamKind};
use ocmt_proto::cell::v1::{LockReason, LockRequest, VolumeFault};
use rustix::process::Signal;
use tempfile::TempDir;
use tonic::Status;

use crate::common::{
    Client, Options, Script, TestCell, WORKLOAD as DEMO, channel::Talk, id, level, status, status_when,
    user::User,
};

/// Says that it was started, and that it goes on.
const WORKLOAD: &str = "echo started >> runs; while :; do echo x >> clock; sleep 0.02; done";

/// A host with one container.
struct Host {
    clear: TempDir,
    sealed: TempDir,
    place: CellPlace,
    script: Script,
}

impl Host {
    fn new() -> Self {
        let folder = || tempfile::tempdir().unwrap();
        let place = CellPlace { tenant: id(), container: id(), generation: 3 };
        Self { clear: folder(), sealed: folder(), place, script: Script::new(WORKLOAD) }
    }

    async fn start(&self, seal_every_ms: &str) -> (TestCell, Client) {
        let sealed = self.sealed.path().to_str().unwrap();
        let cell = TestCell::start(&Options {
            extra: &["--sealed-at", sealed, "--seal-every-ms", seal_every_ms],
            workload: &self.script.argv(),
            folder: Some(self.clear.path()),
            place: Some(self.place),
            ..Options::default()
        });
        let client = cell.client().await;
        (cell, client)
    }

    fn file(&self) -> PathBuf {
        self.sealed.path().join("volume.sealed")
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.clear.path()).unwrap().next().is_none()
    }

    /// How often the workload was started, as the volume has it.
    async fn runs(&self, count: usize) {
        let runs = self.clear.path().join("runs");
        level("the workload to start", || (lines(&runs) >= count).then_some(())).await;
        assert_eq!(lines(&runs), count);
    }
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

async fn unlock(cell: &TestCell, client: &mut Client, volume: Option<(u64, u64)>) -> Result<(), Status> {
    let mut user = User::new();
    user.volume = volume;
    user.unlock(cell, client, &[]).await.map(drop)
}

fn reason(refused: Result<(), Status>) -> String {
    let refused = refused.unwrap_err();
    refused.metadata().get("ocmt-cell-reason").unwrap().to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_volume_is_sealed_on_a_lock_and_on_a_stop_and_is_gone_from_memory_then() {
    let host = Host::new();
    let (mut cell, mut client) = host.start("3600000").await;
    unlock(&cell, &mut client, Some((1, 0))).await.unwrap();
    host.runs(1).await;
    client.lock(LockRequest { reason: LockReason::User.into() }).await.unwrap();
    assert!(host.is_empty(), "a locked cell has it in clear");
    let sealed = fs::read(host.file()).unwrap();
    assert!(!sealed.windows(7).any(|part| part == b"started"), "its host can read it");

    unlock(&cell, &mut client, Some((2, 1))).await.unwrap();
    host.runs(2).await;
    cell.signal(Signal::TERM);
    assert!(cell.exited().await.success());
    assert!(host.is_empty(), "a stopped cell has left it in clear");

    let (cell, mut client) = host.start("3600000").await;
    unlock(&cell, &mut client, Some((3, 2))).await.unwrap();
    host.runs(3).await;
}

#[tokio::test]
async fn a_cell_that_is_killed_loses_an_interval_and_the_workload_goes_on_through_each() {
    let host = Host::new();
    let (cell, mut client) = host.start("100").await;
    unlock(&cell, &mut client, Some((1, 0))).await.unwrap();
    host.runs(1).await;
    // two that begin after it: the second one has it
    for _ in 0..2 {
        let before = fs::read(host.file()).unwrap();
        level("another sealing", || (fs::read(host.file()).unwrap() != before).then_some(())).await;
    }
    let clock = host.clear.path().join("clock");
    let before = lines(&clock);
    level("the workload to go on", || (lines(&clock) > before + 3).then_some(())).await;
    // as the kernel ends a container: nobody is asked
    drop(cell);
    let (cell, mut client) = host.start("3600000").await;
    assert!(host.is_empty());
    unlock(&cell, &mut client, Some((2, 1))).await.unwrap();
    host.runs(2).await;
}

#[tokio::test]
async fn what_writes_without_pause_and_without_its_first_thread_stands_still_to_be_copied() {
    let mut host = Host::new();
    host.script = Script::new(&format!("{DEMO} headless notes & {WORKLOAD}"));
    let (cell, mut client) = host.start("100").await;
    unlock(&cell, &mut client, Some((1, 0))).await.unwrap();
    host.runs(1).await;
    for _ in 0..3 {
        let before = fs::read(host.file()).unwrap();
        level("another sealing", || (fs::read(host.file()).unwrap() != before).then_some(())).await;
    }
    // in the middle of the next one, or not: the one that counts is whole
    drop(cell);
    let (cell, mut client) = host.start("3600000").await;
    unlock(&cell, &mut client, Some((2, 1))).await.unwrap();
}

#[tokio::test]
async fn a_cell_that_cannot_empty_its_volume_ends_and_starts_nothing_over_it() {
    let host = Host::new();
    let sealed = host.sealed.path().to_str().unwrap();
    let mut cell = TestCell::start(&Options {
        extra: &["--sealed-at", sealed, "--seal-every-ms", "3600000", "--start-locked"],
        workload: &host.script.argv(),
        folder: Some(host.clear.path()),
        place: Some(host.place),
        ..Options::default()
    });
    let mut client = cell.client().await;
    unlock(&cell, &mut client, Some((1, 0))).await.unwrap();
    host.runs(1).await;
    // it is not where it was, with all that is in it
    let away = host.sealed.path().join("away");
    fs::rename(host.clear.path(), &away).unwrap();
    let said = client.lock(LockRequest { reason: LockReason::User.into() }).await.map(drop);
    assert_eq!(reason(said), "VOLUME_NOT_EMPTIED");
    assert_eq!(cell.exited().await.code(), Some(1));
    assert_eq!(lines(&away.join("runs")), 1);
}

#[tokio::test]
async fn an_unlock_that_does_not_open_the_volume_is_refused_and_starts_nothing() {
    let host = Host::new();
    let (cell, mut client) = host.start("3600000").await;
    assert_eq!(reason(unlock(&cell, &mut client, None).await), "VOLUME_NO_KEY");
    assert_eq!(reason(unlock(&cell, &mut client, Some((2, 1))).await), "VOLUME_MISSING");
    unlock(&cell, &mut client, Some((2, 0))).await.unwrap();
    host.runs(1).await;
    client.lock(LockRequest { reason: LockReason::User.into() }).await.unwrap();
    assert_eq!(reason(unlock(&cell, &mut client, Some((9, 3))).await), "VOLUME_OLDER");
    let good = fs::read(host.file()).unwrap();
    fs::write(host.file(), &good[..good.len() - 1]).unwrap();
    assert_eq!(reason(unlock(&cell, &mut client, Some((9, 1))).await), "VOLUME_DAMAGED");
    assert!(status(&mut client).await.locked && cell.children().is_empty() && host.is_empty());
    fs::write(host.file(), good).unwrap();
    unlock(&cell, &mut client, Some((9, 1))).await.unwrap();
    host.runs(2).await;
}

#[tokio::test]
async fn a_lock_that_cannot_seal_says_so_and_locks_all_the_same() {
    let host = Host::new();
    let (cell, mut client) = host.start("3600000").await;
    unlock(&cell, &mut client, Some((1, 0))).await.unwrap();
    host.runs(1).await;
    // what its host has there cannot be written over
    fs::create_dir_all(host.sealed.path().join("volume.sealed.new/in the way")).unwrap();
    let said = client.lock(LockRequest { reason: LockReason::User.into() }).await.map(drop);
    assert_eq!(reason(said), "VOLUME_NOT_SEALED");
    let seen = status(&mut client).await;
    assert!(seen.locked && cell.children().is_empty() && host.is_empty());
    let unsealed = seen.volume_unsealed.expect("whoever asks how it is is told");
    assert!(unsealed.lost && unsealed.why() == VolumeFault::File && unsealed.since.is_some(), "{unsealed:?}");
    // and to whom nobody said it: the next unlock's log has it
    fs::remove_dir_all(host.sealed.path().join("volume.sealed.new")).unwrap();
    let mut user = User::new();
    user.volume = Some((2, 1));
    let ready = user.unlock(&cell, &mut client, &[]).await.unwrap();
    let logs = StreamKind::Logs { follow: false };
    let heard = Talk::open(&user, &cell, &mut client, &ready, logs).await.unwrap().finish().await;
    let said = String::from_utf8(heard.out).unwrap();
    assert!(said.contains("could not be sealed when the cell locked"), "{said}");
    assert_eq!(status(&mut client).await.volume_unsealed, None, "the unlock has sealed it");
}

#[tokio::test]
async fn a_sealing_that_failed_is_told_until_one_succeeds_and_how_long_that_is_so() {
    let host = Host::new();
    let (cell, mut client) = host.start("100").await;
    unlock(&cell, &mut client, Some((1, 0))).await.unwrap();
    assert_eq!(status(&mut client).await.volume_unsealed, None);
    let in_the_way = host.sealed.path().join("volume.sealed.new");
    // a sealing may be under way with a file of that name
    level("something to be in the way", || fs::create_dir_all(in_the_way.join("of it")).ok()).await;
    let first = status_when(&mut client, "a failed sealing", |seen| seen.volume_unsealed.is_some()).await;
    let first = first.volume_unsealed.unwrap();
    assert!(!first.lost && first.why() == VolumeFault::File, "{first:?}");
    assert!(!status(&mut client).await.locked, "it goes on");
    // the next ones fail too, and it is since the first
    let clock = host.clear.path().join("clock");
    let before = lines(&clock);
    level("the workload to go on", || (lines(&clock) > before + 20).then_some(())).await;
    assert_eq!(status(&mut client).await.volume_unsealed.unwrap().since, first.since);
    fs::remove_dir_all(&in_the_way).unwrap();
    status_when(&mut client, "a sealing that succeeds", |seen| seen.volume_unsealed.is_none()).await;
}

#[tokio::test]
async fn a_cell_without_a_sealed_volume_takes_no_key_for_one() {
    let cell = TestCell::start(&Options::default());
    let mut client = cell.client().await;
    assert_eq!(reason(unlock(&cell, &mut client, Some((1, 0))).await), "VOLUME_NONE");
}
