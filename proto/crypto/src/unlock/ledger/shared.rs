//! Which shares may write which entries, and how far what they sent is done with.

use ocmt_types::{Digest32, ShareId, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::{
    CryptoError, Result,
    codec::{Reader, Writer},
    datakey::VaultScope,
    keyring::Keyring,
    seal::SealPublicKey,
    shared::{Acts, Basis, MAX_SEQUENCE, SharedAct, SharedPlace, SharedWrite},
    sign::VerifyKey,
};

use super::Ledger;

/// The most entries that are shared for writing at a time; each entry of each share counts.
pub const MAX_RIGHTS: usize = 128;
/// Bytes of the shortest.
const SHORTEST: usize = 16 + 32 + 1 + 32 + 32 + 32 + 8 + 1 + 8;
/// No X25519 key is written with this bit of its last byte.
const ONCE: u8 = 0x80;
/// Bytes of a mark by which its program is known; as many more say of which version it is.
const OF_PROGRAM: usize = 16;

/// That a share may write an entry. Written when it is given: without it nothing of the share is filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteRight {
    /// Which share.
    pub share: ShareId,
    /// Which entry.
    pub object: Digest32,
    /// What may be done to it.
    pub acts: Acts,
    /// The identity key of the taker.
    pub taker: VerifyKey,
    /// The taker's key that new versions are sealed to, where the share is for reading too. Of what is good once it is no
    /// key ([`WriteRight::once`]): nothing is sealed for that.
    pub sealing: SealPublicKey,
    /// Whether it is for reading too. A ledger from before this was written says that it is not.
    pub reads: bool,
    /// The inbox key of that time. A re-keying makes another, and ends the share.
    pub inbox: SealPublicKey,
    /// When it was given.
    pub given_at: Timestamp,
    /// Nothing is filed from then on.
    pub expires_at: Option<Timestamp>,
    /// What is below was filed, dropped, or replaced by what came after it.
    next: u64,
}

/// What something that a taker sent is worth. Only the first is filed.
pub enum SharedVerdict {
    /// It follows the present version, by a share that may do this.
    Fileable(SharedAct, SharedPlace),
    /// It follows another version than the present one: the entry was written since, or deleted.
    Stale(SharedPlace),
    /// Was filed or dropped before, or replaced by what came after it.
    Done(SharedPlace),
    /// The share may not do this to its entry.
    NotAllowed(SharedPlace),
    /// The time of the share is over.
    Over(SharedPlace),
    /// Sealed to an inbox key from before a re-keying.
    Lost(SharedPlace),
    /// By no share of this vault, not by its taker, or damaged.
    Forged,
}

impl WriteRight {
    /// A right of which nothing was sent yet.
    pub fn new(
        (share, object): (ShareId, Digest32),
        acts: Acts,
        (taker, sealing): (VerifyKey, SealPublicKey),
        inbox: SealPublicKey,
        given_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Self {
        let reads = false;
        Self { share, object, acts, taker, sealing, reads, inbox, given_at, expires_at, next: 0 }
    }

    /// The same, good once and for this version alone: what a program was approved to write, by the key that its token was
    /// made for. In place of a key to seal to stand the half of that one, and the half of a hash of the version with the
    /// bit that no key has; a client from before this was written takes it for a right like the others.
    #[must_use]
    pub fn once(mut self, basis: &Basis) -> Self {
        let program = self.sealing;
        self.sealing = mark(&program, basis);
        self
    }

    /// Whether it is good once.
    pub const fn is_once(&self) -> bool {
        let [.., last] = self.sealing.0;
        last & ONCE != 0 && !self.reads
    }

    /// Whether what follows this version may be filed by it, as far as it says so.
    pub fn follows(&self, basis: &Basis) -> bool {
        !self.is_once() || self.sealing.0[OF_PROGRAM..] == mark(&self.sealing, basis).0[OF_PROGRAM..]
    }

    /// Whether it is what the program of this key was approved to write.
    pub fn is_of_program(&self, key: &SealPublicKey) -> bool {
        self.is_once() && self.sealing.0[..OF_PROGRAM] == key.0[..OF_PROGRAM]
    }

    /// The same of a share that is for reading too, or is not.
    #[must_use]
    pub const fn reading(mut self, reads: bool) -> Self {
        self.reads = reads;
        self
    }

    /// Whether it is in force: its time is not over, and no re-keying came since.
    pub fn holds(&self, keyring: &Keyring, now: Timestamp) -> bool {
        self.inbox == keyring.inbox.public() && self.expires_at.is_none_or(|at| at > now)
    }

    fn write(&self, out: &mut Writer, with_reads: bool) {
        out.id(self.share).fixed(&self.object.0).u8(self.acts.to_byte());
        if with_reads {
            out.u8(self.reads.into());
        }
        out.fixed(&self.taker.0).fixed(&self.sealing.0).fixed(&self.inbox.0).i64(self.given_at.0);
        out.option(self.expires_at, |out, at| {
            out.i64(at.0);
        });
        out.u64(self.next);
    }

    fn read(reader: &mut Reader<'_>, with_reads: bool) -> Result<Self> {
        let right = Self {
            share: reader.id()?,
            object: Digest32(reader.array()?),
            acts: Acts::from_byte(reader.u8()?)?,
            reads: with_reads && flag(reader.u8()?)?,
            taker: VerifyKey(reader.array()?),
            sealing: SealPublicKey(reader.array()?),
            inbox: SealPublicKey(reader.array()?),
            given_at: Timestamp(reader.i64()?),
            expires_at: reader.option(|reader| reader.i64().map(Timestamp))?,
            next: reader.u64()?,
        };
        if right.next <= MAX_SEQUENCE { Ok(right) } else { Err(CryptoError::Refused) }
    }
}

fn mark(program: &SealPublicKey, basis: &Basis) -> SealPublicKey {
    let mut hash = Sha256::new();
    hash.update(basis.place.context());
    hash.update(basis.body_hash.0);
    let mut mark: [u8; 32] = hash.finalize().into();
    mark[..OF_PROGRAM].copy_from_slice(&program.0[..OF_PROGRAM]);
    mark[31] |= ONCE;
    SealPublicKey(mark)
}

fn flag(byte: u8) -> Result<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(CryptoError::Refused),
    }
}

