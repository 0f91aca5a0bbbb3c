//! The areas: cluster, directory, idempotency, timers, messages, audit.

use ocmt_crypto::audit::{Actor, AuditRecord, ChainVerifier, Outcome};
use ocmt_store::{
    Filter, Idempotent, KeysDue, RequestKey, Store, StoreError,
    tables::{Address, AuditRow, GroupVault, IdempotencyRow, Outbox, RotationDue, Signup, User},
    testing::{TestNode, id, user},
};
use ocmt_types::{Digest32, TenantId, Timestamp};

use super::rows::{one_tenant, timer};

pub fn signup(n: u8, email: &str) -> Signup {
    Signup {
        token_hash: Digest32([n; 32]),
        email: email.into(),
        tenant_name: "new".into(),
        binding_hash: Digest32([9; 32]),
        created_at: Timestamp(0),
        expires_at: Timestamp(100),
    }
}

pub fn record(tenant: TenantId, n: i64) -> AuditRecord {
    AuditRecord {
        tenant,
        at: Timestamp(n),
        request: id(7),
        actor: Actor::User(id(1)),
        action: "vault.put".into(),
        object: format!("vault/{n}"),
        outcome: Outcome::Allowed,
        details: vec![],
    }
}

pub async fn the_cluster_row_is_made_once(store: Store) {
    let made = store.cluster().cluster(id(1), Timestamp(5)).await.unwrap();
    assert_eq!((made.cluster_id, made.created_at), (id(1), Timestamp(5)));
    assert_eq!(store.cluster().cluster(id(2), Timestamp(6)).await.unwrap(), made);
}

pub async fn a_tenant_is_founded_whole_or_not_at_all(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let founding = node.founding(1);
    drop(store.directory().create_tenant(&founding).await.unwrap().unwrap());
    assert_eq!(store.cluster().owner(founding.tenant.tenant_id).await.unwrap(), None);
    assert_eq!(store.directory().addresses(&founding.owner.email).await.unwrap(), []);

    let own = node.found(1).await.unwrap();
    let mut tx = store.read(own).await.unwrap();
    assert_eq!(tx.get(()).await.unwrap(), Some(founding.tenant.clone()));
    assert_eq!(tx.find::<User>(Filter::all()).await.unwrap(), std::slice::from_ref(&founding.owner));
    let at = tx.addresses(&founding.owner.email).await.unwrap();
    assert_eq!(
        at.iter().map(|entry| (entry.tenant_id, entry.user_id)).collect::<Vec<_>>(),
        [(own.tenant, founding.owner.user_id)]
    );
    assert!(matches!(node.found(1).await, Err(StoreError::AlreadyExists { .. })));
    let mut stranger = node.founding(2);
    stranger.owner.tenant_id = id(1);
    let refused = store.directory().create_tenant(&stranger).await.err();
    assert!(matches!(refused, Some(StoreError::ForeignTenant { table: "users" })), "{refused:?}");
    assert_eq!(store.cluster().owner(id(2)).await.unwrap(), None);
}

pub async fn a_sign_up_is_good_once_and_until_it_expires(store: Store) {
    let directory = store.directory();
    let (kept, late) = (signup(1, "a@example.org"), signup(2, "b@example.org"));
    directory.put_signup(&kept).await.unwrap();
    directory.put_signup(&late).await.unwrap();
    assert_eq!(directory.signup(kept.token_hash, Timestamp(99)).await.unwrap(), Some(kept.clone()));
    assert_eq!(directory.signup(kept.token_hash, Timestamp(100)).await.unwrap(), None);
    assert_eq!(directory.take_signup(late.token_hash, Timestamp(100)).await.unwrap(), None);
    assert_eq!(directory.take_signup(kept.token_hash, Timestamp(99)).await.unwrap(), Some(kept.clone()));
    assert_eq!(directory.take_signup(kept.token_hash, Timestamp(99)).await.unwrap(), None);
    assert_eq!(directory.drop_expired_signups(Timestamp(599_999)).await.unwrap(), 0, "it is still counted");
    assert_eq!(directory.drop_expired_signups(Timestamp(600_000)).await.unwrap(), 1);
    let node = TestNode::start(&store, 1).await.unwrap();
    let mut founding = node.founding(1);
    founding.signup = Some((kept.token_hash, Timestamp(50)));
    assert!(directory.create_tenant(&founding).await.unwrap().is_none());
    assert_eq!(store.cluster().owner(founding.tenant.tenant_id).await.unwrap(), None);
}

