//! Recovery ceremonies. A ceremony's id is the hash of all its parameters, chosen by the requester.

use ocmt_crypto::sign::Signature;
use ocmt_types::{Digest32, GuardianshipId, HandoutId, RotationId, Secret, Timestamp, VaultId};
use serde::{Deserialize, Serialize};

use crate::api::vault::VaultInfo;

/// What a ceremony is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CeremonyPurpose {
    /// Rebuild the recovery key of a vault.
    Recover,
    /// Recover over a veto or lock.
    Override,
    /// Unlock a group vault. Not there yet.
    Unlock,
}

/// Where a ceremony stands. It only moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CeremonyState {
    /// Waits for guardians to sign for it: of k + 1 units where it overrides a stop, of k where the owner has lost the mailbox.
    Proposed,
    /// Waits for approvals.
    Open,
    /// Has the approvals; waits for the delay.
    Ready,
    /// Approvals may be collected.
    Released,
    /// Done.
    Completed,
    /// Too many denied.
    Denied,
    /// Stopped by the owner, or by the retirement of its set.
    Vetoed,
    /// Stopped by a guardian's lock.
    Locked,
    /// Ran out of time.
    Expired,
    /// Given up by the requester.
    Cancelled,
}

impl CeremonyState {
    /// Whether it can still come to a release or a completion.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Proposed | Self::Open | Self::Ready | Self::Released)
    }
}

/// What somebody did in a ceremony.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CeremonyActKind {
    /// A guardian approved.
    Approved,
    /// A guardian denied.
    Denied,
    /// A guardian is not sure.
    Doubted,
    /// A guardian locked.
    Locked,
    /// The owner vetoed.
    Vetoed,
    /// A guardian signed for it to open.
    Overrode,
    /// The requester named this guardian's share as bad.
    BadShare,
}

/// One act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CeremonyAct {
    /// What was done.
    pub kind: CeremonyActKind,
    /// By which guardian; none for the owner.
    pub guardianship: Option<GuardianshipId>,
    /// The guardian's address.
    pub guardian_email: String,
    /// Units it counts for.
    pub units: u32,
    /// When it was committed.
    pub at: Timestamp,
}

/// Something a node signed, and the certificates that say whose key it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatement {
    /// Canonical, signature inside.
    pub statement: Vec<u8>,
    /// DER, the node's own first.
    pub certificate_chain: Vec<Vec<u8>>,
}

/// One ceremony as its parties see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CeremonyView {
    /// Hash of `params`.
    pub id: [u8; 32],
    /// All that the requester's client chose.
    pub params: Vec<u8>,
    /// What it is for.
    pub purpose: CeremonyPurpose,
    /// Where it stands.
    pub state: CeremonyState,
    /// Which vault.
    pub vault: VaultId,
    /// Address of the vault's owner.
    pub owner_email: String,
    /// Address the requester's session was given for.
    pub requester_email: String,
    /// When it was opened, by the node's clock.
    pub opened_at: Timestamp,
    /// When a channel of the owner took the notice; the delay counts from here.
    pub delay_started_at: Option<Timestamp>,
    /// Earliest release; none while the delay does not count.
    pub releasable_at: Option<Timestamp>,
    /// It is over from then on.
    pub expires_at: Timestamp,
    /// Units needed.
    pub units_needed: u32,
    /// Units approved so far.
    pub units_approved: u32,
    /// Everything done so far, in order.
    pub acts: Vec<CeremonyAct>,
    /// Ceremony and release key, signed by the owner's node; none once the key is deleted.
    pub release_statement: Option<NodeStatement>,
    /// Until when a guardian's lock stops the vault's ceremonies.
    pub locked_until: Option<Timestamp>,
    /// The owner has lost the mailbox too: guardians of `units_needed` sign for it before it opens, and its completion makes
    /// `requester_email` the owner's address.
    #[serde(default)]
    pub lost_mailbox: bool,
}

impl CeremonyView {
    /// Units whose guardians have signed for it to open. As long as it has not, a denial takes the guardian's own back.
    pub fn units_signed(&self) -> u32 {
        let undone = |by: &CeremonyAct| {
            let denied = |act: &CeremonyAct| {
                act.kind == CeremonyActKind::Denied && act.guardianship == by.guardianship
            };
            self.state == CeremonyState::Proposed && self.acts.iter().any(denied)
        };
        let signed = self.acts.iter().filter(|act| act.kind == CeremonyActKind::Overrode);
        signed.filter(|act| !undone(act)).map(|act| act.units).sum()
    }
}

/// Open a ceremony: every field was chosen by the requester's client.
#[derive(Debug, Clone)]
pub struct OpenCeremony {
    /// Canonical `ocmt_crypto::ceremony::Ceremony`.
    pub params: Vec<u8>,
    /// For an override: what guardians have signed for it already; the others sign with [`OverrideStop`].
    pub overrides: Vec<Vec<u8>>,
}

/// One ceremony, as requester, owner or guardian.
#[derive(Debug, Clone)]
pub struct GetCeremony {
    /// Which.
    pub ceremony: Digest32,
}

