//! Which sets can be dealt, whose units open, and drills.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{cell::RefCell, time::Duration};

use ocmt_types::{GuardianSetId, GuardianshipId, Id as _};
use rand::{SeedableRng as _, rngs::StdRng};

use crate::{
    CryptoError,
    shamir::{self, Share},
    testing::assert_brittle,
};

use super::{
    Delays, DrillChallenge, GuardianSet, Plan, deal, open_units,
    test_set::{Circle, NOW, Person, plan},
    unit::seal_units,
};

#[test]
fn a_dealt_set_is_what_was_planned_and_its_shares_make_its_key() {
    let circle = Circle::new(1, 3, &[2, 1, 1, 1]);
    let set = GuardianSet::verify(&circle.dealt.signed_set, &circle.owner.signing.verify_key()).unwrap();
    assert!(set == circle.dealt.set && set.hash() == circle.dealt.set.hash());
    assert_eq!((set.threshold(), set.total(), set.has_override()), (3, 5, true));
    assert_eq!(
        set.guardians().iter().map(|g| g.units.clone()).collect::<Vec<_>>(),
        [1..=2, 3..=3, 4..=4, 5..=5]
    );
    let shares: Vec<_> =
        (0..4).flat_map(|i| circle.units(i)).map(|unit| Share { x: unit.x(), y: unit.share.y }).collect();
    assert_eq!(*shamir::combine(&shares[1..4], 3).unwrap(), *circle.dealt.recovery_key.expose());
}

/// R5: every set that hands the key out, cannot be met, or counts one person twice.
#[test]
fn r5_unlawful_sets_are_not_dealt() {
    let mut rng = StdRng::seed_from_u64(2);
    let owner = Person::new(&mut rng);
    let people: Vec<_> = (0..21).map(|_| Person::new(&mut rng)).collect();
    let mut deals = |plan: &Plan| deal(plan, &owner.signing, &mut rng).is_ok();
    let of = |k: u8, weights: &[u8]| plan(1, k, weights, &owner, &people);
    for (k, weights, why) in [
        (0, vec![1; 3], "k = 0"),
        (1, vec![1; 3], "k = 1"),
        (4, vec![1; 3], "k > n"),
        (2, vec![], "n = 0"),
        (2, vec![1; 21], "n > 20"),
        (11, vec![10, 10, 1], "n > 20 by weight"),
        (255, vec![254, 254], "n far over 20"),
        (3, vec![3, 1, 1], "one guardian with k units"),
        (3, vec![0, 2, 2], "a guardian without a unit"),
    ] {
        assert!(!deals(&of(k, &weights)), "{why}");
    }
    let spoiled = |spoil: &dyn Fn(&mut Plan)| {
        let mut plan = of(2, &[1, 1, 1]);
        spoil(&mut plan);
        plan
    };
    assert!(deals(&spoiled(&|_| {})));
    assert!(!deals(&spoiled(&|p| p.seats[1].keys = p.seats[0].keys)), "one person under two addresses");
    assert!(!deals(&spoiled(&|p| p.seats[1].keys.identity = p.seats[0].keys.identity)), "one identity twice");
    assert!(
        !deals(&spoiled(&|p| p.seats[1].keys.sealing = p.seats[0].keys.sealing)),
        "one sealing key twice"
    );
    assert!(!deals(&spoiled(&|p| p.seats[0].keys = owner.keys())), "the owner");
    assert!(!deals(&spoiled(&|p| p.seats[0].keys.sealing = owner.keys().sealing)), "half the owner");
    assert!(
        !deals(&spoiled(&|p| p.seats[1].guardianship = p.seats[0].guardianship)),
        "one guardianship twice"
    );
    assert!(deals(&of(2, &[1; 20])) && deals(&of(20, &[1; 20])));
}

