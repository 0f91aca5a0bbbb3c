//! What guardians, alone and together, can bring a requester to believe.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use ocmt_types::{GuardianSetId, Id as _};

use crate::{
    CryptoError, Result,
    guardian::{Unit, deal, test_set::plan},
    seal::SealSecretKey,
    slot::RecoveryKey,
    testing::assert_brittle,
};

use super::{
    Approval, BadApproval, BadReason, Ceremony, Collected, Collection, approval::Released, approve, collect,
    test_world::World,
};

/// Collects; the recovery slot opens to the key that was dealt.
fn collected(world: &World, approvals: &[Vec<u8>]) -> Collected<()> {
    let dealt = *world.circle.dealt.recovery_key.expose();
    collect(&world.collection(), approvals, |key| open_slot(key, &dealt)).unwrap()
}

fn open_slot(key: &RecoveryKey, dealt: &[u8; 32]) -> Result<()> {
    if key.expose() == dealt { Ok(()) } else { Err(CryptoError::Refused) }
}

/// The approval of guardian `i`, whose device was changed to release spoiled units.
fn spoiled(world: &mut World, i: usize, spoil: impl Fn(&mut Unit)) -> Vec<u8> {
    let mut units = world.circle.units(i);
    let xs: Vec<_> = units.iter().map(Unit::x).collect();
    units.iter_mut().for_each(spoil);
    let released = Released {
        hash: world.ceremony.hash(),
        requester: &world.ceremony.requester,
        release: &world.release.public(),
        units: &units,
    };
    released.seal_as(&xs, &world.circle.guardians[i].signing, &mut world.circle.rng).unwrap()
}

fn bad(world: &World, index: usize, i: usize, reason: BadReason) -> BadApproval {
    BadApproval { index, guardianship: Some(world.circle.dealt.set.guardians()[i].guardianship), reason }
}

/// Every subset of guardians: with k units the key, with k - 1 nothing.
#[test]
fn k_units_recover_and_k_minus_1_do_not() {
    for (seed, k, weights) in
        [(1, 2, vec![1, 1]), (2, 3, vec![2, 1, 1, 1]), (3, 4, vec![3, 2, 1]), (4, 5, vec![1; 5])]
    {
        let mut world = World::new(seed, k, &weights);
        let all: Vec<_> = (0..weights.len()).map(|i| world.approval(i)).collect();
        for subset in 0..1_usize << weights.len() {
            let chosen = || (0..weights.len()).filter(|i| subset >> i & 1 == 1);
            let approvals: Vec<_> = chosen().map(|i| all[i].clone()).collect();
            let have: u8 = chosen().map(|i| weights[i]).sum();
            let got = collected(&world, &approvals);
            assert!(got.bad.is_empty());
            if have >= k {
                assert_eq!((got.outcome, got.used.len()), (Ok(()), usize::from(k)), "{have} of {k}");
            } else {
                assert_eq!(got.outcome, Err(CryptoError::TooFewUnits { have, need: k }));
            }
        }
    }
}

/// R1: a guardian who sends the share at x = 0 would choose the key.
#[test]
fn r1_share_at_zero_is_left_out_and_named() {
    let mut world = World::new(5, 3, &[1, 1, 1, 1]);
    let evil = spoiled(&mut world, 1, |unit| {
        unit.share.x = 0;
        unit.share.y = [0x42; 32];
    });
    let three = vec![world.approval(0), evil, world.approval(2)];
    let got = collected(&world, &three);
    assert_eq!(got.bad, [bad(&world, 1, 1, BadReason::WrongShare)]);
    assert_eq!(got.outcome, Err(CryptoError::TooFewUnits { have: 2, need: 3 }));
    let four = [three, vec![world.approval(3)]].concat();
    assert_eq!(collected(&world, &four).outcome, Ok(()));
}

