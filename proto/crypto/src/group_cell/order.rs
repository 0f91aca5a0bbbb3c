//! What one unlock into a cell goes by, fixed by the requester before anybody is asked.

use ocmt_types::Digest32;
use sha2::{Digest as _, Sha256};

use crate::{
    Result,
    codec::{Reader, Writer},
    kind::Kind,
    sign::VerifyKey,
    vault::Seen,
};

const VERSION: u8 = 1;
const HASH_DOMAIN: &[u8] = b"OCMT group cell order v1\0";
/// Bytes of every order.
pub const ORDER_LEN: usize = 6 + 32 + 8 + 3 * 32;

/// The order. Public; its hash is the nonce of the ceremony.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Hash of the appointment that counts.
    pub appointment: Digest32,
    /// The newest state of the vault that the requester's device has seen: the cell opens no older one.
    pub seen: Seen,
    /// 32 random bytes.
    pub random: [u8; 32],
}

impl Order {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::object(Kind::CELL_ORDER, VERSION);
        out.fixed(&self.appointment.0).u64(self.seen.counter);
        out.fixed(&self.seen.manifest_hash.0).fixed(&self.seen.verify_key.0).fixed(&self.random);
        out.into_vec()
    }

    /// Reads an order.
    ///
    /// # Errors
    /// [`crate::CryptoError::Refused`] if the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::object(bytes, Kind::CELL_ORDER, VERSION)?;
        let order = Self {
            appointment: Digest32(reader.array()?),
            seen: Seen {
                counter: reader.u64()?,
                manifest_hash: Digest32(reader.array()?),
                verify_key: VerifyKey(reader.array()?),
            },
            random: reader.array()?,
        };
        reader.finish()?;
        Ok(order)
    }

    /// The nonce of its ceremony.
    pub fn nonce(&self) -> [u8; 32] {
        Sha256::new().chain_update(HASH_DOMAIN).chain_update(self.encode()).finalize().into()
    }
}
