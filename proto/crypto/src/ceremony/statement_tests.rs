//! Parameters, release keys, stops and overrides.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use ocmt_types::{Digest32, Id as _, NodeId, Timestamp};

use crate::{CryptoError, guardian::test_set::NOW, sign::SigningKey, testing::assert_brittle};

use super::{
    Ceremony, MAX_CEREMONY_MS, Purpose, ReleaseStatement, StopStatement, Verdict, check_override,
    lost_mailbox,
    test_world::{World, node},
};

#[test]
fn every_field_is_in_the_hash() {
    let ceremony = World::new(1, 2, &[1, 1]).ceremony;
    assert_eq!(Ceremony::decode(&ceremony.encode()), Ok(ceremony));
    let (bytes, hash) = (ceremony.encode(), ceremony.hash());
    // there is no signature on it: a changed one is another ceremony, or none
    assert_brittle(&bytes, |bytes| Ceremony::decode(bytes).is_ok_and(|other| other.hash() == hash));
    let overriding = Ceremony { overrides: Some(hash), ..ceremony };
    assert_eq!(Ceremony::decode(&overriding.encode()), Ok(overriding));
}

#[test]
fn a_ceremony_keeps_to_its_set() {
    let world = World::new(2, 2, &[1, 1, 1]);
    let set = &world.circle.dealt.set;
    let good = world.ceremony;
    good.check(set).unwrap();
    let (recovery, lock) = (set.delays().recovery_ms, set.delays().lock_ms);
    let at = |ms| NOW + Duration::from_millis(ms);
    for (why, bad) in [
        ("another set", Ceremony { set_hash: Digest32([9; 32]), ..good }),
        ("a shorter delay", Ceremony { delay_ms: recovery - 1, ..good }),
        ("over before it is released", Ceremony { expires_at: at(recovery), ..good }),
        ("over before it begins", Ceremony { expires_at: NOW - Duration::from_millis(1), ..good }),
        ("for ever", Ceremony { expires_at: at(MAX_CEREMONY_MS + 1), ..good }),
        ("for ever", Ceremony { expires_at: Timestamp(i64::MAX), ..good }),
        ("an override at the short delay", Ceremony { overrides: Some(Digest32([1; 32])), ..good }),
        (
            "an unlock that overrides",
            Ceremony { overrides: Some(Digest32([1; 32])), purpose: Purpose::Unlock, ..good },
        ),
    ] {
        assert!(bad.check(set).is_err(), "{why}");
    }
    let overriding =
        Ceremony { overrides: Some(Digest32([1; 32])), delay_ms: lock, expires_at: at(2 * lock), ..good };
    overriding.check(set).unwrap();
    Ceremony { purpose: Purpose::Unlock, delay_ms: 0, ..good }.check(set).unwrap();
    // with k = n there is no override
    let all = World::new(3, 2, &[1, 1]);
    let set = &all.circle.dealt.set;
    let overriding = Ceremony { set_hash: set.hash(), ..overriding };
    assert!(matches!(overriding.check(set), Err(CryptoError::OutOfRange { .. })));
}

#[test]
fn a_release_key_is_believed_from_its_node_for_its_ceremony() {
    let world = World::new(4, 2, &[1, 1]);
    let hash = world.ceremony.hash();
    let bytes = ReleaseStatement::sign(hash, world.release.public(), node(), &world.host);
    assert_eq!(ReleaseStatement::claimed_node(&bytes), Ok(node()));
    let key = world.host.verify_key();
    let verified = ReleaseStatement::verify(&bytes, node(), &key, &hash).unwrap();
    assert_eq!(
        (verified.key(), verified.ceremony(), verified.node()),
        (&world.release.public(), &hash, node())
    );
    assert!(ReleaseStatement::verify(&bytes, node(), &key, &Digest32([9; 32])).is_err(), "another ceremony");
    assert!(
        ReleaseStatement::verify(&bytes, NodeId::from_bytes([9; 16]), &key, &hash).is_err(),
        "another node"
    );
    let stranger = SigningKey::generate(&mut rand::rng()).verify_key();
    assert!(ReleaseStatement::verify(&bytes, node(), &stranger, &hash).is_err());
    assert_brittle(&bytes, |bytes| ReleaseStatement::verify(bytes, node(), &key, &hash).is_ok());
}

