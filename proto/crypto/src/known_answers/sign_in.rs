//! TOTP (RFC 6238, RFC 4226), PKCE (RFC 7636), PASETO v4.public.

use ocmt_types::Timestamp;
use serde_json::Value;

use super::{array, items};
use crate::{gateway_token, pkce::Verifier, sign::VerifyKey, totp::TotpSecret};

#[test]
fn totp_agrees_with_rfc_6238_and_rfc_4226() {
    let secret = TotpSecret::from_slice(b"12345678901234567890").unwrap();
    let file: Value =
        serde_json::from_str(include_str!("../../tests/vectors/rfc/rfc6238_totp.json")).unwrap();
    let sha1: Vec<&Value> = items(&file, "tests").iter().filter(|test| test["algorithm"] == "SHA1").collect();
    assert_eq!(sha1.len(), 6);
    for test in sha1 {
        let now = Timestamp(test["unix_time"].as_i64().unwrap() * 1000);
        let code = test["code_6_digits"].as_str().unwrap();
        assert_eq!(secret.code(now).unwrap(), code);
        assert!(secret.check(code, now, None).is_ok());
    }
    let hotp: Value =
        serde_json::from_str(include_str!("../../tests/vectors/rfc/rfc4226_hotp.json")).unwrap();
    for test in items(&hotp, "tests") {
        let now = Timestamp(test["counter"].as_i64().unwrap() * 30_000);
        assert_eq!(secret.code(now).unwrap(), test["code"].as_str().unwrap());
    }
}

#[test]
fn pkce_agrees_with_rfc_7636() {
    let file: Value =
        serde_json::from_str(include_str!("../../tests/vectors/rfc/rfc7636_pkce.json")).unwrap();
    let verifier = Verifier::parse(file["code_verifier"].as_str().unwrap()).unwrap();
    assert_eq!(verifier.challenge(), file["code_challenge"].as_str().unwrap());
    assert!(verifier.answers(file["code_challenge"].as_str().unwrap()));
    for bad in items(&file, "invalid_verifiers") {
        assert!(Verifier::parse(bad.as_str().unwrap()).is_err(), "{bad} was taken");
    }
}

#[test]
fn paseto_v4_public_agrees_with_the_standard() {
    let file: Value = serde_json::from_str(include_str!("../../tests/vectors/paseto/v4.json")).unwrap();
    let key =
        items(&file, "tests").iter().find(|test| test["name"] == "4-S-1").unwrap()["public-key"].clone();
    let (mut taken, mut refused) = (0, 0);
    for test in items(&file, "tests") {
        let key = VerifyKey(array(if test["public-key"].is_null() { &key } else { &test["public-key"] }));
        let implicit = test["implicit-assertion"].as_str().unwrap().as_bytes();
        let verified = gateway_token::verify_paseto(test["token"].as_str().unwrap(), &key, implicit);
        if test["name"].as_str().unwrap().starts_with("4-S-") {
            assert_eq!(verified.unwrap(), test["payload"].as_str().unwrap().as_bytes());
            taken += 1;
        } else {
            // tokens of the local purpose and all that are to fail, 4-F-4 and 4-F-5 among them
            assert!(verified.is_err(), "{}", test["name"]);
            refused += 1;
        }
    }
    assert_eq!((taken, refused), (3, 14));
}

/// What 4-F-4 and 4-F-5 do to v4.local, done to a good v4.public token.
#[test]
fn loose_base64_is_refused_in_public_tokens_too() {
    let file: Value = serde_json::from_str(include_str!("../../tests/vectors/paseto/v4.json")).unwrap();
    let test = items(&file, "tests").iter().find(|test| test["name"] == "4-S-2").unwrap();
    let (key, token) = (VerifyKey(array(&test["public-key"])), test["token"].as_str().unwrap());
    let takes = |token: &str| gateway_token::verify_paseto(token, &key, b"").is_ok();
    assert!(takes(token));
    let (signed, footer) = token.rsplit_once('.').unwrap();
    // 101 bytes end in a letter of which two bits say nothing: Q and R, S, T decode alike
    let tails = ['A', 'B', 'C', 'D', 'w', 'x', 'y', 'z', 'Q', 'R', 'S', 'T', 'g', 'h', 'i', 'j'];
    let last = signed.chars().next_back().unwrap();
    for tail in tails.into_iter().filter(|tail| *tail != last) {
        assert!(!takes(&format!("{}{tail}.{footer}", &signed[..signed.len() - 1])));
    }
    for loose in [
        format!("{signed}=.{footer}"),
        format!("{token}="),
        format!("{token}."),
        format!("{signed}."),
        format!("{signed}.{footer}\n"),
        token.replacen("v4.public.", "v4.public. ", 1),
    ] {
        assert!(!takes(&loose), "{loose:?} was taken");
    }
}
