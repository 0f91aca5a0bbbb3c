//! SQLite: the conformance suite, and what only files can do.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod conformance;

use std::{os::unix::fs::PermissionsExt as _, process::Command, time::Duration};

use conformance::{
    areas::record,
    rows::{one_tenant, timer},
};
use ocmt_crypto::audit::ChainVerifier;
use ocmt_store::{
    Filter, Store, StoreError,
    tables::{ObjectBody, Timer},
    testing::leave_pages,
};
use ocmt_types::{Digest32, Ownership};
use tempfile::TempDir;
use tokio::task::JoinSet;

async fn open() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Store::sqlite(folder.path().join("data")).await.unwrap(), folder)
}

suite!(crate::open);

fn object(own: Ownership, n: u8) -> ObjectBody {
    ObjectBody {
        tenant_id: own.tenant,
        vault_id: ocmt_store::testing::id(1),
        object_id: Digest32([n; 32]),
        body: vec![n; 64 << 10],
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let (store, folder) = open().await;
    let own = one_tenant(&store).await;
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&timer(own, "a", 1)).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    assert!(store.fenced(own).await.err().unwrap().is_retryable());
    drop(store);
    let store = Store::sqlite(folder.path().join("data")).await.unwrap();
    let mut tx = store.read(own).await.unwrap();
    assert_eq!(tx.find::<Timer>(Filter::all()).await.unwrap(), [timer(own, "a", 1)]);
}

#[tokio::test]
async fn a_data_folder_has_one_holder() {
    let (store, folder) = open().await;
    let path = folder.path().join("data");
    let refused = Store::sqlite(&path).await.err();
    assert!(matches!(refused, Some(StoreError::Locked(_))), "{refused:?}");
    drop(store);
    Store::sqlite(&path).await.unwrap();
}

#[tokio::test]
async fn nobody_else_may_look_into_the_files() {
    let (store, folder) = open().await;
    one_tenant(&store).await;
    let path = folder.path().join("data");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for file in path.read_dir().unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert!(path.join("ocmt.db-wal").exists());
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let refused = Store::sqlite(file.join("data")).await.err();
    assert!(matches!(refused, Some(StoreError::Open(_))), "{refused:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ocmt.db"), vec![7_u8; 8192]).unwrap();
    let refused = Store::sqlite(folder.path()).await.err();
    assert!(matches!(refused, Some(StoreError::Open(_) | StoreError::Schema(_))), "{refused:?}");
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_heals_without_a_restart() {
    let (store, _folder) = open().await;
    let own = one_tenant(&store).await;
    leave_pages(&store, 20).await.unwrap();
    let mut written = 0;
    let refused = loop {
        let mut tx = store.fenced(own).await.unwrap();
        if let Err(error) = tx.insert(&object(own, written)).await {
            break error;
        }
        tx.commit().await.unwrap();
        written += 1;
    };
    assert!(matches!(refused, StoreError::Full) && refused.is_retryable(), "{refused:?}");
    assert!(written > 0);
    let there = store.read(own).await.unwrap().count(Filter::<ObjectBody>::all()).await.unwrap();
    assert_eq!(there, i64::from(written), "reads go on, and nothing of the refused write is there");
    leave_pages(&store, 100_000).await.unwrap();
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&object(own, written)).await.unwrap();
    tx.commit().await.unwrap();
}

/// A file system of 4 MiB that ends with the test.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// None where mounting is not allowed.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_file_system_without_space_refuses_writes_and_heals_without_a_restart() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: mounting a file system needs root");
        return;
    };
    let ballast = disk.0.path().join("ballast");
    let store = Store::sqlite(disk.0.path().join("data")).await.unwrap();
    let own = one_tenant(&store).await;
    std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let mut acknowledged = 0;
    let refused = loop {
        let mut tx = store.fenced(own).await.unwrap();
        if let Err(error) = tx.insert(&object(own, acknowledged)).await {
            break error;
        }
        if let Err(error) = tx.commit().await {
            break error;
        }
        acknowledged += 1;
    };
    assert!(matches!(refused, StoreError::Full), "{refused:?}");
    let objects = |own| {
        let store = store.clone();
        async move { store.read(own).await.unwrap().count(Filter::<ObjectBody>::all()).await.unwrap() }
    };
    assert_eq!(objects(own).await, i64::from(acknowledged));
    std::fs::remove_file(ballast).unwrap();
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&object(own, acknowledged)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(objects(own).await, i64::from(acknowledged) + 1);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_go_away_hold_nothing_up_and_leave_no_gap() {
    let (store, _folder) = open().await;
    let own = one_tenant(&store).await;
    let mut callers = JoinSet::new();
    for n in 0..200 {
        let store = store.clone();
        let call = async move {
            let mut tx = store.fenced(own).await.unwrap();
            tx.audit(&record(own.tenant, n)).await.unwrap();
            tx.commit().await.unwrap();
        };
        // each gives up at another place: in the queue, between statements, in the commit
        callers.spawn(tokio::time::timeout(Duration::from_micros(4_000 * n.unsigned_abs()), call));
    }
    let finished = callers.join_all().await.iter().filter(|call| call.is_ok()).count();
    assert!(finished > 0);
    let mut tx = store.fenced(own).await.unwrap();
    tx.audit(&record(own.tenant, 1_000)).await.unwrap();
    tx.commit().await.unwrap();
    let rows = store.read(own).await.unwrap().audit_page(Filter::all(), 0, 1_000).await.unwrap();
    let mut chain = ChainVerifier::new(own.tenant);
    for row in &rows {
        chain.next(row.seq.unsigned_abs(), &row.record, &row.hash).unwrap();
    }
    assert!(rows.len() > finished, "an acknowledged record is lost");
}
