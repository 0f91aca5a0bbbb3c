//! The end of a ceremony, at the requester: from released approvals to the recovery key.

use ocmt_types::GuardianshipId;

use crate::{
    CryptoError, Result,
    guardian::GuardianSet,
    seal::SealSecretKey,
    shamir::{self, Share},
    slot::RecoveryKey,
};

use super::{Approval, Ceremony};

/// What the requester has when a ceremony is released.
#[derive(Clone, Copy)]
pub struct Collection<'a> {
    /// The ceremony, as it was opened.
    pub ceremony: &'a Ceremony,
    /// Its set.
    pub set: &'a GuardianSet,
    /// The release private key, handed out by the node.
    pub release: &'a SealSecretKey,
    /// The other half of [`Ceremony::requester`].
    pub requester: &'a SealSecretKey,
}

/// Why an approval was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadReason {
    /// Its signature does not hold: anyone may have made it, so nobody is named for it.
    Unsigned,
    /// The guardian signed it, and its boxes do not open or a share is not the one dealt.
    WrongShare,
    /// The guardian's approval is there twice.
    Repeated,
}

/// An approval that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadApproval {
    /// Which of the approvals given.
    pub index: usize,
    /// The guardian who signed it, if one did.
    pub guardianship: Option<GuardianshipId>,
    /// Why.
    pub reason: BadReason,
}

/// What came of it: also when it failed, the bad approvals are named.
pub struct Collected<T> {
    /// What the recovery slot opened to; [`CryptoError::TooFewUnits`] if fewer than k shares were good;
    /// the slot's own error if it did not open.
    pub outcome: Result<T>,
    /// Approvals that were left out: to be audited.
    pub bad: Vec<BadApproval>,
    /// The x of the shares that were used.
    pub used: Vec<u8>,
}

/// Opens the approvals, checks each share against its commitment, rebuilds the recovery key from
/// exactly k, and authenticates it by `open_slot`, which opens the vault's recovery slot.
///
/// # Errors
/// [`CryptoError::Refused`] if the keys given are not those of the ceremony, or the set is another.
pub fn collect<T>(
    given: &Collection<'_>,
    approvals: &[Vec<u8>],
    open_slot: impl FnOnce(&RecoveryKey) -> Result<T>,
) -> Result<Collected<T>> {
    given.ceremony.check(given.set)?;
    if !given.requester.is_half_of(&given.ceremony.requester) {
        return Err(CryptoError::Refused);
    }
    let (shares, bad) = open_all(given, approvals);
    let k = given.set.threshold();
    let Some(chosen) = shares.get(..usize::from(k)) else {
        let have = u8::try_from(shares.len()).unwrap_or(u8::MAX);
        let outcome = Err(CryptoError::TooFewUnits { have, need: k });
        return Ok(Collected { outcome, bad, used: Vec::new() });
    };
    let used = chosen.iter().map(|share| share.x).collect();
    let outcome = shamir::combine(chosen, k).and_then(|secret| open_slot(&RecoveryKey::from_bytes(secret)));
    Ok(Collected { outcome, bad, used })
}

fn open_all(given: &Collection<'_>, approvals: &[Vec<u8>]) -> (Vec<Share>, Vec<BadApproval>) {
    let (hash, release) = (given.ceremony.hash(), given.release.public());
    let mut seen = Vec::new();
    let (mut shares, mut bad) = (Vec::new(), Vec::new());
    for (index, bytes) in approvals.iter().enumerate() {
        let Ok(approval) = Approval::verify(bytes, &hash, &release, given.set) else {
            bad.push(BadApproval { index, guardianship: None, reason: BadReason::Unsigned });
            continue;
        };
        let guardianship = approval.guardianship();
        if seen.contains(&guardianship) {
            bad.push(BadApproval { index, guardianship: Some(guardianship), reason: BadReason::Repeated });
            continue;
        }
        match approval.open(given.ceremony, given.set, given.release, given.requester) {
            Ok(opened) => {
                seen.push(guardianship);
                shares.extend(opened);
            }
            Err(_) => {
                bad.push(BadApproval {
                    index,
                    guardianship: Some(guardianship),
                    reason: BadReason::WrongShare,
                });
            }
        }
    }
    (shares, bad)
}
