//! Generations of the sealing key: what is under an earlier one, and when the latest stands alone.

use std::collections::BTreeSet;

use ocmt_crypto::{
    audit::{Actor, Outcome},
    sealing::SealingKeys,
};
use ocmt_store::{
    Acceptance, ClusterAct, FencedTx, MayHold, Revocations, Rewrap, Rotation, Store,
    tables::{AlertChannel, AlertKind, AuditStream, Container, OidcProvider, TotpEnrollment, User},
    testing::{TestNode, acceptance, id, user},
};
use ocmt_types::{ClusterId, NodeId, Ownership, TenantId, Timestamp};
use tokio::task::JoinSet;

use super::hosts::container;

const WHAT: Rewrap = Rewrap { lowest: 2, latest: 3 };

fn act() -> ClusterAct {
    ClusterAct {
        at: Timestamp(9),
        request: id(7),
        actor: Actor::Node(id(1)),
        action: "cluster.sealing_alone",
        object: "sealing/3".to_owned(),
        outcome: Outcome::Allowed,
        details: Vec::new(),
        remember: None,
    }
}

fn wrapped(generation: u32) -> Vec<u8> {
    [SealingKeys::floor_of(generation), vec![7; 40]].concat()
}

/// Writes what was wrapped, as whoever wrapped it does; `false` if it may not be.
async fn write(tx: &mut FencedTx, own: Ownership, n: u64, generation: u32) -> bool {
    let wrapped = wrapped(generation);
    if !tx.may_write_wrapped(&wrapped).await.unwrap() {
        return false;
    }
    tx.upsert(&Container { start_secret: Some(wrapped), ..container(own, n, id(70)) }).await.unwrap();
    true
}

async fn put(store: &Store, own: Ownership, n: u64, generation: u32) {
    let mut tx = store.fenced(own).await.unwrap();
    let row = Container { start_secret: Some(wrapped(generation)), ..container(own, n, id(70)) };
    tx.upsert(&row).await.unwrap();
    tx.commit().await.unwrap();
}

/// Generation 3 is due, as an accepted restore writes it down.
async fn third(store: &Store) {
    store.cluster().cluster(id::<ClusterId>(99), Timestamp(0)).await.unwrap();
    let sealing = Some((id(1), 2));
    let restore = Acceptance { floor: 100, sealing, ..acceptance(Timestamp(1)) };
    assert_eq!(store.accept_restore(&restore).await.unwrap().sealing_generation, Some(3));
}

pub async fn what_is_under_an_earlier_generation_is_found_by_its_tenants(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let mut tenants = Vec::new();
    for n in 1..=5 {
        tenants.push(node.found(n).await.unwrap());
    }
    // 1 opens nowhere any more, 3 is the latest
    for (own, generation) in tenants.iter().zip([2, 3, 2, 1, 2]) {
        put(&store, *own, 10, generation).await;
        put(&store, *own, 11, generation).await;
    }
    let operators = store.operators();
    let of = |n: &[u64]| n.iter().map(|n| id(*n)).collect::<Vec<TenantId>>();
    assert_eq!(operators.tenants_to_rewrap(WHAT, None, 10).await.unwrap(), of(&[1, 3, 5]));
    assert_eq!(operators.tenants_to_rewrap(WHAT, None, 2).await.unwrap(), of(&[1, 3]));
    assert_eq!(operators.tenants_to_rewrap(WHAT, Some(id(3)), 2).await.unwrap(), of(&[5]));
    assert_eq!(operators.rewrapping(WHAT).await.unwrap().left, 6);
    let mut tx = store.fenced(tenants[2]).await.unwrap();
    assert_eq!(tx.containers_to_rewrap(WHAT, 10).await.unwrap().len(), 2, "of this tenant alone");
    assert_eq!(tx.ceremonies_to_rewrap(WHAT, 10).await.unwrap(), []);
}

