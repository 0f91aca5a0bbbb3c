//! What stops a ceremony, doubts it, or lets an override open: short signed statements.

use std::collections::HashSet;

use ocmt_types::{Digest32, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    guardian::{Guardian, GuardianSet},
    kind::Kind,
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};

use super::Ceremony;

const VERSION: u8 = 1;
const LOST_MAILBOX_DOMAIN: &[u8] = b"OCMT lost mailbox v1\0";

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// A guardian will not approve.
    Deny,
    /// A guardian stops the ceremony; once a lock period.
    Lock,
    /// A guardian is not sure: the others are told.
    Doubt,
    /// The owner stops it.
    Veto,
    /// A guardian agrees that this new ceremony overrides that stopped one; or, where the owner has lost the mailbox too, that
    /// it opens for an address: the subject is then [`lost_mailbox`] of it.
    Override {
        /// The new ceremony. Signed with the stopped one, so that an agreement opens no other.
        by: Digest32,
    },
    /// The owner retires the set, by the vault signing key: nothing overrides that. The subject is the
    /// set's hash.
    Retire,
}

impl Verdict {
    const fn tag(self) -> u8 {
        match self {
            Self::Deny => 1,
            Self::Lock => 2,
            Self::Doubt => 3,
            Self::Veto => 4,
            Self::Override { .. } => 5,
            Self::Retire => 6,
        }
    }

    const fn purpose(self) -> Purpose {
        match self {
            Self::Deny => Purpose::new("ceremony denial"),
            Self::Lock => Purpose::new("ceremony lock"),
            Self::Doubt => Purpose::new("ceremony doubt"),
            Self::Veto => Purpose::new("ceremony veto"),
            Self::Override { .. } => Purpose::new("ceremony override"),
            Self::Retire => Purpose::new("guardian set retirement"),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(match reader.u8()? {
            1 => Self::Deny,
            2 => Self::Lock,
            3 => Self::Doubt,
            4 => Self::Veto,
            5 => Self::Override { by: Digest32(reader.array()?) },
            6 => Self::Retire,
            _ => return Err(CryptoError::Refused),
        })
    }
}

/// A statement whose signature holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopStatement {
    verdict: Verdict,
    subject: Digest32,
    said_at: Timestamp,
    signer: VerifyKey,
}

impl StopStatement {
    /// Says `verdict` on `subject` (a ceremony's hash; for [`Verdict::Retire`] a set's), signed by
    /// `signer`: a guardian's or the owner's identity key, or the vault signing key.
    pub fn sign(verdict: Verdict, subject: Digest32, said_at: Timestamp, signer: &SigningKey) -> Vec<u8> {
        let mut out = Writer::object(Kind::STOP_STATEMENT, VERSION);
        out.u8(verdict.tag());
        if let Verdict::Override { by } = verdict {
            out.fixed(&by.0);
        }
        out.fixed(&subject.0).i64(said_at.0).fixed(&signer.verify_key().0);
        let signature = signer.sign(verdict.purpose(), out.as_bytes());
        out.fixed(&signature.0);
        out.into_vec()
    }

    /// Verifies a guardian's word (deny, lock, doubt, override) and tells whose it is.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is forged, on another subject, of no guardian of `set`, or not a
    /// guardian's to say.
    pub fn verify_guardian<'a>(
        bytes: &[u8],
        subject: &Digest32,
        set: &'a GuardianSet,
    ) -> Result<(Self, &'a Guardian)> {
        let statement = Self::verify(bytes, subject)?;
        let guardian = set.guardian(&statement.signer).ok_or(CryptoError::Refused)?;
        match statement.verdict {
            Verdict::Veto | Verdict::Retire => Err(CryptoError::Refused),
            Verdict::Deny | Verdict::Lock | Verdict::Doubt | Verdict::Override { .. } => {
                Ok((statement, guardian))
            }
        }
    }

    /// Verifies the owner's veto, under the identity key that the set names.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn verify_veto(bytes: &[u8], ceremony: &Digest32, set: &GuardianSet) -> Result<Self> {
        Self::verify_by(bytes, ceremony, &set.owner().identity, Verdict::Veto)
    }

    /// Verifies the retirement of a set, under the vault signing key.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn verify_retirement(bytes: &[u8], set: &Digest32, vault: &VerifyKey) -> Result<Self> {
        Self::verify_by(bytes, set, vault, Verdict::Retire)
    }

    /// What it says.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// When, by the signer's clock.
    pub fn said_at(&self) -> Timestamp {
        self.said_at
    }

    /// Who.
    pub fn signer(&self) -> &VerifyKey {
        &self.signer
    }

    fn verify_by(bytes: &[u8], subject: &Digest32, signer: &VerifyKey, verdict: Verdict) -> Result<Self> {
        let statement = Self::verify(bytes, subject)?;
        if statement.signer == *signer && statement.verdict == verdict {
            Ok(statement)
        } else {
            Err(CryptoError::Refused)
        }
    }

    fn verify(bytes: &[u8], subject: &Digest32) -> Result<Self> {
        let (body, signature) = bytes.split_last_chunk::<64>().ok_or(CryptoError::Refused)?;
        let mut reader = Reader::object(body, Kind::STOP_STATEMENT, VERSION)?;
        let statement = Self {
            verdict: Verdict::read(&mut reader)?,
            subject: Digest32(reader.array()?),
            said_at: Timestamp(reader.i64()?),
            signer: VerifyKey(reader.array()?),
        };
        reader.finish()?;
        statement.signer.verify(statement.verdict.purpose(), body, &Signature(*signature))?;
        if statement.subject == *subject { Ok(statement) } else { Err(CryptoError::Refused) }
    }
}

/// What guardians sign over, in place of a stopped ceremony, for the ceremony of an owner who has lost the mailbox and is reached
/// at `address`, as the node shows it.
pub fn lost_mailbox(address: &str) -> Digest32 {
    Digest32(Sha256::new().chain_update(LOST_MAILBOX_DOMAIN).chain_update(address).finalize().into())
}

/// Whether `ceremony` may open as an override: guardians of k + 1 units agreed, each counted once.
///
/// # Errors
/// [`CryptoError::Refused`] if a statement does not verify or is on another ceremony;
/// [`CryptoError::TooFewUnits`] if the units are fewer.
pub fn check_override(ceremony: &Ceremony, set: &GuardianSet, statements: &[Vec<u8>]) -> Result<()> {
    let stopped = ceremony.overrides.ok_or(CryptoError::Refused)?;
    let by = ceremony.hash();
    let mut agreed = HashSet::new();
    let mut have = 0;
    for bytes in statements {
        let (statement, guardian) = StopStatement::verify_guardian(bytes, &stopped, set)?;
        if statement.verdict != (Verdict::Override { by }) {
            return Err(CryptoError::Refused);
        }
        if agreed.insert(guardian.keys.identity) {
            have += guardian.weight();
        }
    }
    let need = set.threshold().saturating_add(1);
    if have >= need { Ok(()) } else { Err(CryptoError::TooFewUnits { have, need }) }
}
