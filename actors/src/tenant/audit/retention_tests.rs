//! Retention: what is old goes by the policy and nothing else does, and what is left proves what went.

use std::time::Duration;

use ocmt_crypto::{
    audit::{
        Actor, AuditRecord, ChainVerifier, Outcome, checkpoint::NoteKey, checkpoint::open_note, cut::Cut,
    },
    merkle::{leaf_hash, log::Peaks},
};
use ocmt_store::{
    FencedTx, Filter,
    tables::{AuditRetention, AuditRow, Timer},
};
use ocmt_types::{Clock as _, Digest32, Ownership, Secret};

use super::{DAY, DELAY, EVERY, KEPT, SET};
use crate::{
    ActorError,
    api::{
        audit::{
            AuditEntry, AuditFilter, ExportAudit, GetAuditRetention, GetCheckpoint, ProveConsistency,
            ProveInclusion, QueryAudit, ReadAuditLeaves, RetentionInfo, SetAuditRetention, SetAuditStream,
        },
        auth::LinkPurpose,
        tenant::GetTenant,
        users::Role,
    },
    node::NodeMessage,
    tenant::TenantMessage,
    tests::kit::{Kit, Person, until},
};

const KEEP: Duration = Duration::from_secs(100 * DAY);

async fn again(kit: &Kit, who: &Person) -> Person {
    kit.sign_in(who, LinkPurpose::SignIn).await
}

async fn keep(kit: &Kit, who: &Person, keep: Option<Duration>) -> Result<RetentionInfo, ActorError> {
    kit.call(&who.caller, SetAuditRetention { keep }).await
}

async fn calls(kit: &Kit, who: &Person, n: usize) {
    for _ in 0..n {
        kit.call(&who.caller, GetTenant).await.unwrap();
    }
}

