//! A process killed in the middle of its work (SIGKILL): what it acknowledged is there, nothing by halves.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use ocmt_crypto::audit::{Actor, AuditRecord, ChainVerifier, Outcome};
use ocmt_store::{
    Filter, Store,
    tables::{AuditRow, Timer},
    testing::{TestNode, id},
};
use ocmt_types::Timestamp;
use tokio::task::JoinSet;

const FOLDER: &str = "OCMT_TEST_CRASH_FOLDER";
/// Not a multiple of the four writers, which take turns: the kill finds some of them in the middle.
const ACKNOWLEDGED_BEFORE_THE_KILL: usize = 302;

/// The child of the test below, and nothing on its own: writes until it is killed, and prints each row
/// once its commit has returned.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn child_that_writes_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let store = Store::sqlite(folder).await.unwrap();
    let own = TestNode::start(&store, 1).await.unwrap().found(1).await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let store = store.clone();
        writers.spawn(async move {
            for n in 0.. {
                let subject = format!("{writer}-{n}");
                let mut tx = store.fenced(own).await.unwrap();
                tx.set_timer("crash", &subject, Timestamp(n), &[7; 2_000]).await.unwrap();
                let record = AuditRecord {
                    tenant: own.tenant,
                    at: Timestamp(n),
                    request: id(1),
                    actor: Actor::Anonymous,
                    action: "crash.write".into(),
                    object: subject.clone(),
                    outcome: Outcome::Allowed,
                    details: vec![],
                };
                tx.audit(&record).await.unwrap();
                tx.commit().await.unwrap();
                let mut out = std::io::stdout().lock();
                writeln!(out, "\nacknowledged {subject}").unwrap();
                out.flush().unwrap();
            }
        });
    }
    writers.join_all().await;
}

#[tokio::test]
async fn a_killed_writer_loses_nothing_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_writes_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        acknowledged.extend(line.strip_prefix("acknowledged ").map(str::to_owned));
        if acknowledged.len() == ACKNOWLEDGED_BEFORE_THE_KILL {
            // the lines it wrote until it died are still read
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= ACKNOWLEDGED_BEFORE_THE_KILL, "the child stopped early");

    let store = Store::sqlite(folder.path()).await.unwrap();
    // the lock was ours to take, so the life before is dead and its tenant can be followed
    let node =
        TestNode { incarnation: ocmt_types::Incarnation([9; 16]), store: store.clone(), node_id: id(1) };
    let mut life = store.cluster().living_nodes().await.unwrap().remove(0);
    life.incarnation = node.incarnation;
    store.cluster().register(&life).await.unwrap();
    let own = node.claim(id(1)).await.unwrap();

    let mut tx = store.read(own).await.unwrap();
    for subject in &acknowledged {
        let row = tx.get::<Timer>(("crash".into(), subject.clone())).await.unwrap();
        assert!(row.is_some(), "{subject} was acknowledged and is lost");
    }
    let (mut chain, mut after) = (ChainVerifier::new(own.tenant), 0);
    loop {
        let page: Vec<AuditRow> = tx.audit_page(Filter::all(), after, 1_000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        for row in &page {
            chain.next(row.seq.unsigned_abs(), &row.record, &row.hash).unwrap();
        }
    }
    let rows = tx.count(Filter::<Timer>::all()).await.unwrap();
    assert_eq!(rows, after, "a row and its audit record are one transaction");
}
