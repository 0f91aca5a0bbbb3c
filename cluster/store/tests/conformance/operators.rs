//! Operators: what is good once, by whom and for what; the audit of the cluster.

use ocmt_crypto::audit::{Actor, ChainVerifier, Outcome};
use ocmt_store::{
    ClusterAct, Confirmation, Remembered, RequestKey, Revocation, Store, StoreError,
    tables::{
        ActKind, Ceremony, CeremonyPurpose, CeremonyState, DestructiveAct, JoinToken, JoinedNode, Operator,
        OperatorChannel,
    },
    testing::{TestNode, id},
};
use ocmt_types::{ClusterId, Digest32, Id as _, OperatorId, TenantId, Timestamp};
use tokio::task::JoinSet;

use super::portable::ceremony;

const NOW: Timestamp = Timestamp(1_000);

fn act(action: &'static str) -> ClusterAct {
    ClusterAct {
        at: NOW,
        request: id(7),
        actor: Actor::Operator([1; 16]),
        action,
        object: "node/x".to_owned(),
        outcome: Outcome::Allowed,
        details: Vec::new(),
        remember: None,
    }
}

fn newcomer(n: u64) -> JoinedNode {
    JoinedNode { node_id: id(n), addr: String::new(), names: String::new(), joined_at: NOW }
}

/// The `n`th operator, whose certificate is good.
pub fn operator(n: u64) -> Operator {
    Operator {
        operator_id: id(n),
        name: format!("operator {n}"),
        fingerprint: Digest32([9; 32]),
        created_at: Timestamp(0),
        expires_at: Timestamp(100_000),
        revoked_at: None,
    }
}

async fn founded(store: &Store) {
    store.cluster().cluster(id::<ClusterId>(99), Timestamp(0)).await.unwrap();
}

/// An act begun and confirmed by operator 1, and what shows it.
async fn confirmed(store: &Store, kind: ActKind, object: &str) -> Confirmation {
    let begun = DestructiveAct {
        act_id: id(5),
        operator_id: id(1),
        act: kind,
        object: object.to_owned(),
        token_hash: None,
        created_at: NOW,
        expires_at: Timestamp(2_000),
    };
    let operators = store.operators();
    operators.begin_act(&begun, &act("operator.begin")).await.unwrap();
    let token_hash = Digest32([3; 32]);
    let done = operators.confirm_act(id(5), id(1), token_hash, &act("operator.confirm")).await.unwrap();
    assert!(done.is_some());
    Confirmation { token_hash, operator: id(1), act: kind, object: object.to_owned() }
}

/// An invitation that is good for a second.
pub fn invitation() -> JoinToken {
    JoinToken {
        token_hash: Digest32([1; 32]),
        created_by: id(1),
        names: String::new(),
        created_at: NOW,
        expires_at: Timestamp(2_000),
    }
}

/// A store with the operators 1 and 2.
async fn with_operators(store: &Store) {
    founded(store).await;
    for n in [1, 2] {
        assert!(store.operators().add_operator(&operator(n), &act("operator.add")).await.unwrap());
    }
}

pub async fn of_parallel_joins_with_one_invitation_one_comes_in(store: Store) {
    founded(&store).await;
    let token = invitation();
    store.operators().put_join_token(&token, &act("node.invite")).await.unwrap();
    let mut tries = JoinSet::new();
    for n in 0..6 {
        let operators = store.operators();
        tries.spawn(async move {
            operators.take_join_token(Digest32([1; 32]), &newcomer(n), &act("node.join")).await
        });
    }
    let taken = tries.join_all().await.into_iter().filter(|taken| taken.as_ref().unwrap().is_some()).count();
    assert_eq!(taken, 1);
    assert_eq!(store.operators().joined_nodes().await.unwrap().len(), 1);
    assert_eq!(store.operators().join_token(Digest32([1; 32]), NOW).await.unwrap(), None);
}

pub async fn an_invitation_ends_with_its_time(store: Store) {
    founded(&store).await;
    let token = invitation();
    store.operators().put_join_token(&token, &act("node.invite")).await.unwrap();
    assert_eq!(
        store.operators().join_token(token.token_hash, Timestamp(1_999)).await.unwrap(),
        Some(token.clone())
    );
    let late = ClusterAct { at: Timestamp(2_000), ..act("node.join") };
    assert_eq!(store.operators().take_join_token(token.token_hash, &newcomer(1), &late).await.unwrap(), None);
    let other =
        store.operators().take_join_token(Digest32([2; 32]), &newcomer(1), &act("node.join")).await.unwrap();
    assert_eq!(other, None);
}