/// What a dealer who does not check has signed is refused by everyone who verifies it.
#[test]
fn r5_unlawful_sets_do_not_verify() {
    let Circle { owner, dealt, .. } = Circle::new(3, 2, &[1, 1, 1]);
    let verifies = |set: &GuardianSet| {
        GuardianSet::verify(&set.sign(&owner.signing).unwrap(), &owner.signing.verify_key()).is_ok()
    };
    assert!(verifies(&dealt.set));
    for k in [0, 1, 4, 255] {
        assert!(!verifies(&GuardianSet { threshold: k, ..dealt.set.clone() }), "k = {k}");
    }
    let mut twice = dealt.set.clone();
    twice.guardians[1].keys = twice.guardians[0].keys;
    assert!(!verifies(&twice));
    let mut missing = dealt.set.clone();
    missing.units.pop();
    assert!(!verifies(&missing), "a unit without a commitment");
    let mut doubled = dealt.set.clone();
    doubled.guardians[1].guardianship = GuardianshipId::from_bytes([1; 16]);
    assert!(!verifies(&doubled));
}

#[test]
fn the_longer_of_two_delays_is_lawful_and_what_is_longer_already_stays() {
    let day = |lock: u64, recovery: u64, change: u64, window: u64| {
        let [lock_ms, recovery_ms, change_ms, change_window_ms] =
            [lock, recovery, change, window].map(|hours| hours * 3_600_000);
        Delays { lock_ms, recovery_ms, change_ms, change_window_ms }
    };
    let (usual, milder) = (day(120, 48, 36, 12), day(24, 12, 6, 6));
    assert_eq!((milder.or_longer(&usual), usual.or_longer(&milder)), (usual, usual));
    // each is lawful by itself, and the longer parts of both together would not be
    let (one, other) = (day(48, 48, 36, 12), day(48, 48, 12, 36));
    assert_eq!(one.or_longer(&other), day(72, 72, 36, 36));
    one.or_longer(&other).check(false).unwrap();
}

#[test]
fn delays_keep_their_order_and_their_floor() {
    let hour = 3_600_000;
    let delays = |lock, recovery, change, window| Delays {
        lock_ms: lock,
        recovery_ms: recovery,
        change_ms: change,
        change_window_ms: window,
    };
    Delays::DEFAULT.check(false).unwrap();
    delays(2 * hour, 2 * hour, hour, hour).check(false).unwrap();
    for bad in [
        delays(2 * hour - 1, 2 * hour, hour, hour),
        delays(2 * hour, 2 * hour - 1, hour, hour),
        delays(2 * hour, 2 * hour, hour - 1, hour),
        delays(2 * hour, 2 * hour, hour, hour - 1),
        delays(u64::MAX, 2 * hour, hour, hour),
        delays(u64::MAX, u64::MAX, u64::MAX, u64::MAX),
    ] {
        assert!(bad.check(false).is_err(), "{bad:?}");
    }
    assert!(delays(20, 10, 5, 5).check(true).is_ok() && delays(20, 10, 5, 5).check(false).is_err());
    assert!(delays(5, 10, 5, 5).check(true).is_err(), "the order holds in development, too");
}

#[test]
fn every_damaged_set_is_refused() {
    let circle = Circle::new(4, 2, &[1, 1]);
    let owner = circle.owner.signing.verify_key();
    assert_eq!(GuardianSet::claimed_owner(&circle.dealt.signed_set), Ok(owner));
    assert_brittle(&circle.dealt.signed_set, |bytes| GuardianSet::verify(bytes, &owner).is_ok());
    // what names itself as owner is not the owner
    let other = Circle::new(5, 2, &[1, 1]);
    assert!(GuardianSet::verify(&other.dealt.signed_set, &owner).is_err());
    assert!(circle.dealt.set.sign(&other.owner.signing).is_err());
}

#[test]
fn units_open_for_their_guardian_in_their_set_alone() {
    let circle = Circle::new(6, 3, &[2, 1, 1]);
    let [a, b] = [0, 1].map(|i| &circle.guardians[i]);
    let set = &circle.dealt.set;
    let sealed = &circle.dealt.units[0].sealed;
    let opens = |bytes: &[u8], set: &GuardianSet, who: &Person, by: &Person| {
        open_units(bytes, set, &who.signing.verify_key(), &by.sealing).is_ok()
    };
    assert!(opens(sealed, set, a, a) && !opens(sealed, set, b, b) && !opens(sealed, set, b, a));
    assert!(!opens(&circle.dealt.units[1].sealed, set, a, a), "another's units");
    assert_brittle(sealed, |bytes| opens(bytes, set, a, a));
}

