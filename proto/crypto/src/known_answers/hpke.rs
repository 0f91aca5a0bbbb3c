//! HPKE, RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, base and auth mode.

use ::hpke::{Deserializable as _, OpModeR, setup_receiver};
use serde_json::Value;

use super::{array, hex, items};
use crate::seal::{self, Aead, Kdf, Kem, SealSecretKey};

fn mode(number: u64) -> Value {
    let text = include_str!("../../tests/vectors/hpke/hpke_x25519_hkdfsha256_aes256gcm.json");
    let modes: Vec<Value> = serde_json::from_str(text).unwrap();
    modes.into_iter().find(|mode| mode["mode"] == number && mode["aead_id"] == 2).unwrap()
}

fn open_all(mode: &Value, sender: &OpModeR<'_, Kem>) {
    let ours = SealSecretKey::from_bytes(array(&mode["skRm"]));
    assert_eq!(ours.public().0, array::<32>(&mode["pkRm"]));
    let enc = <Kem as ::hpke::Kem>::EncappedKey::from_bytes(&hex(&mode["enc"])).unwrap();
    let info = hex(&mode["info"]);
    let mut context = setup_receiver::<Aead, Kdf, Kem>(sender, &ours.hpke().unwrap(), &enc, &info).unwrap();
    for test in items(mode, "encryptions") {
        assert_eq!(context.open(&hex(&test["ct"]), &hex(&test["aad"])).unwrap(), hex(&test["pt"]));
    }
    for test in items(mode, "exports") {
        let expected = hex(&test["exported_value"]);
        let mut out = vec![0; expected.len()];
        context.export(&hex(&test["exporter_context"]), &mut out).unwrap();
        assert_eq!(out, expected);
    }
}

#[test]
fn v13_base_mode_agrees_with_rfc_9180() {
    let mode = mode(0);
    open_all(&mode, &OpModeR::Base);
    let first = &items(&mode, "encryptions")[0];
    let sealed = [vec![1], hex(&mode["enc"]), hex(&first["ct"])].concat();
    let ours = SealSecretKey::from_bytes(array(&mode["skRm"]));
    let opened = seal::open(&ours, &hex(&mode["info"]), &hex(&first["aad"]), &sealed).unwrap();
    assert_eq!(*opened, hex(&first["pt"]));
    // algorithm 2 is not there yet, 0 never was
    for alg in [0, 2, 255] {
        let other = [&[alg], &sealed[1..]].concat();
        assert!(seal::open(&ours, &hex(&mode["info"]), &hex(&first["aad"]), &other).is_err());
    }
}

#[test]
fn v13_auth_mode_agrees_with_rfc_9180() {
    let mode = mode(2);
    let sender = <Kem as ::hpke::Kem>::PublicKey::from_bytes(&hex(&mode["pkSm"])).unwrap();
    open_all(&mode, &OpModeR::Auth(sender));
}
