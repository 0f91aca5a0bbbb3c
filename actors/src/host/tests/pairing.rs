//! Who may talk to an agent: by the owner's word alone, with exact counts.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use ocmt_store::tables::Pairing;
use ocmt_types::{ContainerId, Digest32, PairingId, Secret};

use super::World;
use crate::{
    ActorError,
    api::{
        audit::QueryAudit,
        container::RemoveContainer,
        pairing::*,
        tenant::{GetTenant, TenantPolicy, UpdateTenantPolicy},
        users::{RemoveUser, Role},
    },
    tests::{
        kit::{Kit, Person},
        nodes::hand_over,
    },
};

fn ask(container: ContainerId, sender: &str) -> CheckSender {
    CheckSender {
        container,
        channel: "telegram".to_owned(),
        sender: sender.to_owned(),
        scope: ConversationScope::Direct,
        display_name: format!("{sender} of the street"),
        asked_by: Digest32(rand::random()),
    }
}

fn in_group(container: ContainerId, sender: &str) -> CheckSender {
    CheckSender { scope: ConversationScope::Group, ..ask(container, sender) }
}

/// `allow`, `drop`, or the code.
async fn check(world: &World, by: &Person, ask: CheckSender) -> String {
    match world.kit.call(&by.caller, ask).await.unwrap() {
        SenderDecision::Allow => "allow".to_owned(),
        SenderDecision::Drop => "drop".to_owned(),
        SenderDecision::Pair { code, .. } => code.expose().clone(),
    }
}

async fn pending(world: &World, by: &Person) -> Vec<PendingPairing> {
    world.kit.call(&by.caller, ListPendingPairings::default()).await.unwrap().pairings
}

async fn approve(
    world: &World,
    by: &Person,
    pairing: PairingId,
    code: &str,
) -> Result<PairedSender, ActorError> {
    world.kit.call(&by.caller, ApprovePairing { pairing, code: Secret::new(code.to_owned()) }).await
}

async fn set(world: &World, by: &Person, change: impl FnOnce(&mut TenantPolicy)) {
    let now = world.kit.call(&by.caller, GetTenant).await.unwrap();
    let mut policy = now.policy;
    change(&mut policy);
    world.kit.call(&by.caller, UpdateTenantPolicy { policy, version: now.version }).await.unwrap();
}

fn reason<T>(answer: Result<T, ActorError>) -> String {
    answer.err().map(|error| error.reason().to_owned()).unwrap_or_default()
}

async fn a_sender_is_let_through_by_the_code_and_until_revoked(world: World) {
    let ann = world.kit.founder("ann@example.com").await;
    let agent = world.container(&ann).await;
    let code = check(&world, &ann, ask(agent, "4711")).await;
    assert_eq!(code.len(), 8, "{code}");
    assert_eq!(check(&world, &ann, ask(agent, "4711")).await, "drop", "the sender has the code already");
    let waits = pending(&world, &ann).await;
    assert_eq!((waits.len(), waits[0].sender.as_str()), (1, "4711"));
    let sender = approve(&world, &ann, waits[0].id, &code.to_lowercase()).await.unwrap();
    assert_eq!((sender.container, sender.channel.as_str()), (agent, "telegram"));
    assert!(pending(&world, &ann).await.is_empty());
    assert_eq!(check(&world, &ann, ask(agent, "4711")).await, "allow");
    assert_eq!(
        check(&world, &ann, CheckSender { channel: "signal".into(), ..ask(agent, "4711") }).await.len(),
        8
    );
    assert_eq!(reason(approve(&world, &ann, waits[0].id, &code).await), "NOT_FOUND", "a code works once");
    let listed = world.kit.call(&ann.caller, ListPairedSenders::default()).await.unwrap().senders;
    assert_eq!(listed, std::slice::from_ref(&sender));
    world.kit.call(&ann.caller, RevokePairedSender { sender: sender.id }).await.unwrap();
    assert_eq!(check(&world, &ann, ask(agent, "4711")).await.len(), 8, "unknown again at the next message");
    let again = pending(&world, &ann).await.iter().find(|it| it.channel == "telegram").unwrap().id;
    world.kit.call(&ann.caller, RejectPairing { pairing: again }).await.unwrap();
    // the rows are gone or will be: the trail names the person
    for act in ["ApprovePairing", "RevokePairedSender", "RejectPairing"] {
        let method = Some(format!("PairingService/{act}"));
        let query = QueryAudit { method, limit: 100, ..QueryAudit::default() };
        let trail = world.kit.call(&ann.caller, query).await.unwrap().records;
        let done = trail.iter().find(|record| record.result == "OK").unwrap();
        for (name, value) in [("channel", "telegram"), ("sender_id", "4711")] {
            assert!(done.details.contains(&(name.to_owned(), value.to_owned())), "{act}: {done:?}");
        }
    }
}

