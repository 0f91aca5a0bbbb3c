//! Whatever bytes come, parsers answer: no panic, no allocation by a length of the sender's.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ocmt_types::{Digest32, Id as _, NodeId};
use proptest::prelude::*;

use crate::{
    CryptoError,
    cell::{AgentPolicyStatement, CellKeyStatement},
    ceremony::{Ceremony, ReleaseStatement},
    channel::{first_frame, parse_anything},
    envelope,
    guardian::{DrillChallenge, GuardianSet, test_set::Circle},
    seal::SealPublicKey,
    sealing::SealingKeys,
    shared::SharedPlace,
    sign::{Purpose, SigningKey},
    snapshot::SnapshotPayload,
    snapshot_schedule::{Taken, sealed_key_version},
    unlock::{InboxPlace, Ledger, UnlockPayload},
};

/// Bytes that begin like an object of ours, and go on as they like: mostly with large lengths.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let tail = proptest::collection::vec(prop_oneof![Just(0_u8), Just(0xff), any::<u8>()], 0..400);
    let head = prop_oneof![
        Just(Vec::new()),
        (any::<u8>(), 1..3_u8).prop_map(|(kind, version)| [b"OCMT".as_slice(), &[kind, version]].concat()),
        any::<u8>().prop_map(|kind| [b"OCMT".as_slice(), &[kind, 1, 1, 0]].concat()),
        Just(vec![1, 1, 1, 0]),
    ];
    (head, tail).prop_map(|(head, tail)| [head, tail].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn v1_no_bytes_make_a_parser_panic(bytes in anything()) {
        let _ = first_frame(&bytes);
        parse_anything(&bytes);
        let _ = CellKeyStatement::claimed_node(&bytes);
        let _ = AgentPolicyStatement::claimed_node(&bytes);
        let _ = InboxPlace::claimed(&bytes);
        let _ = GuardianSet::claimed_owner(&bytes);
        let _ = Ceremony::decode(&bytes);
        let _ = ReleaseStatement::claimed_node(&bytes);
        let _ = DrillChallenge::decode(&bytes);
        let _ = UnlockPayload::decode(&bytes);
        let _ = Ledger::decode(&bytes);
        let _ = SharedPlace::claimed(&bytes);
        let _ = SnapshotPayload::decode(&bytes);
        let _ = Taken::claimed_node(&bytes);
        let _ = sealed_key_version(&bytes);
        let _ = SealingKeys::generation_of(&bytes);
        let _ = envelope::parse(&bytes);
    }
}

/// Below the signature, in a set that its owner made badly on purpose: every cut of the body.
#[test]
fn v1_cut_bodies_under_a_good_signature_are_refused() {
    let circle = Circle::new(31, 2, &[1, 1]);
    let purpose = Purpose::new("guardian set");
    let body = &circle.dealt.signed_set[..circle.dealt.signed_set.len() - 64];
    let owner = circle.owner.signing.verify_key();
    for len in 0..body.len() {
        let mut cut = body[..len].to_vec();
        let signature = circle.owner.signing.sign(purpose, &cut);
        cut.extend_from_slice(&signature.0);
        assert_eq!(GuardianSet::verify(&cut, &owner).err(), Some(CryptoError::Refused), "{len}");
    }
}

/// An object of one kind is never taken for another, whoever signed it.
#[test]
fn v3_kinds_are_not_exchanged() {
    let node = SigningKey::generate(&mut rand::rng());
    let key = SealPublicKey([9; 32]);
    let release = ReleaseStatement::sign(Digest32([1; 32]), key, NodeId::from_bytes([2; 16]), &node);
    assert!(CellKeyStatement::claimed_node(&release).is_err());
    assert!(ReleaseStatement::claimed_node(&release).is_ok());
    let later = [&release[..5], &[2], &release[6..]].concat();
    assert!(ReleaseStatement::claimed_node(&later).is_err(), "another version");
}