pub async fn a_confirmation_is_good_for_its_operator_act_and_object_once(store: Store) {
    with_operators(&store).await;
    let second = id::<OperatorId>(2).to_string();
    let good = confirmed(&store, ActKind::RevokeOperator, &second).await;
    let wrong = [
        Confirmation { operator: id(2), ..good.clone() },
        Confirmation { act: ActKind::RevokeNode, ..good.clone() },
        Confirmation { object: id::<OperatorId>(3).to_string(), ..good.clone() },
        Confirmation { token_hash: Digest32([4; 32]), ..good.clone() },
    ];
    let revoke = async |confirmation: &Confirmation, at: i64| {
        let revoked = ClusterAct { at: Timestamp(at), ..act("operator.revoke") };
        store.operators().revoke_operator(id(2), confirmation, &revoked).await.unwrap()
    };
    for confirmation in &wrong {
        assert_eq!(revoke(confirmation, 1_500).await, Revocation::Unconfirmed, "{confirmation:?}");
    }
    assert_eq!(revoke(&good, 2_000).await, Revocation::Unconfirmed, "it has expired");
    assert_eq!(revoke(&good, 1_999).await, Revocation::Done);
    assert_eq!(revoke(&good, 1_999).await, Revocation::Unconfirmed, "it was used");
    let revoked = store.operators().operator(id(2)).await.unwrap().unwrap();
    assert_eq!(revoked.revoked_at, Some(Timestamp(1_999)));
}

pub async fn an_act_is_confirmed_once_and_by_who_began_it(store: Store) {
    with_operators(&store).await;
    confirmed(&store, ActKind::RevokeNode, "x").await;
    let again = |operator: u64| {
        let operators = store.operators();
        async move { operators.confirm_act(id(5), id(operator), Digest32([8; 32]), &act("x")).await.unwrap() }
    };
    assert_eq!(again(1).await, None, "confirmed twice");
    assert_eq!(again(2).await, None, "confirmed by another");
    assert_eq!(store.operators().act(id(5), id(2), NOW).await.unwrap(), None, "read by another");
}

/// However many nodes are told the second step at once, and however many are shown what came of it.
pub async fn of_parallel_confirmations_one_stands_and_does_its_act_once(store: Store) {
    with_operators(&store).await;
    let object = id::<OperatorId>(2).to_string();
    let begun = DestructiveAct {
        act_id: id(5),
        operator_id: id(1),
        act: ActKind::RevokeOperator,
        object: object.clone(),
        token_hash: None,
        created_at: NOW,
        expires_at: Timestamp(2_000),
    };
    store.operators().begin_act(&begun, &act("operator.begin")).await.unwrap();
    let mut tries = JoinSet::new();
    for n in 1..=8_u8 {
        let operators = store.operators();
        tries.spawn(async move {
            let token_hash = Digest32([n; 32]);
            let done = operators.confirm_act(id(5), id(1), token_hash, &act("operator.confirm")).await;
            settled(done).flatten().map(|_| token_hash)
        });
    }
    let stands: Vec<Digest32> = tries.join_all().await.into_iter().flatten().collect();
    assert_eq!(stands.len(), 1);
    let good = Confirmation { token_hash: stands[0], operator: id(1), act: ActKind::RevokeOperator, object };
    let mut tries = JoinSet::new();
    for _ in 0..8 {
        let (operators, good) = (store.operators(), good.clone());
        tries.spawn(async move {
            settled(operators.revoke_operator(id(2), &good, &act("operator.revoke")).await)
        });
    }
    let answers = tries.join_all().await;
    assert_eq!(answers.iter().filter(|answer| **answer == Some(Revocation::Done)).count(), 1, "{answers:?}");
    // each is in the chain once, as it was done once
    let rows = store.operators().audit_page(0, 100).await.unwrap();
    assert_eq!(rows.len(), 5, "two operators, and an act in three steps");
}

/// What came of it, unless another overtook it and it is to be tried again.
fn settled<T>(answer: Result<T, StoreError>) -> Option<T> {
    match answer {
        Err(StoreError::Conflict) => None,
        answer => Some(answer.unwrap()),
    }
}

