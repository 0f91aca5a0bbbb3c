#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use ocmt_types::{AuthorizationId, Id as _, Secret, Timestamp, UnlockId};
use zeroize::Zeroizing;

use super::*;
use crate::{CryptoError, unlock::UnlockKey};

fn settings() -> ProviderSettings {
    ProviderSettings {
        name: ProviderName::new("git.example").unwrap(),
        client_id: "ocmt".to_owned(),
        client_secret: Some(Secret::new("s3cret \"of\" ours".to_owned())),
        secret_by: Some(SecretBy::Basic),
        issuer: Some("https://id.example".to_owned()),
        endpoints: Some(Endpoints {
            authorization: "https://id.example/authorize".to_owned(),
            token: "https://id.example/token".to_owned(),
            revocation: None,
        }),
        hosts: vec!["tokens.example:8443".to_owned()],
        scopes: vec!["read".to_owned()],
        parameters: BTreeMap::from([("prompt".to_owned(), "consent".to_owned())]),
        ca_pem: None,
        pkce_assumed: false,
    }
}

#[test]
fn settings_and_tokens_are_read_as_they_were_written() {
    let read = ProviderSettings::decode(&settings().encode().unwrap()).unwrap();
    assert_eq!(read.client_secret.unwrap().expose(), "s3cret \"of\" ours");
    assert_eq!((read.name, read.endpoints), (settings().name, settings().endpoints));
    let tokens = Tokens {
        provider: settings().name,
        client_id: "ocmt".to_owned(),
        access: Secret::new("a\u{e9}\"".to_owned()),
        refresh: Some(Secret::new("r".to_owned())),
        scopes: vec!["read".to_owned()],
        expires_at: Some(Timestamp(7)),
        obtained_at: Timestamp(1),
    };
    let read = Tokens::decode(&tokens.encode().unwrap()).unwrap();
    assert_eq!((read.access.expose().as_str(), read.refresh.unwrap().expose().as_str()), ("a\u{e9}\"", "r"));
    assert_eq!((read.expires_at, read.obtained_at), (Some(Timestamp(7)), Timestamp(1)));
    assert_eq!(Tokens::decode(b"{}").err(), Some(CryptoError::Refused));
}

#[test]
fn settings_that_would_weaken_the_flow_are_refused() {
    let refused = |change: fn(&mut ProviderSettings)| {
        let mut it = settings();
        change(&mut it);
        it.encode().is_err()
    };
    assert!(refused(|it| it.issuer = Some("http://id.example".to_owned())));
    assert!(refused(|it| it.endpoints.as_mut().unwrap().token = "http://id.example/token".to_owned()));
    assert!(refused(|it| it.endpoints.as_mut().unwrap().revocation = Some("ftp://x".to_owned())));
    assert!(refused(|it| it.client_id = "a\r\nb".to_owned()));
    assert!(refused(|it| it.scopes = vec!["a b".to_owned()]));
    assert!(refused(|it| {
        it.issuer = None;
        it.endpoints = None;
    }));
    for name in ["code_challenge_method", "redirect_uri", "state", "request_uri"] {
        let mut it = settings();
        it.parameters.insert(name.to_owned(), "plain".to_owned());
        assert!(it.encode().is_err(), "{name}");
    }
    for name in ["", ".a", "A", "a/b", "a b", &"a".repeat(65)] {
        assert!(ProviderName::new(name).is_err(), "{name:?}");
    }
}

#[test]
fn an_address_of_another_cell_unlock_or_provider_is_not_believed() {
    let (key, other) = (UnlockKey::from_bytes([1; 32]), UnlockKey::from_bytes([2; 32]));
    let (git, mail) = (ProviderName::new("git").unwrap(), ProviderName::new("mail").unwrap());
    let offered = Offered {
        unlock: UnlockId::from_bytes([3; 16]),
        authorization: AuthorizationId::from_bytes([4; 16]),
        provider: &git,
        url: "https://id.example/authorize?state=x",
    };
    let proof = offered.proof(&key).unwrap();
    offered.check(&key, &proof).unwrap();
    assert!(offered.check(&other, &proof).is_err());
    assert!(offered.check(&key, &proof[..31]).is_err() && offered.check(&key, b"").is_err());
    assert!(Offered { url: "https://evil.example/", ..offered }.check(&key, &proof).is_err());
    assert!(Offered { provider: &mail, ..offered }.check(&key, &proof).is_err());
    let authorization = AuthorizationId::from_bytes([5; 16]);
    assert!(Offered { authorization, ..offered }.check(&key, &proof).is_err());
    assert!(Offered { unlock: UnlockId::from_bytes([5; 16]), ..offered }.check(&key, &proof).is_err());
}

#[test]
fn an_answer_opens_in_its_own_unlock_and_authorization_alone() {
    let rng = &mut rand::rng();
    let (key, other) = (UnlockKey::generate(rng), UnlockKey::generate(rng));
    let (git, mail) = (ProviderName::new("git").unwrap(), ProviderName::new("mail").unwrap());
    let (unlock, id) = (UnlockId::from_bytes([3; 16]), AuthorizationId::from_bytes([4; 16]));
    let flow = (id, &git);
    let answer = Answer { code: Zeroizing::new("code/1".to_owned()), issuer: Some("https://a".to_owned()) };
    let sealed = answer.seal(unlock, flow, &key, rng).unwrap();
    let opened = Answer::open(&sealed, unlock, flow, &key).unwrap();
    assert_eq!((opened.code.as_str(), opened.issuer.as_deref()), ("code/1", Some("https://a")));
    assert!(Answer::open(&sealed, unlock, flow, &other).is_err());
    assert!(Answer::open(&sealed, UnlockId::from_bytes([9; 16]), flow, &key).is_err());
    assert!(Answer::open(&sealed, unlock, (AuthorizationId::from_bytes([9; 16]), &git), &key).is_err());
    assert!(Answer::open(&sealed, unlock, (id, &mail), &key).is_err());
    for at in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[at] ^= 1;
        assert!(Answer::open(&damaged, unlock, flow, &key).is_err(), "byte {at}");
    }
    let long = Answer { code: Zeroizing::new("x".repeat(4097)), issuer: None };
    assert!(long.seal(unlock, flow, &key, rng).is_err());
    let longest = Answer { code: Zeroizing::new("x".repeat(4096)), issuer: Some("i".repeat(512)) };
    assert!(longest.seal(unlock, flow, &key, rng).unwrap().len() <= MAX_ANSWER);
}
