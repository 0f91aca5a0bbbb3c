//! What a ceremony costs on people's devices, at 3 of 5 and at 12 of 20: dealing, opening one's units, approving, the node's
//! check of an approval, collecting, and leaving a forged one out.
//!
//! ```sh
//! cargo run --release -p ocmt-crypto --example ceremony-figures
//! ```
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for figures")]

use std::time::Duration;

use ocmt_crypto::{
    ceremony::{Approval, BadReason, Ceremony, Collection, Purpose, ReleaseStatement, approve, collect},
    datakey::VaultScope,
    guardian::{Dealt, Delays, GuardianKeys, Plan, Seat, deal, open_units},
    seal::SealSecretKey,
    sign::SigningKey,
    words,
};
use ocmt_types::{
    Clock as _, GuardianSetId, GuardianshipId, Id as _, NodeId, SystemClock, TenantId, Timestamp, VaultId,
};

/// Each figure is the middle one of so many.
const TIMES: usize = 21;
const NOW: Timestamp = Timestamp(1_700_000_000_000);

struct Person {
    signing: SigningKey,
    sealing: SealSecretKey,
}

impl Person {
    fn new() -> Self {
        let mut rng = rand::rng();
        Self { signing: SigningKey::generate(&mut rng), sealing: SealSecretKey::generate(&mut rng) }
    }
}

/// Tells how long it takes, and gives the last result.
fn timed<T>(what: &str, mut work: impl FnMut() -> T) -> T {
    let mut last = work();
    let mut took: Vec<Duration> = (0..TIMES)
        .map(|_| {
            let start = SystemClock.boottime();
            last = work();
            SystemClock.boottime().saturating_sub(start)
        })
        .collect();
    took.sort_unstable();
    println!("  {what:44} {:9.3} ms", took[TIMES / 2].as_secs_f64() * 1e3);
    last
}

fn plan(k: u8, n: u8, owner: &Person, guardians: &[Person]) -> Plan {
    let seats = (1..=n).zip(guardians).map(|(at, guardian)| Seat {
        guardianship: GuardianshipId::from_bytes([at; 16]),
        keys: GuardianKeys { identity: guardian.signing.verify_key(), sealing: guardian.sealing.public() },
        units: 1,
    });
    Plan {
        id: GuardianSetId::from_bytes([9; 16]),
        scope: VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) },
        owner_sealing: owner.sealing.public(),
        threshold: k,
        delays: Delays::DEFAULT,
        seats: seats.collect(),
        dealt_at: NOW,
        dev: false,
    }
}

fn ceremony(dealt: &Dealt, requester: &SealSecretKey) -> Ceremony {
    let delay_ms = dealt.set.delays().recovery_ms;
    Ceremony {
        nonce: rand::random(),
        scope: dealt.set.scope(),
        set: dealt.set.id(),
        set_hash: dealt.set.hash(),
        requester: requester.public(),
        purpose: Purpose::Recovery,
        opened_at: NOW,
        delay_ms,
        expires_at: NOW + Duration::from_millis(3 * delay_ms),
        overrides: None,
    }
}

fn figures(k: u8, n: u8) {
    println!("{k} of {n}");
    let (owner, host, node) = (Person::new(), Person::new(), NodeId::from_bytes([5; 16]));
    let guardians: Vec<Person> = (0..n).map(|_| Person::new()).collect();
    let plan = plan(k, n, &owner, &guardians);
    let dealt = timed("owner deals", || deal(&plan, &owner.signing, &mut rand::rng()).unwrap());
    let units = |at: usize| {
        let person = &guardians[at];
        open_units(&dealt.units[at].sealed, &dealt.set, &person.signing.verify_key(), &person.sealing)
            .unwrap()
    };
    timed("guardian opens the units", || units(0));
    let (requester, release) = (Person::new().sealing, Person::new().sealing);
    let ceremony = ceremony(&dealt, &requester);
    let hash = ceremony.hash();
    timed("six words (Argon2id, 64 MiB)", || words::for_ceremony(&hash).unwrap());
    let stated = ReleaseStatement::sign(hash, release.public(), node, &host.signing);
    let statement = ReleaseStatement::verify(&stated, node, &host.signing.verify_key(), &hash).unwrap();
    let approve_by = |at: usize, units: &[_]| {
        let by = (&guardians[at].signing, units);
        approve(&ceremony, &dealt.set, &statement, by, NOW, &mut rand::rng())
    };
    let own = units(0);
    timed("guardian approves", || approve_by(0, &own).unwrap());
    let mut approvals: Vec<Vec<u8>> =
        (0..usize::from(k)).map(|at| approve_by(at, &units(at)).unwrap()).collect();
    timed("node checks an approval", || {
        Approval::verify(&approvals[0], &hash, &release.public(), &dealt.set).unwrap();
    });
    let given = Collection { ceremony: &ceremony, set: &dealt.set, release: &release, requester: &requester };
    let collected =
        timed("requester collects and rebuilds the key", || collect(&given, &approvals, |_| Ok(())).unwrap());
    assert!(collected.bad.is_empty() && collected.outcome.is_ok());
    // a share that is not the one dealt costs the same: each is opened and held against its commitment before any is used
    if let Some(byte) = approvals.first_mut().and_then(|forged| forged.last_mut()) {
        *byte ^= 1;
    }
    approvals.push(approve_by(usize::from(k), &units(usize::from(k))).unwrap());
    let collected = timed("the same, a forged one left out and named", || {
        collect(&given, &approvals, |_| Ok(())).unwrap()
    });
    assert!(matches!(collected.bad.as_slice(), [bad] if bad.index == 0 && bad.reason == BadReason::Unsigned));
}

fn main() {
    figures(3, 5);
    figures(12, 20);
}
