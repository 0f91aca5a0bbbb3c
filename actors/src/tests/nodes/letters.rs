//! What tenants of two nodes write to each other.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::future::join_all;

use super::owner;
use crate::{
    ActorError,
    api::auth::LinkPurpose,
    letter::{self, Post},
    tenant::TenantMessage,
    tests::{
        kit::{Kit, until},
        post::{answers, effects, send, waiting},
    },
};

#[tokio::test]
async fn a_message_crosses_to_the_node_that_has_the_receiver() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let (ann, bob) = (a.founder("ann@example.com").await, b.founder("bob@example.com").await);
    send(&a, ann.tenant, bob.tenant, b"hello").await;
    until("the answer is settled", async || waiting(&a, ann.tenant).await == Some(0)).await;
    assert_eq!(answers(ann.tenant), [Ok(b"hello".to_vec())]);
    assert_eq!(effects(&b, bob.tenant).await, 1);
    assert_eq!(owner(&a, bob.tenant).await, Some(b.node.incarnation), "nobody took the receiver away");
}

#[tokio::test]
async fn a_refusal_crosses_and_ends_the_message() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let (ann, bob) = (a.founder("ann@example.com").await, b.founder("bob@example.com").await);
    send(&a, ann.tenant, bob.tenant, b"refuse").await;
    until("it is settled", async || waiting(&a, ann.tenant).await == Some(0)).await;
    assert_eq!(answers(ann.tenant)[0].as_ref().unwrap_err().reason(), "TEST_REFUSES");
    assert_eq!(effects(&b, bob.tenant).await, 0);
}

#[tokio::test]
async fn a_letter_that_met_no_owner_is_sent_once_more_and_not_for_ever() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let bob = b.founder("bob@example.com").await;
    let letter = |n| Post {
        from: ocmt_store::testing::id(77),
        message: ocmt_store::testing::id(n),
        kind: "test.echo".to_owned(),
        body: b"hello".to_vec(),
    };
    // the node believes that the tenant is its own, claims it, and hears who has it
    a.linked.believes.lock().unwrap().push_back(true);
    letter::send(&a.system.env, bob.tenant, letter(1), a.deadline()).await.unwrap();
    assert_eq!(effects(&b, bob.tenant).await, 1);
    a.linked.believes.lock().unwrap().extend([true, true]);
    let error = letter::send(&a.system.env, bob.tenant, letter(2), a.deadline()).await.err().unwrap();
    assert_eq!(error, ActorError::NotOwner { owner: Some(b.node.node_id) });
    assert_eq!(effects(&b, bob.tenant).await, 1, "refused, it was not read");
}

#[tokio::test]
async fn a_letter_whose_answer_was_lost_is_sent_again_and_works_once() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let (ann, bob) = (a.founder("ann@example.com").await, b.founder("bob@example.com").await);
    a.linked.loses.store(1, Ordering::SeqCst);
    send(&a, ann.tenant, bob.tenant, b"hello").await;
    until("it was taken, and nobody knows", async || effects(&b, bob.tenant).await == 1).await;
    until("the answer was lost", async || a.linked.loses.load(Ordering::SeqCst) == 0).await;
    assert_eq!(waiting(&a, ann.tenant).await, Some(1), "what is not known stays to be done");
    until("it is settled", async || {
        a.clock.advance(Duration::from_secs(6));
        a.system.send(ann.tenant, TenantMessage::TimerDue);
        waiting(&a, ann.tenant).await == Some(0)
    })
    .await;
    assert_eq!(answers(ann.tenant), [Ok(b"hello".to_vec())]);
    assert_eq!(effects(&b, bob.tenant).await, 1);
}

#[tokio::test]
async fn a_node_that_is_cut_off_keeps_its_letters() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let (ann, bob) = (a.founder("ann@example.com").await, b.founder("bob@example.com").await);
    a.linked.cut_off.store(true, Ordering::SeqCst);
    send(&a, ann.tenant, bob.tenant, b"hello").await;
    until("it was tried", async || a.linked.times_asked(bob.tenant) > 0).await;
    assert_eq!(waiting(&a, ann.tenant).await, Some(1));
    a.linked.cut_off.store(false, Ordering::SeqCst);
    until("it is settled", async || {
        a.clock.advance(Duration::from_secs(6));
        a.system.send(ann.tenant, TenantMessage::TimerDue);
        waiting(&a, ann.tenant).await == Some(0)
    })
    .await;
    assert_eq!(effects(&b, bob.tenant).await, 1);
}

#[tokio::test]
async fn sign_in_links_come_from_the_tenants_of_all_nodes() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let (one, two) = (a.founder("ann@example.com").await, b.founder("ann@example.com").await);
    let before = a.mailbox.count("ann@example.com");
    a.link("ann@example.com", LinkPurpose::SignIn).await;
    assert_eq!(a.mailbox.nth("ann@example.com", before).await.tokens.len(), 2);
    let tenants = a.system.list_tenants(one.caller.clone(), a.meta()).await.unwrap();
    let mut names: Vec<_> = tenants.into_iter().map(|tenant| tenant.id).collect();
    names.sort();
    let mut expected = [one.tenant, two.tenant];
    expected.sort();
    assert_eq!(names, expected);
    assert_eq!(owner(&a, two.tenant).await, Some(b.node.incarnation));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_message_that_comes_a_hundred_times_over_both_nodes_works_once_on_sim() {
    a_message_that_comes_a_hundred_times_over_both_nodes_works_once(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_message_that_comes_a_hundred_times_over_both_nodes_works_once_on_postgres() {
    a_message_that_comes_a_hundred_times_over_both_nodes_works_once(Kit::postgres().await).await;
}

async fn a_message_that_comes_a_hundred_times_over_both_nodes_works_once(a: Kit) {
    let b = a.beside(2).await;
    let bob = b.founder("bob@example.com").await;
    let post = Post {
        from: ocmt_store::testing::id(77),
        message: ocmt_store::testing::id(1),
        kind: "test.echo".to_owned(),
        body: b"hello".to_vec(),
    };
    let sends = (0..100).map(|n| {
        let (kit, post) = (if n % 2 == 0 { &a } else { &b }, post.clone());
        async move { letter::send(&kit.system.env, bob.tenant, post, kit.deadline()).await }
    });
    for answer in join_all(sends).await {
        assert_eq!(answer.unwrap().0, b"hello");
    }
    assert_eq!(effects(&b, bob.tenant).await, 1);
}
