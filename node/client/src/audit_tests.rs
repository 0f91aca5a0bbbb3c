#![allow(clippy::unwrap_used)]
use ocmt_crypto::{
    audit::{chain, genesis},
    merkle::log::Peaks,
};
use ocmt_types::Id as _;

use super::*;

fn tenant() -> TenantId {
    TenantId::from_bytes([1; 16])
}

/// An audit of `n` records.
fn audit(n: u64) -> Vec<Line> {
    let mut hash = genesis(tenant());
    (1..=n)
        .map(|seq| {
            let record = AuditRecord {
                tenant: tenant(),
                at: Timestamp(i64::try_from(seq).unwrap()),
                request: ocmt_types::RequestId::from_bytes([2; 16]),
                actor: Actor::User(ocmt_types::UserId::from_bytes([3; 16])),
                action: "vault.put".to_owned(),
                object: format!("vault/{seq}"),
                outcome: Outcome::Allowed,
                details: vec![("n".to_owned(), seq.to_string())],
            };
            let bytes = record.to_bytes().unwrap();
            hash = chain(&hash, seq, &bytes);
            tell(seq, &record, &bytes, &hash)
        })
        .collect()
}

#[test]
fn an_export_that_was_read_back_verifies_and_ends_at_its_head() {
    let lines = read_export(&to_export(&audit(5)).unwrap()).unwrap().lines;
    let head = verify(tenant(), &lines).unwrap();
    assert_eq!((head.seq, head.hash.to_string()), (5, lines[4].hash.clone()));
    assert_eq!(verify(tenant(), &[]).unwrap().seq, 0);
}

#[test]
fn the_first_bad_record_is_named() {
    let missing = [audit(5)[..2].to_vec(), audit(5)[3..].to_vec()].concat();
    assert_eq!(verify(tenant(), &missing), Err(BadAudit::Record(3)));
    let mut swapped = audit(5);
    swapped.swap(1, 2);
    assert_eq!(verify(tenant(), &swapped), Err(BadAudit::Record(2)));
    let mut changed = audit(5);
    changed[3].canonical = audit(4)[0].canonical.clone();
    assert_eq!(verify(tenant(), &changed), Err(BadAudit::Record(4)));
    assert_eq!(verify(TenantId::from_bytes([9; 16]), &audit(2)), Err(BadAudit::Record(1)));
}

#[test]
fn a_readable_part_that_tells_another_story_is_refused() {
    let mut retold = audit(3);
    retold[1].action = "vault.read".to_owned();
    assert_eq!(verify(tenant(), &retold), Err(BadAudit::Retold(2)));
    assert_eq!(read_export("{}\n").unwrap_err(), BadAudit::Line(1));
}

/// An audit of the same times and people, but for what was done from record `from` on; its chain is whole.
fn made_anew(n: u64, from: u64) -> Vec<Line> {
    let mut hash = genesis(tenant());
    let remake = |line: &Line| {
        let mut record = AuditRecord::from_bytes(&BASE64.decode(line.canonical.as_bytes()).unwrap()).unwrap();
        if line.seq >= from {
            record.object = "vault/other".to_owned();
        }
        let bytes = record.to_bytes().unwrap();
        hash = chain(&hash, line.seq, &bytes);
        tell(line.seq, &record, &bytes, &hash)
    };
    audit(n).iter().map(remake).collect()
}

/// What a node would sign of these records.
fn signed(lines: &[Line], size: usize) -> Checkpoint {
    let mut peaks = Peaks::default();
    for line in &lines[..size] {
        peaks.push(leaf_hash(&BASE64.decode(line.canonical.as_bytes()).unwrap()));
    }
    let tree = ocmt_crypto::merkle::log::Tree { size: peaks.size(), root: peaks.root() };
    let chain = HEXLOWER.decode(lines[size - 1].hash.as_bytes()).unwrap();
    Checkpoint { tenant: tenant(), tree, chain: Digest32::try_from(&*chain).unwrap(), at: Timestamp(9) }
}

#[test]
fn a_checkpoint_proves_the_records_up_to_it() {
    let lines = audit(7);
    let verified = verify_against(tenant(), &lines, &[signed(&lines, 3), signed(&lines, 6)]).unwrap();
    assert_eq!((verified.head.seq, verified.proven), (7, 6));
    assert_eq!(verify_against(tenant(), &lines, &[]).unwrap().proven, 0);
}

#[test]
fn a_cut_tail_verifies_alone_and_not_against_a_checkpoint() {
    let kept = signed(&audit(7), 7);
    for left in 0..7_usize {
        let cut = &audit(7)[..left];
        verify(tenant(), cut).expect("a chain does not show that its end is missing");
        let first = u64::try_from(left).unwrap() + 1;
        assert_eq!(verify_against(tenant(), cut, &[kept]), Err(BadAudit::Cut { first, signed: 7 }));
    }
}

