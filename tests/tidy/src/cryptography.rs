//! Where cryptography is: which crate may use which of others' crates for it (docs/security/keys.md). What the
//! table does not allow is found, so that no key and no algorithm comes in beside the inventory.

use crate::{Finding, dependencies::Edge};

/// Ours who may use it. Nobody at all: it is there below something else, or must not be there.
const ALLOWED: [(&str, &[&str]); 35] = [
    // everything that is sealed, stretched, shared and signed
    ("aes-gcm", &["ocmt-crypto"]),
    ("argon2", &["ocmt-crypto"]),
    ("blahaj", &["ocmt-crypto"]),
    ("chacha20poly1305", &["ocmt-crypto"]),
    ("crc32fast", &["ocmt-crypto"]),
    ("ct-merkle", &["ocmt-crypto"]),
    ("ed25519-dalek", &["ocmt-crypto"]),
    ("hkdf", &["ocmt-crypto"]),
    ("hpke", &["ocmt-crypto"]),
    ("pasetors", &["ocmt-crypto"]),
    ("totp-rs", &["ocmt-crypto"]),
    ("x25519-dalek", &["ocmt-crypto"]),
    // hashes of tokens and requests; tokens of forms; a cell's resumption of channels
    (
        "sha2",
        &["ocmt-crypto", "ocmt-store", "ocmt-cluster", "ocmt-actors", "ocmt-client", "ocmt-cell", "ocmt"],
    ),
    ("hmac", &["ocmt-crypto", "ocmt-cell", "ocmt"]),
    // TLS and certificates
    ("rcgen", &["ocmt"]),
    ("rustls", &["ocmt-client", "ocmt-cell", "ocmt"]),
    ("rustls-webpki", &["ocmt-client", "ocmt"]),
    ("tokio-rustls", &["ocmt-client", "ocmt-cell", "ocmt"]),
    // what browsers and providers sign
    ("openidconnect", &["ocmt"]),
    ("oauth2", &["ocmt-cell"]),
    ("webauthn-rs", &["ocmt-actors"]),
    // never by hand, and nothing that is broken
    ("aes", &[]),
    ("aws-lc-rs", &[]),
    ("blake2", &[]),
    ("blake3", &[]),
    ("chacha20", &[]),
    ("jsonwebtoken", &[]),
    ("md-5", &[]),
    ("native-tls", &[]),
    ("openssl", &[]),
    ("p256", &[]),
    ("ring", &[]),
    ("rsa", &[]),
    ("sha1", &[]),
    ("sharks", &[]),
];

/// Every use that the table does not allow. Tests may use what they like.
pub fn check(edges: &[Edge]) -> Vec<Finding> {
    edges
        .iter()
        .filter(|edge| !edge.dev && !crate::dependencies::is_for_tests(&edge.user))
        .filter_map(|edge| {
            let (_, users) = ALLOWED.iter().find(|(name, _)| *name == edge.used)?;
            (!users.contains(&edge.user.as_str())).then(|| {
                let why = format!("must not use {}: see the table of cryptography", edge.used);
                Finding::at(&edge.user, 0, why)
            })
        })
        .collect()
}

/// Rows of the table that nobody needs any more.
pub fn stale(edges: &[Edge]) -> Vec<Finding> {
    ALLOWED
        .iter()
        .flat_map(|(used, users)| users.iter().map(move |user| (*used, *user)))
        .filter(|(used, user)| {
            !edges.iter().any(|edge| edge.used == *used && edge.user == *user && !edge.dev)
        })
        .map(|(used, user)| Finding::at(user, 0, format!("does not use {used}: take it out of the table")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(user: &str, used: &str, dev: bool) -> [Edge; 1] {
        [Edge { user: user.to_owned(), used: used.to_owned(), dev }]
    }

    #[test]
    fn a_cipher_beside_the_crypto_crate_is_found() {
        assert_eq!(check(&edge("ocmt-crypto", "aes-gcm", false)), []);
        assert_eq!(check(&edge("ocmt-client", "aes-gcm", false)).len(), 1);
        assert_eq!(check(&edge("ocmt-crypto", "sha1", false)).len(), 1);
        assert_eq!(check(&edge("ocmt-crypto", "sha1", true)), []);
        assert_eq!(check(&edge("ocmt-e2e", "ring", false)), []);
    }

    #[test]
    fn a_row_that_nobody_needs_is_found() {
        assert!(
            stale(&edge("ocmt-crypto", "aes-gcm", false))
                .iter()
                .all(|found| !found.message.contains("aes-gcm"))
        );
        assert!(
            stale(&edge("ocmt-crypto", "aes-gcm", true))
                .iter()
                .any(|found| found.message.contains("aes-gcm"))
        );
    }
}
