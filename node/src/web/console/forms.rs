//! What an act at the console is asked for with: a token that a page of the console gave to this operator, for this act, on this
//! object, minutes ago.
//!
//! `base64url(key 16 | ends 8 | HMAC-SHA256(secret, "OCMT console v1" | 0 | operator 16 | certificate 32 | object 16 | act | key | ends))`.
//! There is no cookie: pages of others cannot read a page of ours, so they have no token, and nobody else's is theirs. The key
//! is the call's idempotency key, so that a form that is sent twice acts once. The secret is of this life of the node and leaves
//! it in no way: a form is sent where it came from.

use std::{sync::Arc, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ocmt_store::tables::Operator;
use ocmt_types::{Clock, NodeId, Timestamp};
use sha2::Sha256;
use zeroize::Zeroizing;

const CONTEXT: &[u8] = b"OCMT console v1\0";
const KEY: usize = 16;
const HEAD: usize = KEY + 8;
/// How long somebody has to make up their mind.
const GOOD_FOR: Duration = Duration::from_secs(300);

pub(super) struct Forms {
    secret: Zeroizing<[u8; 32]>,
    clock: Arc<dyn Clock>,
}

impl Forms {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { secret: Zeroizing::new(rand::random()), clock }
    }

    /// A fresh one.
    pub(super) fn issue(&self, operator: &Operator, act: &str, object: NodeId) -> String {
        let ends = self.clock.now() + GOOD_FOR;
        let mut token = rand::random::<[u8; KEY]>().to_vec();
        token.extend(ends.millis().to_be_bytes());
        if let Some(mac) = self.mac(&token, operator, act, object) {
            token.extend(mac.finalize().into_bytes());
        }
        BASE64URL_NOPAD.encode(&token)
    }

    /// The key of the act, if the token is good for it.
    pub(super) fn key(&self, token: &str, operator: &Operator, act: &str, object: NodeId) -> Option<Vec<u8>> {
        let token = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
        let (head, tag) = token.split_at_checked(HEAD)?;
        // in constant time
        self.mac(head, operator, act, object)?.verify_slice(tag).ok()?;
        let (key, ends) = head.split_at_checked(KEY)?;
        let ends = Timestamp(i64::from_be_bytes(ends.try_into().ok()?));
        (self.clock.now() < ends).then(|| key.to_vec())
    }

    /// None in practice: every length of key is taken.
    fn mac(&self, head: &[u8], operator: &Operator, act: &str, object: NodeId) -> Option<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(&*self.secret).ok()?;
        let mac = mac.chain_update(CONTEXT).chain_update(operator.operator_id.as_bytes());
        let mac = mac.chain_update(operator.fingerprint.0).chain_update(object.as_bytes());
        Some(mac.chain_update(act).chain_update(head))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_store::testing::id;
    use ocmt_types::{Digest32, ManualClock};

    use super::*;

    fn operator(number: u8) -> Operator {
        Operator {
            operator_id: id(u64::from(number)),
            name: "Ada".to_owned(),
            fingerprint: Digest32([number; 32]),
            created_at: Timestamp(0),
            expires_at: Timestamp(i64::MAX),
            revoked_at: None,
        }
    }

    #[test]
    fn a_form_is_good_for_its_operator_act_and_object_and_for_minutes() {
        let clock = ManualClock::at(Timestamp(1_000_000));
        let forms = Forms::new(Arc::new(clock.clone()));
        let (ada, node) = (operator(1), id::<NodeId>(7));
        let token = forms.issue(&ada, "drain", node);
        let key = forms.key(&token, &ada, "drain", node).unwrap();
        assert_eq!(key.len(), KEY);
        assert_eq!(forms.key(&token, &ada, "drain", node).unwrap(), key, "the same act, once more");
        let renewed = Operator { fingerprint: Digest32([9; 32]), ..operator(1) };
        for (what, who, act, object) in [
            ("another operator", &operator(2), "drain", node),
            ("another certificate", &renewed, "drain", node),
            ("another act", &ada, "resume", node),
            ("another node", &ada, "drain", id(8)),
        ] {
            assert_eq!(forms.key(&token, who, act, object), None, "{what}");
        }
        let other = Forms::new(Arc::new(clock.clone()));
        assert_eq!(other.key(&token, &ada, "drain", node), None, "another life of the node");
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(forms.key(&changed, &ada, "drain", node), None, "changed at {at}");
        }
        for bad in ["", "A", &token[..32], &token[..token.len() - 4]] {
            assert_eq!(forms.key(bad, &ada, "drain", node), None, "{bad}");
        }
        clock.advance(GOOD_FOR);
        assert_eq!(forms.key(&token, &ada, "drain", node), None, "too late");
    }
}
