//! Many callers at once: exactly one wins what only one may have.

use std::sync::Arc;

use ocmt_crypto::audit::ChainVerifier;
use ocmt_store::{
    Claim, FencedTx, Filter, Idempotent, RequestKey, Store, StoreError,
    tables::{AuditRow, Link, LinkPurpose, Signup, Tenant, Timer, User},
    testing::{TestNode, id, user},
};
use ocmt_types::{Digest32, Ownership, Timestamp};
use tokio::{sync::Barrier, task::JoinSet};

use super::{
    areas::{record, signup},
    rows::{one_tenant, timer},
};

const CALLERS: i64 = 50;

/// Runs `call` in [`CALLERS`] tasks that start together, and returns what each returned.
pub(crate) async fn together<F, T>(store: &Store, call: impl Fn(Store, i64) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let start = Arc::new(Barrier::new(usize::try_from(CALLERS).unwrap()));
    let mut tasks = JoinSet::new();
    for n in 0..CALLERS {
        let (start, call) = (Arc::clone(&start), call(store.clone(), n));
        tasks.spawn(async move {
            start.wait().await;
            call.await
        });
    }
    tasks.join_all().await
}

pub async fn of_parallel_compare_and_sets_one_wins(store: Store) {
    let own = one_tenant(&store).await;
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&user(own.tenant, 2)).await.unwrap();
    tx.commit().await.unwrap();
    let won = together(&store, |store, n| async move {
        let mut tx = store.fenced(own).await.unwrap();
        let row = User { totp_last_step: Some(n), ..user(own.tenant, 2) };
        let won = tx.update_if(&row, User::totp_last_step.eq(None)).await.unwrap();
        tx.commit().await.unwrap();
        won.then_some(n)
    })
    .await;
    let winners: Vec<i64> = won.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    let row = store.read(own).await.unwrap().get::<User>(id(2)).await.unwrap().unwrap();
    assert_eq!(row.totp_last_step, winners.first().copied());
}

pub async fn of_parallel_takes_one_gets_the_row(store: Store) {
    let own = one_tenant(&store).await;
    let link = Link {
        tenant_id: own.tenant,
        token_hash: Digest32([7; 32]),
        user_id: id(1),
        purpose: LinkPurpose::SignIn,
        binding_hash: Digest32([8; 32]),
        created_at: Timestamp(0),
        expires_at: Timestamp(100),
    };
    let mut tx = store.fenced(own).await.unwrap();
    tx.insert(&link).await.unwrap();
    tx.commit().await.unwrap();
    let taken = together(&store, |store, _| async move {
        let mut tx = store.fenced(own).await.unwrap();
        let taken = tx.take_if::<Link>(Digest32([7; 32]), Link::expires_at.gt(Timestamp(50))).await.unwrap();
        tx.commit().await.unwrap();
        taken
    })
    .await;
    assert_eq!(taken.into_iter().flatten().collect::<Vec<_>>(), [link]);
}

async fn set_once(tx: &mut FencedTx, own: Ownership, n: i64) -> Result<String, StoreError> {
    let key = RequestKey {
        principal: "user/1".into(),
        key: vec![1; 16],
        method: "Put",
        request_hash: Digest32([1; 32]),
    };
    match tx.idempotent(key).await? {
        Idempotent::Replay(answer) => Ok(String::from_utf8(answer).unwrap()),
        Idempotent::Mismatch => panic!("the same request does not match itself"),
        Idempotent::Fresh(fresh) => {
            let subject = format!("effect {n}");
            tx.insert(&timer(own, &subject, n)).await?;
            tx.remember(fresh, subject.as_bytes(), Timestamp(1)).await?;
            Ok(subject)
        }
    }
}

pub async fn of_parallel_repeats_one_takes_effect(store: Store) {
    let own = one_tenant(&store).await;
    let answers = together(&store, |store, n| async move {
        loop {
            let mut tx = store.fenced(own).await.unwrap();
            match set_once(&mut tx, own, n).await {
                Ok(answer) => {
                    tx.commit().await.unwrap();
                    return answer;
                }
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
            }
        }
    })
    .await;
    let effects = store.read(own).await.unwrap().find::<Timer>(Filter::all()).await.unwrap();
    assert_eq!(effects.len(), 1);
    assert!(answers.iter().all(|answer| *answer == effects[0].subject), "{answers:?}");
}

