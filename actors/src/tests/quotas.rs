//! Limits hold exactly: with many callers at once, at two nodes at once.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_store::{Filter, tables::VaultObject};
use ocmt_types::Ownership;

use super::{
    kit::{Kit, Person},
    nodes::{ask, hand_over},
    suspension::operate,
    vault,
};
use crate::{
    ActorError, OperatorAct, OperatorAnswer, Quota, QuotaChange,
    api::{
        auth::Device,
        tenant::{GetQuota, GetTenant, QuotaReport},
        users::{AcceptInvite, InviteUser, Role},
        vault::BatchPutEntries,
    },
};

pub(crate) async fn limit_to(kit: &Kit, person: &Person, change: QuotaChange) {
    let answer = operate(kit, person.tenant, OperatorAct::SetQuota(change)).await.unwrap();
    assert!(matches!(answer, OperatorAnswer::Limit(_)), "{answer:?}");
}

async fn report(kit: &Kit, person: &Person) -> QuotaReport {
    kit.call(&person.caller, GetQuota::default()).await.unwrap()
}

/// How many succeeded; all others were refused for this reason.
pub(crate) fn done<T: std::fmt::Debug>(answers: Vec<Result<T, ActorError>>, reason: &str) -> usize {
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    for refused in refused {
        let error = refused.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert!(matches!(error, ActorError::ResourceExhausted { .. }));
    }
    done.len()
}

