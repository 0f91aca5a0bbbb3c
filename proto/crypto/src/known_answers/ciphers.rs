//! AES-256-GCM and XChaCha20-Poly1305 (case V13).

use super::{hex, is_valid, wycheproof};
use crate::aead;

#[test]
fn v13_aes_256_gcm_agrees_with_wycheproof() {
    let mut ran = 0;
    for (group, test) in wycheproof(include_str!("../../tests/vectors/wycheproof/aes_gcm_test.json")) {
        if (group["ivSize"].as_u64(), group["keySize"].as_u64(), group["tagSize"].as_u64())
            != (Some(96), Some(256), Some(128))
        {
            continue;
        }
        let (key, nonce) = (hex(&test["key"]).try_into().unwrap(), hex(&test["iv"]).try_into().unwrap());
        let (aad, msg) = (hex(&test["aad"]), hex(&test["msg"]));
        let sealed = [hex(&test["ct"]), hex(&test["tag"])].concat();
        let opened = aead::aes_open(&key, nonce, &aad, &sealed);
        assert_eq!(opened.is_ok(), is_valid(&test), "test {}", test["tcId"]);
        if let Ok(opened) = opened {
            assert_eq!(*opened, msg);
            assert_eq!(aead::aes_seal(&key, nonce, &aad, &msg).unwrap(), sealed);
        }
        ran += 1;
    }
    assert_eq!(ran, 66);
}

#[test]
fn v13_xchacha20_poly1305_agrees_with_wycheproof() {
    let (mut ran, mut other_nonces) = (0, 0);
    for (_, test) in wycheproof(include_str!("../../tests/vectors/wycheproof/xchacha20_poly1305_test.json")) {
        let key = hex(&test["key"]).try_into().unwrap();
        let Ok(nonce) = hex(&test["iv"]).try_into() else {
            // no nonce of another length can be written down
            assert!(!is_valid(&test));
            other_nonces += 1;
            continue;
        };
        let (aad, msg) = (hex(&test["aad"]), hex(&test["msg"]));
        let sealed = [hex(&test["ct"]), hex(&test["tag"])].concat();
        let opened = aead::xchacha_open(&key, nonce, &aad, &sealed);
        assert_eq!(opened.is_ok(), is_valid(&test), "test {}", test["tcId"]);
        if let Ok(opened) = opened {
            assert_eq!(*opened, msg);
            assert_eq!(aead::xchacha_seal(&key, nonce, &aad, &msg).unwrap(), sealed);
        }
        ran += 1;
    }
    assert_eq!((ran, other_nonces), (306, 9));
}
