//! HKDF-SHA256 and Argon2id (case V13).

use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
use hkdf::Hkdf;
use serde_json::Value;
use sha2::Sha256;

use super::{hex, is_valid, items, wycheproof};
use crate::kdf::{Cost, Stretch};

fn hkdf(test: &Value, len: usize) -> Option<Vec<u8>> {
    let mut okm = vec![0; len];
    let kdf = Hkdf::<Sha256>::new(Some(&hex(&test["salt"])), &hex(&test["ikm"]));
    kdf.expand(&hex(&test["info"]), &mut okm).ok().map(|()| okm)
}

#[test]
fn v13_hkdf_agrees_with_wycheproof_and_rfc_5869() {
    let tests = wycheproof(include_str!("../../tests/vectors/wycheproof/hkdf_sha256_test.json"));
    assert_eq!(tests.len(), 86);
    for (_, test) in tests {
        let okm = hkdf(&test, usize::try_from(test["size"].as_u64().unwrap()).unwrap());
        assert_eq!(okm, is_valid(&test).then(|| hex(&test["okm"])), "test {}", test["tcId"]);
    }
    let rfc: Value =
        serde_json::from_str(include_str!("../../tests/vectors/rfc/rfc5869_hkdf_sha256.json")).unwrap();
    for test in items(&rfc, "tests") {
        assert_eq!(hkdf(test, hex(&test["okm"]).len()), Some(hex(&test["okm"])));
    }
}

#[test]
fn v13_argon2id_agrees_with_rfc_9106_and_the_reference() {
    let file: Value =
        serde_json::from_str(include_str!("../../tests/vectors/argon2/argon2_vectors.json")).unwrap();
    let number = |test: &Value, name: &str| u32::try_from(test[name].as_u64().unwrap()).unwrap();
    let optional = |value: &Value| value.as_str().map_or_else(Vec::new, |_| hex(value));
    let bytes = |test: &Value, name: &str| match test[format!("{name}_utf8")].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => hex(&test[format!("{name}_hex")]),
    };
    let mut ran = 0;
    for test in
        items(&file, "tests").iter().filter(|test| test["type"] == "argon2id" && test["version"] == 19)
    {
        let (tag, secret) = (hex(&test["tag"]), optional(&test["secret_hex"]));
        let mut params = ParamsBuilder::new();
        params.m_cost(number(test, "m_kib")).t_cost(number(test, "t")).p_cost(number(test, "p"));
        params.output_len(tag.len()).data(AssociatedData::new(&optional(&test["ad_hex"])).unwrap());
        let params = params.build().unwrap();
        let argon2 = if secret.is_empty() {
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        } else {
            Argon2::new_with_secret(&secret, Algorithm::Argon2id, Version::V0x13, params).unwrap()
        };
        let mut out = vec![0; tag.len()];
        argon2.hash_password_into(&bytes(test, "password"), &bytes(test, "salt"), &mut out).unwrap();
        assert_eq!(out, tag, "{}", test["name"]);
        ran += 1;
    }
    assert_eq!(ran, 9);
}

/// The vectors' salts are shorter than we take: this ties our function to the crate they ran through.
#[test]
fn our_stretching_is_argon2id_at_its_costs() {
    let key = Stretch::new(Cost::LEAST, b"0123456789abcdef").unwrap().derive(b"passphrase").unwrap();
    let mut expected = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, argon2::Params::new(19 * 1024, 2, 1, Some(32)).unwrap())
        .hash_password_into(b"passphrase", b"0123456789abcdef", &mut expected)
        .unwrap();
    assert_eq!(*key, expected);
}
