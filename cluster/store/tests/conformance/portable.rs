//! The whole database as a dump: it comes back row by row, damage is named, a restore is to be accepted.

use ocmt_crypto::audit::{Actor, ChainVerifier};
use ocmt_store::{
    Acceptance, DumpError, Filter, Purpose, Revocations, Store, StoreError,
    tables::{
        Assurance, AuditRow, Capability, CapabilityState, Ceremony, CeremonyPurpose, CeremonyState,
        Conversation, Link, LinkPurpose, ObjectBody, Session, Share, ShareState, TranscriptRecord, User,
    },
    testing::{TestNode, id, user},
};
use ocmt_types::{Digest32, Ownership, Timestamp};

use super::areas::{record, signup};

const NOW: Timestamp = Timestamp(1_000);

fn session(own: Ownership, n: u8) -> Session {
    Session {
        tenant_id: own.tenant,
        session_id: id(u64::from(n)),
        user_id: id(1),
        token_hash: Digest32([n; 32]),
        assurance: Assurance::ALL[0],
        client: "tëst \u{1f511}".into(),
        created_at: Timestamp(0),
        authenticated_at: Timestamp(0),
        seen_at: Timestamp(i64::MAX),
        idle_expires_at: Timestamp(5_000),
        expires_at: Timestamp(9_000),
        ended_at: (n == 9).then_some(Timestamp(7)),
        address: (n == 9).then(|| "192.0.2.7".to_owned()),
        passkey: n == 9,
    }
}

fn link(own: Ownership) -> Link {
    Link {
        tenant_id: own.tenant,
        token_hash: Digest32([3; 32]),
        user_id: id(1),
        purpose: LinkPurpose::SignIn,
        binding_hash: Digest32([4; 32]),
        created_at: Timestamp(0),
        expires_at: Timestamp(5_000),
    }
}

pub(super) fn ceremony(own: Ownership, n: u8, state: CeremonyState) -> Ceremony {
    Ceremony {
        tenant_id: own.tenant,
        ceremony_id: Digest32([n; 32]),
        user_id: id(1),
        vault_id: id(1),
        set_id: id(1),
        purpose: CeremonyPurpose::Recover,
        state,
        params: vec![1],
        opened_by: id(1),
        release_public: Digest32([n; 32]),
        release_private_wrapped: Some(vec![n; 48]),
        statement: vec![],
        certificates: vec![],
        approved_units: 2,
        opened_at: Timestamp(1),
        notified_at: None,
        matures_at: None,
        expires_at: Timestamp(9_000),
        released_at: None,
        ended_at: None,
        version: 3,
        new_email: None,
    }
}

fn share(own: Ownership, n: u64, state: ShareState) -> Share {
    Share {
        tenant_id: own.tenant,
        share_id: id(600 + n),
        vault_id: id(1),
        owner_user: id(50),
        giver_user: id(50),
        taker_user: id(51),
        parent_share: None,
        permissions: "read".to_owned(),
        state,
        created_at: Timestamp(1),
        expires_at: None,
        ended_at: None,
    }
}

fn capability(own: Ownership, n: u64, state: CapabilityState) -> Capability {
    Capability {
        tenant_id: own.tenant,
        capability_id: id(650 + n),
        requester_user: id(51),
        requester_program: (n == 1).then(|| id(70)),
        vault_id: id(1),
        owner_user: id(50),
        object_id: Digest32([7; 32]),
        permissions: "read".to_owned(),
        lifetime_ms: 60_000,
        reason: "why".to_owned(),
        state,
        requested_at: Timestamp(1),
        expires_at: Timestamp(9_000),
        decided_by: (n > 0).then(|| id(50)),
        share_id: None,
        version: (n == 1).then_some(3),
        sign_key: Some(Digest32([8; 32])),
        sealed_grant: (n == 1).then(|| vec![1, 2]),
    }
}

fn conversation(own: Ownership) -> Conversation {
    Conversation {
        tenant_id: own.tenant,
        conversation_id: id(700),
        owner_user: id(50),
        vault_id: id(1),
        key_object: Digest32([2; 32]),
        container_id: None,
        first_sequence: 2,
        before_tag: vec![0; 16],
        next_sequence: 4,
        last_tag: vec![255; 16],
        last_epoch: 1,
        finished: true,
        total_bytes: 210_000,
        pruned_bytes: 70_000,
        pruned: false,
        created_at: Timestamp(1),
        updated_at: Timestamp(2),
    }
}

fn said(own: Ownership, sequence: i64) -> TranscriptRecord {
    let record = vec![u8::try_from(sequence).unwrap(); 70_000];
    let total_bytes = 70_000 * sequence;
    TranscriptRecord { tenant_id: own.tenant, conversation_id: id(700), sequence, record, total_bytes }
}

