//! Locked, unlocked, locked again: who gets what, and who does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod common;

use common::{
    Options, TestCell, WORKLOAD, channel::http, children_of, find, free_port, is_root, level,
    marks_in_memory, ready, status, status_when, user,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ocmt_proto::cell::v1::{ExtendRequest, LockReason, LockRequest, WorkloadState};
use prost::Message as _;
use tonic::Code;
use user::{User, extension};

const SECRET: &[u8] = b"marked-secret-7c1f09e2d5";

fn lock() -> LockRequest {
    LockRequest { reason: LockReason::User.into() }
}

fn reason(status: &tonic::Status) -> &str {
    status.metadata().get("ocmt-cell-reason").map_or("", |reason| reason.to_str().unwrap())
}

/// A cell with the demo workload on a free port.
fn demo() -> (TestCell, u16) {
    let port = free_port();
    (
        TestCell::start(&Options {
            extra: &["--workload-port", &port.to_string()],
            workload: &[WORKLOAD],
            ..Options::default()
        }),
        port,
    )
}

#[tokio::test]
async fn the_workload_proves_its_secret_and_nobody_else_has_it() {
    let (cell, port) = demo();
    let mut client = cell.client().await;
    assert_eq!(status(&mut client).await.workload_state(), WorkloadState::Waiting, "it starts locked");
    let user = User::new();
    let unlock = user.unlock(&cell, &mut client, &[("DEMO_SECRET", SECRET)]).await.unwrap();
    ready(&mut client).await;

    let answer = http(&user, &cell, &mut client, &unlock, port, ("POST", "/prove", b"challenge")).await;
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET).unwrap();
    mac.update(b"challenge");
    let proof = data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes());
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&proof), "{answer}");

    // its keys stand in pages that are not swapped
    let of_cell = std::fs::read_to_string(format!("/proc/{}/status", cell.pid())).unwrap();
    let locked = of_cell.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap().trim();
    assert_ne!(locked, "0 kB");

    let workload = cell.workload_pid().await;
    let read = |pid: u32, file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
    assert_eq!(
        find(&read(workload, "environ"), SECRET),
        1,
        "the search works, and finds it where it belongs"
    );
    for (pid, file) in [(cell.pid(), "environ"), (cell.pid(), "cmdline"), (workload, "cmdline")] {
        assert_eq!(find(&read(pid, file), SECRET), 0, "{file} of {pid}");
    }
    assert_eq!(find(cell.errors().as_bytes(), SECRET), 0, "its log");
    assert!(cell.errors().contains("unlocked"), "the log was looked at: {}", cell.errors());
}

#[tokio::test]
async fn a_second_payload_is_refused_and_the_first_goes_on() {
    let (cell, _) = demo();
    let mut client = cell.client().await;
    let user = User::new();
    // both are sealed to the key of the locked cell
    let first = user.ready(&cell, &mut client, &[("DEMO_SECRET", SECRET)], 600_000).await;
    let second = user.ready(&cell, &mut client, &[("DEMO_SECRET", b"another value")], 600_000).await;
    client.unlock(first.request.clone()).await.unwrap();
    for again in [second.request, first.request] {
        let refused = client.unlock(again).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused)), (Code::FailedPrecondition, "CELL_NOT_LOCKED"));
    }
    assert_eq!(status(&mut client).await.unlock_id, first.unlock.to_string());
}

#[tokio::test]
async fn a_replayed_payload_opens_nothing_after_a_lock_nor_in_another_cell() {
    let (cell, _) = demo();
    let mut client = cell.client().await;
    let user = User::new();
    let unlock = user.unlock(&cell, &mut client, &[("DEMO_SECRET", SECRET)]).await.unwrap();
    client.lock(lock()).await.unwrap();
    // before and after the cell has made its next key
    for _ in 0..2 {
        let refused = client.unlock(unlock.request.clone()).await.unwrap_err();
        assert_eq!(reason(&refused), "CELL_PAYLOAD_REFUSED");
        user.statement(&cell, &mut client).await;
    }
    let (other, _) = demo();
    let mut other_client = other.client().await;
    user.statement(&other, &mut other_client).await;
    assert_eq!(reason(&other_client.unlock(unlock.request).await.unwrap_err()), "CELL_PAYLOAD_REFUSED");
    assert!(status(&mut client).await.locked && status(&mut other_client).await.locked);
}

