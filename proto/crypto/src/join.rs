//! How a new node comes in: the invitation it is given, and the sealing keys it gets.
//!
//! ```text
//! ocmt_join_ | base64url( version u8 = 1 ‖ SHA-256 of the CA's certificate 32 ‖ secret 32 ‖ endpoint ‖ checksum u32 )
//! ```
//!
//! The fingerprint tells the new node whom to believe before it says anything; the secret is what the
//! cluster takes for authority, once. The checksum is as in [`token`](crate::token). At rest stands SHA-256
//! of the whole text.

use data_encoding::BASE64URL_NOPAD;
use ocmt_types::{ClusterId, Digest32, NodeId};
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey,
    seal::{self, SealPublicKey, SealSecretKey},
    sealing::{SealingKey, SealingKeys},
};

const PREFIX: &str = "ocmt_join_";
const VERSION: u8 = 1;
const FIXED: usize = 1 + 32 + 32 + 4;
/// Longest endpoint of an invitation, in bytes.
pub const MAX_ENDPOINT: usize = 256;
/// Most generations of the sealing key that are handed over at once.
pub const MAX_GENERATIONS: usize = 1024;
const KEYS: &[u8] = b"OCMT sealing keys v1\0";

/// An invitation for one node. Wiped when dropped.
pub struct JoinToken {
    ca: Digest32,
    endpoint: String,
    text: Zeroizing<String>,
}

impl JoinToken {
    /// A fresh invitation to the cluster whose CA's certificate has the fingerprint `ca`, by the node whose
    /// client listener is at `endpoint`.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] for an endpoint past [`MAX_ENDPOINT`].
    pub fn issue(ca: Digest32, endpoint: &str, rng: &mut impl CryptoRng) -> Result<Self> {
        if endpoint.len() > MAX_ENDPOINT {
            return Err(CryptoError::TooLarge { what: "endpoint, in bytes", max: MAX_ENDPOINT as u64 });
        }
        Ok(Self::build(ca, &datakey::random_key(rng), endpoint))
    }

    fn build(ca: Digest32, secret: &[u8; 32], endpoint: &str) -> Self {
        let mut out = Writer::with_capacity(FIXED + endpoint.len());
        out.u8(VERSION).fixed(&ca.0).fixed(secret).fixed(endpoint.as_bytes());
        let checksum = crc32fast::hash(out.as_bytes());
        out.u32(checksum);
        let bytes = out.into_secret();
        let mut text =
            Zeroizing::new(String::with_capacity(PREFIX.len() + BASE64URL_NOPAD.encode_len(bytes.len())));
        text.push_str(PREFIX);
        BASE64URL_NOPAD.encode_append(&bytes, &mut text);
        Self { ca, endpoint: endpoint.to_owned(), text }
    }

    /// Reads an invitation. Only the one text that [`Self::issue`] makes is taken.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn parse(text: &str) -> Result<Self> {
        let encoded = text.strip_prefix(PREFIX).ok_or(CryptoError::Refused)?;
        if encoded.len() > BASE64URL_NOPAD.encode_len(FIXED + MAX_ENDPOINT) {
            return Err(CryptoError::Refused);
        }
        let bytes =
            Zeroizing::new(BASE64URL_NOPAD.decode(encoded.as_bytes()).map_err(|_| CryptoError::Refused)?);
        let endpoint_len = bytes.len().checked_sub(FIXED).ok_or(CryptoError::Refused)?;
        let mut reader = Reader::new(&bytes);
        if reader.u8()? != VERSION {
            return Err(CryptoError::Refused);
        }
        let (ca, secret) = (Digest32(reader.array()?), Zeroizing::new(reader.array::<32>()?));
        let endpoint = std::str::from_utf8(reader.take(endpoint_len)?).map_err(|_| CryptoError::Refused)?;
        let token = Self::build(ca, &secret, endpoint);
        // the checksum and the last character's unused bits are compared with the rest
        if *token.text == text { Ok(token) } else { Err(CryptoError::Refused) }
    }

    /// SHA-256 of the certificate of the authority to believe.
    pub const fn ca(&self) -> Digest32 {
        self.ca
    }

    /// Where to join.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The text, to be shown to its holder once.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What is stored of it: SHA-256 of the text.
    pub fn hash(&self) -> Digest32 {
        Digest32(Sha256::digest(self.text.as_bytes()).into())
    }
}

