//! A set of 3 of 5 units, a ceremony, its approvals, stops, a drill, and the key that comes of it.

use std::time::Duration;

use ocmt_types::{Digest32, Id as _, NodeId};
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::{
    ceremony::{
        Approval, Ceremony, Collection, Purpose, ReleaseStatement, StopStatement, Verdict, approve, collect,
        lost_mailbox,
    },
    guardian::{
        DrillChallenge, GuardianSet, Unit, open_units,
        test_set::{Circle, NOW},
    },
    seal::SealSecretKey,
    shamir::{Share, combine},
    sign::{SigningKey, VerifyKey},
    words,
};

use super::{array, bytes, hex};

fn node() -> NodeId {
    NodeId::from_bytes([5; 16])
}

pub(super) fn make(rng: &mut StdRng) -> Value {
    let circle = Circle::new(77, 3, &[2, 1, 1, 1]);
    let set = &circle.dealt.set;
    let (host, release, requester) =
        (SigningKey::generate(rng), SealSecretKey::generate(rng), SealSecretKey::generate(rng));
    let ceremony = Ceremony {
        nonce: [3; 32],
        scope: set.scope(),
        set: set.id(),
        set_hash: set.hash(),
        requester: requester.public(),
        purpose: Purpose::Recovery,
        opened_at: NOW,
        delay_ms: set.delays().recovery_ms,
        expires_at: NOW + Duration::from_secs(7 * 24 * 3600),
        overrides: None,
    };
    let hash = ceremony.hash();
    let statement = ReleaseStatement::sign(hash, release.public(), node(), &host);
    let stated = ReleaseStatement::verify(&statement, node(), &host.verify_key(), &hash).unwrap();
    let guardians = (0..4).map(|i| {
        let (person, units) = (&circle.guardians[i], circle.units(i));
        let approval = approve(&ceremony, set, &stated, (&person.signing, &units), NOW, rng).unwrap();
        json!({
            "identity_seed": hex(*person.signing.expose()),
            "sealing_secret_key": hex(person.sealing.expose()),
            "sealed_units": hex(&circle.dealt.units[i].sealed),
            "approval": hex(approval),
        })
    });
    let guardians: Vec<_> = guardians.collect();
    let shares = circle
        .units(0)
        .into_iter()
        .chain(circle.units(1))
        .map(|unit| json!({ "x": unit.x(), "share": hex(unit.share.y), "blind": hex(*unit.blind) }));
    let challenge = DrillChallenge { set: set.id(), nonce: [7; 32], expires: NOW + Duration::from_secs(60) };
    json!({
        "now": NOW.0,
        "node": hex(node().as_bytes()),
        "node_verify_key": hex(host.verify_key().0),
        "owner_verify_key": hex(circle.owner.signing.verify_key().0),
        "set": hex(&circle.dealt.signed_set),
        "set_hash": hex(set.hash().0),
        "guardians": guardians,
        "shares": shares.collect::<Vec<_>>(),
        "recovery_key": hex(circle.dealt.recovery_key.expose()),
        "ceremony": hex(ceremony.encode()),
        "ceremony_hash": hex(hash.0),
        "ceremony_words": words::for_ceremony(&hash).unwrap(),
        "requester_secret_key": hex(requester.expose()),
        "release_secret_key": hex(release.expose()),
        "release_statement": hex(&statement),
        "lock_by_the_first_guardian": hex(StopStatement::sign(Verdict::Lock, hash, NOW, &circle.guardians[0].signing)),
        "lost_mailbox": {
            "address": "owner@new.example",
            "subject": hex(lost_mailbox("owner@new.example").0),
        },
        "veto": hex(StopStatement::sign(Verdict::Veto, hash, NOW, &circle.owner.signing)),
        "drill_challenge": hex(challenge.encode()),
        "drill_answer_of_unit_1": hex(circle.units(0)[0].answer(&challenge, NOW).unwrap()),
    })
}

pub(super) fn check(v: &Value) {
    check_shares(v);
    check_ceremony(v);
    check_statements(v);
}

fn check_shares(v: &Value) {
    let shares: Vec<_> = v["shares"]
        .as_array()
        .unwrap()
        .iter()
        .map(|share| Share {
            x: u8::try_from(share["x"].as_u64().unwrap()).unwrap(),
            y: array(share, "share"),
        })
        .collect();
    assert_eq!(*combine(&shares, 3).unwrap(), array::<32>(v, "recovery_key"));
}

fn check_ceremony(v: &Value) {
    let owner = VerifyKey(array(v, "owner_verify_key"));
    let set = GuardianSet::verify(&bytes(v, "set"), &owner).unwrap();
    assert_eq!(set.hash(), Digest32(array(v, "set_hash")));
    let ceremony = Ceremony::decode(&bytes(v, "ceremony")).unwrap();
    let hash = ceremony.hash();
    assert_eq!(hash, Digest32(array(v, "ceremony_hash")));
    assert_eq!(json!(words::for_ceremony(&hash).unwrap()), v["ceremony_words"]);
    let host = VerifyKey(array(v, "node_verify_key"));
    let stated = ReleaseStatement::verify(&bytes(v, "release_statement"), node(), &host, &hash).unwrap();

    let guardians = v["guardians"].as_array().unwrap();
    for guardian in guardians {
        let identity = SigningKey::from_bytes(&array(guardian, "identity_seed")).verify_key();
        let sealing = SealSecretKey::from_bytes(array(guardian, "sealing_secret_key"));
        let units = open_units(&bytes(guardian, "sealed_units"), &set, &identity, &sealing).unwrap();
        let approval = Approval::verify(&bytes(guardian, "approval"), &hash, stated.key(), &set).unwrap();
        assert!(units.iter().map(Unit::x).eq(approval.units().iter().copied()));
    }
    let (release, requester) = (
        SealSecretKey::from_bytes(array(v, "release_secret_key")),
        SealSecretKey::from_bytes(array(v, "requester_secret_key")),
    );
    let given = Collection { ceremony: &ceremony, set: &set, release: &release, requester: &requester };
    let approvals: Vec<_> = guardians.iter().map(|guardian| bytes(guardian, "approval")).collect();
    let got = collect(&given, &approvals, |key| Ok(*key.expose())).unwrap();
    assert_eq!(got.outcome, Ok(array(v, "recovery_key")));
}

fn check_statements(v: &Value) {
    let set = GuardianSet::verify(&bytes(v, "set"), &VerifyKey(array(v, "owner_verify_key"))).unwrap();
    let hash = Digest32(array(v, "ceremony_hash"));
    let (lock, by) =
        StopStatement::verify_guardian(&bytes(v, "lock_by_the_first_guardian"), &hash, &set).unwrap();
    assert_eq!((lock.verdict(), by.units.clone()), (Verdict::Lock, 1..=2));
    StopStatement::verify_veto(&bytes(v, "veto"), &hash, &set).unwrap();
    let lost = &v["lost_mailbox"];
    assert_eq!(lost_mailbox(lost["address"].as_str().unwrap()), Digest32(array(lost, "subject")));
    let challenge = DrillChallenge::decode(&bytes(v, "drill_challenge")).unwrap();
    assert_eq!(set.check_drill(&challenge, &bytes(v, "drill_answer_of_unit_1"), NOW), Ok(1));
}