/// Two tenants with a little of everything, and more rows than one page of a dump.
pub(super) async fn fill(store: &Store) -> Vec<Ownership> {
    store.cluster().cluster(id(1_000), Timestamp(5)).await.unwrap();
    let node = TestNode::start(store, 1).await.unwrap();
    store.directory().put_signup(&signup(1, "a@example.org")).await.unwrap();
    let mut owned = Vec::new();
    for n in 1..=2 {
        let own = node.found(n).await.unwrap();
        let mut tx = store.fenced(own).await.unwrap();
        for subject in 0..250 {
            tx.set_timer("test", &format!("{subject}"), Timestamp(subject), &[0, 255, 7]).await.unwrap();
        }
        tx.insert(&User { totp_last_step: Some(i64::MIN), ..user(own.tenant, 50) }).await.unwrap();
        tx.insert(&session(own, 8)).await.unwrap();
        tx.insert(&session(own, 9)).await.unwrap();
        tx.insert(&link(own)).await.unwrap();
        tx.insert(&ceremony(own, 1, CeremonyState::Ready)).await.unwrap();
        tx.insert(&ceremony(own, 2, CeremonyState::Completed)).await.unwrap();
        for (n, state) in ShareState::ALL.iter().enumerate() {
            tx.insert(&share(own, u64::try_from(n).unwrap(), *state)).await.unwrap();
        }
        for (n, state) in CapabilityState::ALL.iter().enumerate() {
            tx.insert(&capability(own, u64::try_from(n).unwrap(), *state)).await.unwrap();
        }
        tx.insert(&conversation(own)).await.unwrap();
        tx.insert(&said(own, 2)).await.unwrap();
        tx.insert(&said(own, 3)).await.unwrap();
        tx.insert(&ObjectBody {
            tenant_id: own.tenant,
            vault_id: id(1),
            object_id: Digest32([1; 32]),
            body: vec![0xab; 300_000],
        })
        .await
        .unwrap();
        tx.audit(&record(own.tenant, 1)).await.unwrap();
        tx.commit().await.unwrap();
        owned.push(own);
    }
    owned
}

async fn dumped(store: &Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.dump(&mut bytes).await.unwrap();
    bytes
}

pub async fn a_dump_comes_back_row_by_row(store: Store) {
    let owned = fill(&store).await;
    let mut bytes = Vec::new();
    let written = store.dump(&mut bytes).await.unwrap();
    let timers = written.rows.iter().find(|(table, _)| table == "timers").unwrap();
    assert_eq!(timers.1, 500);
    let other = Store::sim();
    assert_eq!(other.load(&mut bytes.as_slice(), Purpose::Copy).await.unwrap(), written);
    assert!(dumped(&other).await == bytes, "the same rows make the same dump");
    for own in owned {
        let (mut here, mut there) = (store.read(own).await.unwrap(), other.read(own).await.unwrap());
        assert_eq!(
            here.find::<Session>(Filter::all()).await.unwrap(),
            there.find::<Session>(Filter::all()).await.unwrap()
        );
        assert_eq!(there.get::<User>(id(50)).await.unwrap().unwrap().totp_last_step, Some(i64::MIN));
        assert_eq!(
            here.find::<ObjectBody>(Filter::all()).await.unwrap(),
            there.find::<ObjectBody>(Filter::all()).await.unwrap()
        );
    }
}

pub async fn a_dump_goes_into_an_empty_database_only(store: Store) {
    let source = Store::sim();
    fill(&source).await;
    let bytes = dumped(&source).await;
    store.load(&mut bytes.as_slice(), Purpose::Copy).await.unwrap();
    assert!(dumped(&store).await == bytes);
    let again = store.load(&mut bytes.as_slice(), Purpose::Copy).await.unwrap_err();
    assert!(matches!(again, DumpError::NotEmpty { table: "cluster" }), "{again}");
}

pub async fn a_damaged_dump_is_refused_where_it_is_and_changes_nothing(store: Store) {
    let source = Store::sim();
    fill(&source).await;
    let good = dumped(&source).await;
    let empty = dumped(&store).await;
    let at = good.windows(9).position(|bytes| bytes == b"\0\0\0\x04test\x02").unwrap();
    let mut flipped = good.clone();
    flipped[at + 4] ^= 1;
    let refused = store.load(&mut flipped.as_slice(), Purpose::Copy).await.unwrap_err();
    let place = matches!(&refused, DumpError::Damaged { place, .. } if place == "row 1 of timers");
    assert!(place, "{refused}");
    for kept in [good.len() - 1, good.len() - 33, at, 40, 9] {
        let refused = store.load(&mut &good[..kept], Purpose::Copy).await.unwrap_err();
        assert!(matches!(refused, DumpError::CutOff { .. }), "cut at {kept}: {refused}");
    }
    let mut longer = good.clone();
    longer.push(0);
    let refused = store.load(&mut longer.as_slice(), Purpose::Copy).await.unwrap_err();
    assert!(matches!(refused, DumpError::Damaged { .. }), "{refused}");
    let refused = store.load(&mut &b"something else"[..], Purpose::Copy).await.unwrap_err();
    assert!(matches!(refused, DumpError::Unknown), "{refused}");
    assert!(dumped(&store).await == empty, "a refused load left something");
    store.load(&mut good.as_slice(), Purpose::Copy).await.unwrap();
}