async fn all(kit: &Kit, who: &Person, actions: &[&str]) -> Vec<AuditEntry> {
    let actions = actions.iter().map(|action| (*action).to_owned()).collect();
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let filter = AuditFilter { actions: Clone::clone(&actions), ..AuditFilter::default() };
        let ask = QueryAudit { after, limit: 500, filter, continues: true, ..QueryAudit::default() };
        let page = kit.call(&who.caller, ask).await.unwrap();
        all.extend(page.records);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

async fn fenced(kit: &Kit, who: &Person) -> FencedTx {
    let own = kit.store.cluster().owner(who.tenant).await.unwrap().unwrap();
    let own = Ownership { tenant: who.tenant, incarnation: own.incarnation.unwrap(), epoch: own.epoch };
    kit.store.fenced(own).await.unwrap()
}

async fn row(kit: &Kit, who: &Person) -> AuditRetention {
    fenced(kit, who).await.first::<AuditRetention>(Filter::all()).await.unwrap().unwrap()
}

fn look(kit: &Kit, who: &Person) {
    kit.system.env.to_root(NodeMessage::ToTenant(who.tenant, TenantMessage::TimerDue));
}

async fn pruned(kit: &Kit, who: &Person, upto: i64) {
    until("it is pruned", async || {
        look(kit, who);
        row(kit, who).await.cut >= upto
    })
    .await;
}

/// Some hundred records that are long past, under a policy.
async fn long_ago(kit: &Kit, records: usize) -> Person {
    let ann = kit.founder("ann@example.com").await;
    let ann = again(kit, &ann).await;
    keep(kit, &ann, Some(KEEP)).await.unwrap();
    calls(kit, &ann, records).await;
    ann
}

async fn what_is_left_proves_what_went(kit: Kit) {
    let ann = long_ago(&kit, 600).await;
    let old = kit.call(&ann.caller, GetCheckpoint).await.unwrap().checkpoint;
    let records = all(&kit, &ann, &[]).await;
    kit.clock.advance(KEEP + Duration::from_secs(DAY));
    let ann = again(&kit, &ann).await;
    calls(&kit, &ann, 3).await;
    pruned(&kit, &ann, 512).await;
    // whole pieces of what is too old, and not one more
    let cut = row(&kit, &ann).await;
    assert_eq!((cut.cut, cut.pruned_at.is_some()), (512, true));
    let left = all(&kit, &ann, &[]).await;
    assert_eq!(left[0].sequence, 513);
    // signed: up to where, and by which record
    let opened = kit.call(&ann.caller, ExportAudit).await.unwrap().cut.unwrap();
    let signer = &kit.system.env.signer;
    let key = NoteKey::of_node(signer.node(), signer.verify_key());
    let said = Cut::parse(open_note(&opened.note, &[key]).unwrap()).unwrap();
    assert_eq!((said.tree.size, u128::from(said.kept_ms)), (512, KEEP.as_millis()));
    let policy = left.iter().find(|record| record.sequence.unsigned_abs() == said.policy).unwrap();
    assert_eq!((policy.method.as_str(), leaf_hash(&policy.canonical)), ("audit.retention", said.policy_leaf));
    // the chain goes on from it, and the tree from its leaves
    let mut chain = ChainVerifier::after(&ocmt_crypto::audit::AuditHead {
        tenant: ann.tenant,
        seq: said.tree.size,
        hash: said.chain,
        at: said.at,
    });
    let mut peaks = Peaks::default();
    for (_, hashes) in kit.call(&ann.caller, ReadAuditLeaves { after: -1 }).await.unwrap().pieces {
        hashes.as_chunks::<32>().0.iter().for_each(|leaf| drop(peaks.push(Digest32(*leaf))));
    }
    assert_eq!((peaks.size(), peaks.root()), (512, said.tree.root));
    for record in &left {
        chain.next(record.sequence.unsigned_abs(), &record.canonical, &Digest32(record.hash)).unwrap();
    }
    // heads and records of before are proven still
    let now = kit.call(&ann.caller, GetCheckpoint).await.unwrap().checkpoint.tree;
    let ask = ProveConsistency { old: old.tree.size, new: now.size };
    now.extends(&old.tree, &kit.call(&ann.caller, ask).await.unwrap().path).unwrap();
    for record in records.iter().step_by(37) {
        let sequence = record.sequence.unsigned_abs();
        let proof = kit.call(&ann.caller, ProveInclusion { sequence, size: now.size }).await.unwrap();
        assert_eq!(proof.leaf, leaf_hash(&record.canonical));
        now.includes(sequence - 1, &record.canonical, &proof.path).unwrap();
    }
    let said: Vec<_> = all(&kit, &ann, &["audit."]).await;
    let said: Vec<_> = said.iter().map(|record| record.method.as_str()).collect();
    assert_eq!(said, ["audit.retention", "audit.pruned"]);
}

#[tokio::test]
async fn what_is_left_proves_what_went_on_sim() {
    what_is_left_proves_what_went(Kit::sim().await).await;
}

#[tokio::test]
async fn what_is_left_proves_what_went_on_sqlite() {
    what_is_left_proves_what_went(Kit::sqlite().await).await;
}

#[tokio::test]
async fn nothing_goes_before_its_time_or_without_a_policy() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    calls(&kit, &ann, 300).await;
    kit.clock.advance(KEEP + KEEP);
    let ann = again(&kit, &ann).await;
    assert_eq!(kit.call(&ann.caller, GetAuditRetention).await.unwrap().keep, None);
    for keep in [Duration::from_secs(89 * DAY), Duration::from_secs(40_000 * DAY), Duration::ZERO] {
        let refused = self::keep(&kit, &ann, Some(keep)).await.unwrap_err();
        assert_eq!(refused.reason(), "INVALID_ARGUMENT", "{keep:?}");
    }
    let set = keep(&kit, &ann, Some(KEEP)).await.unwrap();
    assert_eq!((set.keep, set.pruned), (Some(KEEP), 0));
    let told = async || kit.mailbox.count_of(&ann.email, "audit.retention") == 1;
    until("the owners are told", told).await;
    // they are old enough, but who did not set it has a week
    kit.clock.advance(DELAY - Duration::from_secs(60));
    look(&kit, &ann);
    let ann = again(&kit, &ann).await;
    assert_eq!(kit.call(&ann.caller, GetAuditRetention).await.unwrap().pruned, 0);
    keep(&kit, &ann, None).await.unwrap();
    kit.clock.advance(DELAY + EVERY);
    look(&kit, &ann);
    let ann = again(&kit, &ann).await;
    calls(&kit, &ann, 1).await;
    let shown = kit.call(&ann.caller, GetAuditRetention).await.unwrap();
    assert_eq!((shown.keep, shown.pruned, shown.prunes_from), (None, 0, None));
    assert_eq!(all(&kit, &ann, &[]).await[0].sequence, 1);
}