pub async fn a_totp_secret_under_an_earlier_generation_is_found_confirmed_or_not(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let owns = [node.found(1).await.unwrap(), node.found(2).await.unwrap(), node.found(3).await.unwrap()];
    let [confirmed, pending, newer] = owns;
    for (own, generation) in [(confirmed, 2), (newer, 3)] {
        let mut tx = store.fenced(own).await.unwrap();
        tx.insert(&User { totp_wrapped: Some(wrapped(generation)), ..user(own.tenant, 50) }).await.unwrap();
        tx.commit().await.unwrap();
    }
    let mut tx = store.fenced(pending).await.unwrap();
    let row = TotpEnrollment {
        tenant_id: pending.tenant,
        user_id: id(50),
        enrollment_id: id(8),
        wrapped: wrapped(2),
        created_at: Timestamp(0),
        expires_at: Timestamp(9),
    };
    tx.insert(&row).await.unwrap();
    assert_eq!(tx.enrollments_to_rewrap(WHAT, 10).await.unwrap(), [row]);
    tx.commit().await.unwrap();
    let operators = store.operators();
    let found = operators.tenants_to_rewrap(WHAT, None, 10).await.unwrap();
    assert_eq!(found, [confirmed.tenant, pending.tenant]);
    assert_eq!(operators.rewrapping(WHAT).await.unwrap().left, 2);
    for (own, count) in [(confirmed, 1), (newer, 0)] {
        let mut tx = store.fenced(own).await.unwrap();
        assert_eq!(tx.users_to_rewrap(WHAT, 10).await.unwrap().len(), count);
        tx.rollback().await.unwrap();
    }
}

pub async fn a_clients_secret_under_an_earlier_generation_is_found(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let owns = [node.found(1).await.unwrap(), node.found(2).await.unwrap(), node.found(3).await.unwrap()];
    for (own, secret) in owns.iter().zip([Some(wrapped(2)), Some(wrapped(3)), None]) {
        let row = OidcProvider {
            tenant_id: own.tenant,
            issuer: "https://id.example.org".to_owned(),
            client_id: "ocmt".to_owned(),
            secret_wrapped: secret,
            by_email: true,
            updated_at: Timestamp(1),
        };
        let mut tx = store.fenced(*own).await.unwrap();
        tx.insert(&row).await.unwrap();
        let due = (own.tenant == owns[0].tenant).then_some(row);
        assert_eq!(tx.provider_to_rewrap(WHAT).await.unwrap(), due);
        tx.commit().await.unwrap();
    }
    let operators = store.operators();
    assert_eq!(operators.tenants_to_rewrap(WHAT, None, 10).await.unwrap(), [owns[0].tenant]);
    assert_eq!(operators.rewrapping(WHAT).await.unwrap().left, 1);
}

pub async fn a_channel_under_an_earlier_generation_is_found(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let owns = [node.found(1).await.unwrap(), node.found(2).await.unwrap()];
    for (own, wrapped) in owns.iter().zip([wrapped(2), wrapped(3)]) {
        let row = AlertChannel {
            tenant_id: own.tenant,
            channel_id: id(7),
            kind: AlertKind::Slack,
            name: "ours".to_owned(),
            hint: "https://hooks.example.org".to_owned(),
            wrapped,
            min_severity: 1,
            actions: String::new(),
            updated_at: Timestamp(1),
            verified_at: None,
            tested_at: None,
            ends_at: None,
        };
        let mut tx = store.fenced(*own).await.unwrap();
        tx.insert(&row).await.unwrap();
        let due: Vec<_> = (own.tenant == owns[0].tenant).then_some(row).into_iter().collect();
        assert_eq!(tx.channels_to_rewrap(WHAT, 10).await.unwrap(), due);
        tx.commit().await.unwrap();
    }
    let operators = store.operators();
    assert_eq!(operators.tenants_to_rewrap(WHAT, None, 10).await.unwrap(), [owns[0].tenant]);
    assert_eq!(operators.rewrapping(WHAT).await.unwrap().left, 1);
}

