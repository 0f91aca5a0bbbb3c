//! What a member and an administrator of a group sign of each other.

use ocmt_types::{GroupId, Id as _, SlotId, Timestamp};
use serde_json::{Value, json};

use super::{array, bytes, hex, scope, stored};
use crate::{
    group::{Acceptance, Admission},
    seal::SealSecretKey,
    sign::{SigningKey, VerifyKey},
};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(super) fn group() -> Value {
    let acceptance = Acceptance {
        group: GroupId::from_bytes([0x33; 16]),
        scope: scope(),
        member: key(1).verify_key(),
        sealing: SealSecretKey::from_bytes([5; 32]).public(),
        admitter: key(2).verify_key(),
        accepted_at: Timestamp(1_800_000_000_000),
    };
    let admission = Admission {
        group: acceptance.group,
        scope: acceptance.scope,
        member: acceptance.member,
        sealing: acceptance.sealing,
        verify_key: key(3).verify_key(),
        identity: key(4).verify_key(),
        slot: Some(SlotId::from_bytes([0x44; 16])),
        epoch: 7,
        admitted_at: Timestamp(1_800_000_001_000),
    };
    let alone = Admission { slot: None, ..admission };
    json!({
        "group": hex([0x33; 16]), "slot": hex([0x44; 16]), "epoch": 7,
        "member": hex(acceptance.member.0), "sealing": hex(acceptance.sealing.0), "admitter": hex(key(2).verify_key().0),
        "verify_key": hex(key(3).verify_key().0), "identity": hex(key(4).verify_key().0),
        "accepted_at": acceptance.accepted_at, "admitted_at": admission.admitted_at,
        "acceptance": hex(acceptance.sign(&key(1)).unwrap()), "admission": hex(admission.sign(&key(2))),
        "admission_without_slot": hex(alone.sign(&key(2))),
    })
}

#[test]
fn the_words_of_a_group_are_read() {
    let one = &stored()["group_words"];
    let acceptance = Acceptance::open(&bytes(&one["acceptance"]), &VerifyKey(array(&one["member"]))).unwrap();
    for name in ["admission", "admission_without_slot"] {
        let admission = Admission::open(&bytes(&one[name]), &acceptance.admitter).unwrap();
        admission.answers(&acceptance).unwrap();
        assert_eq!(admission.verify_key, VerifyKey(array(&one["verify_key"])));
    }
}
