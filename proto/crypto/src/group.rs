//! Vaults of groups: who takes part, and whose word a member's client believes about the vault.
//!
//! ```text
//! member   Acceptance: "with these keys I take part, and believe this administrator about the vault"
//! admin    Admission:  "this vault has this verify key and this identity; this slot is yours"
//! ```
//!
//! Both are signed by identity keys and kept by the node, which can make neither. A member's client opens its own
//! acceptance first: it names the administrator whose words were compared, so that any device which opens the
//! member's own vault knows whom to believe. From the admission's verify key the succession leads to the present.

use ocmt_types::{GroupId, SlotId, Timestamp};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::VaultScope,
    kind::Kind,
    seal::SealPublicKey,
    sign::{Purpose, Signature, SigningKey, VerifyKey},
};

const VERSION: u8 = 1;
pub(crate) const ACCEPTANCE: Purpose = Purpose::new("group acceptance");
pub(crate) const ADMISSION: Purpose = Purpose::new("group admission");
/// Bytes of every acceptance.
pub const ACCEPTANCE_LEN: usize = 6 + 16 + 32 + 3 * 32 + 8 + 64;
/// The most bytes of an admission.
pub const MAX_ADMISSION: usize = 6 + 16 + 32 + 4 * 32 + 17 + 4 + 8 + 64;

/// A member's word that they take part in a group's vault. Exists only verified, or made by its member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acceptance {
    /// Which group.
    pub group: GroupId,
    /// Its vault.
    pub scope: VaultScope,
    /// The member's identity key: it signs this.
    pub member: VerifyKey,
    /// The member's key that the vault key is to be sealed to.
    pub sealing: SealPublicKey,
    /// The administrator whom the member believes about the vault.
    pub admitter: VerifyKey,
    /// When, by the member's clock.
    pub accepted_at: Timestamp,
}

impl Acceptance {
    /// Signs it.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if `member` is another's key.
    pub fn sign(&self, member: &SigningKey) -> Result<Vec<u8>> {
        signed(self.body(), ACCEPTANCE, member, &self.member)
    }

    /// Verifies the acceptance of this member.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is forged, damaged or another's.
    pub fn open(bytes: &[u8], member: &VerifyKey) -> Result<Self> {
        let body = verified(bytes, ACCEPTANCE, member)?;
        let mut reader = Reader::object(body, Kind::GROUP_ACCEPTANCE, VERSION)?;
        let acceptance = Self {
            group: reader.id()?,
            scope: VaultScope { tenant: reader.id()?, vault: reader.id()? },
            member: VerifyKey(reader.array()?),
            sealing: SealPublicKey(reader.array()?),
            admitter: VerifyKey(reader.array()?),
            accepted_at: Timestamp(reader.i64()?),
        };
        reader.finish()?;
        if acceptance.member == *member { Ok(acceptance) } else { Err(CryptoError::Refused) }
    }

    fn body(&self) -> Writer {
        let mut out = Writer::object(Kind::GROUP_ACCEPTANCE, VERSION);
        out.id(self.group);
        self.scope.write(&mut out);
        out.fixed(&self.member.0).fixed(&self.sealing.0).fixed(&self.admitter.0).i64(self.accepted_at.0);
        out
    }
}

/// An administrator's word to one member about the group's vault. Exists only verified, or made by its administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Which group.
    pub group: GroupId,
    /// Its vault.
    pub scope: VaultScope,
    /// To whom: the member's identity key.
    pub member: VerifyKey,
    /// The member's key that the slot is sealed to.
    pub sealing: SealPublicKey,
    /// The vault's verify key at this epoch.
    pub verify_key: VerifyKey,
    /// The vault's own identity key, which signs who holds parts of its key. Rotation keeps it.
    pub identity: VerifyKey,
    /// The member's slot; none in a vault that opens by several together.
    pub slot: Option<SlotId>,
    /// The key epoch it was said at.
    pub epoch: u32,
    /// When, by the administrator's clock.
    pub admitted_at: Timestamp,
}

