#![allow(clippy::unwrap_used)]
use std::{fs, os::unix::fs::PermissionsExt as _};

use ocmt_crypto::{
    audit::{Actor, AuditRecord, Outcome, checkpoint::NoteKey, cut::Cut},
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};
use ocmt_store::{
    Filter,
    tables::{AuditNodes, AuditRow},
    testing::TestNode,
};
use ocmt_types::{ManualClock, NodeId, Ownership, Timestamp};

use super::*;

struct Signer(SigningKey);

impl NodeSigner for Signer {
    fn node(&self) -> NodeId {
        ocmt_store::testing::id(1)
    }
    fn verify_key(&self) -> VerifyKey {
        self.0.verify_key()
    }
    fn sign(&self, purpose: Purpose, message: &[u8]) -> Signature {
        self.0.sign(purpose, message)
    }
    fn sign_checkpoint(&self, checkpoint: &Checkpoint) -> Signature {
        checkpoint.sign(&self.0)
    }
    fn sign_cut(&self, cut: &Cut) -> Signature {
        cut.sign(&self.0)
    }
    fn certificate_chain(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

async fn append(store: &Store, own: Ownership) {
    append_at(store, own, 1).await;
}

async fn append_at(store: &Store, own: Ownership, at: i64) {
    let record = AuditRecord {
        tenant: own.tenant,
        at: Timestamp(at),
        request: ocmt_store::testing::id(2),
        actor: Actor::Anonymous,
        action: "test.done".to_owned(),
        object: String::new(),
        outcome: Outcome::Allowed,
        details: Vec::new(),
    };
    let mut tx = store.fenced(own).await.unwrap();
    tx.audit(&record).await.unwrap();
    tx.commit().await.unwrap();
}

fn noter(store: &Store) -> Noter {
    let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
    Noter::new(store.clone(), clock, Arc::new(ocmt_types::RandomIds), ocmt_store::testing::id(1))
}

fn trust() -> Trust {
    let signer = Signer(SigningKey::from_bytes(&[5; 32]));
    Trust { ca: None, keys: vec![NoteKey::of_node(signer.node(), signer.verify_key())] }
}

fn witness(store: &Store, place: Place) -> Witness {
    let signer = Arc::new(Signer(SigningKey::from_bytes(&[5; 32])));
    let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
    Witness::new(store.clone(), signer, clock, noter(store), place, &trust())
}

/// What operators find in the cluster's audit.
async fn refusals(store: &Store) -> Vec<String> {
    let rows = store.operators().audit_page(0, 100).await.unwrap();
    let refused = rows.into_iter().filter(|row| row.action == condition::WITNESS_REFUSED);
    refused.map(|row| row.object).collect()
}

/// A cluster with one node and one tenant.
async fn one_tenant() -> (Store, Ownership) {
    let store = Store::sim();
    store.cluster().cluster(ocmt_store::testing::id(1_000), Timestamp(0)).await.unwrap();
    let own = TestNode::start(&store, 1).await.unwrap().found(1).await.unwrap();
    (store, own)
}

/// What the file holds, proven.
fn kept(text: &str) -> Vec<(TenantId, u64)> {
    let read = KeptCheckpoint::read(text).unwrap();
    let proven = read.iter().map(|kept| kept.prove(&trust()).unwrap());
    proven.map(|checkpoint| (checkpoint.tenant, checkpoint.tree.size)).collect()
}

#[tokio::test]
async fn what_has_grown_is_handed_out_once_signed_and_what_was_not_taken_again() {
    let store = Store::sim();
    store.cluster().cluster(ocmt_store::testing::id(1_000), Timestamp(0)).await.unwrap();
    let node = TestNode::start(&store, 1).await.unwrap();
    let (one, two) = (node.found(1).await.unwrap(), node.found(2).await.unwrap());
    append(&store, one).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("away").join("heads.jsonl");
    let mut witness = witness(&store, Place::File(file.clone()));
    assert!(matches!(witness.round().await, Err(RoundError::Place(_))), "the disk is away");
    fs::create_dir(folder.path().join("away")).unwrap();
    assert_eq!(witness.round().await.unwrap(), 1);
    assert_eq!(witness.round().await.unwrap(), 0);
    append(&store, one).await;
    append(&store, two).await;
    append(&store, two).await;
    assert_eq!(witness.round().await.unwrap(), 2);
    let text = fs::read_to_string(&file).unwrap();
    let mut told = kept(&text);
    told[1..].sort();
    assert_eq!(told, [(one.tenant, 1), (one.tenant, 2), (two.tenant, 2)]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

/// What stands in the file: heads by their size, refusals by what is there now.
fn told(text: &str) -> (Vec<u64>, Vec<Option<u64>>) {
    let heads = kept(text).into_iter().map(|(_, size)| size).collect();
    let refused = Refusal::read(text).into_iter().map(|refused| refused.has.map(|seen| seen.size)).collect();
    (heads, refused)
}

/// A log of before, put back under the node: it is not signed, and all are told once.
#[tokio::test]
async fn the_head_of_a_log_that_went_back_is_refused_until_it_goes_on_again() {
    let (store, own) = one_tenant().await;
    append(&store, own).await;
    let before = store.read(own).await.unwrap().audit_head().await.unwrap().unwrap();
    append(&store, own).await;
    let after = store.read(own).await.unwrap().audit_head().await.unwrap().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heads.jsonl");
    let mut witness = witness(&store, Place::File(file.clone()));
    assert_eq!(witness.round().await.unwrap(), 1);
    put_head(&store, own, &before).await;
    for handed in [1, 0, 0] {
        // the first: that of the cluster's audit, which has it by then
        assert_eq!(witness.round().await.unwrap(), handed);
    }
    let text = fs::read_to_string(&file).unwrap();
    let of_tenant: Vec<u64> =
        kept(&text).into_iter().filter(|(tenant, _)| *tenant == own.tenant).map(|(_, size)| size).collect();
    assert_eq!((of_tenant, told(&text).1), (vec![2], vec![Some(1)]));
    assert_eq!(refusals(&store).await, [format!("audit/{}", own.tenant)]);
    // mended: it goes on from the last one that was handed out
    put_head(&store, own, &after).await;
    append(&store, own).await;
    assert_eq!(witness.round().await.unwrap(), 1);
    assert_eq!(kept(&fs::read_to_string(&file).unwrap()).last(), Some(&(own.tenant, 3)));
}

async fn put_head(store: &Store, own: Ownership, head: &AuditHead) {
    let mut tx = store.fenced(own).await.unwrap();
    assert!(tx.update(head).await.unwrap());
    tx.commit().await.unwrap();
}

/// Writes the audit anew with other records, `n` of them, chain and tree whole, as somebody with the database can.
async fn forge(store: &Store, own: Ownership, n: i64) {
    let mut tx = store.fenced(own).await.unwrap();
    tx.delete_all::<AuditRow>(Filter::all()).await.unwrap();
    tx.delete_all::<AuditNodes>(Filter::all()).await.unwrap();
    tx.delete::<AuditHead>(()).await.unwrap();
    tx.commit().await.unwrap();
    for at in 0..n {
        append_at(store, own, 100 + at).await;
    }
}

/// The forged log is whole by itself, larger and of the same tenant. Only the proof that it begins with what was handed out shows it.
#[tokio::test]
async fn a_larger_log_that_was_made_anew_is_refused_and_so_is_a_fork() {
    for (n, has) in [(7, 7), (3, 3)] {
        let (store, own) = one_tenant().await;
        for _ in 0..3 {
            append(&store, own).await;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("heads.jsonl");
        let mut witness = witness(&store, Place::File(file.clone()));
        assert_eq!(witness.round().await.unwrap(), 1);
        forge(&store, own, n).await;
        let _ = witness.round().await.unwrap();
        append_at(&store, own, 900).await;
        let _ = witness.round().await.unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let heads: Vec<_> = kept(&text).into_iter().filter(|(tenant, _)| *tenant == own.tenant).collect();
        assert_eq!(heads, [(own.tenant, 3)], "nothing of the forged log was signed");
        assert_eq!(told(&text).1, [Some(has)]);
        assert_eq!(refusals(&store).await.len(), 1);
    }
}

/// One record in the middle is another, and everything behind it made to follow.
#[tokio::test]
async fn a_log_with_one_other_record_before_the_head_is_refused_however_far_it_goes() {
    let (store, own) = one_tenant().await;
    for _ in 0..5 {
        append(&store, own).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut witness = witness(&store, Place::File(folder.path().join("heads.jsonl")));
    assert_eq!(witness.round().await.unwrap(), 1);
    forge(&store, own, 0).await;
    for at in [1, 1, 2, 1, 1, 1, 1, 1, 1] {
        append_at(&store, own, at).await;
    }
    let _ = witness.round().await.unwrap();
    assert_eq!(refusals(&store).await.len(), 1);
}

/// What is true goes on, over every size that a tree changes its form at.
#[tokio::test]
async fn a_log_that_only_grows_is_never_refused() {
    let (store, own) = one_tenant().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heads.jsonl");
    let mut witness = witness(&store, Place::File(file.clone()));
    for n in 0..40_usize {
        for _ in 0..(n % 4) {
            append(&store, own).await;
        }
        assert_eq!(witness.round().await.unwrap(), usize::from(!n.is_multiple_of(4)));
    }
    assert_eq!((refusals(&store).await.len(), kept(&fs::read_to_string(&file).unwrap()).len()), (0, 30));
}

/// Whoever waits for a restart finds that the file remembers.
#[tokio::test]
async fn a_witness_that_begins_again_goes_on_from_its_file_and_believes_only_signed_heads_in_it() {
    let (store, own) = one_tenant().await;
    for _ in 0..3 {
        append(&store, own).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heads.jsonl");
    assert_eq!(witness(&store, Place::File(file.clone())).round().await.unwrap(), 1);
    assert_eq!(witness(&store, Place::File(file.clone())).round().await.unwrap(), 0, "it was handed out");
    // a line that no node signed is no head to go on from
    let forged = Checkpoint {
        tenant: own.tenant,
        tree: Tree { size: 900, root: ocmt_types::Digest32([9; 32]) },
        chain: ocmt_types::Digest32([9; 32]),
        at: Timestamp(5),
    };
    let stranger = SigningKey::from_bytes(&[6; 32]);
    let note = forged.note(ocmt_store::testing::id(1), &stranger.verify_key(), &forged.sign(&stranger));
    let line = KeptCheckpoint { note, ..KeptCheckpoint::default() }.to_line().unwrap();
    fs::write(&file, fs::read_to_string(&file).unwrap() + &line + "\n").unwrap();
    append(&store, own).await;
    assert_eq!(witness(&store, Place::File(file.clone())).round().await.unwrap(), 1);
    let signed = || kept(&fs::read_to_string(&file).unwrap().replace(&format!("{line}\n"), ""));
    assert_eq!(signed(), [(own.tenant, 3), (own.tenant, 4)], "it goes on from the last that was signed");
    forge(&store, own, 9).await;
    let _ = witness(&store, Place::File(file.clone())).round().await.unwrap();
    assert_eq!(refusals(&store).await.len(), 1);
    let heads: Vec<_> = signed().into_iter().filter(|(tenant, _)| *tenant == own.tenant).collect();
    assert_eq!(heads, [(own.tenant, 3), (own.tenant, 4)]);
}

/// Whoever deletes an audit takes nothing back that was handed out, and all are told once.
#[tokio::test]
async fn an_audit_that_is_gone_after_its_head_was_handed_out_is_told() {
    let (store, own) = one_tenant().await;
    append(&store, own).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heads.jsonl");
    let mut witness = witness(&store, Place::File(file.clone()));
    assert_eq!(witness.round().await.unwrap(), 1);
    forge(&store, own, 0).await;
    for handed in [0, 1, 0] {
        // the second: that of the cluster's audit, which has it by then
        assert_eq!(witness.round().await.unwrap(), handed);
    }
    assert_eq!(refusals(&store).await, [format!("audit/{}", own.tenant)]);
    let cluster = ocmt_store::testing::id(1_000);
    assert_eq!(kept(&fs::read_to_string(&file).unwrap()), [(own.tenant, 1), (cluster, 1)]);
}

#[tokio::test]
async fn a_damaged_head_holds_up_no_other_and_a_torn_line_spoils_none() {
    let store = Store::sim();
    store.cluster().cluster(ocmt_store::testing::id(1_000), Timestamp(0)).await.unwrap();
    let node = TestNode::start(&store, 1).await.unwrap();
    let (one, two) = (node.found(1).await.unwrap(), node.found(2).await.unwrap());
    append(&store, one).await;
    append(&store, two).await;
    let mut tx = store.fenced(one).await.unwrap();
    let head = tx.audit_head().await.unwrap().unwrap();
    assert!(tx.update(&AuditHead { peaks: vec![1, 2, 3], ..head.clone() }).await.unwrap());
    tx.commit().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heads.jsonl");
    fs::write(&file, "{\"checkpoint\":{\"no").unwrap();
    let mut witness = witness(&store, Place::File(file.clone()));
    // and that of the cluster's audit, which has the refusal by then
    assert_eq!(witness.round().await.unwrap(), 2);
    let cluster = ocmt_store::testing::id(1_000);
    assert_eq!(kept(&fs::read_to_string(&file).unwrap()), [(two.tenant, 1), (cluster, 1)]);
    assert_eq!(Refusal::read(&fs::read_to_string(&file).unwrap()).len(), 1);
    // and one that loses its tree after it was given is told of
    let mut tx = store.fenced(two).await.unwrap();
    let head = tx.audit_head().await.unwrap().unwrap();
    assert!(tx.update(&AuditHead { tree_size: 0, peaks: Vec::new(), ..head }).await.unwrap());
    tx.commit().await.unwrap();
    let _ = witness.round().await.unwrap();
    let both: Vec<String> = [one, two].map(|own| format!("audit/{}", own.tenant)).to_vec();
    assert_eq!(refusals(&store).await, both);
}