/// R2: one flipped byte is found, its guardian named, and the others are enough.
#[test]
fn r2_wrong_share_is_left_out_and_named() {
    let mut world = World::new(6, 3, &[1, 1, 1, 1]);
    for spoil in [|unit: &mut Unit| unit.share.y[17] ^= 1, |unit: &mut Unit| unit.blind[0] ^= 1] {
        let evil = spoiled(&mut world, 0, spoil);
        let approvals = vec![evil, world.approval(1), world.approval(2), world.approval(3)];
        let got = collected(&world, &approvals);
        assert_eq!(got.bad, [bad(&world, 0, 0, BadReason::WrongShare)]);
        assert_eq!((got.outcome, got.used), (Ok(()), vec![2, 3, 4]));
        let got = collected(&world, &approvals[..3]);
        assert_eq!(got.outcome, Err(CryptoError::TooFewUnits { have: 2, need: 3 }));
    }
}

/// R3: another's x, another set, vault, k or n.
#[test]
fn r3_shares_from_elsewhere_are_left_out_and_named() {
    let mut world = World::new(7, 2, &[1, 1, 1]);
    let neighbour = world.circle.units(1)[0].share.y;
    let spoilers: [&dyn Fn(&mut Unit); 5] = [
        &|unit| {
            unit.share.x = 2;
            unit.share.y = neighbour;
        },
        &|unit| unit.set = GuardianSetId::from_bytes([9; 16]),
        &|unit| unit.vault = ocmt_types::VaultId::from_bytes([9; 16]),
        &|unit| unit.threshold = 3,
        &|unit| unit.total = 2,
    ];
    for spoil in spoilers {
        let evil = spoiled(&mut world, 0, spoil);
        let approvals = [evil, world.approval(1)];
        let got = collected(&world, &approvals);
        assert_eq!(got.bad, [bad(&world, 0, 0, BadReason::WrongShare)]);
        assert!(got.outcome.is_err());
    }
}

/// R7: the same guardian twice counts once; an approval of another ceremony, or under another release
/// key, does not count.
#[test]
fn r7_replayed_approvals_count_once_and_only_where_they_belong() {
    let mut world = World::new(8, 2, &[1, 1, 1]);
    let one = world.approval(0);
    let again = world.approval(0);
    let got = collected(&world, &[one.clone(), one.clone(), again]);
    assert_eq!(got.bad, [1, 2].map(|index| bad(&world, index, 0, BadReason::Repeated)));
    assert_eq!(got.outcome, Err(CryptoError::TooFewUnits { have: 1, need: 2 }));

    world.ceremony = Ceremony { nonce: [4; 32], ..world.ceremony };
    let (hash, set) = (world.ceremony.hash(), &world.circle.dealt.set);
    assert!(Approval::verify(&one, &hash, &world.release.public(), set).is_err(), "of an earlier ceremony");
    let two = world.approval(1);
    let other = SealSecretKey::generate(&mut world.circle.rng).public();
    assert!(Approval::verify(&two, &hash, &other, &world.circle.dealt.set).is_err(), "another release key");
    let got = collected(&world, &[one, two]);
    // nobody is named for what may be anyone's
    assert_eq!(got.bad, [BadApproval { index: 0, guardianship: None, reason: BadReason::Unsigned }]);
    assert!(got.outcome.is_err());
}

/// R11: after the owner dealt anew, approvals from the earlier set are worth nothing.
#[test]
fn r11_approvals_of_an_earlier_set_are_refused() {
    let mut world = World::new(9, 2, &[1, 1, 1]);
    let (old, old_set) = (world.approval(0), world.circle.dealt.set.clone());
    let plan = plan(2, 2, &[1, 1, 1], &world.circle.owner, &world.circle.guardians);
    world.circle.dealt = deal(&plan, &world.circle.owner.signing, &mut world.circle.rng).unwrap();
    let set = &world.circle.dealt.set;
    assert!(world.ceremony.check(&old_set).is_ok() && world.ceremony.check(set).is_err());
    let refused = collect(&world.collection(), std::slice::from_ref(&old), |_| Ok(()));
    assert_eq!(refused.err(), Some(CryptoError::Refused), "a ceremony of the old set");
    world.ceremony = Ceremony { set: set.id(), set_hash: set.hash(), ..world.ceremony };
    assert_eq!(collected(&world, &[old]).bad[0].reason, BadReason::Unsigned);
}