#[tokio::test]
async fn objects_that_are_missing_swapped_or_old_leave_the_cell_locked() {
    let (cell, _) = demo();
    let mut client = cell.client().await;
    let user = User::new();
    let variables: [(&str, &[u8]); 2] = [("DEMO_SECRET", SECRET), ("OTHER", b"other value")];
    for spoil in 0..4 {
        let mut request = user.ready(&cell, &mut client, &variables, 600_000).await.request;
        let (first, second) = (request.objects[0].body.clone(), request.objects[1].body.clone());
        match spoil {
            0 => request.objects.truncate(1),
            1 => (request.objects[0].body, request.objects[1].body) = (second, first),
            2 => request.objects[0].version = 6,
            _ => request.unlock_id = common::id::<ocmt_types::UnlockId>().to_string(),
        }
        let refused = client.unlock(request).await.unwrap_err();
        assert_eq!(reason(&refused), "CELL_PAYLOAD_REFUSED", "{spoil}");
        let status = status(&mut client).await;
        assert!(status.locked && status.workload_state() == WorkloadState::Waiting, "{spoil}");
    }
    user.unlock(&cell, &mut client, &variables).await.unwrap();
}

#[tokio::test]
async fn every_method_refuses_a_wrong_control_token() {
    let (cell, _) = demo();
    let contract = prost_types::FileDescriptorSet::decode(ocmt_proto::DESCRIPTOR).unwrap();
    let service = contract
        .file
        .iter()
        .flat_map(|file| &file.service)
        .find(|service| service.name() == "CellService")
        .unwrap();
    assert!(service.method.len() >= 6);
    let good = cell.start.control_token().unwrap();
    let nearly = format!("{}0", &good.expose()[..63]);
    let wrong = [
        None,
        Some(String::new()),
        Some("00".repeat(32)),
        Some(if nearly == good.expose() { "f".repeat(64) } else { nearly }),
    ];
    for method in &service.method {
        for token in &wrong {
            let mut grpc = tonic::client::Grpc::new(cell.connect().await);
            grpc.ready().await.unwrap();
            let mut request = tonic::Request::new(ocmt_proto::cell::v1::StatusRequest {});
            if let Some(token) = token {
                request.metadata_mut().insert("ocmt-cell-auth", token.parse().unwrap());
            }
            let codec = tonic_prost::ProstCodec::<_, ocmt_proto::cell::v1::StatusResponse>::default();
            let path = format!("/ocmt.cell.v1.CellService/{}", method.name()).parse().unwrap();
            let refused = grpc.unary(request, path, codec).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated, "{} with {token:?}", method.name());
        }
    }
}

#[tokio::test]
async fn a_lock_stops_the_workload_and_leaves_nothing_in_memory() {
    if !is_root() {
        return eprintln!("skipped: reading a guarded process needs root");
    }
    let (cell, port) = demo();
    let mut client = cell.client().await;
    let user = User::new();
    // of many lengths, the mark last: the allocator writes over the head of what is freed, no further
    let long: Vec<Vec<u8>> = (1..24).map(|n| [&vec![b'x'; n * 40], SECRET].concat()).collect();
    let names: Vec<String> = (1..24).map(|n| format!("LONG_{n}")).collect();
    let mut variables: Vec<(&str, &[u8])> =
        names.iter().zip(&long).map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    variables.push(("DEMO_SECRET", SECRET));
    let unlock = user.unlock(&cell, &mut client, &variables).await.unwrap();
    ready(&mut client).await;
    let words = b"words-of-the-conversation-51c8";
    http(&user, &cell, &mut client, &unlock, port, ("POST", "/say", words)).await;
    let (workload, key) = (cell.workload_pid().await, unlock.key.expose().to_vec());
    for (what, mark) in [("value, for redaction", SECRET), ("unlock key", &key)] {
        assert!(marks_in_memory(cell.pid(), mark) > 0, "{what}: the search finds what is there");
    }

    client.lock(lock()).await.unwrap();
    let status = status(&mut client).await;
    assert!(
        status.locked && status.unlock_id.is_empty() && status.workload_state() == WorkloadState::Waiting
    );
    assert!(!std::path::Path::new(&format!("/proc/{workload}")).exists(), "the workload is gone and reaped");
    for (what, mark) in [("value", SECRET), ("unlock key", &key), ("words", words)] {
        assert_eq!(marks_in_memory(cell.pid(), mark), 0, "{what} after the lock");
    }
}