/// Seals generations of the cluster's sealing key to a node.
///
/// # Errors
/// [`CryptoError::TooLarge`] past [`MAX_GENERATIONS`], [`CryptoError::Refused`] for a key of low order.
pub fn seal_sealing_keys(
    keys: &SealingKeys,
    cluster: ClusterId,
    node: NodeId,
    to: &SealPublicKey,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>> {
    let plain = write_keys(keys)?;
    seal::seal(to, &info(cluster, node), &[], &plain, rng)
}

/// Opens what [`seal_sealing_keys`] sealed to this node.
///
/// # Errors
/// [`CryptoError::Refused`].
pub fn open_sealing_keys(
    secret: &SealSecretKey,
    cluster: ClusterId,
    node: NodeId,
    sealed: &[u8],
) -> Result<SealingKeys> {
    let plain = seal::open(secret, &info(cluster, node), &[], sealed)?;
    read_keys(&plain)
}

/// The generations as a list, oldest first.
pub(crate) fn write_keys(keys: &SealingKeys) -> Result<Zeroizing<Vec<u8>>> {
    let count = keys.generations().count();
    if count > MAX_GENERATIONS {
        return Err(CryptoError::TooLarge {
            what: "generations of the sealing key",
            max: MAX_GENERATIONS as u64,
        });
    }
    let mut out = Writer::with_capacity(4 + 36 * count);
    out.count(count);
    for key in keys.generations() {
        out.u32(key.generation()).fixed(key.expose());
    }
    Ok(out.into_secret())
}

pub(crate) fn read_keys(plain: &[u8]) -> Result<SealingKeys> {
    let mut reader = Reader::new(plain);
    let mut keys = SealingKeys::default();
    for _ in 0..reader.count(MAX_GENERATIONS, 36)? {
        keys.insert(SealingKey::from_bytes(reader.u32()?, reader.array()?));
    }
    reader.finish()?;
    Ok(keys)
}

fn info(cluster: ClusterId, node: NodeId) -> Vec<u8> {
    let mut out = Writer::new();
    out.fixed(KEYS).id(cluster).id(node);
    out.into_vec()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::Id as _;
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    #[test]
    fn an_invitation_says_where_and_whom_to_believe() {
        let token =
            JoinToken::issue(Digest32([7; 32]), "https://node1.example:7443", &mut rand::rng()).unwrap();
        let shown = JoinToken::parse(token.expose()).unwrap();
        assert_eq!((shown.ca(), shown.endpoint()), (Digest32([7; 32]), "https://node1.example:7443"));
        assert_eq!(shown.hash(), token.hash());
        assert!(token.expose().len() <= 512);
    }

    /// The text in docs/formats.md, made by another implementation.
    #[test]
    fn the_published_invitation_is_the_one_of_its_parts() {
        let token = JoinToken::build(Digest32([7; 32]), &[3; 32], "https://node1.example:7443");
        assert_eq!(token.expose(), PUBLISHED);
        assert_eq!(token.hash().to_string(), PUBLISHED_HASH);
        assert_eq!(JoinToken::parse(PUBLISHED).unwrap().endpoint(), "https://node1.example:7443");
    }

    const PUBLISHED: &str = "ocmt_join_AQcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwNodHRwczovL25vZGUxLmV4YW1wbGU6NzQ0M83gFFQ";
    const PUBLISHED_HASH: &str = "333f71c1cbcf7b0c7ad881a47cb74dcf278d86ddb39ef8feba4328bbbc825dad";

    #[test]
    fn k1_every_changed_character_of_an_invitation_is_refused() {
        let token = JoinToken::issue(Digest32([7; 32]), "https://a:1", &mut rand::rng()).unwrap();
        let text = token.expose();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                if let Ok(changed) = std::str::from_utf8(&bytes) {
                    assert!(JoinToken::parse(changed).is_err(), "{changed} was taken");
                }
            }
            assert!(JoinToken::parse(&text[..at]).is_err());
        }
        assert!(JoinToken::parse(&format!("{text}A")).is_err());
    }

    #[test]
    fn the_longest_invitation_fits_its_field_and_a_longer_one_is_not_made() {
        let endpoint = "e".repeat(MAX_ENDPOINT);
        let token = JoinToken::issue(Digest32([0; 32]), &endpoint, &mut rand::rng()).unwrap();
        assert!(token.expose().len() <= 512, "{}", token.expose().len());
        assert!(JoinToken::issue(Digest32([0; 32]), &format!("{endpoint}e"), &mut rand::rng()).is_err());
    }

    #[test]
    fn sealing_keys_open_for_their_node_of_their_cluster_alone() {
        let mut rng = StdRng::seed_from_u64(3);
        let keys = SealingKeys::new((1..4).map(|n| SealingKey::generate(n, &mut rng)));
        let node = SealSecretKey::generate(&mut rng);
        let (cluster, id) = (ClusterId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]));
        let sealed = seal_sealing_keys(&keys, cluster, id, &node.public(), &mut rng).unwrap();
        let opened = open_sealing_keys(&node, cluster, id, &sealed).unwrap();
        let shown = |keys: &SealingKeys| {
            keys.generations().map(|key| (key.generation(), *key.expose())).collect::<Vec<_>>()
        };
        assert_eq!(shown(&opened), shown(&keys));
        assert!(open_sealing_keys(&node, ClusterId::from_bytes([9; 16]), id, &sealed).is_err());
        assert!(open_sealing_keys(&node, cluster, NodeId::from_bytes([9; 16]), &sealed).is_err());
        let other = SealSecretKey::generate(&mut rng);
        assert!(open_sealing_keys(&other, cluster, id, &sealed).is_err());
        crate::testing::assert_brittle(&sealed, |bytes| open_sealing_keys(&node, cluster, id, bytes).is_ok());
    }
    #[test]
    fn a_thousand_generations_are_handed_over_and_no_more_are_tried() {
        let mut rng = StdRng::seed_from_u64(4);
        let node = SealSecretKey::generate(&mut rng);
        let (cluster, id) = (ClusterId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]));
        let mut keys = SealingKeys::new((1..=1024).map(|n| SealingKey::generate(n, &mut rng)));
        let sealed = seal_sealing_keys(&keys, cluster, id, &node.public(), &mut rng).unwrap();
        assert!(sealed.len() <= 40_960, "{} bytes, past the bound of the field", sealed.len());
        assert_eq!(open_sealing_keys(&node, cluster, id, &sealed).unwrap().generations().count(), 1024);
        keys.insert(SealingKey::generate(1025, &mut rng));
        let refused = seal_sealing_keys(&keys, cluster, id, &node.public(), &mut rng);
        assert!(matches!(refused, Err(CryptoError::TooLarge { .. })));
    }
}
