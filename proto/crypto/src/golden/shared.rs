//! Shares that may write: the giver's grant, what the taker sent, and the ledger that knows of it.

use ocmt_types::{Digest32, Id as _, ShareId, TenantId, Timestamp, VaultId};
use rand::rngs::StdRng;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    datakey::{ObjectPlace, VaultScope},
    seal::{SealPublicKey, SealSecretKey},
    shared::{Acts, Basis, SharedAct, SharedPlace, SharedWrite, WriteGrant},
    sign::{SigningKey, VerifyKey},
    unlock::{Ledger, WriteRight},
};

use super::{array, bytes, hex};

const GIVEN: Timestamp = Timestamp(1_800_000_000_000);
const EXPIRES: Timestamp = Timestamp(1_800_086_400_000);
const ACTS: Acts = Acts { write: true, delete: true };

fn place(sequence: u64) -> SharedPlace {
    let scope = VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([0x21; 16]) };
    let place = ObjectPlace { scope, object: Digest32([0x31; 32]), version: 4 };
    let basis = Basis { place, body_hash: Digest32([0x32; 32]) };
    SharedPlace { share: ShareId::from_bytes([0x33; 16]), basis, sequence }
}

/// One share that may write and delete, of which sequence 1 was filed.
fn ledger(inbox: SealPublicKey, taker: (VerifyKey, SealPublicKey)) -> Ledger {
    let mut ledger = Ledger::default();
    let of = (place(0).share, place(0).basis.place.object);
    ledger.give(WriteRight::new(of, ACTS, taker, inbox, GIVEN, Some(EXPIRES))).unwrap();
    ledger.shared_done(&place(1));
    ledger
}

pub(super) fn make(rng: &mut StdRng) -> Value {
    let (giver, taker) = (SigningKey::generate(rng), SigningKey::generate(rng));
    let (inbox, sealing) = (SealSecretKey::generate(rng), SealSecretKey::generate(rng).public());
    let Basis { place: at, body_hash } = place(0).basis;
    let grant = WriteGrant {
        share: place(0).share,
        basis: place(0).basis,
        acts: ACTS,
        inbox: inbox.public(),
        taker: taker.verify_key(),
    };
    let put = SharedAct::Put(Zeroizing::new(b"a new value".to_vec()));
    let mut sent =
        |sequence, act| SharedWrite::seal(&place(sequence), act, &inbox.public(), &taker, rng).unwrap();
    json!({
        "tenant": hex(at.scope.tenant.as_bytes()),
        "vault": hex(at.scope.vault.as_bytes()),
        "share": hex(place(0).share.as_bytes()),
        "object": hex(at.object.0),
        "version": at.version,
        "body_hash": hex(body_hash.0),
        "giver_verify_key": hex(giver.verify_key().0),
        "taker_verify_key": hex(taker.verify_key().0),
        "taker_sealing_key": hex(sealing.0),
        "inbox_secret_key": hex(inbox.expose()),
        "write_grant": hex(grant.sign(&giver)),
        "sequence": 2,
        "shared_write": hex(sent(2, &put)),
        "value": hex(b"a new value"),
        "shared_delete": hex(sent(3, &SharedAct::Delete)),
        "given_at": GIVEN.0,
        "expires_at": EXPIRES.0,
        "ledger": hex(&*ledger(inbox.public(), (taker.verify_key(), sealing)).encode()),
    })
}

pub(super) fn check(v: &Value) {
    let inbox = SealSecretKey::from_bytes(array(v, "inbox_secret_key"));
    let (giver, taker) = (VerifyKey(array(v, "giver_verify_key")), VerifyKey(array(v, "taker_verify_key")));
    let grant = WriteGrant::open(&bytes(v, "write_grant"), &giver).unwrap();
    assert_eq!((grant.share, grant.basis), (place(0).share, place(0).basis));
    assert_eq!((grant.acts, grant.inbox, grant.taker), (ACTS, inbox.public(), taker));
    let (put, end) = (bytes(v, "shared_write"), bytes(v, "shared_delete"));
    let (put, end) = (SharedWrite::verify(&put, &taker).unwrap(), SharedWrite::verify(&end, &taker).unwrap());
    assert_eq!((put.place, end.place), (place(2), place(3)));
    let SharedAct::Put(value) = put.open(&inbox).unwrap() else { panic!("a deletion") };
    assert_eq!(*value, bytes(v, "value"));
    assert!(matches!(end.open(&inbox), Ok(SharedAct::Delete)));
    let kept = Ledger::decode(&bytes(v, "ledger")).unwrap();
    let sealing = SealPublicKey(array(v, "taker_sealing_key"));
    assert_eq!(*kept.encode(), *ledger(inbox.public(), (taker, sealing)).encode());
    assert_eq!(kept.encode()[..], bytes(v, "ledger"));
}
