#![allow(clippy::unwrap_used)]
use ocmt_crypto::{
    audit::{Actor, AuditRecord, Outcome, chain, checkpoint::NoteKey, genesis},
    merkle::{leaf_hash, log::Tree},
    sign::SigningKey,
};
use ocmt_types::{Id as _, NodeId, RequestId};

use super::{super::*, *};

const PRUNED: u64 = 256;
const POLICY: u64 = 270;

fn tenant() -> TenantId {
    TenantId::from_bytes([1; 16])
}

/// What is done beside the usual: where, which, how it ended, and up to where it went.
type Acts<'a> = &'a [(u64, &'a str, Outcome, u64)];

fn line(seq: u64, before: &Digest32, acts: Acts<'_>) -> Line {
    let act = acts.iter().find(|(at, ..)| *at == seq);
    let (_, action, outcome, to) = act.copied().unwrap_or((seq, "vault.put", Outcome::Allowed, 0));
    let record = AuditRecord {
        tenant: tenant(),
        at: Timestamp(i64::try_from(seq).unwrap()),
        request: RequestId::from_bytes([2; 16]),
        actor: Actor::Anonymous,
        action: action.to_owned(),
        object: format!("vault/{seq}"),
        outcome,
        details: vec![("to".to_owned(), to.to_string())],
    };
    let bytes = record.to_bytes().unwrap();
    tell(seq, &record, &bytes, &chain(before, seq, &bytes))
}

fn leaf(line: &Line) -> Digest32 {
    leaf_hash(&BASE64.decode(line.canonical.as_bytes()).unwrap())
}

/// A log of 300 records whose first 256 were pruned, the trees that it had, and the word of who did it.
fn pruned() -> (Export, Cut, Vec<Checkpoint>) {
    pruned_with(&[])
}

fn pruned_with(acts: Acts<'_>) -> (Export, Cut, Vec<Checkpoint>) {
    let (mut hash, mut peaks, mut lines, mut heads) =
        (genesis(tenant()), Peaks::default(), Vec::new(), Vec::new());
    for seq in 1..=300 {
        let line = line(seq, &hash, acts);
        hash = Digest32::try_from(data_encoding::HEXLOWER.decode(line.hash.as_bytes()).unwrap().as_slice())
            .unwrap();
        peaks.push(leaf(&line));
        let tree = Tree { size: seq, root: peaks.root() };
        heads.push(Checkpoint { tenant: tenant(), tree, chain: hash, at: Timestamp(1) });
        lines.push(line);
    }
    let policy_leaf = leaf(&lines[usize::try_from(POLICY).unwrap() - 1]);
    let left = lines.split_off(usize::try_from(PRUNED).unwrap());
    let leaves: Vec<u8> = lines.iter().flat_map(|line| leaf(line).0).collect();
    let piece = PrunedPiece { tenant: tenant(), from: 1, to: PRUNED, leaves: BASE64.encode(&leaves) };
    let last = heads[lines.len() - 1];
    let cut = Cut {
        tenant: tenant(),
        tree: last.tree,
        chain: last.chain,
        kept_ms: 7_776_000_000,
        policy: POLICY,
        policy_leaf,
        at: Timestamp(1),
    };
    (Export { lines: left, pruned: vec![piece], ..Export::default() }, cut, heads)
}

fn walk(export: &Export, cut: &Cut, heads: &[Checkpoint]) -> Result<Verified, BadAudit> {
    verify_export(tenant(), export, Some(cut), heads)
}

#[test]
fn what_is_left_is_verified_from_the_cut_on_and_heads_of_before_it_too() {
    let (export, cut, heads) = pruned();
    let verified = walk(&export, &cut, &heads).unwrap();
    assert_eq!((verified.head.seq, verified.proven), (300, 300));
    let said = verified.pruned.unwrap();
    assert_eq!((said.last, said.policy, said.kept_ms), (PRUNED, POLICY, cut.kept_ms));
    assert_eq!(walk(&export, &cut, &heads[..200]).unwrap().proven, 200);
}

#[test]
fn whatever_pretends_to_be_pruned_is_found() {
    let (export, cut, heads) = pruned();
    // the beginning was taken away, and nobody has signed that
    assert_eq!(verify_export(tenant(), &export, None, &[]), Err(BadAudit::NotPruned(PRUNED)));
    let bare = Export { pruned: Vec::new(), ..export.clone() };
    assert_eq!(verify_export(tenant(), &bare, None, &[]), Err(BadAudit::Record(1)));
    assert_eq!(walk(&bare, &cut, &[]), Err(BadAudit::NotPruned(PRUNED)));
    // more was taken than was pruned
    let less = Export { lines: export.lines[1..].to_vec(), ..export.clone() };
    assert_eq!(walk(&less, &cut, &[]), Err(BadAudit::Record(PRUNED + 1)));
    // what was pruned was something else
    let mut other = export.clone();
    let first = if other.pruned[0].leaves.starts_with('A') { "B" } else { "A" };
    other.pruned[0].leaves.replace_range(0..1, first);
    assert_eq!(walk(&other, &cut, &[]), Err(BadAudit::NotPruned(PRUNED)));
    let mut moved = export.clone();
    moved.pruned[0].from = 2;
    assert_eq!(walk(&moved, &cut, &[]), Err(BadAudit::NotPruned(PRUNED)));
    let mut others = export.clone();
    others.pruned[0].tenant = TenantId::from_bytes([9; 16]);
    assert_eq!(walk(&others, &cut, &[]), Err(BadAudit::NotPruned(PRUNED)));
    // a head that was kept elsewhere is of another beginning
    let forged = Checkpoint { tree: Tree { size: 100, root: Digest32([9; 32]) }, ..heads[99] };
    let found = walk(&export, &cut, &[heads[49], forged]);
    assert_eq!(found, Err(BadAudit::Remade { after: 50, until: 100 }));
    // no record is the policy
    assert_eq!(
        walk(&export, &Cut { policy_leaf: Digest32([9; 32]), ..cut }, &[]),
        Err(BadAudit::Policy(POLICY))
    );
    let short = Export { lines: export.lines[..5].to_vec(), ..export.clone() };
    assert_eq!(walk(&short, &cut, &[]), Err(BadAudit::Cut { first: PRUNED + 6, signed: POLICY }));
    // another tenant's
    let foreign = Cut { tenant: TenantId::from_bytes([9; 16]), ..cut };
    assert_eq!(walk(&export, &foreign, &[]), Err(BadAudit::Foreign));
}

#[test]
fn a_policy_that_was_taken_back_before_the_cut_contradicts_it() {
    let set = |at, how| (at, "AuditService/SetAuditRetention", how, 0);
    let done = |at, to| (at, "audit.pruned", Outcome::Allowed, to);
    let found = |acts: Acts<'_>| {
        let (export, cut, _) = pruned_with(acts);
        walk(&export, &cut, &[]).map(|verified| verified.head.seq)
    };
    let taken_back = Err(BadAudit::TakenBack(280, POLICY));
    for bad in [
        &[set(280, Outcome::Allowed), done(290, PRUNED)][..],
        // nothing tells of the pruning, or of an earlier one alone
        &[set(280, Outcome::Allowed)],
        &[done(275, PRUNED - 1), set(280, Outcome::Allowed), done(290, PRUNED)],
    ] {
        assert_eq!(found(bad), taken_back, "{bad:?}");
    }
    for good in [
        &[set(POLICY, Outcome::Allowed), done(271, PRUNED), set(280, Outcome::Allowed)][..],
        &[set(260, Outcome::Allowed), done(290, PRUNED)],
        &[set(280, Outcome::Denied), done(290, PRUNED)],
    ] {
        assert_eq!(found(good), Ok(300), "{good:?}");
    }
}

#[test]
fn a_cut_is_believed_by_the_key_that_signed_it_and_a_head_is_none() {
    let (_, cut, heads) = pruned();
    let (key, node) = (SigningKey::from_bytes(&[5; 32]), NodeId::from_bytes([6; 16]));
    let trust = Trust { ca: None, keys: vec![NoteKey::of_node(node, key.verify_key())] };
    let note = cut.note(node, &key.verify_key(), &cut.sign(&key));
    let kept = |note: String| KeptCut { note, certificates: Vec::new() };
    assert_eq!(kept(note.clone()).prove(&trust).unwrap(), cut);
    assert!(kept(note.replace("\n256\n", "\n512\n")).prove(&trust).is_err());
    let other = SigningKey::from_bytes(&[7; 32]);
    let forged = cut.note(node, &other.verify_key(), &cut.sign(&other));
    assert!(kept(forged).prove(&trust).is_err());
    // a node signs a head for whoever asks: it gives nobody leave to take what is before it
    let head = heads[255];
    assert!(kept(head.note(node, &key.verify_key(), &head.sign(&key))).prove(&trust).is_err());
    let line = format!("{}\n", serde_json::json!({ "cut": kept(note) }));
    assert!(read_export(&line).unwrap().cut.is_some());
}