pub async fn the_newer_sign_up_ends_the_older(store: Store) {
    let directory = store.directory();
    directory.put_signup(&signup(1, "a@example.org")).await.unwrap();
    directory.put_signup(&signup(2, "a@example.org")).await.unwrap();
    assert_eq!(directory.take_signup(Digest32([1; 32]), Timestamp(1)).await.unwrap(), None);
    assert!(directory.take_signup(Digest32([2; 32]), Timestamp(1)).await.unwrap().is_some());
}

pub async fn sign_ups_of_other_devices_end_nothing_and_are_bounded(store: Store) {
    let directory = store.directory();
    let of = |n: u8| Signup { binding_hash: Digest32([n; 32]), ..signup(n, "a@example.org") };
    for n in 1..=5 {
        assert!(directory.put_signup(&of(n)).await.unwrap());
    }
    assert!(!directory.put_signup(&of(6)).await.unwrap(), "the sixth within ten minutes");
    assert!(directory.put_signup(&signup(7, "b@example.org")).await.unwrap(), "of another address");
    for n in 1..=5 {
        assert!(directory.take_signup(Digest32([n; 32]), Timestamp(1)).await.unwrap().is_some());
    }
    assert!(directory.put_signup(&of(8)).await.unwrap(), "used ones do not count");
}

pub async fn ended_sign_ups_count_until_the_window_has_passed(store: Store) {
    let directory = store.directory();
    for n in 1..=5 {
        assert!(directory.put_signup(&signup(n, "a@example.org")).await.unwrap());
    }
    assert!(!directory.put_signup(&signup(6, "a@example.org")).await.unwrap());
    let later = Signup {
        created_at: Timestamp(600_000),
        expires_at: Timestamp(700_000),
        ..signup(7, "a@example.org")
    };
    assert!(directory.put_signup(&later).await.unwrap());
}

pub async fn an_address_is_listed_in_twenty_tenants_at_the_most(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    for n in 1..=21 {
        let own = node.found(n).await.unwrap();
        let mut tx = store.fenced(own).await.unwrap();
        tx.insert(&User { email: "many@example.org".into(), ..user(own.tenant, 99) }).await.unwrap();
        let listed = tx.list_address("many@example.org", id(99)).await;
        if n <= 20 {
            listed.unwrap();
            tx.commit().await.unwrap();
        } else {
            assert!(matches!(listed, Err(StoreError::TooMany { most: 20, .. })), "{listed:?}");
        }
    }
    let mut founding = node.founding(22);
    founding.owner.email = "many@example.org".into();
    let refused = store.directory().create_tenant(&founding).await.err();
    assert!(matches!(refused, Some(StoreError::TooMany { .. })), "{refused:?}");
}

