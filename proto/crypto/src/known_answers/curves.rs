//! X25519 and Ed25519 (case V13).

use ::hpke::{Deserializable as _, Kem as _};

use super::{array, has_flag, hex, is_valid, wycheproof};
use crate::{
    CryptoError,
    seal::{self, Kem, SealPublicKey, SealSecretKey},
    sign::{Signature, VerifyKey, verify_raw},
};

#[test]
fn v13_x25519_agrees_with_wycheproof_and_zero_secrets_are_refused() {
    let (mut ran, mut zero) = (0, 0);
    for (_, test) in wycheproof(include_str!("../../tests/vectors/wycheproof/x25519_test.json")) {
        let (private, public) = (array::<32>(&test["private"]), array::<32>(&test["public"]));
        let shared = x25519_dalek::StaticSecret::from(private).diffie_hellman(&public.into());
        assert_eq!(shared.as_bytes(), &array::<32>(&test["shared"]), "test {}", test["tcId"]);
        // what we do with X25519 goes through HPKE: it must refuse a shared secret of zero
        let ours = SealSecretKey::from_bytes(private);
        let sealed = seal::seal(&SealPublicKey(public), b"", b"", b"content", &mut rand::rng());
        let enc = <Kem as ::hpke::Kem>::EncappedKey::from_bytes(&public).unwrap();
        let opened = Kem::decap(&ours.hpke().unwrap(), None, &enc);
        let is_zero = has_flag(&test, "ZeroSharedSecret");
        assert_eq!((sealed.is_err(), opened.is_err()), (is_zero, is_zero), "test {}", test["tcId"]);
        zero += usize::from(is_zero);
        ran += 1;
    }
    assert_eq!((ran, zero), (518, 31));
}

#[test]
fn v13_ed25519_agrees_with_wycheproof() {
    let mut ran = 0;
    for (group, test) in wycheproof(include_str!("../../tests/vectors/wycheproof/ed25519_test.json")) {
        let key = VerifyKey(array(&group["publicKey"]["pk"]));
        let verified = Signature::try_from(hex(&test["sig"]).as_slice())
            .and_then(|signature| verify_raw(&key, &hex(&test["msg"]), &signature));
        let expected = if is_valid(&test) { Ok(()) } else { Err(CryptoError::Refused) };
        assert_eq!(verified, expected, "test {}", test["tcId"]);
        ran += 1;
    }
    assert_eq!(ran, 151);
}