#[tokio::test]
async fn a_policy_that_no_record_sets_prunes_nothing() {
    let kit = Kit::sim().await;
    let ann = long_ago(&kit, 300).await;
    // somebody with the database shortens it
    let kept = row(&kit, &ann).await;
    let short = i64::try_from(KEEP.as_millis()).unwrap() - 1_000;
    let mut tx = fenced(&kit, &ann).await;
    tx.update(&AuditRetention { keep_ms: short, ..kept.clone() }).await.unwrap();
    tx.commit().await.unwrap();
    kit.clock.advance(KEEP + Duration::from_secs(DAY));
    look(&kit, &ann);
    let ann = again(&kit, &ann).await;
    calls(&kit, &ann, 2).await;
    assert_eq!(row(&kit, &ann).await.cut, 0);
    // and names another record, which sets nothing
    let mut tx = fenced(&kit, &ann).await;
    let other: AuditRow = tx.get(kept.policy_seq + 1).await.unwrap().unwrap();
    assert_ne!(other.action, SET);
    tx.update(&AuditRetention { policy_seq: other.seq, ..kept.clone() }).await.unwrap();
    tx.commit().await.unwrap();
    kit.clock.advance(EVERY);
    look(&kit, &ann);
    calls(&kit, &again(&kit, &ann).await, 2).await;
    assert_eq!(row(&kit, &ann).await.cut, 0);
    let mut tx = fenced(&kit, &ann).await;
    tx.update(&kept).await.unwrap();
    tx.commit().await.unwrap();
    kit.clock.advance(EVERY);
    pruned(&kit, &ann, 256).await;
}

/// Somebody with the database writes this row, and has the timer come now; until it has gone by that.
async fn goes_by(kit: &Kit, who: &Person, row: &AuditRetention) -> Timer {
    let due = kit.clock.now();
    let mut tx = fenced(kit, who).await;
    tx.update(row).await.unwrap();
    tx.set_timer(super::TIMER, "", due, &[]).await.unwrap();
    tx.commit().await.unwrap();
    let timer = async || {
        let key = (super::TIMER.to_owned(), String::new());
        fenced(kit, who).await.get::<Timer>(key).await.unwrap().filter(|timer| timer.due_at > due)
    };
    until("the timer has gone by it", async || {
        look(kit, who);
        timer().await.is_some()
    })
    .await;
    timer().await.unwrap()
}

#[tokio::test]
async fn a_policy_that_was_taken_back_prunes_nothing() {
    let kit = Kit::sim().await;
    let ann = long_ago(&kit, 300).await;
    let taken_back = row(&kit, &ann).await;
    keep(&kit, &ann, None).await.unwrap();
    kit.clock.advance(KEEP + Duration::from_secs(DAY));
    let ann = again(&kit, &ann).await;
    // its row is put back, whose record is there
    goes_by(&kit, &ann, &taken_back).await;
    assert_eq!(row(&kit, &ann).await.cut, 0);
    // one that is set now goes, whoever tried in vain to set another
    let bob = kit.member(&ann, "bob@example.com", Role::Admin).await;
    keep(&kit, &ann, Some(KEEP)).await.unwrap();
    assert_eq!(keep(&kit, &bob, None).await.unwrap_err().reason(), "PERMISSION_DENIED");
    kit.clock.advance(DELAY);
    pruned(&kit, &again(&kit, &ann).await, 256).await;
}