impl Ledger {
    /// The shares that may write, oldest first.
    pub fn rights(&self) -> &[WriteRight] {
        &self.rights
    }

    /// The right of a share to an entry.
    pub fn right(&self, share: ShareId, object: Digest32) -> Option<&WriteRight> {
        self.rights.iter().find(|right| (right.share, right.object) == (share, object))
    }

    /// Adds a right. None is forgotten for it: what is given holds until it is taken back.
    ///
    /// # Errors
    /// [`CryptoError::TooLarge`] past [`MAX_RIGHTS`]; [`CryptoError::Exists`] if the share has it.
    pub fn give(&mut self, right: WriteRight) -> Result<()> {
        if self.right(right.share, right.object).is_some() {
            return Err(CryptoError::Exists("right to write"));
        }
        if self.rights.len() >= MAX_RIGHTS {
            let what = "number of entries that are shared for writing at a time (take some shares back)";
            return Err(CryptoError::TooLarge { what, max: MAX_RIGHTS as u64 });
        }
        self.rights.push(right);
        Ok(())
    }

    /// Keeps the rights that `stays` names; whether any went.
    pub fn keep_rights(&mut self, stays: impl FnMut(&WriteRight) -> bool) -> bool {
        let before = self.rights.len();
        self.rights.retain(stays);
        self.rights.len() != before
    }

    /// Lets a right end at this time, if it lasts longer; whether it did.
    pub fn end_right(&mut self, share: ShareId, at: Timestamp) -> bool {
        let longer = |right: &&mut WriteRight| {
            right.share == share && right.expires_at.is_none_or(|expires_at| expires_at > at)
        };
        let mut ended = false;
        for right in self.rights.iter_mut().filter(longer) {
            right.expires_at = Some(at);
            ended = true;
        }
        ended
    }

    /// Remembers that this was filed or dropped: neither it nor what its share sent before it is ever filed (again). What
    /// is good once is used up by it.
    pub fn shared_done(&mut self, place: &SharedPlace) {
        let of = (place.share, place.basis.place.object);
        self.rights.retain(|right| !right.is_once() || (right.share, right.object) != of);
        if let Some(right) = self.rights.iter_mut().find(|right| (right.share, right.object) == of) {
            right.next = right.next.max(place.sequence.saturating_add(1)).min(MAX_SEQUENCE);
        }
    }

    /// Judges what a node shows, by the clock `now`, and by the present version of the entry that it names, if there is one.
    pub fn judge_shared(
        &self,
        scope: &VaultScope,
        keyring: &Keyring,
        now: Timestamp,
        present: impl FnOnce(Digest32) -> Option<Basis>,
        sealed: &[u8],
    ) -> SharedVerdict {
        let Ok(claimed) = SharedPlace::claimed(sealed) else { return SharedVerdict::Forged };
        let object = claimed.basis.place.object;
        let right = self.right(claimed.share, object).filter(|_| claimed.basis.place.scope == *scope);
        let Some(right) = right else { return SharedVerdict::Forged };
        let Ok(sent) = SharedWrite::verify(sealed, &right.taker) else { return SharedVerdict::Forged };
        let place = sent.place;
        if right.inbox != keyring.inbox.public() {
            return SharedVerdict::Lost(place);
        }
        if right.expires_at.is_some_and(|at| at <= now) {
            return SharedVerdict::Over(place);
        }
        let Ok(act) = sent.open(&keyring.inbox) else { return SharedVerdict::Forged };
        if !right.acts.allow(&act) {
            return SharedVerdict::NotAllowed(place);
        }
        if place.sequence < right.next {
            return SharedVerdict::Done(place);
        }
        if present(object) == Some(place.basis) && right.follows(&place.basis) {
            SharedVerdict::Fileable(act, place)
        } else {
            SharedVerdict::Stale(place)
        }
    }

    /// Whether a right is of a share that is for reading too.
    pub(super) fn has_readers(&self) -> bool {
        self.rights.iter().any(|right| right.reads)
    }

    pub(super) fn write_rights(&self, out: &mut Writer, with_reads: bool) {
        out.count(self.rights.len());
        for right in &self.rights {
            right.write(out, with_reads);
        }
    }

    /// At least one, each once, and one that reads where that is said: one ledger has one encoding.
    pub(super) fn read_rights(&mut self, reader: &mut Reader<'_>, with_reads: bool) -> Result<()> {
        for _ in 0..reader.count(MAX_RIGHTS, SHORTEST)? {
            self.give(WriteRight::read(reader, with_reads)?).map_err(|_| CryptoError::Refused)?;
        }
        let needless = with_reads && !self.has_readers();
        if self.rights.is_empty() || needless { Err(CryptoError::Refused) } else { Ok(()) }
    }
}