async fn invitations_and_users_never_exceed_their_quota(a: Kit) {
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    limit_to(&b, &ann, QuotaChange { users: Some(4), ..QuotaChange::default() }).await;
    let invite = |n: usize| {
        let nodes = if n.is_multiple_of(2) { [&a, &b] } else { [&b, &a] };
        let (caller, meta) = (ann.caller.clone(), a.meta());
        let ask = InviteUser { email: format!("user{n}@example.com"), role: Role::Member.into() };
        async move { Kit::ask_any(&nodes, &caller, &meta, ask).await }
    };
    let answers = join_all((0..12).map(invite)).await;
    let invited: Vec<usize> = (0..12).filter(|n| answers[*n].is_ok()).collect();
    assert_eq!(done(answers, "QUOTA_USERS"), 3, "with the founder there are four");
    // again for one who is invited already: no one more
    let again = InviteUser { email: format!("user{}@example.com", invited[0]), role: Role::Member.into() };
    Kit::ask_any(&[&a, &b], &ann.caller, &a.meta(), again).await.unwrap();
    // an invitation that was counted is not counted twice, and one past a lower limit is refused
    let token = |n: usize| {
        let (kit, email) = (&a, format!("user{n}@example.com"));
        async move { kit.mailbox.token_after(&email, 0).await.tokens[0].1.clone() }
    };
    let accept =
        |token: String| AcceptInvite { token: ocmt_types::Secret::new(token), device: Device::default() };
    let first = accept(token(invited[1]).await);
    a.system.accept_invite(first, &a.meta(), a.request()).await.unwrap();
    limit_to(&a, &ann, QuotaChange { users: Some(2), ..QuotaChange::default() }).await;
    let second = accept(token(invited[2]).await);
    let refused = a.system.accept_invite(second, &a.meta(), a.request()).await.err().unwrap();
    assert_eq!(refused.reason(), "QUOTA_USERS");
    assert_eq!(report(&a, &ann).await.used.users, 4, "what is over a lower limit stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invitations_and_users_never_exceed_their_quota_on_sim() {
    invitations_and_users_never_exceed_their_quota(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invitations_and_users_never_exceed_their_quota_on_postgres() {
    invitations_and_users_never_exceed_their_quota(Kit::postgres().await).await;
}

#[tokio::test]
async fn ciphertext_is_counted_as_it_is_and_bounded() {
    for kit in [Kit::sim().await, Kit::sqlite().await] {
        let ann = kit.founder("ann@example.com").await;
        let mut open = vault::vault_of(&kit, &ann).await;
        for (name, size) in [("a", 10), ("b", 4_000), ("a", 9_000), ("a", 1)] {
            vault::store(&kit, &ann, &mut open, name, &vec![7; size]).await;
        }
        let used = report(&kit, &ann).await.used.storage_bytes;
        let owner = kit.store.cluster().owner(ann.tenant).await.unwrap().unwrap();
        let own =
            Ownership { tenant: ann.tenant, incarnation: owner.incarnation.unwrap(), epoch: owner.epoch };
        let mut tx = kit.store.read(own).await.unwrap();
        let there = tx.find::<VaultObject>(Filter::all()).await.unwrap();
        assert_eq!(used, there.iter().map(|object| object.body_bytes).sum::<i64>());
        drop(tx);
        limit_to(&kit, &ann, QuotaChange { storage_bytes: Some(used), ..QuotaChange::default() }).await;
        let (_, write) = vault::put(&open, "c", b"more");
        let refused = kit.call(&ann.caller, BatchPutEntries(write)).await.unwrap_err();
        assert_eq!(refused.reason(), "QUOTA_STORAGE");
        assert!(refused.to_string().contains(&used.to_string()), "{refused}");
        vault::store(&kit, &ann, &mut open, "b", b"less").await;
        assert!(report(&kit, &ann).await.used.storage_bytes < used, "what takes less is taken");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_within_a_minute_never_exceed_their_quota() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    limit_to(&kit, &ann, QuotaChange { calls_per_minute: Some(5), ..QuotaChange::default() }).await;
    for _ in 0..2 {
        kit.clock.advance(Duration::from_secs(61));
        let answers = join_all((0..40).map(|_| kit.call(&ann.caller, GetTenant))).await;
        assert!(answers.iter().flat_map(Result::as_ref).count() > 0);
        let refused = answers.iter().find_map(|answer| answer.as_ref().err()).unwrap();
        assert!(
            refused.is_retryable() && refused.retry_after() == Some(Duration::from_secs(61)),
            "{refused:?}"
        );
        assert_eq!(done(answers, "QUOTA_CALLS"), 5);
        kit.clock.advance(Duration::from_secs(30));
        assert!(kit.call(&ann.caller, GetTenant).await.is_err(), "the minute is not over");
        // an operator's acts are not the tenant's calls
        operate(&kit, ann.tenant, OperatorAct::Quota).await.unwrap();
    }
}

/// Entries of one size in vaults of several people, and room for two.
async fn ciphertext_written_at_two_nodes_at_once_never_exceeds_its_quota(a: Kit) {
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    let (mut own, mut writes) = (vault::vault_of(&a, &ann).await, Vec::new());
    for n in 0..6 {
        let person = a.member(&ann, &format!("user{n}@example.com"), Role::Member).await;
        let open = vault::vault_of(&a, &person).await;
        writes.push((person, vault::put(&open, "entry", &[7; 5_000]).1));
    }
    let before = report(&a, &ann).await.used.storage_bytes;
    vault::store(&a, &ann, &mut own, "entry", &[7; 5_000]).await;
    let used = report(&a, &ann).await.used.storage_bytes;
    let room = Some(used + 2 * (used - before));
    limit_to(&b, &ann, QuotaChange { storage_bytes: room, ..QuotaChange::default() }).await;
    let tries = writes.into_iter().zip(1..).map(|((person, write), key)| {
        let nodes = [&a, &b];
        async move { ask(nodes, key, &person.caller, BatchPutEntries(write)).await.map(drop) }
    });
    let (answers, ()) = tokio::join!(join_all(tries), hand_over([&a, &b], ann.tenant));
    assert_eq!(done(answers, "QUOTA_STORAGE"), 2);
    let now = ask([&a, &b], 0, &ann.caller, GetQuota::default()).await.unwrap().used.storage_bytes;
    assert_eq!(Some(now), room);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ciphertext_written_at_two_nodes_at_once_never_exceeds_its_quota_on_sim() {
    ciphertext_written_at_two_nodes_at_once_never_exceeds_its_quota(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ciphertext_written_at_two_nodes_at_once_never_exceeds_its_quota_on_postgres() {
    ciphertext_written_at_two_nodes_at_once_never_exceeds_its_quota(Kit::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_at_two_nodes_at_once_are_counted_together() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    limit_to(&b, &ann, QuotaChange { calls_per_minute: Some(7), ..QuotaChange::default() }).await;
    a.clock.advance(Duration::from_secs(61));
    let tries = (0..40).map(|n: usize| {
        let nodes = if n.is_multiple_of(2) { [&a, &b] } else { [&b, &a] };
        let (caller, meta) = (ann.caller.clone(), a.meta());
        async move { Kit::ask_any(&nodes, &caller, &meta, GetTenant).await }
    });
    assert_eq!(done(join_all(tries).await, "QUOTA_CALLS"), 7);
}

#[tokio::test]
async fn limits_are_the_defaults_until_an_operator_sets_some_of_them() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    assert_eq!(report(&kit, &ann).await.limit, Quota::DEFAULT);
    limit_to(&kit, &ann, QuotaChange { containers: Some(3), ..QuotaChange::default() }).await;
    assert_eq!(report(&kit, &ann).await.limit, Quota { containers: 3, ..Quota::DEFAULT });
    let absurd = OperatorAct::SetQuota(QuotaChange { users: Some(100_001), ..QuotaChange::default() });
    assert_eq!(operate(&kit, ann.tenant, absurd).await.unwrap_err().reason(), "INVALID_ARGUMENT");
}