pub async fn the_last_operator_stays(store: Store) {
    founded(&store).await;
    assert!(store.operators().add_operator(&operator(1), &act("operator.add")).await.unwrap());
    assert!(!store.operators().add_operator(&operator(1), &act("operator.add")).await.unwrap());
    // one whose certificate has ended is nobody to fall back on
    let past = Operator { expires_at: NOW, ..operator(2) };
    assert!(store.operators().add_operator(&past, &act("operator.add")).await.unwrap());
    let confirmation = confirmed(&store, ActKind::RevokeOperator, &id::<OperatorId>(1).to_string()).await;
    let done =
        store.operators().revoke_operator(id(1), &confirmation, &act("operator.revoke")).await.unwrap();
    assert_eq!(done, Revocation::Last);
    assert_eq!(store.operators().operator(id(1)).await.unwrap().unwrap().revoked_at, None);
}

pub async fn only_a_cluster_without_operators_gets_a_first_one(store: Store) {
    founded(&store).await;
    let mut tries = JoinSet::new();
    for n in 1..=4 {
        let operators = store.operators();
        tries.spawn(async move { operators.add_first_operator(&operator(n), &act("operator.first")).await });
    }
    let made = tries.join_all().await.into_iter().filter(|made| *made.as_ref().unwrap()).count();
    assert_eq!(made, 1);
    let operators = store.operators();
    assert_eq!(operators.operators(None, 10).await.unwrap().len(), 1);
    assert!(!operators.add_first_operator(&operator(5), &act("operator.first")).await.unwrap());
}

pub async fn a_first_operator_is_the_first(store: Store) {
    founded(&store).await;
    let first =
        async |n| store.operators().add_first_operator(&operator(n), &act("operator.first")).await.unwrap();
    // one whose certificate has ended operates nothing
    let past = Operator { expires_at: NOW, ..operator(9) };
    assert!(store.operators().add_operator(&past, &act("operator.add")).await.unwrap());
    assert!(first(1).await);
    assert!(first(1).await, "it is listed at each start of its node");
    assert!(!first(2).await, "there is one");
    assert_eq!(store.operators().operator(id(2)).await.unwrap(), None);
}

pub async fn the_cluster_has_a_chain_of_its_own_without_a_gap(store: Store) {
    founded(&store).await;
    assert_eq!(store.operators().audit_end().await.unwrap(), None, "nothing is recorded yet");
    let mut acts = JoinSet::new();
    for _ in 0..8 {
        let operators = store.operators();
        acts.spawn(async move {
            for _ in 0..3 {
                while let Err(error) = operators.record(&act("node.drain")).await {
                    assert!(matches!(error, StoreError::Conflict), "{error}");
                }
            }
        });
    }
    acts.join_all().await;
    let rows = store.operators().audit_page(0, 100).await.unwrap();
    assert_eq!(rows.len(), 24);
    let end = store.operators().audit_end().await.unwrap().unwrap();
    assert_eq!((end.seq, end.hash), (24, rows[23].hash));
    let mut chain = ChainVerifier::new(TenantId::from_bytes(id::<ClusterId>(99).into_bytes()));
    for row in rows {
        chain.next(row.seq.unsigned_abs(), &row.record, &row.hash).unwrap();
    }
}

pub async fn a_repeated_request_of_an_operator_finds_its_answer(store: Store) {
    founded(&store).await;
    let key = RequestKey {
        principal: "operator/1".to_owned(),
        key: vec![1; 16],
        method: "/x/Y",
        request_hash: Digest32([1; 32]),
    };
    let remember = Some(Remembered { key: key.clone(), response: vec![5] });
    store.operators().record(&ClusterAct { remember, ..act("node.drain") }).await.unwrap();
    assert_eq!(store.operators().answered(&key).await.unwrap(), Some(vec![5]));
    let another = RequestKey { request_hash: Digest32([2; 32]), ..key.clone() };
    assert!(matches!(store.operators().answered(&another).await, Err(StoreError::Invalid { .. })));
    let fresh = RequestKey { key: vec![2; 16], ..key };
    assert_eq!(store.operators().answered(&fresh).await.unwrap(), None);
}

/// A condition that many nodes see is recorded by one, and again when it comes about later.
pub async fn a_condition_is_noted_once_for_each_time_it_comes_about(store: Store) {
    store.cluster().cluster(id(1_000), Timestamp(0)).await.unwrap();
    let note = |store: Store, at: i64, since: i64| async move {
        let act = ClusterAct::of_node(
            id(1),
            Timestamp(at),
            id(2),
            "sealing.due",
            "sealing/2".to_owned(),
            vec![("why".to_owned(), "x".to_owned())],
        );
        store.operators().note(&act, Timestamp(since)).await
    };
    let all: JoinSet<_> = (0..8).map(|_| note(store.clone(), 100, 50)).collect();
    let noted = all.join_all().await.into_iter().filter(|noted| *noted.as_ref().unwrap()).count();
    assert_eq!(noted, 1);
    assert!(!note(store.clone(), 140, 100).await.unwrap(), "that of the same moment counts");
    assert!(note(store.clone(), 200, 101).await.unwrap());
    let last = store.operators().noted("sealing.due", "sealing/2").await.unwrap().unwrap();
    assert_eq!(last.at, Timestamp(200));
    assert_eq!(store.operators().noted("sealing.due", "sealing/3").await.unwrap(), None);
    assert_eq!(store.operators().audit_page(0, 100).await.unwrap().len(), 2);
}