#[tokio::test]
async fn a_sender_is_let_through_by_the_code_and_until_revoked_on_sim() {
    a_sender_is_let_through_by_the_code_and_until_revoked(World::sim().await).await;
}

#[tokio::test]
async fn a_sender_is_let_through_by_the_code_and_until_revoked_on_sqlite() {
    a_sender_is_let_through_by_the_code_and_until_revoked(World::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_wait_at_one_channel_exactly_whichever_node_is_asked() {
    let a = World::sim().await;
    let b = a.beside(2).await;
    let ann = a.kit.founder("ann@example.com").await;
    let agent = a.container(&ann).await;
    let nodes = [&a.kit, &b.kit];
    let asks = (0..24).map(|n| {
        let (caller, meta) = (&ann.caller, a.kit.meta());
        async move { said_somewhere(nodes, caller, &meta, ask(agent, &format!("sender {n}"))).await }
    });
    let (said, ()) = tokio::join!(join_all(asks), hand_over(nodes, ann.tenant));
    let codes: BTreeSet<_> = said.iter().filter(|said| *said != "drop").collect();
    assert_eq!((codes.len(), said.iter().filter(|said| *said == "drop").count()), (3, 21), "{said:?}");
    // another channel has room of its own, and so has this one when they have ended
    let other = CheckSender { channel: "signal".into(), ..ask(agent, "x") };
    let meta = a.kit.meta();
    assert_eq!(said_somewhere(nodes, &ann.caller, &meta, other).await.len(), 8);
    assert_eq!(said_somewhere(nodes, &ann.caller, &meta, ask(agent, "late")).await, "drop");
    for said in [4, 8] {
        a.kit.clock.advance(Duration::from_secs(1800));
        let meta = a.kit.meta();
        assert_eq!(said_somewhere(nodes, &ann.caller, &meta, ask(agent, "late")).await.len(), said);
    }
}

/// As an edge does that goes on to the other node when the tenant is on its way.
async fn said_somewhere(
    nodes: [&Kit; 2],
    caller: &crate::Caller,
    meta: &crate::CallMeta,
    ask: CheckSender,
) -> String {
    for turn in 0..20_000 {
        let kit = nodes[turn % 2];
        match kit.system.tenant(caller.tenant()).call(caller.clone(), meta.clone(), ask.clone()).await {
            Ok(SenderDecision::Allow) => return "allow".to_owned(),
            Ok(SenderDecision::Drop) => return "drop".to_owned(),
            Ok(SenderDecision::Pair { code, .. }) => return code.expose().clone(),
            Err(error) => assert!(error.is_retryable() || error.outcome_unknown(), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await; // why: the pause between two tries of an edge, bounded by the turns
    }
    panic!("no node answered");
}

#[tokio::test]
async fn five_wrong_codes_end_a_pairing_for_good_and_each_counts() {
    let mut world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let agent = world.container(&ann).await;
    let code = check(&world, &ann, ask(agent, "4711")).await;
    let pairing = pending(&world, &ann).await[0].id;
    let wrong = if code == "AAAAAAAA" { "BBBBBBBB" } else { "AAAAAAAA" };
    for _ in 0..2 {
        assert_eq!(reason(approve(&world, &ann, pairing, wrong).await), "WRONG_CODE");
    }
    world.restart().await;
    let tries = join_all((0..10).map(|_| approve(&world, &ann, pairing, wrong))).await;
    let said: Vec<_> = tries.into_iter().map(reason).collect();
    assert_eq!(said.iter().filter(|said| *said == "WRONG_CODE").count(), 3, "{said:?}");
    assert_eq!(said.iter().filter(|said| *said == "PAIRING_SPENT").count(), 7, "{said:?}");
    assert_eq!(reason(approve(&world, &ann, pairing, &code).await), "PAIRING_SPENT");
    assert_eq!(check(&world, &ann, ask(agent, "4711")).await, "drop", "and no other code meanwhile");
    let own = world.ownership(&ann).await;
    let row = world.kit.store.read(own).await.unwrap().get::<Pairing>(pairing).await.unwrap().unwrap();
    assert_eq!(row.attempts, 5);
    // the refusals are in the trail, with what they were about
    let query = QueryAudit {
        method: Some("PairingService/ApprovePairing".to_owned()),
        limit: 100,
        ..Default::default()
    };
    let trail = world.kit.call(&ann.caller, query).await.unwrap().records;
    assert_eq!(trail.iter().filter(|record| record.result == "WRONG_CODE").count(), 5);
}

#[tokio::test]
async fn a_pairing_is_decided_once() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let agent = world.container(&ann).await;
    let code = check(&world, &ann, ask(agent, "4711")).await;
    let pairing = pending(&world, &ann).await[0].id;
    let tries = join_all((0..8).map(|n| {
        let (world, ann, code) = (&world, &ann, &code);
        async move {
            if n % 2 == 0 {
                approve(world, ann, pairing, code).await.map(drop)
            } else {
                world.kit.call(&ann.caller, RejectPairing { pairing }).await.map(drop)
            }
        }
    }))
    .await;
    assert_eq!(tries.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(tries.into_iter().filter(Result::is_err).all(|answer| reason(answer) == "NOT_FOUND"));
}

#[tokio::test]
async fn a_code_ends_after_an_hour_and_who_was_refused_gets_none_before() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let agent = world.container(&ann).await;
    let code = check(&world, &ann, ask(agent, "late")).await;
    check(&world, &ann, ask(agent, "refused")).await;
    let waits = pending(&world, &ann).await;
    let of = |sender: &str| waits.iter().find(|one| one.sender == sender).unwrap().id;
    world.kit.call(&ann.caller, RejectPairing { pairing: of("refused") }).await.unwrap();
    assert_eq!(check(&world, &ann, ask(agent, "refused")).await, "drop");
    assert_eq!(pending(&world, &ann).await.len(), 1);
    world.kit.clock.advance(Duration::from_millis(3_600_000));
    let ann = world.kit.sign_in(&ann, crate::api::auth::LinkPurpose::SignIn).await;
    assert_eq!(reason(approve(&world, &ann, of("late"), &code).await), "NOT_FOUND");
    assert!(pending(&world, &ann).await.is_empty());
    assert_eq!(check(&world, &ann, ask(agent, "refused")).await.len(), 8);
}

#[tokio::test]
async fn a_repeat_of_the_first_question_gets_a_code_that_replaces_the_lost_one() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let agent = world.container(&ann).await;
    let first = ask(agent, "4711");
    let lost = check(&world, &ann, first.clone()).await;
    let code = check(&world, &ann, first).await;
    assert_ne!(lost, code);
    let waits = pending(&world, &ann).await;
    assert_eq!(waits.len(), 1);
    assert_eq!(reason(approve(&world, &ann, waits[0].id, &lost).await), "WRONG_CODE");
    approve(&world, &ann, waits[0].id, &code).await.unwrap();
}

#[tokio::test]
async fn policy_says_who_is_let_through() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let agent = world.container(&ann).await;
    let code = check(&world, &ann, ask(agent, "known")).await;
    let pairing = pending(&world, &ann).await[0].id;
    approve(&world, &ann, pairing, &code).await.unwrap();
    // by default a group is never shown a code, and hears from those who are paired alone
    assert_eq!(check(&world, &ann, in_group(agent, "known")).await, "allow");
    assert_eq!(check(&world, &ann, in_group(agent, "unknown")).await, "drop");
    assert!(pending(&world, &ann).await.is_empty());
    for (direct, known, unknown) in [
        (DirectPolicy::Allowlist, "allow", "drop"),
        (DirectPolicy::Open, "allow", "allow"),
        (DirectPolicy::Disabled, "drop", "drop"),
    ] {
        set(&world, &ann, |policy| policy.dm_policy = direct).await;
        assert_eq!(check(&world, &ann, ask(agent, "known")).await, known, "{direct:?}");
        assert_eq!(check(&world, &ann, ask(agent, "unknown")).await, unknown, "{direct:?}");
        assert_eq!(check(&world, &ann, in_group(agent, "unknown")).await, "drop", "{direct:?}");
    }
    for (group, known, unknown) in
        [(GroupPolicy::Open, "allow", "allow"), (GroupPolicy::Disabled, "drop", "drop")]
    {
        set(&world, &ann, |policy| policy.group_policy = group).await;
        assert_eq!(check(&world, &ann, in_group(agent, "known")).await, known, "{group:?}");
        assert_eq!(check(&world, &ann, in_group(agent, "unknown")).await, unknown, "{group:?}");
    }
    assert!(pending(&world, &ann).await.is_empty());
}

#[tokio::test]
async fn t1_an_agent_is_its_owners_alone() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let bob = world.kit.member(&ann, "bob@example.com", Role::Member).await;
    let eve = world.kit.founder("eve@example.com").await;
    let agent = world.container(&bob).await;
    let code = check(&world, &bob, ask(agent, "4711")).await;
    let waits = check(&world, &bob, ask(agent, "waits")).await;
    assert_eq!(waits.len(), 8);
    let rows = pending(&world, &bob).await;
    let of = |sender: &str| rows.iter().find(|one| one.sender == sender).unwrap().id;
    let sender = approve(&world, &bob, of("4711"), &code).await.unwrap().id;
    // not even an owner of the tenant lets anybody through to somebody else's agent
    for other in [&ann, &eve] {
        for container in [agent, ocmt_store::testing::id(4711)] {
            let refused = world.kit.call(&other.caller, ask(container, "4711")).await.err();
            assert_eq!(refused, Some(ActorError::NotFound));
        }
        for pairing in [of("waits"), ocmt_store::testing::id(4711)] {
            assert_eq!(approve(&world, other, pairing, &waits).await.err(), Some(ActorError::NotFound));
            let reject = world.kit.call(&other.caller, RejectPairing { pairing }).await.err();
            assert_eq!(reject, Some(ActorError::NotFound));
        }
        for sender in [sender, ocmt_store::testing::id(4711)] {
            let revoke = world.kit.call(&other.caller, RevokePairedSender { sender }).await.err();
            assert_eq!(revoke, Some(ActorError::NotFound));
        }
        assert!(pending(&world, other).await.is_empty());
        assert!(
            world.kit.call(&other.caller, ListPairedSenders::default()).await.unwrap().senders.is_empty()
        );
    }
    assert_eq!(check(&world, &bob, ask(agent, "4711")).await, "allow");
    // and nothing of it is left behind
    world.kit.call(&bob.caller, RemoveContainer { container: agent, delete_volume: false }).await.unwrap();
    assert!(world.kit.call(&bob.caller, ListPairedSenders::default()).await.unwrap().senders.is_empty());
    assert_eq!(world.kit.call(&bob.caller, ask(agent, "4711")).await.err(), Some(ActorError::NotFound));
    world.kit.call(&ann.caller, RemoveUser { user: bob.user }).await.unwrap();
}
