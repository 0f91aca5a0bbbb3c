#![allow(clippy::unwrap_used)]
use ocmt_types::{Digest32, Id as _, ShareId, TenantId, VaultId};
use zeroize::Zeroizing;

use super::{Acts, Basis, MAX_SEALED, MAX_SEQUENCE, SharedAct, SharedPlace, SharedWrite, WriteGrant};
use crate::{
    CryptoError,
    datakey::{ObjectPlace, VaultScope},
    entry::MAX_VALUE,
    seal::SealSecretKey,
    sign::SigningKey,
};

fn basis() -> Basis {
    let scope = VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([2; 16]) };
    let place = ObjectPlace { scope, object: Digest32([3; 32]), version: 7 };
    Basis { place, body_hash: Digest32([4; 32]) }
}

fn place() -> SharedPlace {
    SharedPlace { share: ShareId::from_bytes([5; 16]), basis: basis(), sequence: 6 }
}

fn put(value: &[u8]) -> SharedAct {
    SharedAct::Put(Zeroizing::new(value.to_vec()))
}

#[test]
fn a_write_grant_is_its_givers_and_no_bit_of_it_can_change() {
    let rng = &mut rand::rng();
    let (giver, other) = (SigningKey::generate(rng), SigningKey::generate(rng));
    for (write, delete) in [(true, false), (false, true), (true, true)] {
        let grant = WriteGrant {
            share: place().share,
            basis: basis(),
            acts: Acts { write, delete },
            inbox: SealSecretKey::generate(rng).public(),
            taker: other.verify_key(),
        };
        let bytes = grant.sign(&giver);
        assert_eq!(bytes.len(), WriteGrant::LEN);
        assert_eq!(WriteGrant::open(&bytes, &giver.verify_key()), Ok(grant));
        assert!(WriteGrant::open(&bytes, &other.verify_key()).is_err());
        assert!(WriteGrant::open(&[bytes.as_slice(), &[0]].concat(), &giver.verify_key()).is_err());
        for at in 0..bytes.len() {
            assert!(WriteGrant::open(&bytes[..at], &giver.verify_key()).is_err());
            for bit in 0..8 {
                let mut bent = bytes.clone();
                bent[at] ^= 1 << bit;
                assert!(WriteGrant::open(&bent, &giver.verify_key()).is_err(), "{at} {bit}");
            }
        }
    }
    let nothing = WriteGrant {
        share: place().share,
        basis: basis(),
        acts: Acts { write: false, delete: false },
        inbox: SealSecretKey::generate(rng).public(),
        taker: other.verify_key(),
    };
    assert!(WriteGrant::open(&nothing.sign(&giver), &giver.verify_key()).is_err(), "that allows nothing");
}

#[test]
fn what_a_taker_sends_is_theirs_and_for_this_inbox_and_no_bit_of_it_can_change() {
    let rng = &mut rand::rng();
    let (taker, other) = (SigningKey::generate(rng), SigningKey::generate(rng));
    let (inbox, elsewhere) = (SealSecretKey::generate(rng), SealSecretKey::generate(rng));
    for act in [put(b"a new value"), put(b""), SharedAct::Delete] {
        let bytes = SharedWrite::seal(&place(), &act, &inbox.public(), &taker, rng).unwrap();
        let sent = SharedWrite::verify(&bytes, &taker.verify_key()).unwrap();
        assert_eq!((sent.place, SharedPlace::claimed(&bytes)), (place(), Ok(place())));
        match (sent.open(&inbox).unwrap(), &act) {
            (SharedAct::Put(opened), SharedAct::Put(value)) => assert_eq!(&*opened, &**value),
            (SharedAct::Delete, SharedAct::Delete) => {}
            _ => panic!("another act"),
        }
        assert_eq!(sent.open(&elsewhere).is_ok(), sent.is_delete);
        assert!(SharedWrite::verify(&bytes, &other.verify_key()).is_err());
        for at in 0..bytes.len() {
            assert!(SharedWrite::verify(&bytes[..at], &taker.verify_key()).is_err());
            for bit in 0..8 {
                let mut bent = bytes.clone();
                bent[at] ^= 1 << bit;
                assert!(SharedWrite::verify(&bent, &taker.verify_key()).is_err(), "{at} {bit}");
            }
        }
    }
}

#[test]
fn a_value_is_not_opened_in_another_place_even_where_its_taker_signs_it_there() {
    let rng = &mut rand::rng();
    let (taker, inbox) = (SigningKey::generate(rng), SealSecretKey::generate(rng));
    let bytes = SharedWrite::seal(&place(), &put(b"mine"), &inbox.public(), &taker, rng).unwrap();
    let body = &bytes[..bytes.len() - 64];
    // every byte before the box: share, tenant, vault, entry, version, hash, sequence
    for at in 6..6 + 16 + 72 + 32 + 8 {
        let mut moved = body.to_vec();
        moved[at] ^= 1;
        let signature = taker.sign(super::SHARED_WRITE, &moved);
        moved.extend_from_slice(&signature.0);
        let opened =
            SharedWrite::verify(&moved, &taker.verify_key()).and_then(|sent| sent.open(&inbox).map(drop));
        assert!(opened.is_err(), "{at}");
    }
}

#[test]
fn values_and_sequences_are_bounded() {
    let rng = &mut rand::rng();
    let (taker, inbox) = (SigningKey::generate(rng), SealSecretKey::generate(rng).public());
    let longest = put(&vec![0; MAX_VALUE]);
    let bytes = SharedWrite::seal(&place(), &longest, &inbox, &taker, rng).unwrap();
    assert_eq!(bytes.len(), MAX_SEALED);
    let longer = SharedWrite::seal(&place(), &put(&vec![0; MAX_VALUE + 1]), &inbox, &taker, rng);
    assert!(matches!(longer, Err(CryptoError::TooLarge { .. })));
    let last = SharedPlace { sequence: MAX_SEQUENCE - 1, ..place() };
    assert!(SharedWrite::seal(&last, &SharedAct::Delete, &inbox, &taker, rng).is_ok());
    let past = SharedPlace { sequence: MAX_SEQUENCE, ..place() };
    assert!(SharedWrite::seal(&past, &SharedAct::Delete, &inbox, &taker, rng).is_err());
}
