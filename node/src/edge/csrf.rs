//! Against pages that make a browser ask in its user's name: a signed double submit.
//!
//! A token is `base64url(nonce 16 | HMAC-SHA256(secret, "OCMT csrf v1" | 0 | nonce))`. The secret is what the browser shows
//! in a cookie that no script reads: its session token, or before sign-in the secret that binds links to it. So a token is
//! good for one session, on every node, and is stored nowhere; whoever reads it learns nothing of the secret. A request is
//! taken when the token in the cookie and the one that a form or script repeats are the same, and that secret's.

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::CryptoRng;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

const CONTEXT: &[u8] = b"OCMT csrf v1\0";
const NONCE: usize = 16;
const LEN: usize = NONCE + 32;

/// The header in which scripts repeat it.
pub const HEADER: http::HeaderName = http::HeaderName::from_static("x-csrf-token");

/// A fresh token of whoever shows `secret`.
pub fn issue(secret: &[u8], rng: &mut impl CryptoRng) -> String {
    let mut token = [0; LEN];
    let (nonce, tag) = token.split_at_mut(NONCE);
    rng.fill_bytes(nonce);
    if let Some(mac) = mac(secret, nonce) {
        tag.copy_from_slice(&mac.finalize().into_bytes());
    }
    BASE64URL_NOPAD.encode(&token)
}

/// Whether the token is that secret's.
pub fn holds(secret: &[u8], token: &str) -> bool {
    let token = BASE64URL_NOPAD.decode(token.as_bytes()).ok().filter(|token| token.len() == LEN);
    token.as_deref().and_then(|token| token.split_at_checked(NONCE)).is_some_and(|(nonce, tag)| {
        // in constant time
        mac(secret, nonce).is_some_and(|mac| mac.verify_slice(tag).is_ok())
    })
}

/// Whether what was repeated is what stands in the cookie, and that secret's.
pub fn agree(secret: &[u8], in_cookie: &str, repeated: &str) -> bool {
    let same: bool = in_cookie.as_bytes().ct_eq(repeated.as_bytes()).into();
    same && holds(secret, repeated)
}

/// None in practice: every length of key is taken.
fn mac(secret: &[u8], nonce: &[u8]) -> Option<Hmac<Sha256>> {
    let mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    Some(mac.chain_update(CONTEXT).chain_update(nonce))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_a_token_is_good_for_its_secret_alone_and_only_repeated() {
        let (mine, other) = (issue(b"mine", &mut rand::rng()), issue(b"other", &mut rand::rng()));
        assert!(agree(b"mine", &mine, &mine));
        let again = issue(b"mine", &mut rand::rng());
        for (what, in_cookie, repeated) in [
            ("another session's", other.as_str(), other.as_str()),
            ("two that differ, both mine", &mine, &again),
            ("cookie only", &mine, ""),
            ("header only", "", &mine),
            ("empty = empty", "", ""),
            ("cut", &mine[..60], &mine[..60]),
        ] {
            assert!(!agree(b"mine", in_cookie, repeated), "{what} was taken");
        }
        for at in 0..mine.len() {
            let mut bytes = mine.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8_lossy(&bytes);
            assert!(!agree(b"mine", &changed, &changed), "changed at {at}");
        }
    }
}