/// One node has a channel at a time, and who had it before writes nothing.
pub async fn a_channel_is_one_nodes_and_its_earlier_holder_writes_nothing(store: Store) {
    store.cluster().cluster(id(1_000), Timestamp(0)).await.unwrap();
    let operators = store.operators();
    let read = operators.channel("ops").await.unwrap();
    assert_eq!(operators.channel("ops").await.unwrap(), read);
    let hold = |store: Store, read: OperatorChannel, node: u64, now: i64| async move {
        store.operators().hold_channel(&read, id(node), Timestamp(now), Timestamp(now + 100)).await
    };
    let all: JoinSet<_> = (0..8).map(|node| hold(store.clone(), read.clone(), node, 1)).collect();
    // one that another overtook may be told so
    let mut held: Vec<_> = all.join_all().await.into_iter().filter_map(|held| held.ok().flatten()).collect();
    assert_eq!(held.len(), 1);
    let first = held.remove(0);
    let seen = operators.channel("ops").await.unwrap();
    assert_eq!(seen, first);
    assert_eq!(hold(store.clone(), seen.clone(), 20, 100).await.unwrap(), None, "its time is not over");
    let second = hold(store.clone(), seen, 20, 101).await.unwrap().unwrap();
    let late = OperatorChannel { seq: 7, ..first };
    assert!(!operators.put_channel(&late).await.unwrap());
    let done = OperatorChannel { seq: 9, holder: None, ..second };
    assert!(operators.put_channel(&done).await.unwrap());
    assert_eq!(operators.channel("ops").await.unwrap().seq, 9);
}

/// A proof that a log has grown is given to who does not own its tenant, and holds.
pub async fn a_witness_gets_the_proof_that_a_log_goes_on(store: Store) {
    store.cluster().cluster(id(1_000), Timestamp(0)).await.unwrap();
    let mut heads = Vec::new();
    for at in 1..=9 {
        let act = ClusterAct::of_node(id(1), Timestamp(at), id(2), "node.key", String::new(), Vec::new());
        store.operators().record(&act).await.unwrap();
        let all = store.cluster().audit_heads(None, 10).await.unwrap();
        heads.push(all.into_iter().find(|head| head.tenant_id == id(1_000)).unwrap().tree().unwrap());
    }
    for old in &heads {
        for new in heads.iter().filter(|new| new.size > old.size) {
            let path = store.cluster().audit_extension(id(1_000), old.size, new.size).await.unwrap();
            new.extends(old, &path).unwrap();
        }
    }
    let none = store.cluster().audit_extension(id(1_000), 9, 20).await;
    assert!(matches!(none, Err(StoreError::Corrupt { .. })), "{none:?}");
}

pub async fn ceremonies_that_go_on_are_counted_for_all_tenants(store: Store) {
    use CeremonyPurpose::{Override, Recover, Unlock};
    use CeremonyState::{Completed, Open, Proposed, Ready, Released, Vetoed};
    let node = TestNode::start(&store, 1).await.unwrap();
    for tenant in 1..=2 {
        let own = node.found(tenant).await.unwrap();
        let mut tx = store.fenced(own).await.unwrap();
        for (n, (purpose, state)) in (1..).zip([
            (Recover, Open),
            (Recover, Released),
            (Recover, Completed),
            (Override, Proposed),
            (Override, Open),
            (Override, Vetoed),
            (Unlock, Released),
        ]) {
            tx.insert(&Ceremony { purpose, ..ceremony(own, n, state) }).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let cluster = store.cluster();
    let recoveries = cluster.live_ceremonies(&[Recover, Override]).await.unwrap();
    assert_eq!(recoveries, [(Proposed, 2), (Open, 4), (Ready, 0), (Released, 2)]);
    let together = cluster.live_ceremonies(&[Unlock]).await.unwrap();
    assert_eq!(together, [(Proposed, 0), (Open, 0), (Ready, 0), (Released, 2)]);
}
