//! Gateway tokens: what opens a WebSocket to one container, for at most an hour. PASETO v4.public.
//!
//! Payload: JSON with `aud` (container), `sub` (user), `ten` (tenant), `sid` (session), `jti`, `iat`,
//! `nbf`, `exp` (RFC 3339, whole seconds, UTC). Footer: `{"kid":"…"}`, the first 8 bytes of
//! SHA-256("OCMT gateway key v1" ‖ 0x00 ‖ public key) in hex. Implicit assertion: `OCMT gateway v1`.
//! There is no algorithm to choose: anything that is not exactly this is refused, loose base64 too.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hkdf::Hkdf;
use ocmt_types::{ContainerId, SessionId, TenantId, Timestamp, UserId};
use pasetors::{
    keys::{AsymmetricPublicKey, AsymmetricSecretKey},
    token::{Public, UntrustedToken},
    version4::{PublicToken, V4},
};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    sign::{SigningKey, VerifyKey},
};

/// Most that a token lives, in milliseconds: one hour.
pub const MAX_LIFE_MS: i64 = 3_600_000;
/// How far ahead of ours the issuing node's clock may be, in milliseconds. Expiry has no allowance.
pub const SKEW_MS: i64 = 30_000;
/// The longest text looked at.
pub const MAX_LEN: usize = 1024;
const HEADER: &str = "v4.public.";
const IMPLICIT: &[u8] = b"OCMT gateway v1";

/// What a gateway token says. Times are whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayClaims {
    /// The one container it opens.
    pub container: ContainerId,
    /// Of which tenant.
    pub tenant: TenantId,
    /// For whom.
    pub user: UserId,
    /// The session it ends with.
    pub session: SessionId,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends, at most [`MAX_LIFE_MS`] later.
    pub expires_at: Timestamp,
}

/// The keys whose tokens are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayKeys {
    /// The key that signs now.
    pub current: VerifyKey,
    /// The one before it, and until when it is still taken.
    pub previous: Option<(VerifyKey, Timestamp)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    aud: ContainerId,
    sub: UserId,
    ten: TenantId,
    sid: SessionId,
    jti: String,
    iat: String,
    nbf: String,
    exp: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Footer {
    kid: String,
}

/// The key that signs the tokens of a cluster, derived from its sealing key of one generation: HKDF-SHA256
/// without a salt, info `OCMT gateway signing key v1`, a zero byte, and the generation as four bytes.
///
/// # Errors
/// None in practice.
pub fn derive_key(sealing: &[u8; 32], generation: u32) -> Result<SigningKey> {
    let mut seed = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, sealing)
        .expand_multi_info(
            &[b"OCMT gateway signing key v1\0", &generation.to_be_bytes()],
            seed.as_mut_slice(),
        )
        .map_err(|_| CryptoError::Refused)?;
    Ok(SigningKey::from_bytes(&seed))
}

/// Makes a token.
///
/// # Errors
/// [`CryptoError::OutOfRange`] if it would live longer than an hour or end before it begins.
pub fn issue(claims: &GatewayClaims, key: &SigningKey, rng: &mut impl CryptoRng) -> Result<String> {
    let life = claims.expires_at.0.saturating_sub(claims.issued_at.0);
    if !(1..=MAX_LIFE_MS).contains(&life) {
        return Err(CryptoError::OutOfRange { what: "life of a gateway token", rule: "up to one hour" });
    }
    let mut jti = [0; 16];
    rng.fill_bytes(&mut jti);
    let issued_at = to_text(claims.issued_at)?;
    let payload = Payload {
        aud: claims.container,
        sub: claims.user,
        ten: claims.tenant,
        sid: claims.session,
        jti: HEXLOWER.encode(&jti),
        nbf: issued_at.clone(),
        iat: issued_at,
        exp: to_text(claims.expires_at)?,
    };
    let (payload, footer) = (json(&payload)?, json(&Footer { kid: key_id(&key.verify_key()) })?);
    let secret =
        AsymmetricSecretKey::<V4>::from(key.keypair().as_slice()).map_err(|_| CryptoError::Refused)?;
    PublicToken::sign(&secret, &payload, Some(&footer), Some(IMPLICIT)).map_err(|_| CryptoError::Refused)
}

