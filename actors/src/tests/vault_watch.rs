//! Watching a vault: every change, once, in order, from where the reader was, until the session ends.

use std::time::Duration;

use ocmt_crypto::{entry::EntryName, vault::RotationMode};
use ocmt_types::VaultId;

use super::{
    kit::{Kit, Person, until},
    vault::{put, rotate, store, vault_of, writes},
};
use crate::{
    ActorError, CallMeta,
    api::{
        auth::{LinkPurpose, SignOut},
        vault::{BatchPutEntries, ChangeAt, VaultEvent, VaultEventKind, WatchVault, Write},
    },
    watch::Told,
};

type Events = Told<VaultEvent>;

async fn watch(
    kit: &Kit,
    person: &Person,
    vault: VaultId,
    from: Option<ChangeAt>,
) -> Result<Events, ActorError> {
    let meta: CallMeta = kit.meta();
    kit.system.watch_vault(person.caller.clone(), meta, WatchVault { vault, from }).await
}

async fn next(events: &mut Events) -> Result<VaultEvent, ActorError> {
    let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
    event.expect("no event in time").expect("the stream has ended")
}

async fn begun(events: &mut Events) -> ChangeAt {
    let begun = next(events).await.unwrap();
    assert_eq!(begun.kind, VaultEventKind::Begun);
    begun.at
}

