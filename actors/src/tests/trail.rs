//! The audit as its people get it: pages that fit, heads and proofs, what is told as it comes.

use std::time::Duration;

use ocmt_crypto::{
    audit::{
        AuditRecord,
        checkpoint::{Checkpoint, NoteKey, open_note},
    },
    merkle::leaf_hash,
};
use ocmt_store::{Fault, Point};

use super::kit::{Kit, Person};
use crate::{
    ActorError,
    api::{
        audit::{
            AuditEvent, AuditFilter, AuditOutcome, EventAt, GetCheckpoint, ProveConsistency, ProveInclusion,
            QueryAudit, StatedCheckpoint, WatchAudit,
        },
        auth::{LinkPurpose, SignOut},
        tenant::GetTenant,
        users::{RemoveUser, Role, SetRole},
    },
    watch::Told,
};

type Events = Told<AuditEvent>;

/// The checkpoint, by the key of the node that says it.
async fn head(kit: &Kit, who: &Person) -> (StatedCheckpoint, Checkpoint) {
    let stated = kit.call(&who.caller, GetCheckpoint).await.unwrap();
    let signer = &kit.system.env.signer;
    let key = NoteKey::of_node(signer.node(), signer.verify_key());
    let text = open_note(&stated.note, &[key]).unwrap();
    let read = Checkpoint::parse(text).unwrap();
    assert_eq!(read, stated.checkpoint);
    assert_eq!(&stated.statement[..text.len()], text.as_bytes());
    (stated, read)
}

pub(super) async fn everything(kit: &Kit, who: &Person) -> Vec<crate::api::audit::AuditEntry> {
    kit.call(&who.caller, QueryAudit { limit: 500, ..QueryAudit::default() }).await.unwrap().records
}

async fn every_record_is_proven_under_a_signed_head(kit: Kit) {
    let ann = kit.founder("ann@example.com").await;
    let (_, old) = head(&kit, &ann).await;
    for _ in 0..9 {
        kit.call(&ann.caller, GetTenant).await.unwrap();
    }
    let (_, new) = head(&kit, &ann).await;
    assert_eq!(new.tree.size, old.tree.size + 10, "the head of before is a record too");
    for record in everything(&kit, &ann).await {
        let sequence = record.sequence.unsigned_abs();
        let ask = ProveInclusion { sequence, size: new.tree.size };
        if sequence > new.tree.size {
            assert_eq!(kit.call(&ann.caller, ask).await.unwrap_err().reason(), "OUT_OF_RANGE");
            continue;
        }
        let proof = kit.call(&ann.caller, ask).await.unwrap();
        assert_eq!(proof.leaf, leaf_hash(&record.canonical));
        new.tree.includes(sequence - 1, &record.canonical, &proof.path).unwrap();
        if sequence == new.tree.size {
            assert_eq!(new.chain.0, record.hash);
        }
    }
    let ask = ProveConsistency { old: old.tree.size, new: new.tree.size };
    let proof = kit.call(&ann.caller, ask).await.unwrap();
    new.tree.extends(&old.tree, &proof.path).unwrap();
    for (old, new) in [(0, 3), (4, 3), (1, 1_000)] {
        let refused = kit.call(&ann.caller, ProveConsistency { old, new }).await.unwrap_err();
        assert_eq!(refused.reason(), "OUT_OF_RANGE", "{old} {new}");
    }
    for sequence in [0, 1_000, u64::MAX] {
        let refused = kit.call(&ann.caller, ProveInclusion { sequence, size: 0 }).await.unwrap_err();
        assert_eq!(refused.reason(), "OUT_OF_RANGE", "{sequence}");
    }
}

#[tokio::test]
async fn every_record_is_proven_under_a_signed_head_on_sim() {
    every_record_is_proven_under_a_signed_head(Kit::sim().await).await;
}

#[tokio::test]
async fn every_record_is_proven_under_a_signed_head_on_sqlite() {
    every_record_is_proven_under_a_signed_head(Kit::sqlite().await).await;
}

