//! The start secret: 32 bytes that the host gives a cell on its standard input, once a start.

use data_encoding::HEXLOWER;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::{Result, datakey, locked::LockedKey};

/// What ties a cell to the host that started it. Never on a disk, in an argument or the environment.
pub struct StartSecret(LockedKey);

impl StartSecret {
    /// A fresh secret: the host's side.
    pub fn generate(rng: &mut impl rand::CryptoRng) -> Self {
        Self(datakey::random_key(rng).into())
    }

    /// The secret of these bytes: the cell's side.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(LockedKey::of(bytes))
    }

    /// The bytes, for the cell's standard input.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the host shows the cell on every call.
    ///
    /// # Errors
    /// None in practice.
    pub fn control_token(&self) -> Result<ControlToken> {
        let token = self.0.derive(b"OCMT cell v1 control token")?;
        Ok(ControlToken(Zeroizing::new(HEXLOWER.encode(token.as_slice()))))
    }

    /// The key of the MAC over the cell's key offers.
    pub(crate) fn offer_key(&self) -> Result<Zeroizing<[u8; 32]>> {
        self.0.derive(b"OCMT cell v1 key offer")
    }

    /// The key of the MAC with which the host vouches for who signs policies.
    pub(crate) fn policy_key(&self) -> Result<Zeroizing<[u8; 32]>> {
        self.0.derive(b"OCMT cell v1 policy signer")
    }

    /// The key of the MAC with which the host states the keys of gateway tokens.
    pub(crate) fn gateway_key(&self) -> Result<Zeroizing<[u8; 32]>> {
        self.0.derive(b"OCMT cell v1 gateway keys")
    }

    /// The key of the MAC with which the host hands over what a snapshot is taken by.
    pub(crate) fn schedule_key(&self) -> Result<Zeroizing<[u8; 32]>> {
        self.0.derive(b"OCMT cell v1 schedule order")
    }
}

/// A bearer token between one host and one start of one cell: 64 lower-case hexadecimal digits, the
/// value of the metadata `ocmt-cell-auth`.
pub struct ControlToken(Zeroizing<String>);

impl ControlToken {
    /// The text, for the metadata of a call.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether a caller showed the right token, in constant time.
    pub fn matches(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }
}
