//! The keys of gateway tokens, as a host states them to its cell, and the cell's own look at a token.
//!
//! With each way into the workload the host hands over the token that was shown and the keys whose tokens hold, under a MAC of
//! the start secret and with the time. So nobody between host and cell, and nobody with the control token alone, opens a way;
//! and what was stated once opens none a minute later, whatever became of the key.

use ocmt_types::Timestamp;
use zeroize::Zeroizing;

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    gateway_token::{self, GatewayClaims, GatewayKeys},
    kind::Kind,
    mac,
    sign::VerifyKey,
};

use super::{CellPlace, StartSecret};

const VERSION: u8 = 1;

/// How long a cell believes keys that its host stated, in milliseconds, either side of its own clock.
pub const STATED_KEYS_MS: u64 = 60_000;

/// Longest statement of keys, in bytes.
pub const MAX_STATED_KEYS: usize = 256;

/// What the start secret says of gateway tokens: on both sides of it, for one start of one cell.
pub struct GatewayAuthority {
    place: CellPlace,
    key: Zeroizing<[u8; 32]>,
}

impl GatewayAuthority {
    /// Of the cell that was started with `start` as `place`.
    ///
    /// # Errors
    /// None in practice.
    pub fn of(start: &StartSecret, place: CellPlace) -> Result<Self> {
        Ok(Self { place, key: start.gateway_key()? })
    }

    /// The host's side: these are the keys whose tokens hold now.
    pub fn state(&self, keys: &GatewayKeys, now: Timestamp) -> Vec<u8> {
        let mut out = Writer::object(Kind::GATEWAY_KEYS, VERSION);
        self.place.write(&mut out);
        out.i64(now.0).fixed(&keys.current.0);
        out.option(keys.previous, |out, (key, until)| {
            out.fixed(&key.0).i64(until.0);
        });
        let tag = mac::tag(&self.key, out.as_bytes());
        out.fixed(&tag);
        out.into_vec()
    }

    /// The cell's side: what the token says, if its host states the key, now and to this cell, and it is of this container.
    ///
    /// # Errors
    /// [`CryptoError::Refused`], whatever is wrong.
    pub fn admit(&self, stated: &[u8], token: &str, now: Timestamp) -> Result<GatewayClaims> {
        let keys = self.keys(stated, now)?;
        let claims = gateway_token::verify(token, self.place.container, &keys, now)?;
        if claims.tenant == self.place.tenant { Ok(claims) } else { Err(CryptoError::Refused) }
    }

    fn keys(&self, stated: &[u8], now: Timestamp) -> Result<GatewayKeys> {
        if stated.len() > MAX_STATED_KEYS {
            return Err(CryptoError::Refused);
        }
        let (body, tag) = stated.split_last_chunk::<{ mac::LEN }>().ok_or(CryptoError::Refused)?;
        mac::check(&self.key, body, tag)?;
        let mut reader = Reader::object(body, Kind::GATEWAY_KEYS, VERSION)?;
        let place = CellPlace::read(&mut reader)?;
        let stated_at = reader.i64()?;
        let keys = GatewayKeys {
            current: VerifyKey(reader.array()?),
            previous: reader.option(|reader| Ok((VerifyKey(reader.array()?), Timestamp(reader.i64()?))))?,
        };
        reader.finish()?;
        let lawful = place == self.place && now.0.abs_diff(stated_at) <= STATED_KEYS_MS;
        if lawful { Ok(keys) } else { Err(CryptoError::Refused) }
    }
}
