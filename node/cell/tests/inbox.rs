//! What a workload makes for its user's vault, through the real binary: sealed, under the unlock's MAC, only under
//! names that the unlock may write, and acknowledged only when it is stored.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use common::{
    CELL, Client, Options, Script, TestCell, find, id, level, marks_in_memory, status_when,
    user::{Ready, User},
};
use ocmt_crypto::{
    entry::EntryName,
    unlock::{InboxItem, InboxPlace},
};
use ocmt_proto::cell::v1::{
    LockReason, LockRequest, RefusedInboxItem, SealedInboxItem, TakeInboxItemsRequest,
};
use tonic::Status;

const CANARY: &[u8] = b"canary-of-the-inbox-5f1c";

fn user(names: &[&str]) -> User {
    let may_write = names.iter().map(|name| EntryName::new(name).unwrap()).collect();
    let mut user = User::new();
    user.may_write = may_write;
    user
}

/// A workload that sends `value` under each name, and writes down in `out` how each ended.
fn sends(names: &[&str], value: &str, out: &Path) -> Script {
    let mut text = String::new();
    for name in names {
        text += &format!(
            "said=$(printf %s '{value}' | \"$OCMT_CELL\" put '{name}' 2>&1); echo \"{name}: $? $said\" >> '{}'\n",
            out.display()
        );
    }
    Script::new(&(text + "exec sleep 600\n"))
}

async fn take(client: &mut Client, stored: &[String], wait: u64) -> Result<Vec<SealedInboxItem>, Status> {
    let wait = Some(prost_types::Duration { seconds: i64::try_from(wait).unwrap(), nanos: 0 });
    let request = TakeInboxItemsRequest { stored_item_ids: stored.to_vec(), refused: Vec::new(), wait };
    Ok(client.take_inbox_items(request).await?.into_inner().items)
}

fn open(cell: &TestCell, user: &User, ready: &Ready, sequence: u64, item: &SealedInboxItem) -> InboxItem {
    let place = InboxPlace { tenant: cell.place.tenant, vault: user.vault, unlock: ready.unlock, sequence };
    assert_eq!(InboxPlace::claimed(&item.sealed), Ok(place));
    InboxItem::open(&item.sealed, &place, &user.inbox, &ready.key).unwrap()
}

fn said(out: &Path) -> Option<String> {
    std::fs::read_to_string(out).ok().filter(|text| text.ends_with('\n'))
}

#[tokio::test]
async fn an_item_is_sealed_for_the_vault_and_acknowledged_when_it_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = sends(&["oauth/calendar"], std::str::from_utf8(CANARY).unwrap(), &out);
    let cell = TestCell::start(&Options { workload: &script.argv(), ..Options::default() });
    let (mut client, user) = (cell.client().await, user(&["oauth/calendar"]));
    // a node that waits is answered as soon as there is something
    let mut waiting = cell.client().await;
    let (items, ready) = tokio::join!(take(&mut waiting, &[], 20), user.unlock(&cell, &mut client, &[]));
    let (items, ready) = (items.unwrap(), ready.unwrap());
    let [item] = items.as_slice() else { panic!("{} items", items.len()) };
    assert_eq!(find(&item.sealed, CANARY) + find(&item.sealed, b"calendar"), 0, "in clear");
    let opened = open(&cell, &user, &ready, 0, item);
    assert_eq!((opened.name.as_str(), opened.value.as_slice()), ("oauth/calendar", CANARY));
    // a node that never confirmed gets it again, and the maker still waits
    assert!(take(&mut client, &[], 0).await.unwrap()[0].item_id == item.item_id);
    assert_eq!(status_when(&mut client, "an item", |_| true).await.inbox_items, 1);
    assert_eq!(said(&out), None, "acknowledged before it was stored");
    assert!(take(&mut client, std::slice::from_ref(&item.item_id), 0).await.unwrap().is_empty());
    assert_eq!(level("the confirmation", || said(&out)).await, "oauth/calendar: 0 \n");
}