pub async fn a_restored_database_takes_no_node_until_that_is_accepted(store: Store) {
    let source = Store::sim();
    let owned = fill(&source).await;
    let acceptance = Acceptance {
        at: NOW,
        request: id(9),
        actor: Actor::Operator([5; 16]),
        floor: 77,
        went_back: false,
        revoked: Revocations::default(),
        sealing: Some((id(1), 3)),
    };
    let none = source.accept_restore(&Acceptance { floor: 0, ..acceptance.clone() }).await.unwrap_err();
    assert!(matches!(none, StoreError::Invalid { .. }), "{none}");
    let bytes = dumped(&source).await;
    store.load(&mut bytes.as_slice(), Purpose::Restore(NOW)).await.unwrap();
    let refused = TestNode::start(&store, 2).await.err();
    assert!(
        matches!(&refused, Some(StoreError::Schema(text)) if text.contains("accept-restore")),
        "{refused:?}"
    );

    let accepted = store.accept_restore(&acceptance).await.unwrap();
    assert_eq!((accepted.tenants, accepted.sessions, accepted.ceremonies), (2, 2, 2));
    assert_eq!(accepted.shares, 4, "of each tenant one offer, and one that was taken");
    assert_eq!(accepted.tokens, 3, "two links and a sign-up");
    assert!(accepted.view_version > 77);
    let cluster = store.cluster().cluster(id(3), NOW).await.unwrap();
    assert_eq!((cluster.view_version, cluster.restored_at), (accepted.view_version, None));
    assert!(store.cluster().living_nodes().await.unwrap().is_empty());
    for own in owned {
        assert!(
            matches!(store.fenced(own).await.err(), Some(StoreError::Fenced)),
            "a life of before goes on"
        );
        check_tenant(&store, own).await;
    }
    assert_eq!(store.operators().audit_page(0, 10).await.unwrap().len(), 1);
    assert!(store.accept_restore(&acceptance).await.is_err(), "once");
}

async fn check_tenant(store: &Store, before: Ownership) {
    // a life of its own for each tenant: an incarnation registers once
    let n = u64::from(before.tenant.as_bytes()[15]);
    let node = TestNode::start(store, 40 + n).await.unwrap();
    let own = node.claim(before.tenant).await.unwrap();
    let mut tx = store.read(own).await.unwrap();
    let ended: Vec<_> =
        tx.find::<Session>(Filter::all()).await.unwrap().iter().map(|row| row.ended_at).collect();
    assert_eq!(ended, [Some(NOW), Some(Timestamp(7))]);
    assert_eq!(tx.count(Filter::<Link>::all()).await.unwrap(), 0);
    let ceremonies = tx.find::<Ceremony>(Filter::all()).await.unwrap();
    assert_eq!(
        (ceremonies[0].state, ceremonies[0].version, ceremonies[0].ended_at),
        (CeremonyState::Cancelled, 4, Some(NOW))
    );
    assert_eq!(ceremonies[0].release_private_wrapped, None);
    assert_eq!(ceremonies[1], ceremony(own, 2, CeremonyState::Completed), "what was over stays as it was");
    let capabilities = tx.find::<Capability>(Filter::all()).await.unwrap();
    let over = [capability(own, 2, CapabilityState::Denied), capability(own, 3, CapabilityState::Expired)];
    assert_eq!(capabilities, over, "nothing waits to be decided, nothing is in force");
    let shares = tx.find::<Share>(Filter::all()).await.unwrap();
    let ended = |n: u64| (ShareState::Revoked, Some(NOW), id(n));
    let shown = |row: &Share| (row.state, row.ended_at, row.share_id);
    assert_eq!(shares[..2].iter().map(shown).collect::<Vec<_>>(), [ended(600), ended(601)]);
    assert_eq!(shares[2..], [share(own, 2, ShareState::Revoked), share(own, 3, ShareState::Expired)]);
    let rows: Vec<AuditRow> = tx.audit_page(Filter::all(), 0, 10).await.unwrap();
    let mut chain = ChainVerifier::new(own.tenant);
    for row in &rows {
        chain.next(row.seq.unsigned_abs(), &row.record, &row.hash).unwrap();
    }
    assert_eq!(rows.last().unwrap().action, "cluster.accept_restore");
}