#[tokio::test]
async fn every_kind_of_change_is_told_in_order_on_both_stores() {
    for kit in [Kit::sim().await, Kit::sqlite().await] {
        let ann = kit.founder("ann@example.com").await;
        let mut open = vault_of(&kit, &ann).await;
        let vault = open.scope().vault;
        let mut events = watch(&kit, &ann, vault, None).await.unwrap();
        begun(&mut events).await;
        store(&kit, &ann, &mut open, "a", b"1").await;
        store(&kit, &ann, &mut open, "a", b"2").await;
        let id = open.entry_id(&EntryName::new("a").unwrap());
        for version in [1, 2] {
            let event = next(&mut events).await.unwrap();
            assert_eq!((event.kind, event.object), (VaultEventKind::ObjectWritten, Some((id, version))));
            assert_eq!(event.counter, version + 1);
        }
        let mut edit = open.edit();
        edit.delete(&EntryName::new("a").unwrap()).unwrap();
        let change = edit.finish().unwrap();
        let delete = Write { vault, puts: vec![], deletes: vec![(id, 2)], manifest: change.manifest.clone() };
        kit.call(&ann.caller, BatchPutEntries(delete)).await.unwrap();
        open.apply(change).unwrap();
        let event = next(&mut events).await.unwrap();
        assert_eq!((event.kind, event.object), (VaultEventKind::ObjectDeleted, Some((id, 2))));
        rotate(&kit, &ann, &mut open, RotationMode::Rewrap, true).await.unwrap();
        assert_eq!(next(&mut events).await.unwrap().kind, VaultEventKind::RotationStarted);
        assert_eq!(next(&mut events).await.unwrap().kind, VaultEventKind::Rotated);
        // what was refused changed nothing
        let (_, stale) = put(&open, "b", b"3");
        let stale = Write { manifest: b"no manifest".to_vec(), ..stale };
        assert!(kit.call(&ann.caller, BatchPutEntries(stale)).await.is_err());
        store(&kit, &ann, &mut open, "c", b"4").await;
        assert_eq!(next(&mut events).await.unwrap().kind, VaultEventKind::ObjectWritten);
    }
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was_at_the_next_owner() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    let mut open = vault_of(&a, &ann).await;
    let vault = open.scope().vault;
    let mut events = watch(&a, &ann, vault, None).await.unwrap();
    let start = begun(&mut events).await;
    // two objects in one change: a reader may have seen the first alone
    let mut edit = open.edit();
    for name in ["a", "b"] {
        let entry = ocmt_crypto::entry::Entry {
            name: EntryName::new(name).unwrap(),
            value: zeroize::Zeroizing::new(vec![1]),
            attributes: ocmt_crypto::entry::Attributes::default(),
        };
        edit.put(&entry, &mut rand::rng()).unwrap();
    }
    let change = edit.finish().unwrap();
    a.call(&ann.caller, BatchPutEntries(writes(&open, &change))).await.unwrap();
    open.apply(change).unwrap();
    let first = next(&mut events).await.unwrap();
    let second = next(&mut events).await.unwrap();
    a.is_declared_dead().await;
    until("the other node owns it", async || watch(&b, &ann, vault, Some(first.at)).await.is_ok()).await;
    let mut rest = watch(&b, &ann, vault, Some(first.at)).await.unwrap();
    assert_eq!(next(&mut rest).await.unwrap(), second);
    store(&b, &ann, &mut open, "c", b"1").await;
    let third = next(&mut rest).await.unwrap();
    assert_eq!(third.kind, VaultEventKind::ObjectWritten);
    // from before the first event: all three
    let mut all = watch(&b, &ann, vault, Some(start)).await.unwrap();
    for expected in [first, second, third] {
        assert_eq!(next(&mut all).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn whoever_is_too_far_behind_is_told_to_read_anew() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let mut open = vault_of(&kit, &ann).await;
    let vault = open.scope().vault;
    let mut slow = watch(&kit, &ann, vault, None).await.unwrap();
    let start = begun(&mut slow).await;
    for n in 0..300_u16 {
        store(&kit, &ann, &mut open, "a", &n.to_be_bytes()).await;
    }
    let mut told = 0;
    let error = loop {
        match next(&mut slow).await {
            Ok(_) => told += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), "OUT_OF_RANGE");
    assert!((1..300).contains(&told), "{told} were held up for it");
    let mut late = watch(&kit, &ann, vault, Some(start)).await.unwrap();
    assert_eq!(next(&mut late).await.unwrap_err().reason(), "OUT_OF_RANGE");
    // of another history
    let other = ChangeAt { change: 299, object: 0, at: ocmt_types::Timestamp(1) };
    let other = watch(&kit, &ann, vault, Some(other)).await.err().unwrap();
    assert_eq!(other.reason(), "OUT_OF_RANGE");
    let future = ChangeAt { change: 301, object: 0, at: ocmt_types::Timestamp(1) };
    assert_eq!(watch(&kit, &ann, vault, Some(future)).await.err().unwrap().reason(), "OUT_OF_RANGE");
}

#[tokio::test]
async fn a_watch_ends_with_its_session_whether_or_not_it_is_read() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let mut open = vault_of(&kit, &ann).await;
    let vault = open.scope().vault;
    let second = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    let mut reads = watch(&kit, &second, vault, None).await.unwrap();
    let mut sleeps = watch(&kit, &second, vault, None).await.unwrap();
    begun(&mut reads).await;
    for n in 0..40_u8 {
        store(&kit, &ann, &mut open, "a", &[n]).await;
    }
    while next(&mut reads).await.unwrap().counter < 41 {}
    assert!(sleeps.len() > 0, "nothing waits");
    kit.call(&second.caller, SignOut).await.unwrap();
    let ended = async {
        assert_eq!(reads.recv().await.unwrap().unwrap_err().reason(), "UNAUTHENTICATED");
        assert!(reads.recv().await.is_none());
        // whoever was behind hears no more than whoever was not
        assert_eq!(sleeps.recv().await.unwrap().unwrap_err().reason(), "UNAUTHENTICATED");
        assert!(sleeps.recv().await.is_none());
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it does not end by itself");
    assert!(watch(&kit, &second, vault, None).await.is_err());
}

#[tokio::test]
async fn nobody_watches_a_foreign_vault_and_watchers_are_bounded() {
    let kit = Kit::sim().await;
    let (ann, bob) = (kit.founder("ann@example.com").await, kit.founder("bob@example.com").await);
    let open = vault_of(&kit, &ann).await;
    let vault = open.scope().vault;
    assert_eq!(watch(&kit, &bob, vault, None).await.err(), Some(ActorError::NotFound));
    let mut watchers = Vec::new();
    for _ in 0..16 {
        watchers.push(watch(&kit, &ann, vault, None).await.unwrap());
    }
    assert_eq!(watch(&kit, &ann, vault, None).await.err().unwrap().reason(), "TOO_MANY_WATCHERS");
    watchers.pop();
    until("there is room again", async || watch(&kit, &ann, vault, None).await.is_ok()).await;
}
