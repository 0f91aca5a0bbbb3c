//! AES-256-GCM and XChaCha20-Poly1305 (case V13).

use super::{hex, is_valid, wycheproof};
use crate::aead::Cipher;

#[test]
fn v13_aes_256_gcm_agrees_with_wycheproof() {
    let mut ran = 0;
    for (group, test) in wycheproof(include_str!("../../tests/vectors/wycheproof/aes_gcm_test.json")) {
        if (group["ivSize"].as_u64(), group["keySize"].as_u64(), group["tagSize"].as_u64())
            != (Some(96), Some(256), Some(128))
        {
            continue;
        }
        let (key, nonce) = (hex(&test["key"]).try_into().unwrap(), hex(&test["iv"]));
        let (aad, msg) = (hex(&test["aad"]), hex(&test["msg"]));
        let sealed = [hex(&test["ct"]), hex(&test["tag"])].concat();
        let cipher = Cipher::aes(&key);
        let opened = cipher.open(&nonce, &aad, &sealed);
        assert_eq!(opened.is_ok(), is_valid(&test), "test {}", test["tcId"]);
        if let Ok(opened) = opened {
            assert_eq!(*opened, msg);
            let mut again = Vec::new();
            cipher.seal(&nonce, &aad, &msg, &mut again).unwrap();
            assert_eq!(again, sealed);
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
        let (cipher, nonce) = (Cipher::xchacha(&key), hex(&test["iv"]));
        let (aad, msg) = (hex(&test["aad"]), hex(&test["msg"]));
        let sealed = [hex(&test["ct"]), hex(&test["tag"])].concat();
        let opened = cipher.open(&nonce, &aad, &sealed);
        assert_eq!(opened.is_ok(), is_valid(&test), "test {}", test["tcId"]);
        if let Ok(opened) = opened {
            assert_eq!(*opened, msg);
            let mut again = Vec::new();
            cipher.seal(&nonce, &aad, &msg, &mut again).unwrap();
            assert_eq!(again, sealed);
        }
        if nonce.len() == 24 {
            ran += 1;
        } else {
            // in neither direction
            assert!(!is_valid(&test) && cipher.seal(&nonce, &aad, &msg, &mut Vec::new()).is_err());
            other_nonces += 1;
        }
    }
    assert_eq!((ran, other_nonces), (306, 9));
}
