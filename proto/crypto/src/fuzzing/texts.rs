//! What people and programs type, paste or put into headers.

use ocmt_types::{ContainerId, Id as _, NodeId};

use super::{KEY, NOW, chosen, same};
use crate::{
    audit::{
        checkpoint::{Checkpoint, NoteKey, open_note},
        cut::Cut,
        introduction::Introduction,
    },
    backup_code::BackupCode,
    backup_key::BackupKey,
    gateway_token::{self, GatewayKeys},
    join::JoinToken,
    pkce::Verifier,
    sealing::SealingKeys,
    sign::SigningKey,
    token::Token,
    totp::TotpSecret,
};

/// Tokens, keys and codes, notes of the audit.
pub fn texts(data: &[u8]) {
    let (which, bytes) = chosen(data);
    let _ = SealingKeys::generation_of(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match which {
        0 => same(bytes, Token::parse(text), |token| token.expose().as_bytes().to_vec()),
        1 => same(bytes, JoinToken::parse(text), |token| token.expose().as_bytes().to_vec()),
        2 => {
            if let Ok(key) = BackupKey::parse(text) {
                let again = key.to_text();
                assert!(BackupKey::parse(&again).is_ok_and(|same| *same.to_text() == *again));
            }
            if let Ok(code) = BackupCode::parse(text) {
                assert!(BackupCode::parse(&code.to_text()).is_ok_and(|same| same.hash() == code.hash()));
            }
        }
        3 => {
            let _ = (Verifier::parse(text), TotpSecret::from_base32(text));
        }
        9 => {
            same(bytes, Checkpoint::parse(text), |checkpoint| checkpoint.text().into_bytes());
            same(bytes, Introduction::parse(text), |said| said.text().into_bytes());
            same(bytes, Cut::parse(text), |cut| cut.text().into_bytes());
            same(bytes, NoteKey::parse(text), |key| key.to_text().into_bytes());
            let key = SigningKey::from_bytes(&KEY).verify_key();
            let known = [NoteKey::of_node(NodeId::from_bytes([4; 16]), key)];
            let _ = (open_note(text, &known), Introduction::open(text, &known));
        }
        _ => {
            let current = SigningKey::from_bytes(&KEY).verify_key();
            let container = ContainerId::from_bytes([5; 16]);
            let _ = gateway_token::verify(text, container, &GatewayKeys { current, previous: None }, NOW);
            let _ = gateway_token::routing_tag(text);
        }
    }
}