#[tokio::test]
async fn the_log_of_one_node_is_the_beginning_of_the_next_ones() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let (_, old) = head(&kit, &ann).await;
    let other = kit.beside(2).await;
    kit.is_declared_dead().await;
    let caller = other.authenticate(&ann.token).await.unwrap();
    let ann = Person { caller, ..ann };
    let (_, new) = head(&other, &ann).await;
    assert!(new.tree.size > old.tree.size);
    let ask = ProveConsistency { old: old.tree.size, new: new.tree.size };
    let proof = other.call(&ann.caller, ask).await.unwrap();
    new.tree.extends(&old.tree, &proof.path).unwrap();
}

#[tokio::test]
async fn heads_and_proofs_are_for_who_reads_the_whole_trail_and_of_ones_own_tenant() {
    let kit = Kit::sim().await;
    let (ann, eve) = (kit.founder("ann@example.com").await, kit.founder("eve@example.com").await);
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let refused = [
        kit.call(&bob.caller, GetCheckpoint).await.map(drop),
        kit.call(&bob.caller, ProveInclusion { sequence: 1, size: 0 }).await.map(drop),
        kit.call(&bob.caller, ProveConsistency { old: 1, new: 0 }).await.map(drop),
        kit.call(&bob.caller, crate::api::audit::ExportAudit).await.map(drop),
        kit.call(&bob.caller, WatchAudit::default()).await.map(drop),
    ];
    assert!(refused.into_iter().all(|answer| answer.unwrap_err().reason() == "PERMISSION_DENIED"));
    assert_eq!(head(&kit, &eve).await.1.tenant, eve.tenant);
    assert_eq!(head(&kit, &ann).await.1.tenant, ann.tenant);
}

#[tokio::test]
async fn a_query_tells_what_fits_newest_or_oldest_first_in_pages_without_a_gap() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    for _ in 0..7 {
        kit.call(&bob.caller, GetTenant).await.unwrap();
        kit.call(&bob.caller, RemoveUser { user: ann.user }).await.unwrap_err();
    }
    let last = everything(&kit, &ann).await.last().unwrap().sequence;
    let filter = AuditFilter {
        principal: bob.user.to_string(),
        outcomes: vec![AuditOutcome::Denied],
        actions: vec!["UserService/".to_owned()],
        ..AuditFilter::default()
    };
    for descending in [false, true] {
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let ask =
                QueryAudit { after, limit: 3, filter: filter.clone(), descending, ..QueryAudit::default() };
            let page = kit.call(&ann.caller, ask).await.unwrap();
            found.extend(page.records);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), 7);
        assert!(found.iter().all(|it| it.method == "UserService/RemoveUser" && it.sequence <= last));
        assert!(found.is_sorted_by(|a, b| if descending {
            a.sequence > b.sequence
        } else {
            a.sequence < b.sequence
        }));
    }
    // who may not read all of it reads the own of it, by whatever name
    let own = AuditFilter { principal: bob.user.to_string(), ..AuditFilter::default() };
    let page = kit.call(&bob.caller, QueryAudit { filter: own, ..QueryAudit::default() }).await.unwrap();
    assert!(
        page.records.len() >= 14 && page.records.iter().all(|it| it.actor == format!("user/{}", bob.user))
    );
    let anns = AuditFilter { principal: ann.user.to_string(), ..AuditFilter::default() };
    assert!(kit.call(&bob.caller, QueryAudit { filter: anns, ..QueryAudit::default() }).await.is_err());
    let none = AuditFilter { until: Some(super::kit::START), ..AuditFilter::default() };
    let page = kit.call(&ann.caller, QueryAudit { filter: none, ..QueryAudit::default() }).await.unwrap();
    assert!(page.records.is_empty());
}

async fn watch(kit: &Kit, who: &Person, ask: WatchAudit) -> Result<Events, ActorError> {
    kit.system.watch_audit(who.caller.clone(), kit.meta(), ask).await
}

async fn next(events: &mut Events) -> Result<AuditEvent, ActorError> {
    let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
    event.expect("no event in time").expect("the stream has ended")
}

