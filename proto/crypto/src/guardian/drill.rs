//! Drills: a guardian shows that a unit is still there, and nothing of it.

use ocmt_types::{GuardianSetId, Timestamp};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    kind::Kind,
    sign::{Purpose, Signature},
};

use super::{GuardianSet, Unit};

const VERSION: u8 = 1;
const PURPOSE: Purpose = Purpose::new("drill answer");

/// What the owner's client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrillChallenge {
    /// The set.
    pub set: GuardianSetId,
    /// 32 random bytes.
    pub nonce: [u8; 32],
    /// Answers are refused from then on.
    pub expires: Timestamp,
}

impl DrillChallenge {
    /// Its bytes, as they travel: kind, set, nonce, expiry.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::object(Kind::DRILL_CHALLENGE, VERSION);
        out.id(self.set).fixed(&self.nonce).i64(self.expires.0);
        out.into_vec()
    }

    /// Reads a challenge.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::object(bytes, Kind::DRILL_CHALLENGE, VERSION)?;
        let challenge = Self { set: reader.id()?, nonce: reader.array()?, expires: Timestamp(reader.i64()?) };
        reader.finish()?;
        Ok(challenge)
    }

    fn signed(&self, x: u8) -> Vec<u8> {
        let mut out = Writer::new();
        out.fixed(&self.encode()).u8(x);
        out.into_vec()
    }
}

impl Unit {
    /// The guardian's side: answers for this unit.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if the challenge is for another set or over.
    pub fn answer(&self, challenge: &DrillChallenge, now: Timestamp) -> Result<Vec<u8>> {
        if challenge.set != self.set || now >= challenge.expires {
            return Err(CryptoError::Refused);
        }
        let mut out = Writer::object(Kind::DRILL_ANSWER, VERSION);
        out.u8(self.x()).fixed(&self.drill.sign(PURPOSE, &challenge.signed(self.x())).0);
        Ok(out.into_vec())
    }
}

impl GuardianSet {
    /// Verifies an answer and tells which unit is there.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is forged, to another challenge, or late.
    pub fn check_drill(&self, challenge: &DrillChallenge, answer: &[u8], now: Timestamp) -> Result<u8> {
        let mut reader = Reader::object(answer, Kind::DRILL_ANSWER, VERSION)?;
        let (x, signature) = (reader.u8()?, Signature(reader.array()?));
        reader.finish()?;
        let unit = self.unit(x).ok_or(CryptoError::Refused)?;
        if challenge.set != self.id() || now >= challenge.expires {
            return Err(CryptoError::Refused);
        }
        unit.drill.verify(PURPOSE, &challenge.signed(x), &signature)?;
        Ok(x)
    }
}