impl Admission {
    /// Signs it, as the administrator.
    pub fn sign(&self, admitter: &SigningKey) -> Vec<u8> {
        let mut out = self.body();
        let signature = admitter.sign(ADMISSION, out.as_bytes());
        out.fixed(&signature.0);
        out.into_vec()
    }

    /// Verifies an admission by this administrator.
    ///
    /// # Errors
    /// [`CryptoError::Refused`] if it is forged or damaged.
    pub fn open(bytes: &[u8], admitter: &VerifyKey) -> Result<Self> {
        let body = verified(bytes, ADMISSION, admitter)?;
        let mut reader = Reader::object(body, Kind::GROUP_ADMISSION, VERSION)?;
        let admission = Self {
            group: reader.id()?,
            scope: VaultScope { tenant: reader.id()?, vault: reader.id()? },
            member: VerifyKey(reader.array()?),
            sealing: SealPublicKey(reader.array()?),
            verify_key: VerifyKey(reader.array()?),
            identity: VerifyKey(reader.array()?),
            slot: reader.option(Reader::id)?,
            epoch: reader.u32()?,
            admitted_at: Timestamp(reader.i64()?),
        };
        reader.finish()?;
        Ok(admission)
    }

    /// Whether it answers this acceptance: the same vault, and the keys that the member signed for.
    ///
    /// # Errors
    /// [`CryptoError::Refused`].
    pub fn answers(&self, acceptance: &Acceptance) -> Result<()> {
        let same = (self.group, self.scope) == (acceptance.group, acceptance.scope)
            && (self.member, self.sealing) == (acceptance.member, acceptance.sealing);
        if same { Ok(()) } else { Err(CryptoError::Refused) }
    }

    fn body(&self) -> Writer {
        let mut out = Writer::object(Kind::GROUP_ADMISSION, VERSION);
        out.id(self.group);
        self.scope.write(&mut out);
        out.fixed(&self.member.0).fixed(&self.sealing.0).fixed(&self.verify_key.0).fixed(&self.identity.0);
        out.option(self.slot, |out, slot| {
            out.id(slot);
        });
        out.u32(self.epoch).i64(self.admitted_at.0);
        out
    }
}

fn signed(mut body: Writer, purpose: Purpose, by: &SigningKey, named: &VerifyKey) -> Result<Vec<u8>> {
    if by.verify_key() != *named {
        return Err(CryptoError::Refused);
    }
    let signature = by.sign(purpose, body.as_bytes());
    body.fixed(&signature.0);
    Ok(body.into_vec())
}

