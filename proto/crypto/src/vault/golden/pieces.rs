//! Vectors of the single formats.

use ocmt_types::{ContainerId, Digest32, Id as _, RequestId, SessionId, TenantId, Timestamp, UserId};
use serde_json::{Value, json};

use super::{FixedRng, array, bytes, hex, stored};
use crate::{
    audit::{self, Actor, AuditHead, AuditRecord, ChainVerifier, Outcome},
    backup_key::BackupKey,
    envelope,
    gateway_token::{self, GatewayClaims, GatewayKeys},
    kdf::{Cost, Passphrase, Stretch},
    kind::Kind,
    seal::{self, SealPublicKey, SealSecretKey},
    sign::{Purpose, Signature, SigningKey, VerifyKey},
    token::{Token, TokenKind},
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub(super) fn envelopes() -> Value {
    let rng = &mut FixedRng::new("envelopes");
    [Kind::OBJECT_BODY, Kind::TRANSCRIPT_RECORD]
        .map(|kind| {
            let sealed = envelope::seal(kind, 7, &[1; 32], b"context", b"content", rng).unwrap();
            json!({
                "kind": kind.0, "key_epoch": 7, "key": hex([1; 32]), "context": hex(b"context"),
                "plaintext": hex(b"content"), "sealed": hex(sealed),
            })
        })
        .into()
}

#[test]
fn envelopes_open() {
    for one in stored()["envelopes"].as_array().unwrap() {
        let kind = Kind(u8::try_from(one["kind"].as_u64().unwrap()).unwrap());
        let (key, sealed) = (array(&one["key"]), bytes(&one["sealed"]));
        let opened = envelope::open(kind, &key, &bytes(&one["context"]), &sealed).unwrap();
        assert_eq!((*opened.plaintext).clone(), bytes(&one["plaintext"]));
        assert_eq!(u64::from(opened.key_epoch), one["key_epoch"].as_u64().unwrap());
    }
}

pub(super) fn sealed_box() -> Value {
    let rng = &mut FixedRng::new("sealed_box");
    let secret = SealSecretKey::generate(rng);
    let sealed = seal::seal(&secret.public(), b"info", b"aad", b"content", rng).unwrap();
    json!({
        "secret": hex(secret.expose()), "public": hex(secret.public().0), "info": hex(b"info"),
        "aad": hex(b"aad"), "plaintext": hex(b"content"), "sealed": hex(sealed),
    })
}

#[test]
fn the_sealed_box_opens() {
    let one = &stored()["sealed_box"];
    let secret = SealSecretKey::from_bytes(array(&one["secret"]));
    assert!(secret.is_half_of(&SealPublicKey(array(&one["public"]))));
    let opened = seal::open(&secret, &bytes(&one["info"]), &bytes(&one["aad"]), &bytes(&one["sealed"]));
    assert_eq!(*opened.unwrap(), bytes(&one["plaintext"]));
}

pub(super) fn signature() -> Value {
    let key = SigningKey::from_bytes(&[2; 32]);
    let signature = key.sign(Purpose::new("example"), b"message");
    json!({
        "seed": hex([2; 32]), "public": hex(key.verify_key().0), "purpose": "example",
        "message": hex(b"message"), "signature": hex(signature.0),
    })
}

#[test]
fn the_signature_verifies() {
    let one = &stored()["signature"];
    let (key, signature) = (VerifyKey(array(&one["public"])), Signature(array(&one["signature"])));
    key.verify(Purpose::new("example"), &bytes(&one["message"]), &signature).unwrap();
}

pub(super) fn stretch() -> Value {
    let passphrase = Passphrase::new("cafe\u{301} au lait").unwrap();
    let key = Stretch::new(Cost::DEFAULT, &[3; 16]).unwrap().derive(passphrase.expose()).unwrap();
    let (memory_kib, passes, lanes) = Cost::DEFAULT.parts();
    json!({
        "passphrase": "cafe\u{301} au lait", "normalised": hex(passphrase.expose()), "salt": hex([3; 16]),
        "memory_kib": memory_kib, "passes": passes, "lanes": lanes, "key": hex(*key),
    })
}

pub(super) fn backup_key() -> Value {
    let key = BackupKey::generate(&mut FixedRng::new("backup_key"));
    json!({ "key": hex(key.expose()), "text": key.to_text().as_str() })
}

#[test]
fn the_backup_key_is_read() {
    let one = &stored()["backup_key"];
    let key = BackupKey::parse(one["text"].as_str().unwrap()).unwrap();
    assert_eq!(hex(key.expose()), one["key"]);
}

pub(super) fn tokens() -> Value {
    let rng = &mut FixedRng::new("tokens");
    let tenant = TenantId::from_bytes([0x11; 16]);
    let kinds = [TokenKind::Session, TokenKind::ApiKey, TokenKind::Link, TokenKind::Invite];
    let mut tokens: Vec<Token> = kinds.map(|kind| Token::issue(kind, tenant, rng)).into();
    tokens.push(Token::issue_sign_up(rng));
    tokens.push(Token::issue(TokenKind::Program, tenant, rng));
    let one = |token: &Token| json!({ "text": token.expose(), "tenant": token.tenant(), "at_rest": hex(token.hash().0) });
    tokens.iter().map(one).collect()
}

#[test]
fn tokens_are_read() {
    for one in stored()["tokens"].as_array().unwrap() {
        let token = Token::parse(one["text"].as_str().unwrap()).unwrap();
        assert!(token.matches(&Digest32(array(&one["at_rest"]))));
        assert_eq!(json!(token.tenant()), one["tenant"]);
    }
}

fn claims() -> GatewayClaims {
    GatewayClaims {
        container: ContainerId::from_bytes([1; 16]),
        tenant: TenantId::from_bytes([0x11; 16]),
        user: UserId::from_bytes([3; 16]),
        session: SessionId::from_bytes([4; 16]),
        issued_at: NOW,
        expires_at: Timestamp(NOW.0 + 600_000),
    }
}

pub(super) fn gateway_token() -> Value {
    let key = SigningKey::from_bytes(&[5; 32]);
    let text = gateway_token::issue(&claims(), &key, &mut FixedRng::new("gateway_token")).unwrap();
    json!({
        "public": hex(key.verify_key().0), "kid": gateway_token::key_id(&key.verify_key()), "text": text,
        "container": claims().container, "taken_at": NOW.0,
    })
}

#[test]
fn the_gateway_token_verifies() {
    let one = &stored()["gateway_token"];
    let keys = GatewayKeys { current: VerifyKey(array(&one["public"])), previous: None };
    let now = Timestamp(one["taken_at"].as_i64().unwrap());
    assert_eq!(
        gateway_token::verify(one["text"].as_str().unwrap(), claims().container, &keys, now),
        Ok(claims())
    );
}

pub(super) fn audit() -> Value {
    let tenant = TenantId::from_bytes([0x11; 16]);
    let mut hash = audit::genesis(tenant);
    let mut rows = Vec::new();
    for (seq, actor) in [(1, Actor::Anonymous), (2, Actor::User(UserId::from_bytes([3; 16])))] {
        let record = AuditRecord {
            tenant,
            at: NOW,
            request: RequestId::from_bytes([6; 16]),
            actor,
            action: "vault.entry.put".into(),
            object: "entry/1".into(),
            outcome: Outcome::Allowed,
            details: vec![("addr".into(), "192.0.2.1".into())],
        };
        let record = record.to_bytes().unwrap();
        hash = audit::chain(&hash, seq, &record);
        rows.push(json!({ "seq": seq, "record": hex(record), "hash": hex(hash.0) }));
    }
    let node = SigningKey::from_bytes(&[5; 32]);
    let head = AuditHead { tenant, seq: 2, hash, at: NOW };
    json!({
        "tenant": tenant, "genesis": hex(audit::genesis(tenant).0), "rows": rows,
        "head": { "at": NOW.0, "node": hex(node.verify_key().0), "signature": hex(head.sign(&node).0) },
    })
}

#[test]
fn the_audit_chain_holds() {
    let one = &stored()["audit"];
    let tenant = one["tenant"].as_str().unwrap().parse().unwrap();
    let mut verifier = ChainVerifier::new(tenant);
    for row in one["rows"].as_array().unwrap() {
        let stored = Digest32(array(&row["hash"]));
        verifier.next(row["seq"].as_u64().unwrap(), &bytes(&row["record"]), &stored).unwrap();
    }
    let ((seq, hash), head) = (verifier.position(), &one["head"]);
    let at = Timestamp(head["at"].as_i64().unwrap());
    let signature = Signature(array(&head["signature"]));
    AuditHead { tenant, seq, hash, at }.verify(&VerifyKey(array(&head["node"])), &signature).unwrap();
}
