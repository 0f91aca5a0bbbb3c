//! A database that was put back: who was revoked stays so, and nothing that is good once is good again.

use ocmt_crypto::audit::{Actor, Outcome};
use ocmt_store::{
    Acceptance, ClusterAct, Filter, Purpose, Revocations, Store, StoreError,
    tables::{
        ActKind, ApiKeyRow, BackupCode, Ceremony, CeremonyPurpose, CeremonyState, Cluster, DestructiveAct,
        EmailChange, EmailChangeState, GroupVault, Invite, JoinedNode, OidcLogin, Operator, RESTORE_STEP,
        RotationDue, Snapshot, SnapshotState, UserRole,
    },
    testing::{TestNode, acceptance, id},
};
use ocmt_types::{Digest32, NodeId, OperatorId, TenantId, Timestamp};

use super::{
    areas::signup,
    operators::{invitation, operator},
    portable::ceremony,
};

const NOW: Timestamp = Timestamp(1_500);

fn act(action: &'static str) -> ClusterAct {
    ClusterAct {
        at: Timestamp(1_000),
        request: id(7),
        actor: Actor::Operator([1; 16]),
        action,
        object: String::new(),
        outcome: Outcome::Allowed,
        details: Vec::new(),
        remember: None,
    }
}

/// Nodes 1 and 2 that run, node 3 that was let in, and the operators 1 and 2.
async fn cluster_of_three(store: &Store) {
    store.cluster().cluster(id(99), Timestamp(0)).await.unwrap();
    for n in [1, 2] {
        TestNode::start(store, n).await.unwrap();
        assert!(store.operators().add_operator(&operator(n), &act("operator.add")).await.unwrap());
    }
    let operators = store.operators();
    operators.put_join_token(&invitation(), &act("node.invite")).await.unwrap();
    let third =
        JoinedNode { node_id: id(3), addr: String::new(), names: String::new(), joined_at: Timestamp(0) };
    operators.take_join_token(invitation().token_hash, &third, &act("node.join")).await.unwrap().unwrap();
}

/// The backup of `source` in an empty store, which carries the mark of a restore.
async fn put_back(source: &Store, store: &Store) {
    let mut bytes = Vec::new();
    source.dump(&mut bytes).await.unwrap();
    store.load(&mut bytes.as_slice(), Purpose::Restore(NOW)).await.unwrap();
}

pub async fn who_was_revoked_stays_so_over_a_restore(store: Store) {
    let source = Store::sim();
    cluster_of_three(&source).await;
    put_back(&source, &store).await;
    // node 4 and operator 4 came after the backup, and were revoked as well
    let revoked =
        Revocations { nodes: [id(2), id(3), id(4)].into(), operators: [id::<OperatorId>(2), id(4)].into() };
    let all = store.honoured(&Revocations::default(), NOW).await.unwrap();
    assert_eq!((all.nodes.len(), all.operators.len()), (3, 2));
    let honoured = store.honoured(&revoked, NOW).await.unwrap();
    assert_eq!(honoured.nodes, [id::<NodeId>(1)].into());
    assert_eq!(honoured.operators.iter().map(|known| known.operator_id).collect::<Vec<_>>(), [id(1)]);

    let accepted =
        store.accept_restore(&Acceptance { revoked: revoked.clone(), ..acceptance(NOW) }).await.unwrap();
    assert_eq!(accepted.revoked, 5);
    assert_eq!(store.cluster().observe().await.unwrap().revoked, revoked);
    assert_eq!(store.honoured(&Revocations::default(), NOW).await.unwrap(), honoured);
    let second = store.operators().operator(id(2)).await.unwrap().unwrap();
    assert_eq!((second.name.as_str(), second.revoked_at), ("operator 2", Some(NOW)));
    let fourth = Operator { operator_id: id(4), revoked_at: None, ..second };
    let listed = store.operators().add_operator(&fourth, &act("operator.first")).await.unwrap();
    assert!(!listed, "an operator that was revoked is listed as a new one");
    let acts = store.operators().audit_page(0, 100).await.unwrap();
    let again: Vec<_> = acts.iter().filter(|act| act.action == "cluster.revoke_again").collect();
    assert_eq!(again.len(), 5);
    assert!(again.iter().any(|act| act.object == format!("node/{}", id::<NodeId>(4))));
}

/// A change of address that was confirmed.
fn waiting_change(tenant_id: TenantId) -> EmailChange {
    EmailChange {
        tenant_id,
        token_hash: Digest32([8; 32]),
        user_id: id(1),
        session_id: id(1),
        old_email: "a@example.org".to_owned(),
        new_email: "c@example.org".to_owned(),
        state: EmailChangeState::Confirmed,
        created_at: Timestamp(1),
        expires_at: Timestamp(2),
        effective_at: Some(Timestamp(3)),
    }
}

