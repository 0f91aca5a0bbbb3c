//! Signed notes of the audit, and what a deleted tenant leaves.

use ocmt_crypto::{
    audit::{
        checkpoint::{Checkpoint, NoteKey, open_note},
        cut::Cut,
        introduction::Introduction,
    },
    deletion::{DeletionRecord, PURPOSE},
    merkle::log::Tree,
    sign::{Signature, SigningKey, VerifyKey},
};
use ocmt_types::{Digest32, Id as _, NodeId, TenantId, Timestamp};
use serde_json::{Value, json};

use super::{NOW, array, hex, id, number, text};

fn at(value: &Value) -> Timestamp {
    Timestamp(value.as_i64().unwrap())
}

/// The three that are said in `v`.
fn said(v: &Value) -> (Checkpoint, Introduction, Cut) {
    let (tenant, chain) = (id(&v["tenant"]), Digest32(array(&v["chain"])));
    let tree = Tree { size: number(&v["size"]), root: Digest32(array(&v["root"])) };
    let (kept_ms, policy) = (number(&v["kept_ms"]), number(&v["policy"]));
    let policy_leaf = Digest32(array(&v["policy_leaf"]));
    let next = VerifyKey(array(&v["next_key"]));
    let at = at(&v["at"]);
    (
        Checkpoint { tenant, tree, chain, at },
        Introduction { node: id(&v["node"]), next, at },
        Cut { tenant, tree, chain, kept_ms, policy, policy_leaf, at },
    )
}

pub(super) fn make() -> Value {
    let (key, node) = (SigningKey::from_bytes(&[9; 32]), NodeId::from_bytes([1; 16]));
    let public = key.verify_key();
    let mut all = json!({
        "node": hex([1; 16]),
        "tenant": hex([2; 16]),
        "node_key": hex(public.0),
        "next_key": hex(SigningKey::from_bytes(&[8; 32]).verify_key().0),
        "root": hex([3; 32]),
        "chain": hex([4; 32]),
        "policy_leaf": hex([5; 32]),
        "size": 256,
        "kept_ms": 86_400_000,
        "policy": 257,
        "at": NOW.0,
    });
    let (checkpoint, introduction, cut) = said(&all);
    all["checkpoint"] = checkpoint.note(node, &public, &checkpoint.sign(&key)).into();
    all["introduction"] = introduction.note(&key).into();
    all["cut"] = cut.note(node, &public, &cut.sign(&key)).into();
    all
}

pub(super) fn check(v: &Value) {
    let known = [NoteKey::of_node(id(&v["node"]), VerifyKey(array(&v["node_key"])))];
    let opened = |name: &str| open_note(text(&v[name]), &known).unwrap();
    let (checkpoint, introduction, cut) = said(v);
    assert_eq!(Checkpoint::parse(opened("checkpoint")).unwrap(), checkpoint);
    assert_eq!(Introduction::open(text(&v["introduction"]), &known).unwrap(), introduction);
    assert_eq!(Cut::parse(opened("cut")).unwrap(), cut);
}

fn record(v: &Value) -> DeletionRecord {
    DeletionRecord {
        tenant: id(&v["tenant"]),
        asked_by: text(&v["asked_by"]).to_owned(),
        asked_at: at(&v["asked_at"]),
        erased_at: at(&v["erased_at"]),
        erased: text(&v["erased"]).to_owned(),
        audit_head: (v["sequence"].as_i64().unwrap(), Digest32(array(&v["hash"]))),
    }
}

pub(super) fn deletion() -> Value {
    let key = SigningKey::from_bytes(&[9; 32]);
    let mut all = json!({
        "node_key": hex(key.verify_key().0),
        "tenant": hex(TenantId::from_bytes([1; 16]).into_bytes()),
        "asked_by": "operator:1d9c6a3e-0000-4000-8000-000000000001",
        "asked_at": NOW.0,
        "erased_at": NOW.0 + 1,
        "erased": "users=1",
        "sequence": 7,
        "hash": hex([6; 32]),
    });
    let statement = record(&all).statement();
    all["signature"] = hex(key.sign(PURPOSE, statement.as_bytes()).0).into();
    all["text"] = statement.into();
    all
}

pub(super) fn check_deletion(v: &Value) {
    let statement = record(v).statement();
    assert_eq!(statement, text(&v["text"]));
    let (key, signature) = (VerifyKey(array(&v["node_key"])), Signature(array(&v["signature"])));
    key.verify(PURPOSE, statement.as_bytes(), &signature).unwrap();
}