pub async fn a_stream_under_an_earlier_generation_is_found(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let owns = [node.found(1).await.unwrap(), node.found(2).await.unwrap()];
    for (own, wrapped) in owns.iter().zip([wrapped(2), wrapped(3)]) {
        let row = AuditStream {
            tenant_id: own.tenant,
            revision: 1,
            hint: "https://siem.example.org".to_owned(),
            wrapped,
            sent: 0,
            failures: 0,
            failing_since: None,
            said: String::new(),
            told_at: None,
            taken_at: None,
            updated_at: Timestamp(1),
        };
        let mut tx = store.fenced(*own).await.unwrap();
        tx.insert(&row).await.unwrap();
        let due = (own.tenant == owns[0].tenant).then_some(row);
        assert_eq!(tx.stream_to_rewrap(WHAT).await.unwrap(), due);
        tx.commit().await.unwrap();
    }
    let operators = store.operators();
    assert_eq!(operators.tenants_to_rewrap(WHAT, None, 10).await.unwrap(), [owns[0].tenant]);
    assert_eq!(operators.rewrapping(WHAT).await.unwrap().left, 1);
}

pub async fn a_generation_stands_alone_once_nothing_and_nobody_is_under_an_earlier_one(store: Store) {
    third(&store).await;
    let node = TestNode::start(&store, 1).await.unwrap();
    let other = TestNode::start(&store, 2).await.unwrap();
    let own = node.found(1).await.unwrap();
    put(&store, own, 10, 2).await;
    let operators = store.operators();
    operators.wraps_under(node.node_id, 3).await.unwrap();
    operators.wraps_under(other.node_id, 2).await.unwrap();
    let seen = operators.rewrapping(WHAT).await.unwrap();
    assert_eq!((seen.left, seen.behind), (1, vec![other.node_id]));
    put(&store, own, 10, 3).await;
    assert!(!operators.stand_alone(WHAT, &act()).await.unwrap(), "a node is behind");
    operators.wraps_under(other.node_id, 3).await.unwrap();
    operators.wraps_under(other.node_id, 2).await.unwrap();
    put(&store, own, 10, 2).await;
    assert!(!operators.stand_alone(WHAT, &act()).await.unwrap(), "something is under the earlier one");
    put(&store, own, 10, 3).await;
    let latest = async || store.operators().latest_generation().await.unwrap().unwrap().alone_since;
    assert_eq!(latest().await, None);
    assert!(!operators.stand_alone(Rewrap { lowest: 1, latest: 2 }, &act()).await.unwrap(), "not the latest");
    assert!(operators.stand_alone(WHAT, &act()).await.unwrap());
    assert_eq!(latest().await, Some(Timestamp(9)));
    assert!(operators.stand_alone(WHAT, &act()).await.unwrap(), "it does, whoever asks again");
}

pub async fn who_may_hold_a_generation_is_known(store: Store) {
    store.cluster().cluster(id::<ClusterId>(99), Timestamp(0)).await.unwrap();
    let own = TestNode::start(&store, 1).await.unwrap();
    let others = [TestNode::start(&store, 2).await.unwrap(), TestNode::start(&store, 3).await.unwrap()];
    let [second, third] = others.map(|node| node.node_id);
    let operators = store.operators();
    operators.wraps_under(own.node_id, 3).await.unwrap();
    let held = async |generation| operators.may_hold(generation, own.node_id).await.unwrap();
    let nodes = |nodes: &[NodeId]| BTreeSet::from_iter(nodes.iter().copied());
    assert_eq!(held(3).await, MayHold { own: true, others: nodes(&[second, third]) });
    assert!(!held(4).await.own);
    let revoked = Revocations { nodes: nodes(&[third]), ..Revocations::default() };
    store.cluster().revoke_again(own.node_id, &revoked, id(7), Timestamp(1)).await.unwrap();
    assert_eq!(held(4).await, MayHold { own: false, others: nodes(&[second]) });
}

