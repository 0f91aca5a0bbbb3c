//! Tests of the audit chain (cases A1 to A3).
#![allow(clippy::unwrap_used)]

use ocmt_types::Id as _;

use super::*;

fn tenant() -> TenantId {
    TenantId::from_bytes([1; 16])
}

fn record(n: u8) -> AuditRecord {
    AuditRecord {
        tenant: tenant(),
        at: Timestamp(i64::from(n)),
        request: RequestId::from_bytes([n; 16]),
        actor: Actor::User(UserId::from_bytes([2; 16])),
        action: "vault.entry.put".into(),
        object: format!("entry/{n}"),
        outcome: Outcome::Allowed,
        details: vec![("addr".into(), "192.0.2.1".into())],
    }
}

fn rows(n: u8) -> Vec<(u64, Vec<u8>, Digest32)> {
    let mut hash = genesis(tenant());
    (1..=n)
        .map(|i| {
            let bytes = record(i).to_bytes().unwrap();
            hash = chain(&hash, u64::from(i), &bytes);
            (u64::from(i), bytes, hash)
        })
        .collect()
}

fn walk(rows: &[(u64, Vec<u8>, Digest32)]) -> std::result::Result<ChainVerifier, BrokenAt> {
    let mut verifier = ChainVerifier::new(tenant());
    for (seq, bytes, hash) in rows {
        verifier.next(*seq, bytes, hash)?;
    }
    Ok(verifier)
}

#[test]
fn every_actor_and_outcome_is_read_back() {
    for actor in [
        Actor::Anonymous,
        Actor::User(UserId::from_bytes([1; 16])),
        Actor::Container(ContainerId::from_bytes([2; 16])),
        Actor::Operator([3; 16]),
        Actor::Node(NodeId::from_bytes([4; 16])),
    ] {
        for outcome in [Outcome::Allowed, Outcome::Denied, Outcome::Failed] {
            let one = AuditRecord { actor, outcome, ..record(1) };
            assert_eq!(AuditRecord::from_bytes(&one.to_bytes().unwrap()).unwrap(), one);
        }
    }
    let long = AuditRecord { object: "x".repeat(513), ..record(1) };
    assert!(matches!(long.to_bytes(), Err(CryptoError::TooLarge { .. })));
}

#[test]
fn a1_every_changed_bit_of_a_row_is_found_at_that_row() {
    let good = rows(3);
    walk(&good).unwrap();
    for at in 0..good[1].1.len() * 8 {
        let mut bad = good.clone();
        bad[1].1[at / 8] ^= 1 << (at % 8);
        assert_eq!(walk(&bad).err(), Some(BrokenAt { seq: 2 }));
    }
}

#[test]
fn a2_deleted_moved_forged_and_doubled_rows_are_found() {
    let good = rows(4);
    let without = [&good[..1], &good[2..]].concat();
    let moved = [&good[..1], &good[2..3], &good[1..2], &good[3..]].concat();
    let doubled = [&good[..2], &good[1..]].concat();
    let mut forged = good.clone();
    forged
        .insert(2, (3, record(9).to_bytes().unwrap(), chain(&good[1].2, 3, &record(9).to_bytes().unwrap())));
    for (bad, seq) in [(without, 2), (moved, 2), (doubled, 3), (forged, 4)] {
        assert_eq!(walk(&bad).err(), Some(BrokenAt { seq }));
    }
    let mut other = ChainVerifier::new(TenantId::from_bytes([9; 16]));
    assert!(other.next(1, &good[0].1, &good[0].2).is_err());
}

/// A record of another tenant, though it is chained as one of this would be.
#[test]
fn a2_a_record_of_another_tenant_is_none_of_this_one() {
    let foreign = AuditRecord { tenant: TenantId::from_bytes([9; 16]), ..record(1) }.to_bytes().unwrap();
    let hash = chain(&genesis(tenant()), 1, &foreign);
    assert_eq!(walk(&[(1, foreign, hash)]).err(), Some(BrokenAt { seq: 1 }));
    let mut numbered = rows(2);
    numbered[1].0 = 3;
    assert_eq!(walk(&numbered).err(), Some(BrokenAt { seq: 2 }), "the place that is stored beside it");
}

#[test]
fn a3_a_cut_tail_is_found_by_a_signed_head() {
    let good = rows(4);
    let node = SigningKey::generate(&mut rand::rng());
    let head = AuditHead { tenant: tenant(), seq: 4, hash: good[3].2, at: Timestamp(9) };
    let signature = head.sign(&node);
    head.verify(&node.verify_key(), &signature).unwrap();
    assert!(AuditHead { seq: 3, ..head }.verify(&node.verify_key(), &signature).is_err());
    assert!(walk(&good).unwrap().reaches(&head));
    for other in
        [AuditHead { hash: good[2].2, ..head }, AuditHead { tenant: TenantId::from_bytes([9; 16]), ..head }]
    {
        assert!(other.verify(&node.verify_key(), &signature).is_err());
    }
    assert!(
        !walk(&good).unwrap().reaches(&AuditHead { hash: good[2].2, ..head }),
        "another end of that length"
    );
    for cut in 0..4 {
        assert!(!walk(&good[..cut]).unwrap().reaches(&head));
    }
}
