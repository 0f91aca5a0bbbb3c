//! What waits for people of a circle: each sees the own, as it comes, and what was answered no more.

use std::time::Duration;

use super::circle::{Circle, short};
use crate::{
    api::{
        auth::SignOut,
        inbox::{InboxEntry, InboxEvent, InboxKind, InboxPlace, ListInbox, WatchInbox},
    },
    tests::kit::{Kit, Person},
    watch::Told,
};

async fn all(circle: &Circle, who: &Person) -> Vec<InboxEntry> {
    circle.kit.call(&who.caller, ListInbox { limit: 100, ..ListInbox::default() }).await.unwrap().items
}

fn of(items: &[InboxEntry], kind: InboxKind) -> Vec<String> {
    items.iter().filter(|item| item.place.kind == kind).map(|item| item.subject.clone()).collect()
}

async fn watch(circle: &Circle, who: &Person, from: Option<InboxPlace>) -> Told<InboxEvent> {
    circle.kit.system.watch_inbox(who.caller.clone(), circle.kit.meta(), WatchInbox { from }).await.unwrap()
}

async fn next(events: &mut Told<InboxEvent>) -> InboxEvent {
    let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
    event.expect("nothing came in time").expect("the stream has ended").unwrap()
}

#[tokio::test]
async fn each_sees_the_own_and_a_ceremony_as_it_comes() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let first = circle.guards[0].person.clone();
    for guard in &circle.guards {
        let items = all(&circle, &guard.person).await;
        assert_eq!(of(&items, InboxKind::UnitsDealt), [guard.guardianship.to_string()]);
        assert!(of(&items, InboxKind::GuardianInvite).is_empty(), "it was answered");
        assert!(items.iter().any(|item| item.from == circle.owner.email && !item.body.is_empty()));
    }
    let owners = all(&circle, &circle.owner).await;
    assert_eq!(of(&owners, InboxKind::GuardianAnswer).len(), 2);
    let mut events = watch(&circle, &first, None).await;
    let begun = next(&mut events).await;
    assert!(begun.item.is_none());
    let requester = circle.opened().await;
    let told = loop {
        let item = next(&mut events).await.item.unwrap();
        if item.place.kind == InboxKind::Ceremony {
            break item;
        }
    };
    assert_eq!(told.subject, requester.id().to_string());
    // whoever watched before reads on from there, and is told the same
    let mut again = watch(&circle, &first, Some(begun.place)).await;
    while next(&mut again).await.item != Some(told.clone()) {}
    // what is for guardians is not for who lost the vault, nor for a session that recovers it
    assert!(of(&all(&circle, &circle.owner).await, InboxKind::Ceremony).is_empty());
    let refused = circle.kit.call(&requester.person.caller, ListInbox::default()).await.unwrap_err();
    assert_eq!(refused.reason(), "PERMISSION_DENIED");
}

#[tokio::test]
async fn pages_have_no_gap_and_kinds_are_told_apart() {
    let circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let owner = &circle.owner;
    let whole = all(&circle, owner).await;
    assert!(whole.len() >= 3 && whole.is_sorted_by(|a, b| a.place > b.place));
    let (mut after, mut paged) = (None, Vec::new());
    loop {
        let page =
            circle.kit.call(&owner.caller, ListInbox { after, limit: 1, kinds: Vec::new() }).await.unwrap();
        paged.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(paged, whole);
    let kinds = vec![InboxKind::GuardianAnswer];
    let answers =
        circle.kit.call(&owner.caller, ListInbox { kinds, ..ListInbox::default() }).await.unwrap().items;
    assert_eq!(answers.len(), 3);
}

#[tokio::test]
async fn a_watch_of_the_inbox_ends_with_the_session() {
    let circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let guard = &circle.guards[0].person;
    let mut events = watch(&circle, guard, None).await;
    next(&mut events).await;
    circle.kit.call(&guard.caller, SignOut).await.unwrap();
    loop {
        let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
        match event.expect("the stream goes on without a session") {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => break,
        }
    }
}