/// Verifies a token for `container` at `now`.
///
/// # Errors
/// [`CryptoError::Refused`], whatever is wrong with it.
pub fn verify(
    text: &str,
    container: ContainerId,
    keys: &GatewayKeys,
    now: Timestamp,
) -> Result<GatewayClaims> {
    let footer = strict_footer(text)?;
    let footer: Footer = serde_json::from_slice(&footer).map_err(|_| CryptoError::Refused)?;
    let previous = keys.previous.filter(|(_, until)| now < *until).map(|(key, _)| key);
    let key = [Some(keys.current), previous]
        .into_iter()
        .flatten()
        .find(|key| key_id(key) == footer.kid)
        .ok_or(CryptoError::Refused)?;
    let payload = verify_paseto(text, &key, IMPLICIT)?;
    let payload: Payload = serde_json::from_slice(&payload).map_err(|_| CryptoError::Refused)?;
    let claims = GatewayClaims {
        container: payload.aud,
        tenant: payload.ten,
        user: payload.sub,
        session: payload.sid,
        issued_at: from_text(&payload.iat)?,
        expires_at: from_text(&payload.exp)?,
    };
    let not_before = from_text(&payload.nbf)?;
    let life = claims.expires_at.0.saturating_sub(claims.issued_at.0);
    let lawful = claims.container == container
        && HEXLOWER.decode(payload.jti.as_bytes()).is_ok_and(|jti| jti.len() == 16)
        && (1..=MAX_LIFE_MS).contains(&life)
        && claims.issued_at.0 <= now.0.saturating_add(SKEW_MS)
        && not_before.0 <= now.0.saturating_add(SKEW_MS)
        && now < claims.expires_at;
    if lawful { Ok(claims) } else { Err(CryptoError::Refused) }
}

/// The tenant a token says it is of, *unverified*: for finding the node that will verify it, and nothing else.
pub fn routing_tag(text: &str) -> Option<TenantId> {
    const SIGNATURE: usize = 64;
    strict_footer(text).ok()?;
    let payload = text.strip_prefix(HEADER)?.split('.').next()?;
    let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?;
    let json = payload.get(..payload.len().checked_sub(SIGNATURE)?)?;
    serde_json::from_slice::<Payload>(json).ok().map(|payload| payload.ten)
}

/// PASETO v4.public with strict base64url, canonical to the last bit: the payload if the signature holds.
pub(crate) fn verify_paseto(text: &str, key: &VerifyKey, implicit: &[u8]) -> Result<Vec<u8>> {
    strict_footer(text)?;
    let key = AsymmetricPublicKey::<V4>::from(key.as_bytes()).map_err(|_| CryptoError::Refused)?;
    let token = UntrustedToken::<Public, V4>::try_from(text).map_err(|_| CryptoError::Refused)?;
    PublicToken::verify(&key, &token, None, Some(implicit)).map_err(|_| CryptoError::Refused)?;
    Ok(token.untrusted_payload().to_vec())
}

/// Checks the outer form and returns the unproven footer, empty if there is none.
fn strict_footer(text: &str) -> Result<Vec<u8>> {
    let parts = text.strip_prefix(HEADER).filter(|_| text.len() <= MAX_LEN).ok_or(CryptoError::Refused)?;
    let (payload, footer) = match parts.split_once('.') {
        Some((payload, footer)) if !footer.is_empty() => (payload, footer),
        Some(_) => return Err(CryptoError::Refused),
        None => (parts, ""),
    };
    let strict = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| CryptoError::Refused);
    strict(payload)?;
    strict(footer)
}

/// The id of a key, as it stands in the footer of its tokens.
pub fn key_id(key: &VerifyKey) -> String {
    let digest = Sha256::new().chain_update(b"OCMT gateway key v1\0").chain_update(key.as_bytes()).finalize();
    HEXLOWER.encode(digest.get(..8).unwrap_or_default())
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|_| CryptoError::Refused)
}

fn to_text(time: Timestamp) -> Result<String> {
    let seconds = jiff::Timestamp::from_second(time.0.div_euclid(1000)).map_err(|_| CryptoError::Refused)?;
    Ok(seconds.to_string())
}

fn from_text(text: &str) -> Result<Timestamp> {
    let time: jiff::Timestamp = text.parse().map_err(|_| CryptoError::Refused)?;
    if time.to_string() == text { Ok(Timestamp(time.as_millisecond())) } else { Err(CryptoError::Refused) }
}

#[cfg(test)]
#[path = "gateway_token_tests.rs"]
mod tests;