fn verified<'b>(bytes: &'b [u8], purpose: Purpose, by: &VerifyKey) -> Result<&'b [u8]> {
    let (body, signature) = bytes.split_last_chunk::<64>().ok_or(CryptoError::Refused)?;
    by.verify(purpose, body, &Signature(*signature))?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_types::{Id as _, TenantId, VaultId};

    use super::*;
    use crate::testing::assert_brittle;

    fn scope(vault: u8) -> VaultScope {
        VaultScope { tenant: TenantId::from_bytes([1; 16]), vault: VaultId::from_bytes([vault; 16]) }
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn acceptance() -> Acceptance {
        Acceptance {
            group: GroupId::from_bytes([3; 16]),
            scope: scope(2),
            member: key(1).verify_key(),
            sealing: SealPublicKey([5; 32]),
            admitter: key(2).verify_key(),
            accepted_at: Timestamp(7),
        }
    }

    fn admission(slot: Option<SlotId>) -> Admission {
        let Acceptance { group, scope, member, sealing, .. } = acceptance();
        let (verify_key, identity) = (key(3).verify_key(), key(4).verify_key());
        Admission {
            group,
            scope,
            member,
            sealing,
            verify_key,
            identity,
            slot,
            epoch: 9,
            admitted_at: Timestamp(8),
        }
    }

    #[test]
    fn both_come_back_as_they_were_signed_and_have_their_lengths() {
        let bytes = acceptance().sign(&key(1)).unwrap();
        assert_eq!(bytes.len(), ACCEPTANCE_LEN);
        assert_eq!(Acceptance::open(&bytes, &key(1).verify_key()).unwrap(), acceptance());
        for slot in [None, Some(SlotId::from_bytes([6; 16]))] {
            let bytes = admission(slot).sign(&key(2));
            assert!(bytes.len() <= MAX_ADMISSION && (slot.is_none() || bytes.len() == MAX_ADMISSION));
            assert_eq!(Admission::open(&bytes, &key(2).verify_key()).unwrap(), admission(slot));
        }
    }

    #[test]
    fn neither_is_anybody_elses_word_nor_bent_nor_taken_for_the_other() {
        assert!(acceptance().sign(&key(2)).is_err(), "nobody accepts for another");
        let mut for_another = acceptance().body();
        let signature = key(2).sign(ACCEPTANCE, for_another.as_bytes());
        for_another.fixed(&signature.0);
        assert!(Acceptance::open(&for_another.into_vec(), &key(2).verify_key()).is_err());
        let accepted = acceptance().sign(&key(1)).unwrap();
        let admitted = admission(Some(SlotId::from_bytes([6; 16]))).sign(&key(2));
        assert!(Acceptance::open(&accepted, &key(2).verify_key()).is_err());
        assert!(Admission::open(&admitted, &key(1).verify_key()).is_err());
        assert!(Admission::open(&accepted, &key(1).verify_key()).is_err());
        assert!(Acceptance::open(&admitted, &key(2).verify_key()).is_err());
    }

    #[test]
    fn v1_v2_every_flipped_bit_and_every_other_length_of_both_is_refused() {
        let (member, admin) = (key(1).verify_key(), key(2).verify_key());
        let accepted = acceptance().sign(&key(1)).unwrap();
        assert_brittle(&accepted, |bytes| Acceptance::open(bytes, &member).is_ok());
        for slot in [None, Some(SlotId::from_bytes([6; 16]))] {
            let admitted = admission(slot).sign(&key(2));
            assert_brittle(&admitted, |bytes| Admission::open(bytes, &admin).is_ok());
        }
    }

    /// What a member or an administrator signs badly on purpose: every cut, and one byte more, under a good signature.
    #[test]
    fn v1_cut_words_under_a_good_signature_are_refused() {
        let (acceptance, admission) = (acceptance().body(), admission(None).body());
        let under = |body: &[u8], purpose, by: &SigningKey| [body, &by.sign(purpose, body).0].concat();
        for len in 0..acceptance.as_bytes().len() {
            let cut = under(&acceptance.as_bytes()[..len], ACCEPTANCE, &key(1));
            assert_eq!(Acceptance::open(&cut, &key(1).verify_key()), Err(CryptoError::Refused), "{len}");
        }
        for len in 0..admission.as_bytes().len() {
            let cut = under(&admission.as_bytes()[..len], ADMISSION, &key(2));
            assert_eq!(Admission::open(&cut, &key(2).verify_key()), Err(CryptoError::Refused), "{len}");
        }
        let longer = under(&[acceptance.as_bytes(), &[0]].concat(), ACCEPTANCE, &key(1));
        assert!(Acceptance::open(&longer, &key(1).verify_key()).is_err());
        let longer = under(&[admission.as_bytes(), &[0]].concat(), ADMISSION, &key(2));
        assert!(Admission::open(&longer, &key(2).verify_key()).is_err());
    }

    #[test]
    fn an_admission_answers_one_member_of_one_vault_alone() {
        let to = acceptance();
        admission(None).answers(&to).unwrap();
        for other in [
            Acceptance { scope: scope(9), ..to },
            Acceptance { group: GroupId::from_bytes([9; 16]), ..to },
            Acceptance { member: key(9).verify_key(), ..to },
            Acceptance { sealing: SealPublicKey([9; 32]), ..to },
        ] {
            assert!(admission(None).answers(&other).is_err());
        }
    }
}