#[test]
fn an_audit_that_was_made_anew_verifies_alone_and_not_against_a_checkpoint() {
    let good = audit(9);
    let kept = [signed(&good, 2), signed(&good, 5), signed(&good, 9)];
    for (from, after, until) in [(1, 0, 2), (2, 0, 2), (3, 2, 5), (5, 2, 5), (6, 5, 9), (9, 5, 9)] {
        let anew = made_anew(9, from);
        verify(tenant(), &anew).expect("a chain that was computed again is whole");
        assert_eq!(verify_against(tenant(), &anew, &kept), Err(BadAudit::Remade { after, until }), "{from}");
    }
    // the same records under another chain hash, and the same chain hash over other records
    let mut bent = kept[1];
    bent.chain.0[0] ^= 1;
    assert!(verify_against(tenant(), &good, &[bent]).is_err());
    let mut bent = kept[1];
    bent.tree.root.0[0] ^= 1;
    assert!(verify_against(tenant(), &good, &[bent]).is_err());
}

#[test]
fn a_checkpoint_of_another_audit_proves_nothing() {
    let mut other = signed(&audit(3), 3);
    other.tenant = TenantId::from_bytes([9; 16]);
    assert_eq!(verify_against(tenant(), &audit(3), &[other]), Err(BadAudit::Foreign));
}

#[test]
fn a_record_that_the_node_could_not_read_is_named() {
    let text = to_export(&audit(2)).unwrap() + "{\"tenant\":\"x\",\"seq\":3,\"unreadable\":\"AA==\"}\n";
    assert_eq!(read_export(&text).unwrap_err(), BadAudit::Record(3));
}

#[test]
fn a_checkpoint_is_kept_as_a_line_and_believed_by_its_key_alone() {
    use ocmt_crypto::{audit::checkpoint::NoteKey, sign::SigningKey};
    let (node, key) = (ocmt_types::NodeId::from_bytes([4; 16]), SigningKey::from_bytes(&[5; 32]));
    let checkpoint = signed(&audit(3), 3);
    let note = checkpoint.note(node, &key.verify_key(), &checkpoint.sign(&key));
    let kept = KeptCheckpoint { note, ..KeptCheckpoint::default() };
    let read = KeptCheckpoint::read(&format!("{}\n", kept.to_line().unwrap())).unwrap();
    assert_eq!((&read[0], &KeptCheckpoint::read(&kept.note).unwrap()[0]), (&kept, &kept));
    let trust = |key| Trust { ca: None, keys: vec![NoteKey::of_node(node, key)] };
    assert_eq!(kept.prove(&trust(key.verify_key())).unwrap(), checkpoint);
    assert!(kept.prove(&trust(SigningKey::from_bytes(&[6; 32]).verify_key())).is_err());
    assert!(kept.prove(&Trust::default()).is_err());
}

#[test]
fn a_head_by_a_later_key_is_believed_by_who_knows_the_first_through_introductions_alone() {
    use ocmt_crypto::{
        audit::{checkpoint::NoteKey, introduction::Introduction},
        sign::SigningKey,
    };
    let key = |n: u8| SigningKey::from_bytes(&[n; 32]);
    let node = ocmt_types::NodeId::from_bytes([4; 16]);
    let said = |from: u8, to: u8| {
        Introduction { node, next: key(to).verify_key(), at: ocmt_types::Timestamp(1) }.note(&key(from))
    };
    let checkpoint = signed(&audit(3), 3);
    let head = |by: u8, introductions: Vec<String>| {
        let note = checkpoint.note(node, &key(by).verify_key(), &checkpoint.sign(&key(by)));
        KeptCheckpoint { note, introductions, ..KeptCheckpoint::default() }
    };
    let first = Trust { ca: None, keys: vec![NoteKey::of_node(node, key(5).verify_key())] };
    assert_eq!(head(7, vec![said(5, 6), said(6, 7)]).prove(&first).unwrap(), checkpoint);
    assert_eq!(head(5, vec![said(5, 6)]).prove(&first).unwrap(), checkpoint, "the old head stays good");
    assert!(head(7, Vec::new()).prove(&first).is_err());
    assert!(head(7, vec![said(6, 7)]).prove(&first).is_err(), "nobody known introduced the second");
    assert!(head(7, vec![said(8, 7)]).prove(&first).is_err(), "a stranger introduces nobody");
    // what one line taught is known for the next
    let mut taught = first.clone();
    taught.learn(&[said(5, 6)]);
    assert_eq!(head(6, Vec::new()).prove(&taught).unwrap(), checkpoint);
    // and it comes back out of a file, also one that was written before there were introductions
    let kept = head(6, vec![said(5, 6)]);
    assert_eq!(KeptCheckpoint::read(&kept.to_line().unwrap()).unwrap(), [kept]);
    assert!(!head(5, Vec::new()).to_line().unwrap().contains("introductions"));
}
