//! Bearer tokens: what a person or program shows to sign in.
//!
//! ```text
//! ocmt_ses_ | tenant tag 22 | secret 43 | checksum 6        (base64url without padding)
//! ```
//!
//! The tag is the tenant's id and finds its owner without SQL. The checksum (CRC-32 of all before it,
//! big-endian) is for secret scanners and typing slips; it protects nothing. At rest stands SHA-256 of
//! the whole text.

use data_encoding::BASE64URL_NOPAD;
use ocmt_types::{Digest32, Id as _, TenantId};
use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{CryptoError, Result, datakey};

const TAG_LEN: usize = 22;
const SECRET_LEN: usize = 43;
const CHECKSUM_LEN: usize = 6;
const PREFIX_LEN: usize = 9;
/// Characters of every token.
pub const LEN: usize = PREFIX_LEN + TAG_LEN + SECRET_LEN + CHECKSUM_LEN;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A sign-in session.
    Session,
    /// An API key.
    ApiKey,
    /// A magic link, single use.
    Link,
    /// An invitation, single use.
    Invite,
    /// A sign-up, single use; of no tenant yet, its tag is zero.
    SignUp,
    /// A program that acts for a user.
    Program,
}

impl TokenKind {
    const ALL: [Self; 6] =
        [Self::Session, Self::ApiKey, Self::Link, Self::Invite, Self::SignUp, Self::Program];

    /// The nine characters a token of this kind starts with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "ocmt_ses_",
            Self::ApiKey => "ocmt_key_",
            Self::Link => "ocmt_lnk_",
            Self::Invite => "ocmt_inv_",
            Self::SignUp => "ocmt_sup_",
            Self::Program => "ocmt_prg_",
        }
    }
}

/// A well-formed token; whether it is a valid one only its hash in the store tells. Wiped when dropped.
pub struct Token {
    kind: TokenKind,
    tenant: TenantId,
    text: Zeroizing<String>,
}

impl Token {
    /// A fresh token of a tenant.
    pub fn issue(kind: TokenKind, tenant: TenantId, rng: &mut impl CryptoRng) -> Self {
        Self::build(kind, tenant, &datakey::random_key(rng))
    }

    /// A fresh sign-up token, which has no tenant yet.
    pub fn issue_sign_up(rng: &mut impl CryptoRng) -> Self {
        Self::issue(TokenKind::SignUp, TenantId::from_bytes([0; 16]), rng)
    }

    fn build(kind: TokenKind, tenant: TenantId, secret: &[u8; 32]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(LEN));
        text.push_str(kind.prefix());
        BASE64URL_NOPAD.encode_append(tenant.as_bytes(), &mut text);
        BASE64URL_NOPAD.encode_append(secret, &mut text);
        let checksum = crc32fast::hash(text.as_bytes());
        BASE64URL_NOPAD.encode_append(&checksum.to_be_bytes(), &mut text);
        Self { kind, tenant, text }
    }

    /// Reads a token somebody shows. Only the one text that [`Self::issue`] makes is taken.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() != LEN || !text.is_ascii() {
            return Err(CryptoError::Refused);
        }
        let (prefix, rest) = text.split_at(PREFIX_LEN);
        let kind =
            TokenKind::ALL.into_iter().find(|kind| kind.prefix() == prefix).ok_or(CryptoError::Refused)?;
        let (tag, rest) = rest.split_at(TAG_LEN);
        let tag = BASE64URL_NOPAD.decode(tag.as_bytes()).map_err(|_| CryptoError::Refused)?;
        let tenant = TenantId::try_from(tag.as_slice()).map_err(|_| CryptoError::Refused)?;
        let (secret, _) = rest.split_at(SECRET_LEN);
        let secret =
            Zeroizing::new(BASE64URL_NOPAD.decode(secret.as_bytes()).map_err(|_| CryptoError::Refused)?);
        let token = Self::build(kind, tenant, &*datakey::secret_array(&secret)?);
        let same: bool = token.text.as_bytes().ct_eq(text.as_bytes()).into();
        let tag_fits = (kind == TokenKind::SignUp) == (tenant.as_bytes() == &[0; 16]);
        if same && tag_fits { Ok(token) } else { Err(CryptoError::Refused) }
    }

    /// Reads a token and refuses any kind but `kind`.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn parse_kind(kind: TokenKind, text: &str) -> Result<Self> {
        let token = Self::parse(text)?;
        if token.kind == kind { Ok(token) } else { Err(CryptoError::Refused) }
    }

    /// What it is for.
    pub const fn kind(&self) -> TokenKind {
        self.kind
    }

    /// Whose it is, as the token says; none for a sign-up.
    pub fn tenant(&self) -> Option<TenantId> {
        (self.kind != TokenKind::SignUp).then_some(self.tenant)
    }

    /// The text, to be shown to its holder once.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What is stored of it: SHA-256 of the text.
    pub fn hash(&self) -> Digest32 {
        Digest32(Sha256::digest(self.text.as_bytes()).into())
    }

    /// Compares with a stored hash in constant time.
    pub fn matches(&self, stored: &Digest32) -> bool {
        self.hash().0.ct_eq(&stored.0).into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tenant() -> TenantId {
        TenantId::from_bytes([0xa7; 16])
    }

    #[test]
    fn a_token_carries_its_kind_and_tenant() {
        for kind in
            [TokenKind::Session, TokenKind::ApiKey, TokenKind::Link, TokenKind::Invite, TokenKind::Program]
        {
            let token = Token::issue(kind, tenant(), &mut rand::rng());
            let shown = Token::parse(token.expose()).unwrap();
            assert_eq!((shown.kind(), shown.tenant(), shown.expose().len()), (kind, Some(tenant()), LEN));
            assert!(shown.matches(&token.hash()));
            assert!(Token::parse_kind(TokenKind::SignUp, token.expose()).is_err());
        }
        let sign_up = Token::issue_sign_up(&mut rand::rng());
        assert_eq!(Token::parse(sign_up.expose()).unwrap().tenant(), None);
    }

    #[test]
    fn k1_every_changed_character_and_length_is_refused() {
        let token = Token::issue(TokenKind::Session, tenant(), &mut rand::rng());
        let text = token.expose();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                if let Ok(changed) = std::str::from_utf8(&bytes) {
                    assert!(Token::parse(changed).is_err(), "{changed} was taken");
                }
            }
            assert!(Token::parse(&text[..at]).is_err());
        }
        assert!(
            Token::parse(&format!("{text}A")).is_err() && Token::parse(&text.replace("ses", "key")).is_err()
        );
        assert!(Token::parse(&"é".repeat(40)).is_err());
    }

    #[test]
    fn s2_the_hash_at_rest_is_not_the_token() {
        let token = Token::issue(TokenKind::Session, tenant(), &mut rand::rng());
        assert!(Token::parse(&token.hash().to_string()).is_err());
        assert!(!token.matches(&Token::issue(TokenKind::Session, tenant(), &mut rand::rng()).hash()));
    }
}
