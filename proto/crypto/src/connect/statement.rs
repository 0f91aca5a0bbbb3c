//! What cell and client say about one authorization, past nodes that carry it.

use ocmt_types::{AuthorizationId, UnlockId};
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    envelope,
    kind::Kind,
    mac,
    unlock::UnlockKey,
};

use super::ProviderName;

const VERSION: u8 = 1;
/// The longest code and issuer that are carried, in bytes.
const MAX_CODE: usize = 4096;
const MAX_ISSUER: usize = 512;
/// The longest sealed answer, in bytes.
pub const MAX_ANSWER: usize = 5 * 1024;

/// Where a cell sends its user's browser, for one authorization.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    /// Of which unlock.
    pub unlock: UnlockId,
    /// Which.
    pub authorization: AuthorizationId,
    /// At which provider.
    pub provider: &'a ProviderName,
    /// The address, with state and challenge.
    pub url: &'a str,
}

impl Offered<'_> {
    /// The cell's side: 32 bytes that show that its holder made this address.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] never in practice.
    pub fn proof(&self, key: &UnlockKey) -> Result<[u8; 32]> {
        Ok(mac::tag(&*key.offer_key()?, &self.bytes()))
    }

    /// The client's side: whether the cell of this unlock made this address, for this provider.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn check(&self, key: &UnlockKey, proof: &[u8]) -> Result<()> {
        mac::check(&*key.offer_key()?, &self.bytes(), proof)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Writer::object(Kind::AUTHORIZATION_OFFER, VERSION);
        out.id(self.unlock).id(self.authorization);
        out.var(self.provider.as_str().as_bytes()).var(self.url.as_bytes());
        out.into_vec()
    }
}

/// What a provider sent back by the browser.
pub struct Answer {
    /// The code.
    pub code: Zeroizing<String>,
    /// Which provider says that it came from it (RFC 9207); none if it said nothing.
    pub issuer: Option<String>,
}

impl Answer {
    /// The client's side: for the cell of this unlock, this authorization and its provider alone.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] for a code over 4096 bytes or an issuer over 512.
    pub fn seal(
        &self,
        unlock: UnlockId,
        (authorization, provider): (AuthorizationId, &ProviderName),
        key: &UnlockKey,
        rng: &mut impl rand::CryptoRng,
    ) -> Result<Vec<u8>> {
        let issuer = self.issuer.as_deref();
        for (what, len, max) in
            [("code", self.code.len(), MAX_CODE), ("issuer", issuer.map_or(0, str::len), MAX_ISSUER)]
        {
            if len > max {
                return Err(CryptoError::TooLarge { what, max: max as u64 });
            }
        }
        let mut out = Writer::with_capacity(16 + MAX_CODE + MAX_ISSUER);
        out.var(self.code.as_bytes()).option(issuer, |out, issuer| {
            out.var(issuer.as_bytes());
        });
        let context = context(unlock, authorization, provider);
        envelope::seal(Kind::AUTHORIZATION_ANSWER, 0, &*key.answer_key()?, &context, out.as_bytes(), rng)
    }

    /// The cell's side.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is forged, damaged, or of another unlock, authorization or
    /// provider.
    pub fn open(
        sealed: &[u8],
        unlock: UnlockId,
        (authorization, provider): (AuthorizationId, &ProviderName),
        key: &UnlockKey,
    ) -> Result<Self> {
        if sealed.len() > MAX_ANSWER {
            return Err(CryptoError::Refused);
        }
        let context = context(unlock, authorization, provider);
        let opened = envelope::open_at(Kind::AUTHORIZATION_ANSWER, 0, &*key.answer_key()?, &context, sealed)?;
        let mut reader = Reader::new(&opened);
        let answer = Self {
            code: Zeroizing::new(reader.text(MAX_CODE)?.to_owned()),
            issuer: reader.option(|reader| Ok(reader.text(MAX_ISSUER)?.to_owned()))?,
        };
        reader.finish()?;
        Ok(answer)
    }
}

#[cfg(any(test, fuzzing))]
impl Answer {
    /// These bytes as if the client had sealed them.
    pub(crate) fn sealed_for_fuzzing(
        content: &[u8],
        unlock: UnlockId,
        (authorization, provider): (AuthorizationId, &ProviderName),
        key: &UnlockKey,
    ) -> Vec<u8> {
        let (context, rng) = (context(unlock, authorization, provider), &mut rand::rng());
        let key = key.answer_key().unwrap_or_default();
        envelope::seal(Kind::AUTHORIZATION_ANSWER, 0, &key, &context, content, rng).unwrap_or_default()
    }
}

fn context(unlock: UnlockId, authorization: AuthorizationId, provider: &ProviderName) -> Vec<u8> {
    let mut out = Writer::new();
    out.fixed(b"OCMT authorization answer v1").id(unlock).id(authorization);
    out.var(provider.as_str().as_bytes());
    out.into_vec()
}