/// R4: neither half of the way opens an approval: not the node and its database, not the requester
/// before release.
#[test]
fn r4_both_keys_are_needed_to_open_an_approval() {
    let mut world = World::new(10, 2, &[1, 1]);
    let bytes = world.approval(0);
    let (ceremony, set) = (&world.ceremony, &world.circle.dealt.set);
    let approval = Approval::verify(&bytes, &ceremony.hash(), &world.release.public(), set).unwrap();
    let stranger = SealSecretKey::generate(&mut rand::rng());
    assert!(approval.open(ceremony, set, &world.release, &world.requester).is_ok());
    assert!(approval.open(ceremony, set, &world.release, &stranger).is_err(), "the node");
    assert!(approval.open(ceremony, set, &stranger, &world.requester).is_err(), "the requester, too early");
    let given = Collection { requester: &stranger, ..world.collection() };
    assert_eq!(collect(&given, &[bytes], |_| Ok(())).err(), Some(CryptoError::Refused));
}

#[test]
fn a_key_that_does_not_open_the_slot_is_no_recovery() {
    let mut world = World::new(11, 2, &[1, 1]);
    let approvals = [world.approval(0), world.approval(1)];
    let got = collect(&world.collection(), &approvals, |key| open_slot(key, &[0; 32])).unwrap();
    assert_eq!(got.outcome, Err(CryptoError::Refused));
}

#[test]
fn a_guardian_approves_only_what_belongs_together() {
    let mut world = World::new(12, 3, &[2, 1, 1]);
    let (units, statement) = (world.circle.units(0), world.statement());
    let other_units = world.circle.units(1);
    let set = world.circle.dealt.set.clone();
    let (own, other) = (&world.circle.guardians[0].signing, &world.circle.guardians[1].signing);
    let owner = &world.circle.owner.signing;
    let now = world.ceremony.opened_at;
    let mut tries = |ceremony: &Ceremony, own, now| {
        approve(ceremony, &set, &statement, own, now, &mut world.circle.rng).err()
    };
    let ceremony = world.ceremony;
    assert_eq!(tries(&ceremony, (own, &units), now), None);
    assert!(tries(&ceremony, (own, &units[..1]), now).is_some(), "half of one's units");
    assert!(tries(&ceremony, (own, &other_units), now).is_some(), "another's units");
    assert!(tries(&ceremony, (other, &units), now).is_some());
    assert!(tries(&ceremony, (owner, &units), now).is_some(), "the owner is no guardian");
    assert!(tries(&ceremony, (own, &units), ceremony.expires_at).is_some(), "R8: over");
    let changed = Ceremony { nonce: [9; 32], ..ceremony };
    assert!(tries(&changed, (own, &units), now).is_some(), "the release key is of another ceremony");
    let hasty = Ceremony { delay_ms: ceremony.delay_ms - 1, ..ceremony };
    assert!(tries(&hasty, (own, &units), now).is_some(), "shorter than the set's delay");
}

#[test]
fn every_damaged_approval_is_refused() {
    let mut world = World::new(13, 2, &[1, 1]);
    let bytes = world.approval(0);
    let (hash, release) = (world.ceremony.hash(), world.release.public());
    assert_brittle(&bytes, |bytes| Approval::verify(bytes, &hash, &release, &world.circle.dealt.set).is_ok());
}

#[test]
fn the_longest_lawful_set_goes_through() {
    let mut world = World::new(14, 20, &[1; 20]);
    let approvals: Vec<_> = (0..20).map(|i| world.approval(i)).collect();
    assert_eq!(collected(&world, &approvals).outcome, Ok(()));
    let mut world = World::new(15, 11, &[10, 10]);
    let approvals: Vec<_> = (0..2).map(|i| world.approval(i)).collect();
    assert_eq!(collected(&world, &approvals).outcome, Ok(()));
    assert!(world.ceremony.expires_at.since(world.ceremony.opened_at) > Duration::ZERO);
}