#[test]
fn guardians_deny_lock_and_doubt_and_only_owners_veto() {
    let world = World::new(5, 2, &[1, 1, 1]);
    let (set, hash) = (&world.circle.dealt.set, world.ceremony.hash());
    let guardian = &world.circle.guardians[1].signing;
    let owner = &world.circle.owner.signing;
    for verdict in [Verdict::Deny, Verdict::Lock, Verdict::Doubt] {
        let bytes = StopStatement::sign(verdict, hash, NOW, guardian);
        let (said, by) = StopStatement::verify_guardian(&bytes, &hash, set).unwrap();
        assert_eq!((said.verdict(), said.said_at(), by.units.clone()), (verdict, NOW, 2..=2));
        assert!(StopStatement::verify_guardian(&bytes, &Digest32([9; 32]), set).is_err(), "another ceremony");
        assert!(StopStatement::verify_veto(&bytes, &hash, set).is_err());
        assert_brittle(&bytes, |bytes| StopStatement::verify_guardian(bytes, &hash, set).is_ok());
        let bytes = StopStatement::sign(verdict, hash, NOW, owner);
        assert!(StopStatement::verify_guardian(&bytes, &hash, set).is_err(), "not a guardian");
    }
    let veto = StopStatement::sign(Verdict::Veto, hash, NOW, owner);
    assert_eq!(StopStatement::verify_veto(&veto, &hash, set).unwrap().verdict(), Verdict::Veto);
    assert!(StopStatement::verify_guardian(&veto, &hash, set).is_err());
    let forged = StopStatement::sign(Verdict::Veto, hash, NOW, guardian);
    assert!(
        StopStatement::verify_veto(&forged, &hash, set).is_err()
            && StopStatement::verify_guardian(&forged, &hash, set).is_err()
    );
    assert_brittle(&veto, |bytes| StopStatement::verify_veto(bytes, &hash, set).is_ok());
}

#[test]
fn a_set_is_retired_by_the_vault_signing_key() {
    let world = World::new(6, 2, &[1, 1]);
    let hash = world.circle.dealt.set.hash();
    let vault = SigningKey::generate(&mut rand::rng());
    let bytes = StopStatement::sign(Verdict::Retire, hash, NOW, &vault);
    let key = vault.verify_key();
    assert_brittle(&bytes, |bytes| StopStatement::verify_retirement(bytes, &hash, &key).is_ok());
    let by_owner = StopStatement::sign(Verdict::Retire, hash, NOW, &world.circle.owner.signing);
    assert!(StopStatement::verify_retirement(&by_owner, &hash, &key).is_err());
}

#[test]
fn an_override_takes_k_plus_1_units_for_exactly_this_ceremony() {
    let world = World::new(7, 3, &[2, 1, 1, 1]);
    let set = &world.circle.dealt.set;
    let stopped = Digest32([8; 32]);
    let ceremony = Ceremony { overrides: Some(stopped), ..world.ceremony };
    let by = ceremony.hash();
    let agree = |i: usize, stopped, by| {
        StopStatement::sign(Verdict::Override { by }, stopped, NOW, &world.circle.guardians[i].signing)
    };
    let good = |i| agree(i, stopped, by);
    check_override(&ceremony, set, &[good(0), good(1), good(2)]).unwrap();
    let check = |statements: &[Vec<u8>]| check_override(&ceremony, set, statements).err();
    let too_few = Some(CryptoError::TooFewUnits { have: 3, need: 4 });
    assert_eq!(check(&[good(0), good(1)]), too_few, "k are not enough");
    assert_eq!(check(&[good(0), good(1), good(1), good(0)]), too_few, "each counts once");
    let other = Digest32([7; 32]);
    assert_eq!(
        check(&[good(0), good(1), agree(2, other, by)]),
        Some(CryptoError::Refused),
        "of another stop"
    );
    assert_eq!(
        check(&[good(0), good(1), agree(2, stopped, other)]),
        Some(CryptoError::Refused),
        "for another"
    );
    let lock = StopStatement::sign(Verdict::Lock, stopped, NOW, &world.circle.guardians[2].signing);
    assert_eq!(check(&[good(0), good(1), lock]), Some(CryptoError::Refused));
    assert_eq!(
        check_override(&world.ceremony, set, &[good(0)]).err(),
        Some(CryptoError::Refused),
        "overrides nothing"
    );
}

#[test]
fn a_signature_for_who_has_lost_the_mailbox_is_for_one_ceremony_and_one_address() {
    let world = World::new(9, 2, &[1, 1, 1]);
    let (set, by) = (&world.circle.dealt.set, world.ceremony.hash());
    let signer = &world.circle.guardians[0].signing;
    let (here, there) = (lost_mailbox("owner@new.example"), lost_mailbox("thief@new.example"));
    assert_ne!(here, there);
    let signed = StopStatement::sign(Verdict::Override { by }, here, NOW, signer);
    let (statement, guardian) = StopStatement::verify_guardian(&signed, &here, set).unwrap();
    assert_eq!((statement.verdict(), guardian.units.clone()), (Verdict::Override { by }, 1..=1));
    assert!(StopStatement::verify_guardian(&signed, &there, set).is_err());
    assert!(StopStatement::verify_guardian(&signed, &by, set).is_err());
    // nor does it count towards an override
    let over = Ceremony { overrides: Some(Digest32([1; 32])), ..world.ceremony };
    assert!(check_override(&over, set, &[signed]).is_err());
}
