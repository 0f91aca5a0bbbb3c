//! The envelope: how everything symmetric is stored.
//!
//! ```text
//! "OCMT" | kind u8 | version u8 | alg u8 | 0 | key_epoch u32 | nonce (12 or 24) | ciphertext ‖ tag
//! ```
//!
//! Header, nonce and the caller's context are the associated data, so that no bit, field or place can
//! be changed or swapped. The kind fixes the algorithm: nobody chooses it by writing another byte.

use rand::CryptoRng;

use crate::{
    CryptoError, Result, aead,
    codec::{MAGIC, Reader},
    kind::Kind,
    plaintext::Plaintext,
};

/// The one version of the envelope.
pub const VERSION: u8 = 1;
const AES_256_GCM: u8 = 1;
const XCHACHA20_POLY1305: u8 = 2;
const HEADER_LEN: usize = 12;
const LONGEST_NONCE: usize = 24;
/// Head and nonce with the context of an object of a vault, and some more.
const SHORT_AAD: usize = 128;

/// What an envelope says of itself in clear. Proven only once it has been opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it holds.
    pub kind: Kind,
    /// The epoch of the key that sealed it.
    pub key_epoch: u32,
}

/// What an envelope held.
pub struct Opened {
    /// The epoch of the key that sealed it, proven.
    pub key_epoch: u32,
    /// The content.
    pub plaintext: Plaintext,
}

/// Bytes that an envelope of `kind` is longer than its content.
pub const fn overhead(kind: Kind) -> usize {
    HEADER_LEN + nonce_len(kind) + aead::TAG_LEN
}

/// A key with its cipher set up, for many envelopes of one kind under it. Wiped when dropped.
pub struct Cipher {
    kind: Kind,
    key_epoch: u32,
    cipher: aead::Cipher,
}

impl Cipher {
    /// Sets the cipher of `kind` up with `key`, which is of `key_epoch`.
    pub fn new(kind: Kind, key_epoch: u32, key: &[u8; 32]) -> Self {
        let cipher = match algorithm(kind) {
            XCHACHA20_POLY1305 => aead::Cipher::xchacha(key),
            _ => aead::Cipher::aes(key),
        };
        Self { kind, key_epoch, cipher }
    }

    /// Seals `plaintext`, bound to kind, epoch and `context`.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if the cipher refuses the length (over 64 GiB).
    pub fn seal(&self, context: &[u8], plaintext: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>> {
        let mut nonce = [0; LONGEST_NONCE];
        let nonce = nonce.get_mut(..nonce_len(self.kind)).ok_or(CryptoError::Refused)?;
        rng.fill_bytes(nonce);
        let mut out = Vec::with_capacity(overhead(self.kind) + plaintext.len());
        out.extend_from_slice(&head(self.kind, self.key_epoch));
        out.extend_from_slice(nonce);
        let aad = Aad::of(&out, context);
        self.cipher.seal(nonce, aad.as_slice(), plaintext, &mut out)?;
        Ok(out)
    }

    /// Opens an envelope of this kind, whatever epoch it names: the caller compares.
    fn open_any(&self, context: &[u8], sealed: &[u8]) -> Result<Opened> {
        let header = parse(sealed)?;
        if header.kind != self.kind {
            return Err(CryptoError::Refused);
        }
        let head_len = HEADER_LEN + nonce_len(self.kind);
        let (head, ciphertext) = sealed.split_at_checked(head_len).ok_or(CryptoError::Refused)?;
        let nonce = head.get(HEADER_LEN..).ok_or(CryptoError::Refused)?;
        let plaintext = self.cipher.open(nonce, Aad::of(head, context).as_slice(), ciphertext)?;
        Ok(Opened { key_epoch: header.key_epoch, plaintext })
    }

    /// Opens an envelope of this kind and epoch.
    ///
    /// # Errors
    /// [`CryptoError::Refused`], for anything that is wrong with it.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Plaintext> {
        let opened = self.open_any(context, sealed)?;
        if opened.key_epoch == self.key_epoch { Ok(opened.plaintext) } else { Err(CryptoError::Refused) }
    }
}

/// The associated data: head and context. On the stack but for the few that are long.
struct Aad {
    short: [u8; SHORT_AAD],
    len: usize,
    long: Vec<u8>,
}

impl Aad {
    fn of(head: &[u8], context: &[u8]) -> Self {
        let (mut short, len) = ([0; SHORT_AAD], head.len() + context.len());
        match short.get_mut(..len).map(|place| place.split_at_mut(head.len())) {
            Some((first, second)) => {
                first.copy_from_slice(head);
                second.copy_from_slice(context);
                Self { short, len, long: Vec::new() }
            }
            None => Self { short, len: 0, long: [head, context].concat() },
        }
    }

    fn as_slice(&self) -> &[u8] {
        if self.long.is_empty() { self.short.get(..self.len).unwrap_or_default() } else { &self.long }
    }
}