/// R11: dealt anew, old units are no use against the new set, nor the other way round.
#[test]
fn r11_units_of_an_earlier_set_are_refused() {
    let mut circle = Circle::new(7, 2, &[1, 1, 1]);
    let plan = plan(2, 2, &[1, 1, 1], &circle.owner, &circle.guardians);
    let anew = deal(&plan, &circle.owner.signing, &mut circle.rng).unwrap();
    let person = &circle.guardians[0];
    let opens = |sealed: &[u8], set: &GuardianSet| {
        open_units(sealed, set, &person.signing.verify_key(), &person.sealing).is_ok()
    };
    assert!(
        opens(&circle.dealt.units[0].sealed, &circle.dealt.set) && opens(&anew.units[0].sealed, &anew.set)
    );
    assert!(
        !opens(&circle.dealt.units[0].sealed, &anew.set) && !opens(&anew.units[0].sealed, &circle.dealt.set)
    );
    assert_ne!(circle.dealt.recovery_key.expose(), anew.recovery_key.expose());
    // the same share under the new set's commitments, as if the seal were not there
    let old = &circle.units(0)[0];
    assert!(anew.set.check_share(1, &old.share.y, &old.blind).is_err());
}

/// An owner's client that seals other shares than it commits to is found out at the guardian's.
#[test]
fn units_that_are_not_what_the_set_commits_to_are_refused() {
    let mut circle = Circle::new(8, 2, &[1, 1, 1]);
    let person = &circle.guardians[0];
    let spoilers: [fn(&mut super::Unit); 7] = [
        |unit| unit.share.y[31] ^= 1,
        |unit| unit.share.x = 2,
        |unit| unit.blind[0] ^= 1,
        |unit| unit.threshold = 3,
        |unit| unit.total = 4,
        |unit| unit.set = GuardianSetId::from_bytes([9; 16]),
        |unit| unit.drill = crate::sign::SigningKey::from_bytes(&[9; 32]),
    ];
    for spoil in spoilers {
        let mut units = circle.units(0);
        spoil(&mut units[0]);
        let set = &circle.dealt.set;
        let sealed = seal_units(&units, set, &set.guardians()[0], &mut circle.rng).unwrap();
        let opened = open_units(&sealed, set, &person.signing.verify_key(), &person.sealing);
        assert_eq!(opened.err(), Some(CryptoError::Refused));
    }
}

#[test]
fn a_drill_shows_that_a_unit_is_there() {
    let circle = Circle::new(9, 2, &[1, 1, 1]);
    let set = &circle.dealt.set;
    let challenge =
        DrillChallenge { set: set.id(), nonce: [7; 32], expires: NOW + Duration::from_millis(1_000) };
    assert_eq!(DrillChallenge::decode(&challenge.encode()), Ok(challenge));
    let unit = &circle.units(1)[0];
    let answer = unit.answer(&challenge, NOW).unwrap();
    assert_eq!(set.check_drill(&challenge, &answer, NOW), Ok(2));
    let late = challenge.expires;
    assert!(unit.answer(&challenge, late).is_err() && set.check_drill(&challenge, &answer, late).is_err());
    let other = DrillChallenge { nonce: [8; 32], ..challenge };
    assert!(set.check_drill(&other, &answer, NOW).is_err(), "an answer to an earlier challenge");
    let elsewhere = DrillChallenge { set: GuardianSetId::from_bytes([9; 16]), ..challenge };
    assert!(unit.answer(&elsewhere, NOW).is_err() && set.check_drill(&elsewhere, &answer, NOW).is_err());
    let answers = RefCell::new(Vec::new());
    assert_brittle(&answer, |bytes| {
        let checked = set.check_drill(&challenge, bytes, NOW);
        answers.borrow_mut().extend(checked);
        checked.is_ok()
    });
    assert!(answers.borrow().iter().all(|x| *x == 2));
}
