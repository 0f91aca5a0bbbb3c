//! Tests of gateway tokens (cases K1, K2, K4, K6).
#![allow(clippy::unwrap_used)]

use ocmt_types::Id as _;

use super::*;

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn claims() -> GatewayClaims {
    GatewayClaims {
        container: ContainerId::from_bytes([1; 16]),
        tenant: TenantId::from_bytes([2; 16]),
        user: UserId::from_bytes([3; 16]),
        session: SessionId::from_bytes([4; 16]),
        issued_at: NOW,
        expires_at: Timestamp(NOW.0 + 600_000),
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn keys() -> GatewayKeys {
    GatewayKeys { current: key().verify_key(), previous: None }
}

fn token() -> String {
    issue(&claims(), &key(), &mut rand::rng()).unwrap()
}

/// A token of any payload and footer under our key: what a faulty issuer would make.
fn forged(payload: &str, footer: &str) -> String {
    let secret = AsymmetricSecretKey::<V4>::from(key().keypair().as_slice()).unwrap();
    PublicToken::sign(&secret, payload.as_bytes(), Some(footer.as_bytes()), Some(IMPLICIT)).unwrap()
}

fn payload_of(token: &str) -> String {
    let part = token.split('.').nth(2).unwrap();
    let bytes = BASE64URL_NOPAD.decode(part.as_bytes()).unwrap();
    String::from_utf8(bytes[..bytes.len() - 64].to_vec()).unwrap()
}

#[test]
fn a_token_opens_its_container_until_it_ends() {
    let text = token();
    assert_eq!(verify(&text, claims().container, &keys(), NOW), Ok(claims()));
    assert!(verify(&text, ContainerId::from_bytes([9; 16]), &keys(), NOW).is_err());
    assert!(verify(&text, claims().container, &keys(), Timestamp(claims().expires_at.0 - 1)).is_ok());
    assert!(verify(&text, claims().container, &keys(), claims().expires_at).is_err());
}

#[test]
fn k1_every_changed_bit_is_refused() {
    let text = token();
    for at in 0..text.len() * 8 {
        let mut bytes = text.clone().into_bytes();
        bytes[at / 8] ^= 1 << (at % 8);
        if let Ok(changed) = std::str::from_utf8(&bytes) {
            assert_eq!(
                verify(changed, claims().container, &keys(), NOW),
                Err(CryptoError::Refused),
                "{changed}"
            );
        }
    }
    for cut in 0..text.len() {
        assert!(verify(&text[..cut], claims().container, &keys(), NOW).is_err());
    }
}

#[test]
fn k2_other_versions_purposes_and_key_ids_are_refused() {
    let (text, payload) = (token(), payload_of(&token()));
    for header in ["v3.public.", "v2.public.", "v4.local.", "v4.PUBLIC.", "eyJhbGciOiJub25lIn0.", ""] {
        let other = text.replacen(HEADER, header, 1);
        assert!(verify(&other, claims().container, &keys(), NOW).is_err());
    }
    let kid = key_id(&key().verify_key());
    assert!(
        verify(&forged(&payload, &format!(r#"{{"kid":"{kid}"}}"#)), claims().container, &keys(), NOW).is_ok()
    );
    for footer in [
        r#"{"kid":"0000000000000000"}"#.to_owned(),
        format!(r#"{{"kid":"{kid}","jku":"https://example.org"}}"#),
        format!(r#"{{"kid":["{kid}"]}}"#),
        "{}".into(),
        kid,
    ] {
        assert!(verify(&forged(&payload, &footer), claims().container, &keys(), NOW).is_err(), "{footer}");
    }
    let theirs = issue(&claims(), &SigningKey::from_bytes(&[8; 32]), &mut rand::rng()).unwrap();
    assert!(verify(&theirs, claims().container, &keys(), NOW).is_err());
}

#[test]
fn k4_unlawful_times_are_refused() {
    let kid = format!(r#"{{"kid":"{}"}}"#, key_id(&key().verify_key()));
    let good = payload_of(&token());
    let (iat, exp) = (to_text(NOW).unwrap(), to_text(claims().expires_at).unwrap());
    let later = to_text(Timestamp(NOW.0 + 60_000)).unwrap();
    let two_hours = to_text(Timestamp(NOW.0 + 7_200_000)).unwrap();
    for bad in [
        good.replace(&format!(r#""exp":"{exp}""#), &format!(r#""exp":"{iat}""#)),
        good.replace(&format!(r#""exp":"{exp}""#), &format!(r#""exp":"{two_hours}""#)),
        good.replace(&format!(r#""nbf":"{iat}""#), &format!(r#""nbf":"{later}""#)),
        good.replace(&format!(r#""iat":"{iat}""#), &format!(r#""iat":"{later}""#)),
        good.replace(&format!(r#","exp":"{exp}""#), ""),
        good.replace(&format!(r#""exp":"{exp}""#), r#""exp":"1e400""#),
        good.replace(&format!(r#""exp":"{exp}""#), r#""exp":1e400"#),
        good.replace(&format!(r#""exp":"{exp}""#), r#""exp":1890000000"#),
        good.replace(&exp, &exp.replace('Z', "+00:00")),
        good.replace('{', r#"{"admin":true,"#),
    ] {
        assert_ne!(bad, good);
        assert!(verify(&forged(&bad, &kid), claims().container, &keys(), NOW).is_err(), "{bad}");
    }
    for (issued, ends) in [(0, 0), (0, MAX_LIFE_MS + 1), (1000, 0)] {
        let wrong = GatewayClaims { issued_at: Timestamp(issued), expires_at: Timestamp(ends), ..claims() };
        assert!(issue(&wrong, &key(), &mut rand::rng()).is_err());
    }
}

#[test]
fn k6_the_previous_key_is_taken_only_in_its_window() {
    let (text, next) = (token(), SigningKey::from_bytes(&[8; 32]).verify_key());
    let until = Timestamp(NOW.0 + 1000);
    let rotated = GatewayKeys { current: next, previous: Some((key().verify_key(), until)) };
    assert!(verify(&text, claims().container, &rotated, NOW).is_ok());
    assert!(verify(&text, claims().container, &rotated, until).is_err());
    let forgotten = GatewayKeys { current: next, previous: None };
    assert!(verify(&text, claims().container, &forgotten, NOW).is_err());
}

#[test]
fn nodes_with_one_sealing_key_take_each_others_tokens_and_another_generation_does_not() {
    let (mine, theirs) = (derive_key(&[9; 32], 3).unwrap(), derive_key(&[9; 32], 3).unwrap());
    let text = issue(&claims(), &mine, &mut rand::rng()).unwrap();
    let keys = |key: &SigningKey| GatewayKeys { current: key.verify_key(), previous: None };
    assert!(verify(&text, claims().container, &keys(&theirs), NOW).is_ok());
    for other in [derive_key(&[9; 32], 4).unwrap(), derive_key(&[8; 32], 3).unwrap()] {
        assert!(verify(&text, claims().container, &keys(&other), NOW).is_err());
    }
    assert_ne!(
        mine.verify_key(),
        SigningKey::from_bytes(&[9; 32]).verify_key(),
        "not the sealing key itself"
    );
}