pub async fn nothing_is_written_under_a_generation_that_was_given_up(store: Store) {
    third(&store).await;
    let node = TestNode::start(&store, 1).await.unwrap();
    let (own, other) = (node.found(1).await.unwrap(), node.found(2).await.unwrap());
    store.operators().wraps_under(node.node_id, 3).await.unwrap();
    // the decision waits for whoever is about to write under the earlier one, and finds what they wrote
    let mut tx = store.fenced(own).await.unwrap();
    assert!(write(&mut tx, own, 10, 2).await);
    let operators = store.operators();
    let mut deciding = JoinSet::new();
    deciding.spawn(async move { operators.stand_alone(WHAT, &act()).await.unwrap() });
    // on PostgreSQL the decision is under way beside the open transaction; elsewhere it has not begun
    tokio::time::sleep(std::time::Duration::from_millis(200)).await; // why: nothing tells that somebody waits for a lock
    tx.commit().await.unwrap();
    let alone = async || store.operators().latest_generation().await.unwrap().unwrap().alone_since.is_some();
    let decided = deciding.join_all().await;
    assert!(!decided[0] && !alone().await, "something is under the earlier one");
    put(&store, own, 10, 3).await;
    assert!(store.operators().stand_alone(WHAT, &act()).await.unwrap());
    // and whoever comes after it with what was wrapped before is refused
    let mut late = store.fenced(other).await.unwrap();
    assert!(!write(&mut late, other, 11, 2).await, "a row that nobody opens");
    assert!(write(&mut late, other, 11, 3).await);
    late.commit().await.unwrap();
}

pub async fn an_operator_makes_the_next_generation_due_once_the_one_before_is_alone(store: Store) {
    store.cluster().cluster(id::<ClusterId>(99), Timestamp(0)).await.unwrap();
    let (at, until) = (act().at, Timestamp(act().at.0 + 1_000));
    let rotate = |store: Store, at, until| async move {
        let act = ClusterAct { action: "cluster.sealing_rotate", at, ..act() };
        store.operators().rotate_sealing(id(1), 1, until, &act).await
    };
    let all: JoinSet<_> = (0..6).map(|_| rotate(store.clone(), at, Some(until))).collect();
    // one that another overtook may be told so
    let made = all.join_all().await.into_iter().filter_map(Result::ok).filter(|it| *it != Rotation::NotAlone);
    assert_eq!(made.collect::<Vec<_>>(), [Rotation::Due(2)]);
    let again = rotate(store.clone(), at, None).await.unwrap();
    assert_eq!(again, Rotation::NotAlone, "the second is on its way");
    let latest = store.operators().latest_generation().await.unwrap().unwrap();
    assert_eq!((latest.generation, latest.made_by, latest.alone_since), (2, id(1), None));
    assert_eq!(latest.overlap_until, Some(until));
    let what = Rewrap { lowest: 1, latest: 2 };
    assert!(store.operators().stand_alone(what, &act()).await.unwrap());
    // the third would end tokens of the first that are good still
    let later = Some(Timestamp(until.0 + 1_000));
    let early = rotate(store.clone(), Timestamp(until.0 - 1), later).await.unwrap();
    assert_eq!(early, Rotation::Overlaps(until));
    assert_eq!(rotate(store.clone(), until, later).await.unwrap(), Rotation::Due(3));
    assert!(store.operators().stand_alone(WHAT, &ClusterAct { at: until, ..act() }).await.unwrap());
    // where somebody else may have it, nothing is waited for
    assert_eq!(rotate(store.clone(), until, None).await.unwrap(), Rotation::Due(4));
    assert_eq!(store.operators().latest_generation().await.unwrap().unwrap().overlap_until, None);
    let told = store.operators().audit_page(0, 100).await.unwrap();
    assert_eq!(told.iter().filter(|row| row.action == "cluster.sealing_rotate").count(), 3);
}
