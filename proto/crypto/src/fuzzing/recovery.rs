//! Guardians, ceremonies and groups.

use ocmt_types::{Digest32, Id as _, NodeId};

use super::{KEY, chosen, same};
use crate::{
    ceremony::{APPROVAL, Approval, Ceremony, ReleaseStatement, StopStatement},
    codec::Writer,
    group::{ACCEPTANCE, ADMISSION, Acceptance, Admission},
    guardian::{DrillChallenge, GuardianSet, Unit, test_set::Circle},
    seal::SealSecretKey,
    sign::{SigningKey, VerifyKey},
};

/// Guardian sets, units, and drills, and what members and administrators of a group say of each other.
pub fn guardians(data: &[u8]) {
    match chosen(data) {
        (0, bytes) => {
            let _ = GuardianSet::claimed_owner(bytes);
        }
        (1, body) => {
            // 64 bytes stand for the signature, which `claimed_owner` does not look at
            let _ = GuardianSet::claimed_owner(&[body, &[0; 64]].concat());
        }
        (2, bytes) => same(bytes, Unit::read(bytes), |unit| {
            let mut out = Writer::new();
            unit.write(&mut out);
            out.into_vec()
        }),
        (4, body) => acceptance(body),
        (6, body) => admission(body),
        (_, bytes) => same(bytes, DrillChallenge::decode(bytes), DrillChallenge::encode),
    }
}

/// The word of a member, under the member's good signature.
fn acceptance(body: &[u8]) {
    let key = SigningKey::from_bytes(&KEY);
    let signed = [body, &key.sign(ACCEPTANCE, body).0].concat();
    same(&signed, Acceptance::open(&signed, &key.verify_key()), |said| {
        said.sign(&key).expect("the member's own")
    });
}

/// That of an administrator.
fn admission(body: &[u8]) {
    let key = SigningKey::from_bytes(&KEY);
    let signed = [body, &key.sign(ADMISSION, body).0].concat();
    same(&signed, Admission::open(&signed, &key.verify_key()), |said| said.sign(&key));
}

/// Ceremonies and all that is said on them.
pub fn ceremonies(data: &[u8]) {
    thread_local!(static CIRCLE: Circle = Circle::new(1, 2, &[1, 1, 1]));
    let subject = Digest32([8; 32]);
    match chosen(data) {
        (0, bytes) => same(bytes, Ceremony::decode(bytes), Ceremony::encode),
        (1, bytes) => {
            let _ = ReleaseStatement::claimed_node(bytes);
            let _ = ReleaseStatement::verify(bytes, NodeId::from_bytes([9; 16]), &VerifyKey(KEY), &subject);
        }
        (2, bytes) => {
            let _ = StopStatement::verify_retirement(bytes, &subject, &VerifyKey(KEY));
        }
        (4, bytes) => CIRCLE.with(|circle| {
            if let Ok(shares) = Approval::read_released(bytes, &circle.dealt.set) {
                assert!(shares.iter().all(|share| (1..=3).contains(&share.x)), "a share that was not dealt");
            }
        }),
        (6, body) => CIRCLE.with(|circle| {
            let signed = [body, &circle.guardians[0].signing.sign(APPROVAL, body).0].concat();
            let release = SealSecretKey::from_bytes(KEY).public();
            let _ = Approval::verify(&signed, &subject, &release, &circle.dealt.set);
        }),
        (_, bytes) => {
            let release = SealSecretKey::from_bytes(KEY).public();
            CIRCLE.with(|circle| {
                let _ = Approval::verify(bytes, &subject, &release, &circle.dealt.set);
                let _ = StopStatement::verify_guardian(bytes, &subject, &circle.dealt.set);
            });
        }
    }
}