#[tokio::test]
async fn the_cell_locks_itself_when_its_lease_ends() {
    let (cell, _) = demo();
    let mut client = cell.client().await;
    let user = User::new();
    let unlock = user.ready(&cell, &mut client, &[("DEMO_SECRET", SECRET)], 5_000).await;
    client.unlock(unlock.request).await.unwrap();
    assert!(!status(&mut client).await.locked);
    let status = status_when(&mut client, "the lock", |status| status.locked).await;
    assert!(status.lease_remaining.is_none());
    status_when(&mut client, "the workload's end", |status| {
        status.workload_state() == WorkloadState::Waiting
    })
    .await;
}

#[tokio::test]
async fn an_extension_under_the_payload_moves_the_end_and_no_other_does() {
    let (cell, _) = demo();
    let mut client = cell.client().await;
    let user = User::new();
    let unlock = user.ready(&cell, &mut client, &[], 60_000).await;
    client.unlock(unlock.request.clone()).await.unwrap();
    let stranger = user.ready_of(&unlock);
    let forged = client
        .extend(ExtendRequest { extension: extension(&stranger, 1, 900_000).into() })
        .await
        .unwrap_err();
    assert_eq!(reason(&forged), "CELL_PAYLOAD_REFUSED");
    assert!(status(&mut client).await.lease_remaining.unwrap().seconds <= 60);

    let wish = extension(&unlock, 1, 900_000);
    client.extend(ExtendRequest { extension: wish.clone().into() }).await.unwrap();
    assert!(status(&mut client).await.lease_remaining.unwrap().seconds > 890);
    let replayed = client.extend(ExtendRequest { extension: wish.into() }).await.unwrap_err();
    assert_eq!(reason(&replayed), "CELL_PAYLOAD_REFUSED");

    client.lock(lock()).await.unwrap();
    let late =
        client.extend(ExtendRequest { extension: extension(&unlock, 2, 900_000).into() }).await.unwrap_err();
    assert_eq!(reason(&late), "CELL_LOCKED");
}

#[tokio::test]
async fn by_policy_the_workload_runs_without_secrets_while_locked() {
    let port = free_port().to_string();
    let cell = TestCell::start(&Options {
        extra: &["--start-locked", "--workload-port", &port],
        workload: &[WORKLOAD],
        ..Options::default()
    });
    let mut client = cell.client().await;
    ready(&mut client).await;
    let bare = cell.workload_pid().await;
    let environ = |pid: u32| std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert_eq!(find(&environ(bare), b"DEMO_SECRET"), 0);

    User::new().unlock(&cell, &mut client, &[("DEMO_SECRET", SECRET)]).await.unwrap();
    // until it runs its program a child shows what the cell was started with
    level("the workload with its secret", || {
        let others = children_of(cell.pid()).into_iter().filter(|(pid, _)| *pid != bare);
        let has_it =
            |pid| std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|it| find(&it, SECRET) == 1);
        others.map(|(pid, _)| pid).find(|pid| has_it(*pid))
    })
    .await;

    client.lock(lock()).await.unwrap();
    ready(&mut client).await;
    assert_eq!(find(&environ(cell.workload_pid().await), b"DEMO_SECRET"), 0);
}

#[tokio::test]
async fn a_workload_that_is_not_there_is_said_and_leaves_the_cell_locked() {
    let cell = TestCell::start(&Options { workload: &["/no/such/program"], ..Options::default() });
    let mut client = cell.client().await;
    let refused = User::new().unlock(&cell, &mut client, &[("DEMO_SECRET", SECRET)]).await.err().unwrap();
    assert_eq!(reason(&refused), "CELL_SPAWN_FAILED");
    assert!(status(&mut client).await.locked);
}