pub async fn of_parallel_claims_one_holds(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let own = node.found(1).await.unwrap();
    let mut nodes = Vec::new();
    for n in 0..CALLERS {
        nodes.push(TestNode::start(&store, 100 + n.unsigned_abs()).await.unwrap());
    }
    assert!(store.cluster().release(own).await.unwrap());
    let claims = together(&store, |_, n| {
        let node = nodes[usize::try_from(n).unwrap()].clone();
        async move {
            loop {
                match node.store.cluster().claim(own.tenant, node.node_id, node.incarnation).await {
                    Err(StoreError::Conflict) => {}
                    claim => return claim.unwrap(),
                }
            }
        }
    })
    .await;
    let taken: Vec<Ownership> = claims
        .into_iter()
        .filter_map(|claim| if let Claim::Taken(own) = claim { Some(own) } else { None })
        .collect();
    assert_eq!(taken.len(), 1, "{taken:?}");
    drop(store.fenced(taken[0]).await.unwrap());
}

pub async fn of_parallel_redemptions_of_a_sign_up_one_founds(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    store.directory().put_signup(&signup(1, "new@example.org")).await.unwrap();
    let founded = together(&store, |store, n| {
        let mut founding = node.founding(10 + n.unsigned_abs());
        founding.signup = Some((Digest32([1; 32]), Timestamp(50)));
        async move {
            let tx = store.directory().create_tenant(&founding).await.unwrap()?;
            let own = tx.ownership();
            tx.commit().await.unwrap();
            Some(own)
        }
    })
    .await;
    let founded: Vec<Ownership> = founded.into_iter().flatten().collect();
    assert_eq!(founded.len(), 1);
    assert!(store.read(founded[0]).await.unwrap().get::<Tenant>(()).await.unwrap().is_some());
}

pub async fn parallel_audit_has_no_gap(store: Store) {
    let own = one_tenant(&store).await;
    together(&store, |store, n| async move {
        loop {
            let mut tx = store.fenced(own).await.unwrap();
            let appended = tx.audit(&record(own.tenant, n)).await;
            // every third gives up after the append: it must leave no gap
            match appended {
                Ok(_) if n % 3 == 0 => return,
                Ok(_) => return tx.commit().await.unwrap(),
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
            }
        }
    })
    .await;
    let mut tx = store.read(own).await.unwrap();
    let rows: Vec<AuditRow> = tx.audit_page(Filter::all(), 0, 1_000).await.unwrap();
    assert_eq!(rows.len(), (0..CALLERS).filter(|n| n % 3 != 0).count());
    let mut chain = ChainVerifier::new(own.tenant);
    for row in &rows {
        chain.next(row.seq.unsigned_abs(), &row.record, &row.hash).unwrap();
    }
}

pub async fn of_parallel_listings_of_an_address_twenty_stand(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let mut owned = Vec::new();
    for n in 0..CALLERS {
        owned.push(node.found(1 + n.unsigned_abs()).await.unwrap());
    }
    let listed = together(&store, |store, n| {
        let own = owned[usize::try_from(n).unwrap()];
        async move {
            let mut tx = store.fenced(own).await.unwrap();
            let listed = tx.list_address("many@example.org", id(99)).await;
            if listed.is_ok() {
                tx.commit().await.unwrap();
            }
            listed.is_ok()
        }
    })
    .await;
    assert_eq!(listed.into_iter().filter(|listed| *listed).count(), 20);
    assert_eq!(store.directory().addresses("many@example.org").await.unwrap().len(), 20);
}

pub async fn of_parallel_sign_ups_of_an_address_five_stand(store: Store) {
    let kept = together(&store, |store, n| async move {
        let n = u8::try_from(n).unwrap();
        let own_device = Signup { binding_hash: Digest32([n; 32]), ..signup(n, "a@example.org") };
        store.directory().put_signup(&own_device).await.unwrap()
    })
    .await;
    assert_eq!(kept.into_iter().filter(|kept| *kept).count(), 5);
}

pub async fn nodes_that_start_together_make_one_cluster(store: Store) {
    let seen = together(&store, |store, n| async move {
        store.cluster().cluster(id(n.unsigned_abs()), Timestamp(n)).await.unwrap()
    })
    .await;
    assert!(seen.iter().all(|cluster| *cluster == seen[0]), "{seen:?}");
}