/// A key of a user's program, perhaps one that was revoked since.
fn api_key(tenant_id: TenantId) -> ApiKeyRow {
    ApiKeyRow {
        tenant_id,
        api_key_id: id(1),
        user_id: id(1),
        name: "deploys".to_owned(),
        scopes: "container.read container.use".to_owned(),
        token_hash: Digest32([9; 32]),
        asked_by: Digest32([10; 32]),
        mfa: true,
        passkey: false,
        created_at: Timestamp(1),
        expires_at: Timestamp(100_000),
        last_used_at: None,
    }
}

/// A sign-in at a provider that was begun.
fn begun_sign_in(tenant_id: TenantId) -> OidcLogin {
    OidcLogin {
        tenant_id,
        state_hash: Digest32([9; 32]),
        binding_hash: Digest32([9; 32]),
        issuer: "https://id.example.org".to_owned(),
        nonce: "n".to_owned(),
        verifier: "v".to_owned(),
        expires_at: Timestamp(100_000),
    }
}

pub async fn an_accepted_restore_leaves_nothing_that_is_good_once(store: Store) {
    let source = Store::sim();
    cluster_of_three(&source).await;
    let operators = source.operators();
    operators.put_join_token(&invitation(), &act("node.invite")).await.unwrap();
    let begun = DestructiveAct {
        act_id: id(5),
        operator_id: id(1),
        act: ActKind::RevokeNode,
        object: id::<NodeId>(1).to_string(),
        token_hash: Some(Digest32([3; 32])),
        created_at: Timestamp(1_000),
        expires_at: Timestamp(100_000),
    };
    operators.begin_act(&begun, &act("operator.begin")).await.unwrap();
    source.directory().put_signup(&signup(1, "a@example.org")).await.unwrap();
    let node = TestNode::start(&source, 5).await.unwrap();
    let own = node.found(1).await.unwrap();
    let mut tx = source.fenced(own).await.unwrap();
    tx.insert(&waiting_change(own.tenant)).await.unwrap();
    tx.insert(&api_key(own.tenant)).await.unwrap();
    let invite = Invite {
        tenant_id: own.tenant,
        invite_id: id(1),
        token_hash: Digest32([6; 32]),
        email: "b@example.org".to_owned(),
        role: UserRole::Member,
        invited_by: id(1),
        created_at: Timestamp(1_000),
        expires_at: Timestamp(100_000),
        custom_role: None,
    };
    tx.insert(&invite).await.unwrap();
    let code = BackupCode {
        tenant_id: own.tenant,
        user_id: id(1),
        code_hash: Digest32([7; 32]),
        created_at: Timestamp(1_000),
    };
    tx.insert(&code).await.unwrap();
    tx.insert(&begun_sign_in(own.tenant)).await.unwrap();
    tx.commit().await.unwrap();
    put_back(&source, &store).await;

    let accepted = store.accept_restore(&acceptance(NOW)).await.unwrap();
    assert_eq!(
        accepted.tokens, 8,
        "invitations of a node and of a user, a sign-up, an act that is confirmed, a backup code, a change of address, \
         an API key, a sign-in at a provider"
    );
    let operators = store.operators();
    assert_eq!(operators.join_token(invitation().token_hash, NOW).await.unwrap(), None);
    let fourth = JoinedNode { node_id: id(4), addr: String::new(), names: String::new(), joined_at: NOW };
    let joined =
        operators.take_join_token(invitation().token_hash, &fourth, &act("node.join")).await.unwrap();
    assert_eq!(joined, None, "an invitation of the backup lets a node in");
    assert_eq!(operators.act(id(5), id(1), NOW).await.unwrap(), None);
    let node = TestNode::start(&store, 6).await.unwrap();
    let own = node.claim(own.tenant).await.unwrap();
    assert_eq!(store.read(own).await.unwrap().count(Filter::<Invite>::all()).await.unwrap(), 0);
    assert_eq!(store.read(own).await.unwrap().count(Filter::<EmailChange>::all()).await.unwrap(), 0);
    assert_eq!(store.read(own).await.unwrap().count(Filter::<ApiKeyRow>::all()).await.unwrap(), 0);
    assert_eq!(store.read(own).await.unwrap().count(Filter::<BackupCode>::all()).await.unwrap(), 0);
    assert_eq!(store.read(own).await.unwrap().count(Filter::<OidcLogin>::all()).await.unwrap(), 0);
}

pub async fn a_revocation_that_the_database_forgot_is_written_again_once(store: Store) {
    cluster_of_three(&store).await;
    let forgotten = Revocations { nodes: [id(2)].into(), operators: [id(2)].into() };
    let version = store.cluster().cluster(id(99), NOW).await.unwrap().view_version;
    let again = async || store.cluster().revoke_again(id(1), &forgotten, id(8), NOW).await.unwrap();
    assert_eq!(again().await, 2);
    let seen = store.cluster().observe().await.unwrap();
    assert_eq!(seen.revoked, forgotten);
    assert_eq!(seen.nodes.len(), 1, "a life of a revoked node goes on");
    assert!(seen.cluster.unwrap().view_version > version);
    let due = store.operators().latest_generation().await.unwrap().unwrap();
    assert_eq!((due.generation, due.made_by), (2, id(1)));
    assert_eq!(again().await, 0);
    assert_eq!(store.operators().latest_generation().await.unwrap().unwrap().generation, 2);
}