/// Answer of [`GetCeremony`]: for a guardian with what the device needs to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CeremonyDetail {
    /// The ceremony; to a guardian as the owner's tenant last told.
    pub ceremony: CeremonyView,
    /// Guardian's side: the guardianship that the decision is made under.
    pub guardianship: Option<GuardianshipId>,
    /// Guardian's side: the signed set; empty otherwise.
    pub signed_set: Vec<u8>,
    /// Guardian's side: the guardian's units in one box; empty otherwise.
    pub sealed_units: Vec<u8>,
}

/// A page of ceremonies that the caller has to do with, newest first.
#[derive(Debug, Clone, Default)]
pub struct ListCeremonies {
    /// Open, ready and released ones alone.
    pub only_live: bool,
    /// Behind this one.
    pub after: Option<Digest32>,
    /// 1 to 100; 0 means 20.
    pub limit: u32,
}

/// Answer of [`ListCeremonies`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CeremonyPage {
    /// Newest first.
    pub ceremonies: Vec<CeremonyView>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<Digest32>,
}

/// Guardian: approve with all of one's units.
#[derive(Debug, Clone)]
pub struct ApproveCeremony {
    /// Which.
    pub ceremony: Digest32,
    /// Canonical approval.
    pub approval: Vec<u8>,
}

/// Guardian: refuse.
#[derive(Debug, Clone)]
pub struct DenyCeremony {
    /// Which.
    pub ceremony: Digest32,
    /// Signed by the guardian.
    pub statement: Vec<u8>,
}

/// Guardian: not sure; the others are told.
#[derive(Debug, Clone)]
pub struct VoiceDoubt {
    /// Which.
    pub ceremony: Digest32,
    /// Signed by the guardian.
    pub statement: Vec<u8>,
}

/// Guardian: stop all ceremonies of the vault for a lock period; once a lock period.
/// [`CeremonyView::locked_until`] tells until when.
#[derive(Debug, Clone)]
pub struct LockCeremony {
    /// Which.
    pub ceremony: Digest32,
    /// Signed by the guardian.
    pub statement: Vec<u8>,
}

/// Owner: stop it. Full session and step-up.
#[derive(Debug, Clone)]
pub struct VetoCeremony {
    /// Which.
    pub ceremony: Digest32,
    /// Signed by the owner's identity key; may be empty.
    pub statement: Vec<u8>,
    /// Retires the guardians, signed by the vault signing key: the one thing that stops an override. May be empty.
    pub retirement: Vec<u8>,
}

/// Answer of [`VetoCeremony`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vetoed {
    /// The ceremony, VETOED.
    pub ceremony: CeremonyView,
    /// Approvals had come in: deal anew.
    pub deal_anew: bool,
}

/// Guardian: sign for a ceremony that goes on over a stopped one.
#[derive(Debug, Clone)]
pub struct OverrideStop {
    /// The one that is proposed.
    pub ceremony: Digest32,
    /// Over the stopped one, naming the proposed one; signed by the guardian.
    pub statement: Vec<u8>,
}

/// Requester: give it up.
#[derive(Debug, Clone)]
pub struct CancelCeremony {
    /// Which.
    pub ceremony: Digest32,
}

/// Requester, in the session that opened it, after release.
#[derive(Debug, Clone)]
pub struct CollectShares {
    /// Which.
    pub ceremony: Digest32,
}

/// The approval of one guardian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedApproval {
    /// Whose.
    pub guardianship: GuardianshipId,
    /// To name if a share is bad.
    pub guardian_email: String,
    /// Canonical.
    pub approval: Vec<u8>,
}

/// Answer of [`CollectShares`].
pub struct Collected {
    /// Private half of the release key: opens the outer seals only.
    pub release_private_key: Secret<[u8; 32]>,
    /// Of all guardians who approved.
    pub approvals: Vec<CollectedApproval>,
    /// Signed by the owner.
    pub signed_set: Vec<u8>,
}

/// Requester: finish the staged rotation and with it the ceremony.
#[derive(Debug, Clone)]
pub struct CompleteCeremony {
    /// Which.
    pub ceremony: Digest32,
    /// A rotation of mode Rekey, begun and staged in the same session.
    pub rotation: RotationId,
    /// All slots from now on: a new passphrase slot among them, no recovery slot.
    pub slots: Vec<Vec<u8>>,
    /// Signed by the new key.
    pub manifest: Vec<u8>,
    /// The hand-out whose challenge `proof` answers.
    pub handout: HandoutId,
    /// `ProofOf::Completion` of the ceremony, by the signing key that the node knows before.
    pub proof: Signature,
    /// Guardians whose shares were bad.
    pub bad_guardianships: Vec<GuardianshipId>,
}

/// Answer of [`CompleteCeremony`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completed {
    /// At its new epoch.
    pub vault: VaultInfo,
    /// COMPLETED.
    pub ceremony: CeremonyView,
    /// Sessions that were ended, the asking one included.
    pub ended_credentials: u32,
}
