//! What a ceremony is for: fixed by the requester's client before anything is sent.

use ocmt_types::{Digest32, GuardianSetId, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::VaultScope,
    guardian::GuardianSet,
    kind::Kind,
    seal::SealPublicKey,
};

const VERSION: u8 = 1;
const HASH_DOMAIN: &[u8] = b"OCMT ceremony v1\0";

/// The longest that a ceremony may be open, in milliseconds: a year's lock and a month to collect.
pub const MAX_CEREMONY_MS: u64 = 395 * 24 * 60 * 60 * 1_000;

/// What for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To give an owner their vault back.
    Recovery,
    /// To open a group vault under threshold policy: no delay, all admins told.
    Unlock,
    /// The same into the cell that the vault has appointed ([`crate::group_cell`]): the nonce is the hash of its order.
    Cell,
}

/// The parameters of a ceremony. Public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceremony {
    /// 32 random bytes, so that no two ceremonies are alike.
    pub nonce: [u8; 32],
    /// The vault.
    pub scope: VaultScope,
    /// The set whose guardians are asked.
    pub set: GuardianSetId,
    /// Its hash.
    pub set_hash: Digest32,
    /// The requester's ephemeral key; its other half never leaves the requester's device.
    pub requester: SealPublicKey,
    /// What for.
    pub purpose: Purpose,
    /// When it was opened, by the requester's clock.
    pub opened_at: Timestamp,
    /// The delay asked for, in milliseconds: at least the set's, for an override the longest.
    pub delay_ms: u64,
    /// Nothing is approved or released from then on.
    pub expires_at: Timestamp,
    /// The stopped ceremony that this one overrides.
    pub overrides: Option<Digest32>,
}

impl Ceremony {
    /// Its name everywhere: SHA-256 over all of it.
    pub fn hash(&self) -> Digest32 {
        Digest32(Sha256::new().chain_update(HASH_DOMAIN).chain_update(self.encode()).finalize().into())
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::object(Kind::CEREMONY, VERSION);
        out.fixed(&self.nonce);
        self.scope.write(&mut out);
        out.id(self.set).fixed(&self.set_hash.0).fixed(&self.requester.0);
        out.u8(match self.purpose {
            Purpose::Recovery => 1,
            Purpose::Unlock => 2,
            Purpose::Cell => 3,
        });
        out.i64(self.opened_at.0).u64(self.delay_ms).i64(self.expires_at.0);
        out.option(self.overrides, |out, stopped| {
            out.fixed(&stopped.0);
        });
        out.into_vec()
    }

    /// Reads a ceremony.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::object(bytes, Kind::CEREMONY, VERSION)?;
        let ceremony = Self {
            nonce: reader.array()?,
            scope: VaultScope { tenant: reader.id()?, vault: reader.id()? },
            set: reader.id()?,
            set_hash: Digest32(reader.array()?),
            requester: SealPublicKey(reader.array()?),
            purpose: match reader.u8()? {
                1 => Purpose::Recovery,
                2 => Purpose::Unlock,
                3 => Purpose::Cell,
                _ => return Err(CryptoError::Refused),
            },
            opened_at: Timestamp(reader.i64()?),
            delay_ms: reader.u64()?,
            expires_at: Timestamp(reader.i64()?),
            overrides: reader.option(|reader| Ok(Digest32(reader.array()?)))?,
        };
        reader.finish()?;
        Ok(ceremony)
    }

    /// Checks it against the set it names: what the node does before opening it and every guardian
    /// before approving.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it names another vault or set; [`CryptoError::OutOfRange`] if its
    /// times are shorter than the set's delays or longer than [`MAX_CEREMONY_MS`], or it overrides
    /// where that cannot be.
    pub fn check(&self, set: &GuardianSet) -> Result<()> {
        if self.scope != set.scope() || self.set != set.id() || self.set_hash != set.hash() {
            return Err(CryptoError::Refused);
        }
        let refuse = |rule| Err(CryptoError::OutOfRange { what: "ceremony", rule });
        let least_ms = match (self.purpose, self.overrides) {
            (Purpose::Recovery, None) => set.delays().recovery_ms,
            (Purpose::Recovery, Some(_)) if set.has_override() => set.delays().lock_ms,
            (Purpose::Recovery, Some(_)) => return refuse("k = n: there is no override"),
            (Purpose::Unlock | Purpose::Cell, None) => 0,
            (Purpose::Unlock | Purpose::Cell, Some(_)) => return refuse("only a recovery overrides"),
        };
        if self.delay_ms < least_ms {
            return refuse("the delay is at least the set's; for an override its longest");
        }
        let open = self.expires_at.since(self.opened_at).as_millis();
        if open <= u128::from(self.delay_ms) || open > u128::from(MAX_CEREMONY_MS) {
            return refuse("open longer than its delay, and at most 395 days");
        }
        Ok(())
    }
}