pub async fn a_database_that_went_back_to_the_same_version_is_accepted(store: Store) {
    cluster_of_three(&store).await;
    let version = store.cluster().cluster(id(99), NOW).await.unwrap().view_version;
    let known = Acceptance { floor: version, ..acceptance(NOW) };
    let none = store.accept_restore(&known).await.unwrap_err();
    assert!(matches!(none, StoreError::Invalid { .. }), "{none}");
    let accepted = store.accept_restore(&Acceptance { went_back: true, ..known }).await.unwrap();
    assert_eq!(accepted.view_version, RESTORE_STEP);
    // and above what was seen after an earlier one
    let later = Acceptance { floor: 2 * RESTORE_STEP + 5, ..acceptance(NOW) };
    assert_eq!(store.accept_restore(&later).await.unwrap().view_version, 3 * RESTORE_STEP);
    let Cluster { view_version, .. } = store.cluster().cluster(id(99), NOW).await.unwrap();
    assert_eq!(view_version, 3 * RESTORE_STEP);
}

pub async fn snapshots_are_unverified_after_an_accepted_restore(store: Store) {
    let source = Store::sim();
    source.cluster().cluster(id(99), Timestamp(0)).await.unwrap();
    let node = TestNode::start(&source, 1).await.unwrap();
    let own = node.found(1).await.unwrap();
    let mut tx = source.fenced(own).await.unwrap();
    for (n, verified) in [(1, true), (2, false)] {
        let snapshot = Snapshot {
            tenant_id: own.tenant,
            snapshot_id: id(n),
            user_id: id(1),
            container_id: id(1),
            generation: 1,
            state: SnapshotState::Taken,
            wrapped_key: vec![7; 60],
            size_bytes: 1_000,
            content_hash: Some(Digest32([7; 32])),
            verified,
            opened_by: None,
            failure: None,
            created_at: Timestamp(1_000),
            schedule: None,
            sealed_key: None,
            statement: None,
            chain: None,
            opened: false,
        };
        tx.insert(&snapshot).await.unwrap();
    }
    tx.commit().await.unwrap();
    put_back(&source, &store).await;
    assert_eq!(store.accept_restore(&acceptance(NOW)).await.unwrap().snapshots, 1);
    let own = TestNode::start(&store, 6).await.unwrap().claim(own.tenant).await.unwrap();
    let kept = store.read(own).await.unwrap().find(Filter::<Snapshot>::all()).await.unwrap();
    assert_eq!(kept.iter().map(|one| one.verified).collect::<Vec<_>>(), [false, false]);
    assert!(kept.iter().all(|one| one.content_hash.is_some() && one.state == SnapshotState::Taken));
}

/// Who had its key for a time may have kept it. One that is due already stays due since then, and for that reason.
pub async fn a_vault_of_a_group_that_was_open_at_a_restore_is_due_for_new_keys(store: Store) {
    let source = Store::sim();
    source.cluster().cluster(id(99), Timestamp(0)).await.unwrap();
    let node = TestNode::start(&source, 1).await.unwrap();
    let mut owned = Vec::new();
    for n in 1..=2 {
        let own = node.found(n).await.unwrap();
        let mut tx = source.fenced(own).await.unwrap();
        let left = Some((RotationDue::Left, Timestamp(7)));
        for (n, due, purpose, state) in [
            (1, None, CeremonyPurpose::Unlock, CeremonyState::Released),
            (2, left, CeremonyPurpose::Unlock, CeremonyState::Released),
            (3, None, CeremonyPurpose::Unlock, CeremonyState::Open),
            (4, None, CeremonyPurpose::Unlock, CeremonyState::Expired),
            (5, None, CeremonyPurpose::Recover, CeremonyState::Released),
        ] {
            let (tenant_id, vault_id) = (own.tenant, id(u64::from(n)));
            let (due, due_since) = due.unzip();
            tx.insert(&GroupVault { tenant_id, vault_id, group_id: id(u64::from(n)), due, due_since })
                .await
                .unwrap();
            tx.insert(&Ceremony { vault_id, purpose, ..ceremony(own, n, state) }).await.unwrap();
        }
        tx.commit().await.unwrap();
        owned.push(own.tenant);
    }
    put_back(&source, &store).await;
    assert_eq!(store.accept_restore(&acceptance(NOW)).await.unwrap().ceremonies, 8);
    let node = TestNode::start(&store, 6).await.unwrap();
    for tenant in owned {
        let own = node.claim(tenant).await.unwrap();
        let mut read = store.read(own).await.unwrap();
        let vaults = read.find(Filter::<GroupVault>::all()).await.unwrap();
        let due: Vec<_> = vaults.iter().map(|vault| vault.due.zip(vault.due_since)).collect();
        let (unlocked, left) = ((RotationDue::Unlocked, NOW), (RotationDue::Left, Timestamp(7)));
        assert_eq!(due, [Some(unlocked), Some(left), None, None, None]);
        let live = read.find(Ceremony::state.eq(CeremonyState::Released)).await.unwrap();
        assert!(live.is_empty());
    }
}