#[tokio::test]
async fn only_names_that_the_unlock_may_write_are_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = sends(&["other", "", "a\tb"], "value", &out);
    let cell = TestCell::start(&Options { workload: &script.argv(), ..Options::default() });
    let (mut client, user) = (cell.client().await, user(&["mine"]));
    user.unlock(&cell, &mut client, &[]).await.unwrap();
    let text = level("three answers", || said(&out).filter(|text| text.lines().count() == 3)).await;
    for (line, why) in
        text.lines().zip(["may not write that name", "is no entry's name", "is no entry's name"])
    {
        assert!(line.contains(": 1 not stored: refused: ") && line.contains(why), "{line}");
    }
    assert!(take(&mut client, &[], 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_locked_cell_takes_nothing_and_keeps_what_it_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = sends(&["mine"], "value", &out);
    let options = Options { workload: &script.argv(), extra: &["--start-locked"], ..Options::default() };
    let cell = TestCell::start(&options);
    let (mut client, user) = (cell.client().await, user(&["mine"]));
    let text = level("an answer", || said(&out)).await;
    assert!(text.contains("the cell is locked"), "{text}");
    let first = user.unlock(&cell, &mut client, &[]).await.unwrap();
    let item = take(&mut client, &[], 20).await.unwrap().remove(0);
    client.lock(LockRequest { reason: LockReason::User.into() }).await.unwrap();
    let kept = take(&mut client, &[], 0).await.unwrap();
    assert_eq!((kept.len(), &kept[0].item_id), (1, &item.item_id));
    assert_eq!(open(&cell, &user, &first, 0, &kept[0]).name, "mine");
    // the next unlock counts anew, under its own id
    let second = user.unlock(&cell, &mut client, &[]).await.unwrap();
    status_when(&mut client, "the second item", |status| status.inbox_items == 2).await;
    let both = take(&mut client, &[], 0).await.unwrap();
    assert_eq!(both[0].item_id, item.item_id, "oldest first");
    assert_eq!(open(&cell, &user, &second, 0, &both[1]).name, "mine");
}

#[tokio::test]
async fn what_the_owner_refuses_is_told_to_its_maker() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = sends(&["mine"], "value", &out);
    let cell = TestCell::start(&Options { workload: &script.argv(), ..Options::default() });
    let (mut client, user) = (cell.client().await, user(&["mine"]));
    user.unlock(&cell, &mut client, &[]).await.unwrap();
    let item = take(&mut client, &[], 20).await.unwrap().remove(0);
    let refused =
        vec![RefusedInboxItem { item_id: item.item_id, why: "the vault's inbox is full".to_owned() }];
    let request = TakeInboxItemsRequest { refused, ..TakeInboxItemsRequest::default() };
    assert!(client.take_inbox_items(request).await.unwrap().into_inner().items.is_empty());
    let text = level("the refusal", || said(&out)).await;
    assert_eq!(text, "mine: 1 not stored: the vault's inbox is full\n");
}

#[tokio::test]
async fn many_callers_at_once_are_all_served_and_a_long_value_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    // 49 at once, of which sixteen are let in at a time; and one that is too long
    let script = Script::new(&format!(
        "head -c 65537 /dev/zero | \"$OCMT_CELL\" put mine 2>> '{0}'\n\
         for n in $(seq 49); do (head -c 65536 /dev/zero | \"$OCMT_CELL\" put mine 2>> '{0}') & done\n\
         exec sleep 600\n",
        out.display()
    ));
    let cell = TestCell::start(&Options { workload: &script.argv(), ..Options::default() });
    let (mut client, user) = (cell.client().await, user(&["mine"]));
    user.unlock(&cell, &mut client, &[]).await.unwrap();
    let mut stored: Vec<String> = Vec::new();
    let mut batches = 0;
    // the callers come sixteen at a time: as some are told, others come
    let all = async {
        while stored.len() < 49 {
            let items = take(&mut client, &stored, 20).await.unwrap();
            assert!(items.len() <= 48);
            stored.extend(items.into_iter().map(|item| item.item_id));
            stored.sort();
            stored.dedup();
            batches += 1;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    let text = said(&out).unwrap();
    assert_eq!(text, "not stored: the value is longer than 64 KiB\n");
    assert!(batches > 1);
}

#[tokio::test]
async fn nobody_but_what_runs_below_the_cell_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = Script::new(&format!("echo \"$OCMT_CELL_DOOR\" > '{}'; exec sleep 600\n", out.display()));
    let cell = TestCell::start(&Options { workload: &script.argv(), ..Options::default() });
    let (mut client, user) = (cell.client().await, user(&["mine"]));
    user.unlock(&cell, &mut client, &[]).await.unwrap();
    let door = level("the door's name", || said(&out)).await;
    let stranger = tokio::task::spawn_blocking(move || {
        let mut put = Command::new(CELL);
        put.args(["put", "mine"]).env("OCMT_CELL_DOOR", door.trim()).stdin(Stdio::null()).output().unwrap()
    });
    let answer = stranger.await.unwrap();
    assert!(!answer.status.success());
    let text = String::from_utf8(answer.stderr).unwrap();
    assert!(text.contains("only what runs in this container may ask"), "{text}");
    assert!(take(&mut client, &[], 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn after_a_lock_nothing_of_a_value_is_left_in_the_cells_memory() {
    if !common::is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let script = sends(&["mine"], std::str::from_utf8(CANARY).unwrap(), &out);
    let cell = TestCell::start(&Options { workload: &script.argv(), ..Options::default() });
    let (mut client, user) = (cell.client().await, user(&["mine"]));
    user.unlock(&cell, &mut client, &[]).await.unwrap();
    let item = take(&mut client, &[], 20).await.unwrap().remove(0);
    client.lock(LockRequest { reason: LockReason::User.into() }).await.unwrap();
    assert_eq!(marks_in_memory(cell.pid(), CANARY), 0);
    let unknown: ocmt_types::MessageId = id();
    take(&mut client, &[unknown.to_string()], 0).await.unwrap();
    assert!(take(&mut client, &[item.item_id], 0).await.unwrap().is_empty());
}