#[tokio::test]
async fn records_are_told_as_they_come_and_from_where_one_was() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let filter =
        AuditFilter { actions: vec!["TenantService/GetTenant".to_owned()], ..AuditFilter::default() };
    let mut events = watch(&kit, &ann, WatchAudit { from: None, filter: filter.clone() }).await.unwrap();
    let begun = next(&mut events).await.unwrap();
    assert!(begun.entry.is_none());
    let mut told = Vec::new();
    for _ in 0..100 {
        kit.call(&ann.caller, GetTenant).await.unwrap();
    }
    for _ in 0..100 {
        told.push(next(&mut events).await.unwrap().entry.unwrap().sequence);
    }
    assert!(told.is_sorted_by(|a, b| a < b) && told[0] > begun.at.seq);
    let mut again =
        watch(&kit, &ann, WatchAudit { from: Some(begun.at), filter: filter.clone() }).await.unwrap();
    for sequence in told {
        assert_eq!(next(&mut again).await.unwrap().at.seq, sequence);
    }
    let elsewhere = EventAt { at: ocmt_types::Timestamp(1), ..begun.at };
    let refused = watch(&kit, &ann, WatchAudit { from: Some(elsewhere), filter }).await.unwrap_err();
    assert_eq!(refused.reason(), "OUT_OF_RANGE");
}

#[tokio::test]
async fn a_watch_ends_with_the_right_and_with_the_session() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Admin).await;
    let mut events = watch(&kit, &bob, WatchAudit::default()).await.unwrap();
    next(&mut events).await.unwrap();
    kit.call(&ann.caller, SetRole { user: bob.user, role: Role::Member.into() }).await.unwrap();
    // what he did himself comes first
    let refused = loop {
        if let Err(refused) = next(&mut events).await {
            break refused;
        }
    };
    assert_eq!(refused.reason(), "PERMISSION_DENIED");
    let second = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    let mut events = watch(&kit, &second, WatchAudit::default()).await.unwrap();
    next(&mut events).await.unwrap();
    kit.call(&second.caller, SignOut).await.unwrap();
    loop {
        let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
        match event.expect("the stream goes on without a session") {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => break,
        }
    }
}

#[tokio::test]
async fn a_record_says_from_where_and_with_what_assurance() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let mut caller = ann.caller.clone();
    caller.addr = Some("192.0.2.7".parse().unwrap());
    kit.call(&caller, GetTenant).await.unwrap();
    kit.call(&caller, RemoveUser { user: ocmt_store::testing::id(9) }).await.unwrap_err();
    let records = everything(&kit, &ann).await;
    for method in ["TenantService/GetTenant", "UserService/RemoveUser"] {
        let record = records.iter().rfind(|record| record.method == method).unwrap();
        let record = AuditRecord::from_bytes(&record.canonical).unwrap();
        for (name, value) in [("assurance", "link"), ("from", "192.0.2.7")] {
            assert!(record.details.contains(&(name.to_owned(), value.to_owned())), "{:?}", record.details);
        }
    }
}

/// A read too: what a tenant cannot write down it does not get, and no other tenant notices.
#[tokio::test]
async fn a6_a_read_that_cannot_be_recorded_is_not_answered_and_is_no_other_tenants_trouble() {
    let kit = Kit::sim().await;
    let (ann, bob) = (kit.founder("ann@example.com").await, kit.founder("bob@example.com").await);
    kit.store.faults().unwrap().plan(Point::Commit, Fault::Full);
    assert_eq!(kit.call(&ann.caller, GetTenant).await.unwrap_err().reason(), "STORE_FULL");
    kit.call(&bob.caller, GetTenant).await.unwrap();
    kit.store.faults().unwrap().plan(Point::Commit, Fault::Full);
    // a refusal that cannot be recorded is none either
    let refused = kit.call(&ann.caller, RemoveUser { user: ocmt_store::testing::id(9) }).await.unwrap_err();
    assert_eq!(refused.reason(), "STORE_FULL");
    kit.call(&ann.caller, GetTenant).await.unwrap();
}