/// Seals `plaintext` under `key`, bound to `kind`, `key_epoch` and `context`.
///
/// # Errors
/// [`CryptoError::Refused`] if the cipher refuses the length (over 64 GiB).
pub fn seal(
    kind: Kind,
    key_epoch: u32,
    key: &[u8; 32],
    context: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>> {
    Cipher::new(kind, key_epoch, key).seal(context, plaintext, rng)
}

/// Opens an envelope of `kind`, whatever epoch its key had; the epoch is in the answer.
///
/// # Errors
/// [`CryptoError::Refused`], for anything that is wrong with it.
pub fn open(kind: Kind, key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Result<Opened> {
    Cipher::new(kind, 0, key).open_any(context, sealed)
}

/// Opens an envelope of `kind` sealed at `key_epoch`, and no other epoch.
///
/// # Errors
/// [`CryptoError::Refused`], for anything that is wrong with it.
pub fn open_at(
    kind: Kind,
    key_epoch: u32,
    key: &[u8; 32],
    context: &[u8],
    sealed: &[u8],
) -> Result<Plaintext> {
    Cipher::new(kind, key_epoch, key).open(context, sealed)
}

/// Reads the header of a well-formed envelope, unproven: enough for a node to refuse a write under an
/// old key epoch.
///
/// # Errors
/// [`CryptoError::Refused`] if it is not a well-formed envelope of a known version.
pub fn parse(sealed: &[u8]) -> Result<Header> {
    let mut reader = Reader::new(sealed);
    let (magic, kind, version) = (reader.array::<4>()?, Kind(reader.u8()?), reader.u8()?);
    let (alg, zero, key_epoch) = (reader.u8()?, reader.u8()?, reader.u32()?);
    let fits = reader.remaining() >= nonce_len(kind) + aead::TAG_LEN;
    if magic == MAGIC && version == VERSION && alg == algorithm(kind) && zero == 0 && fits {
        Ok(Header { kind, key_epoch })
    } else {
        Err(CryptoError::Refused)
    }
}

/// The head of every envelope of `kind` at `key_epoch`: in the order of bytes, all of earlier epochs come before
/// it and all of this one and later ones behind.
pub fn floor_of(kind: Kind, key_epoch: u32) -> Vec<u8> {
    head(kind, key_epoch).to_vec()
}

fn head(kind: Kind, key_epoch: u32) -> [u8; HEADER_LEN] {
    let ([m, a, g, i], [e0, e1, e2, e3]) = (MAGIC, key_epoch.to_be_bytes());
    [m, a, g, i, kind.0, VERSION, algorithm(kind), 0, e0, e1, e2, e3]
}

/// Tells a user whose object was refused whether a later program made it. Says nothing of a damaged one.
///
/// # Errors
/// [`CryptoError::UnsupportedVersion`] if the head names a later version than this program's.
pub fn check_version(bytes: &[u8]) -> Result<()> {
    match bytes.first_chunk::<6>() {
        Some([a, b, c, d, _, version]) if [*a, *b, *c, *d] == MAGIC && *version > VERSION => {
            Err(CryptoError::UnsupportedVersion)
        }
        _ => Ok(()),
    }
}

/// Transcripts are appended at random for years under one key: they take the long nonce.
const fn algorithm(kind: Kind) -> u8 {
    if kind.0 == Kind::TRANSCRIPT_RECORD.0 { XCHACHA20_POLY1305 } else { AES_256_GCM }
}

const fn nonce_len(kind: Kind) -> usize {
    if algorithm(kind) == XCHACHA20_POLY1305 { LONGEST_NONCE } else { 12 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_envelope_opens_only_in_its_own_place() {
        for kind in [Kind::OBJECT_BODY, Kind::TRANSCRIPT_RECORD] {
            let sealed = seal(kind, 7, &[1; 32], b"here", b"content", &mut rand::rng()).unwrap();
            let opened = open(kind, &[1; 32], b"here", &sealed).unwrap();
            assert_eq!((opened.key_epoch, opened.plaintext.as_slice()), (7, b"content".as_slice()));
            assert_eq!(sealed.len(), overhead(kind) + 7);
            assert!(
                open(kind, &[1; 32], b"there", &sealed).is_err()
                    && open(kind, &[2; 32], b"here", &sealed).is_err()
            );
            assert!(open(Kind::WRAPPED_KEY, &[1; 32], b"here", &sealed).is_err());
            assert!(open_at(kind, 6, &[1; 32], b"here", &sealed).is_err());
        }
    }

    #[test]
    fn associated_data_of_every_length_is_all_of_head_and_context() {
        for len in [0, 1, SHORT_AAD - 25, SHORT_AAD - 24, SHORT_AAD - 23, SHORT_AAD, 1_000] {
            let (head, context) = ([1; 24], vec![2; len]);
            let aad = Aad::of(&head, &context);
            assert_eq!(aad.as_slice(), [head.as_slice(), &context].concat(), "{len}");
        }
    }

    #[test]
    fn a_later_version_is_named_only_on_request() {
        let mut sealed = seal(Kind::OBJECT_BODY, 0, &[1; 32], b"", b"", &mut rand::rng()).unwrap();
        check_version(&sealed).unwrap();
        sealed[5] = 2;
        assert_eq!(check_version(&sealed), Err(CryptoError::UnsupportedVersion));
        assert!(matches!(open(Kind::OBJECT_BODY, &[1; 32], b"", &sealed), Err(CryptoError::Refused)));
    }
}