#[tokio::test]
async fn a_record_of_something_else_and_one_of_a_refusal_set_no_policy() {
    let kit = Kit::sim().await;
    let ann = long_ago(&kit, 300).await;
    let kept = row(&kit, &ann).await;
    for (action, outcome) in [("audit.pruned", Outcome::Allowed), (SET, Outcome::Denied)] {
        let record = AuditRecord {
            tenant: ann.tenant,
            at: kit.clock.now(),
            request: ocmt_store::testing::id(1),
            actor: Actor::Anonymous,
            action: action.to_owned(),
            object: String::new(),
            outcome,
            details: vec![(KEPT.to_owned(), kept.keep_ms.to_string())],
        };
        let mut tx = fenced(&kit, &ann).await;
        let policy_seq = tx.audit(&record).await.unwrap();
        let named = AuditRetention { policy_seq, ..kept.clone() };
        tx.update(&named).await.unwrap();
        tx.commit().await.unwrap();
        // not before: the policy that was set would go by itself
        kit.clock.advance(KEEP + Duration::from_secs(DAY));
        goes_by(&kit, &ann, &named).await;
        assert_eq!(row(&kit, &ann).await.cut, 0, "{action}");
    }
    goes_by(&kit, &ann, &kept).await;
    assert_eq!(row(&kit, &ann).await.cut, 256, "by the record that set it");
}

#[tokio::test]
async fn a_timer_that_comes_too_early_prunes_nothing() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    calls(&kit, &ann, 300).await;
    kit.clock.advance(KEEP + KEEP);
    let ann = again(&kit, &ann).await;
    keep(&kit, &ann, Some(KEEP)).await.unwrap();
    let kept = row(&kit, &ann).await;
    kit.clock.advance(DELAY / 2);
    assert_eq!(goes_by(&kit, &ann, &kept).await.due_at, kept.not_before);
    assert_eq!(row(&kit, &ann).await.cut, 0);
}

#[tokio::test]
async fn a_stream_begins_behind_what_was_pruned() {
    let kit = Kit::sim().await;
    let ann = long_ago(&kit, 300).await;
    kit.clock.advance(KEEP + Duration::from_secs(DAY));
    let ann = again(&kit, &ann).await;
    pruned(&kit, &ann, 256).await;
    let from = async |from| {
        let secret = |text: &str| Some(Secret::new(text.to_owned()));
        let target = secret("https://siem.example.org/");
        let ask = SetAuditStream { target, secret: secret("a-key-of-thirty-two-bytes-or-more"), from };
        kit.call(&ann.caller, ask).await
    };
    for gone in [1, 256] {
        let refused = from(Some(gone)).await.unwrap_err();
        assert!(refused.reason() == "OUT_OF_RANGE" && refused.to_string().contains("pruned"), "{refused}");
    }
    assert_eq!(from(Some(257)).await.unwrap().sent, 256);
}

#[tokio::test]
async fn how_long_it_is_kept_is_the_owners_to_say_who_has_just_shown_who_they_are() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let ann = again(&kit, &ann).await;
    let bob = kit.member(&ann, "bob@example.com", Role::Admin).await;
    let cy = kit.member(&ann, "cy@example.com", Role::Member).await;
    assert_eq!(keep(&kit, &bob, Some(KEEP)).await.unwrap_err().reason(), "PERMISSION_DENIED");
    kit.call(&bob.caller, GetAuditRetention).await.unwrap();
    for refused in [
        kit.call(&cy.caller, GetAuditRetention).await.map(drop),
        kit.call(&cy.caller, ReadAuditLeaves { after: -1 }).await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().reason(), "PERMISSION_DENIED");
    }
    kit.clock.advance(Duration::from_secs(3_000));
    assert_eq!(keep(&kit, &ann, Some(KEEP)).await.unwrap_err().reason(), "STEP_UP_REQUIRED");
}
