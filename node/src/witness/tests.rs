#![allow(clippy::unwrap_used)]
use std::{fs, os::unix::fs::PermissionsExt as _};

use ocmt_client::audit::Trust;
use ocmt_crypto::{
    audit::{Actor, AuditRecord, Outcome, checkpoint::NoteKey, cut::Cut},
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};
use ocmt_store::testing::TestNode;
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
    let record = AuditRecord {
        tenant: own.tenant,
        at: Timestamp(1),
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

fn witness(store: &Store, place: Place) -> Witness {
    let signer = Arc::new(Signer(SigningKey::from_bytes(&[5; 32])));
    Witness::new(store.clone(), signer, Arc::new(ManualClock::at(Timestamp(1_000))), place)
}

/// What the file holds, proven.
fn kept(text: &str) -> Vec<(TenantId, u64)> {
    let signer = Signer(SigningKey::from_bytes(&[5; 32]));
    let keys = vec![NoteKey::of_node(signer.node(), signer.verify_key())];
    let trust = Trust { ca: None, keys };
    let read = KeptCheckpoint::read(text).unwrap();
    let proven = read.iter().map(|kept| kept.prove(&trust).unwrap());
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

/// A log of before, put back under the node: its head is handed out beside the one that it contradicts.
#[tokio::test]
async fn the_head_of_a_log_that_went_back_is_handed_out_too() {
    let store = Store::sim();
    let node = TestNode::start(&store, 1).await.unwrap();
    let own = node.found(1).await.unwrap();
    append(&store, own).await;
    let before = store.read(own).await.unwrap().audit_head().await.unwrap().unwrap();
    append(&store, own).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heads.jsonl");
    let mut witness = witness(&store, Place::File(file.clone()));
    assert_eq!(witness.round().await.unwrap(), 1);
    let mut tx = store.fenced(own).await.unwrap();
    assert!(tx.update(&before).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(witness.round().await.unwrap(), 1);
    let told: Vec<u64> =
        kept(&fs::read_to_string(&file).unwrap()).into_iter().map(|(_, size)| size).collect();
    assert_eq!(told, [2, 1]);
}

#[tokio::test]
async fn a_damaged_head_holds_up_no_other_and_a_torn_line_spoils_none() {
    let store = Store::sim();
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
    assert_eq!(witness.round().await.unwrap(), 1);
    assert_eq!(kept(&fs::read_to_string(&file).unwrap()), [(two.tenant, 1)]);
    // and one that loses its tree after it was given is told of
    let mut tx = store.fenced(two).await.unwrap();
    let head = tx.audit_head().await.unwrap().unwrap();
    assert!(tx.update(&AuditHead { tree_size: 0, peaks: Vec::new(), ..head }).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(witness.round().await.unwrap(), 1, "the empty tree is handed out beside the one before");
}