pub async fn the_directory_follows_the_users(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let (one, two) = (node.found(1).await.unwrap(), node.found(2).await.unwrap());
    let email = "user9@example.org";
    for own in [two, one] {
        let mut tx = store.fenced(own).await.unwrap();
        tx.insert(&user(own.tenant, 9)).await.unwrap();
        tx.list_address(email, id(9)).await.unwrap();
        assert!(matches!(
            tx.list_address(email, id(8)).await,
            Err(StoreError::AlreadyExists { table: "directory" })
        ));
        tx.commit().await.unwrap();
    }
    let entry = |tenant_id| Address { email: email.into(), tenant_id, user_id: id(9) };
    assert_eq!(store.directory().addresses(email).await.unwrap(), [entry(one.tenant), entry(two.tenant)]);
    let mut tx = store.fenced(one).await.unwrap();
    assert!(tx.unlist_address(email).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(store.directory().addresses(email).await.unwrap(), [entry(two.tenant)]);
}

pub async fn a_repeated_request_gets_the_first_answer(store: Store) {
    let own = one_tenant(&store).await;
    let key = |principal: &str, method, hash| RequestKey {
        principal: principal.into(),
        key: vec![5; 16],
        method,
        request_hash: Digest32([hash; 32]),
    };
    let mut tx = store.fenced(own).await.unwrap();
    let Idempotent::Fresh(fresh) = tx.idempotent(key("user/1", "Put", 1)).await.unwrap() else {
        panic!("not fresh")
    };
    tx.remember(fresh, b"done", Timestamp(10)).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = store.fenced(own).await.unwrap();
    let again = tx.idempotent(key("user/1", "Put", 1)).await.unwrap();
    assert!(matches!(again, Idempotent::Replay(ref answer) if answer == b"done"), "{again:?}");
    assert!(matches!(tx.idempotent(key("user/1", "Put", 2)).await.unwrap(), Idempotent::Mismatch));
    assert!(matches!(tx.idempotent(key("user/1", "Delete", 1)).await.unwrap(), Idempotent::Mismatch));
    assert!(matches!(tx.idempotent(key("user/2", "Put", 1)).await.unwrap(), Idempotent::Fresh(_)));
    assert_eq!(tx.forget_answers(Timestamp(9)).await.unwrap(), 0);
    assert_eq!(tx.forget_answers(Timestamp(10)).await.unwrap(), 1);
    assert_eq!(tx.count(Filter::<IdempotencyRow>::all()).await.unwrap(), 0);
}

pub async fn due_timers_come_across_tenants_in_their_order(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let (one, two) = (node.found(1).await.unwrap(), node.found(2).await.unwrap());
    assert_eq!(store.cluster().next_due().await.unwrap(), None);
    for (own, due) in [(one, [30, 10]), (two, [20, 40])] {
        let mut tx = store.fenced(own).await.unwrap();
        for at in due {
            tx.set_timer("test", &at.to_string(), Timestamp(at), b"x").await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let due = store.cluster().due_timers(Timestamp(30), 10).await.unwrap();
    let due: Vec<_> = due.iter().map(|timer| (timer.tenant_id, timer.due_at.0)).collect();
    assert_eq!(due, [(one.tenant, 10), (two.tenant, 20), (one.tenant, 30)]);
    assert_eq!(store.cluster().due_timers(Timestamp(30), 1).await.unwrap().len(), 1);
    assert_eq!(store.cluster().due_timers(Timestamp(9), 10).await.unwrap(), []);
    assert_eq!(store.cluster().next_due().await.unwrap(), Some(Timestamp(10)));
}

pub async fn a_timer_fires_once_and_not_early(store: Store) {
    let own = one_tenant(&store).await;
    let mut tx = store.fenced(own).await.unwrap();
    tx.set_timer("test", "a", Timestamp(10), b"").await.unwrap();
    tx.set_timer("test", "a", Timestamp(20), b"").await.unwrap();
    assert_eq!(tx.take_due_timer("test", "a", Timestamp(19)).await.unwrap(), None);
    assert_eq!(tx.take_due_timer("test", "a", Timestamp(20)).await.unwrap(), Some(timer(own, "a", 20)));
    assert_eq!(tx.take_due_timer("test", "a", Timestamp(20)).await.unwrap(), None);
    tx.set_timer("test", "b", Timestamp(10), b"").await.unwrap();
    assert!(tx.clear_timer("test", "b").await.unwrap());
    assert!(!tx.clear_timer("test", "b").await.unwrap());
}

pub async fn held_timers_come_back_with_the_time_they_had_left(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let (own, other) = (node.found(1).await.unwrap(), node.found(2).await.unwrap());
    for (own, due) in [(own, 100), (own, 200), (other, 150)] {
        let mut tx = store.fenced(own).await.unwrap();
        tx.set_timer("test", &due.to_string(), Timestamp(due), b"x").await.unwrap();
        tx.commit().await.unwrap();
    }
    let mut tx = store.fenced(own).await.unwrap();
    tx.hold_timers().await.unwrap();
    // twice is once, and what is set meanwhile is not held
    tx.hold_timers().await.unwrap();
    tx.set_timer("test", "meanwhile", Timestamp(300), b"").await.unwrap();
    tx.commit().await.unwrap();
    let due = async |until: i64| {
        let due = store.cluster().due_timers(Timestamp(until), 10).await.unwrap();
        due.into_iter().map(|timer| (timer.subject, timer.due_at.0)).collect::<Vec<_>>()
    };
    let far = i64::from(u32::MAX) * 1000;
    assert_eq!(due(far).await, [("150".to_owned(), 150), ("meanwhile".to_owned(), 300)]);
    let mut tx = store.fenced(own).await.unwrap();
    tx.release_timers(std::time::Duration::from_millis(1000)).await.unwrap();
    tx.release_timers(std::time::Duration::from_millis(1000)).await.unwrap();
    tx.commit().await.unwrap();
    let all = [("150", 150), ("meanwhile", 300), ("100", 1100), ("200", 1200)];
    assert_eq!(due(far).await, all.map(|(subject, due)| (subject.to_owned(), due)));
}

pub async fn tenants_are_listed_in_the_order_of_their_ids(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    for n in [3, 1, 2] {
        node.found(n).await.unwrap();
    }
    let page = store.operators().tenants(None, 2).await.unwrap();
    assert_eq!(page.iter().map(|tenant| tenant.tenant_id).collect::<Vec<_>>(), [id(1), id(2)]);
    let page = store.operators().tenants(Some(id(2)), 2).await.unwrap();
    assert_eq!(page.iter().map(|tenant| tenant.name.as_str()).collect::<Vec<_>>(), ["tenant 3"]);
}

pub async fn vaults_of_groups_that_are_due_for_new_keys_are_counted_by_tenant(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    for (tenant, due) in [(1, &[Some(30), None, Some(20)][..]), (2, &[None]), (3, &[Some(5)])] {
        let own = node.found(tenant).await.unwrap();
        let mut tx = store.fenced(own).await.unwrap();
        for (n, since) in (10..).zip(due) {
            let row = GroupVault {
                tenant_id: own.tenant,
                vault_id: id(n),
                group_id: id(n),
                due: since.map(|_| RotationDue::Left),
                due_since: since.map(Timestamp),
            };
            tx.insert(&row).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    for (tenant, vaults, since) in [(1, 2, Some(20)), (2, 0, None), (3, 1, Some(5)), (4, 0, None)] {
        let due = store.cluster().keys_due(id(tenant)).await.unwrap();
        assert_eq!(due, KeysDue { vaults, since: since.map(Timestamp) }, "tenant {tenant}");
    }
}

pub async fn tenants_with_mail_are_told_once_each(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let mut tenants = Vec::new();
    for n in 1..=3 {
        let own = node.found(n).await.unwrap();
        let mut tx = store.fenced(own).await.unwrap();
        for message in 0..3 {
            tx.send(id(message), id(50), "test", b"hello", Timestamp(10)).await.unwrap();
        }
        assert!(matches!(
            tx.send(id(0), id(50), "test", b"", Timestamp(10)).await,
            Err(StoreError::AlreadyExists { .. })
        ));
        for subject in ["a", "b"] {
            tx.set_timer("test", subject, Timestamp(20), &[]).await.unwrap();
        }
        tx.commit().await.unwrap();
        tenants.push(own.tenant);
    }
    let cluster = store.cluster();
    assert_eq!(cluster.tenants_with_timers(Timestamp(19), None, 10).await.unwrap(), []);
    assert_eq!(cluster.tenants_with_timers(Timestamp(20), None, 2).await.unwrap(), tenants[..2]);
    assert_eq!(cluster.tenants_with_timers(Timestamp(20), Some(tenants[1]), 2).await.unwrap(), tenants[2..]);
    assert_eq!(cluster.tenants_with_mail(Timestamp(9), None, 10).await.unwrap(), []);
    assert_eq!(cluster.tenants_with_mail(Timestamp(10), None, 10).await.unwrap(), tenants);
    assert_eq!(cluster.tenants_with_mail(Timestamp(10), None, 2).await.unwrap(), tenants[..2]);
    assert_eq!(cluster.tenants_with_mail(Timestamp(10), Some(tenants[1]), 2).await.unwrap(), tenants[2..]);
    let own = node.claim(tenants[0]).await.unwrap();
    let mut tx = store.fenced(own).await.unwrap();
    let mail = tx
        .find::<Outbox>(Outbox::next_attempt_at.le(Timestamp(10)).asc(Outbox::next_attempt_at))
        .await
        .unwrap();
    assert_eq!((mail.len(), mail[0].to_tenant, mail[0].body.as_slice()), (3, id(50), &b"hello"[..]));
}

pub async fn an_answer_to_a_message_is_kept(store: Store) {
    let own = one_tenant(&store).await;
    let mut tx = store.fenced(own).await.unwrap();
    assert_eq!(tx.answered(id(5), id(1)).await.unwrap(), None);
    tx.answer(id(5), id(1), "test", b"yes", Timestamp(1)).await.unwrap();
    assert!(matches!(tx.answer(id(5), id(1), "test", b"no", Timestamp(2)).await, Err(StoreError::Conflict)));
    assert_eq!(tx.answered(id(5), id(1)).await.unwrap().as_deref(), Some(&b"yes"[..]));
    assert_eq!(tx.answered(id(6), id(1)).await.unwrap(), None);
}

pub async fn the_audit_chain_verifies_and_pages(store: Store) {
    let own = one_tenant(&store).await;
    assert_eq!(store.read(own).await.unwrap().audit_head().await.unwrap(), None);
    for n in 1..=5 {
        let mut tx = store.fenced(own).await.unwrap();
        assert_eq!(tx.audit(&record(own.tenant, n)).await.unwrap(), n);
        tx.commit().await.unwrap();
    }
    let mut tx = store.read(own).await.unwrap();
    let mut chain = ChainVerifier::new(own.tenant);
    let mut after = 0;
    loop {
        let page: Vec<AuditRow> = tx.audit_page(Filter::all(), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.seq;
        for row in page {
            let read = chain.next(row.seq.unsigned_abs(), &row.record, &row.hash).unwrap();
            assert_eq!(
                (read, row.actor),
                (record(own.tenant, row.seq), format!("user/{}", id::<ocmt_types::UserId>(1)))
            );
        }
    }
    let head = tx.audit_head().await.unwrap().unwrap();
    assert_eq!(chain.position(), (5, head.hash));
    let found = tx.audit_page(AuditRow::object.eq("vault/3"), 0, 10).await.unwrap();
    assert_eq!(found.iter().map(|row| row.seq).collect::<Vec<_>>(), [3]);
}

pub async fn an_audit_record_of_another_tenant_is_refused(store: Store) {
    let own = one_tenant(&store).await;
    let mut tx = store.fenced(own).await.unwrap();
    assert!(matches!(tx.audit(&record(id(9), 1)).await, Err(StoreError::ForeignTenant { table: "audit" })));
    let long = AuditRecord { action: "x".repeat(1_000), ..record(own.tenant, 1) };
    assert!(matches!(tx.audit(&long).await, Err(StoreError::Record(_))));
    assert_eq!(tx.audit_head().await.unwrap(), None);
}
