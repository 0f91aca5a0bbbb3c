//! Guardians: who holds units of a vault's recovery key. Ceremonies are in [`ceremony`].
//!
//! Owners and requesters call in their own tenant, guardians in theirs. A guardian's acts answer
//! [`Done`] only once the owner's tenant has committed them; what has become of the guardianship or
//! ceremony is then read with [`GetGuardianship`] or [`GetCeremony`]. Sets, units, approvals and
//! statements are the canonical bytes of `docs/formats.md`.

pub mod ceremony;
pub mod watch;

use ocmt_types::{ChallengeId, GuardianSetId, GuardianshipId, Timestamp, VaultId};
use serde::{Deserialize, Serialize};

pub use self::ceremony::{
    ApproveCeremony, CancelCeremony, CeremonyAct, CeremonyActKind, CeremonyDetail, CeremonyPage,
    CeremonyPurpose, CeremonyState, CeremonyView, CollectShares, Collected, CollectedApproval,
    CompleteCeremony, Completed, DenyCeremony, GetCeremony, ListCeremonies, LockCeremony, NodeStatement,
    OpenCeremony, OverrideStop, VetoCeremony, Vetoed, VoiceDoubt,
};
pub use self::watch::{CeremonyChange, CeremonyEventAt, WatchCeremonies};
pub use super::users::Done;
use crate::{call::calls, tenant::ceremony::watch::Changes, watch::Following};

/// Which side of a guardianship somebody is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// Their vault is guarded.
    Owner,
    /// They guard.
    Guardian,
}

/// Where a guardianship stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuardianshipState {
    /// Asked.
    Invited,
    /// Said yes, keys are known.
    Accepted,
    /// Units are on their way.
    Dealt,
    /// Units have arrived.
    Active,
    /// Said no, or stopped.
    Resigned,
    /// Taken back by the owner, or expired.
    Ended,
}

/// A guardian's public identity keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardianKeys {
    /// Ed25519: verifies approvals and stops.
    pub signing: [u8; 32],
    /// X25519: units are sealed to it.
    pub sealing: [u8; 32],
}

/// The tie between one guardian and one owner's vault, as the caller's side knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guardianship {
    /// The same on both sides.
    pub id: GuardianshipId,
    /// Which side the caller is on.
    pub side: Side,
    /// Where it stands.
    pub state: GuardianshipState,
    /// The vault guarded.
    pub vault: VaultId,
    /// Address of the other side.
    pub counterpart_email: String,
    /// Units the guardian holds or will hold.
    pub units: u32,
    /// The guardian's keys, once accepted.
    pub guardian_keys: Option<GuardianKeys>,
    /// The owner's Ed25519 identity key as the owner's tenant says; compare its words. None before one
    /// was published.
    pub owner_signing_key: Option<[u8; 32]>,
    /// The set it belongs to, once dealt.
    pub set: Option<GuardianSetId>,
    /// Guardian's side: the signed set; empty otherwise.
    pub signed_set: Vec<u8>,
    /// Guardian's side: the guardian's units in one box; empty otherwise.
    pub sealed_units: Vec<u8>,
    /// When it was asked for.
    pub invited_at: Timestamp,
    /// When an unanswered invitation ends.
    pub expires_at: Option<Timestamp>,
    /// When the guardian last passed a drill.
    pub drilled_at: Option<Timestamp>,
    /// The challenge that waits for an answer.
    pub open_challenge: Option<DrillChallenge>,
}

/// Ask somebody to be a guardian. The same answer whether the address is known or not; a mail follows,
/// and the invitation is delivered when the address has an account.
#[derive(Debug, Clone)]
pub struct InviteGuardian {
    /// The caller's vault.
    pub vault: VaultId,
    /// Where to ask.
    pub email: String,
    /// Units to hold, 1 to 18.
    pub units: u32,
}

/// Guardian: the owner has lost the mailbox too, and is reached at another address. A link goes there, for a session that
/// proposes one ceremony.
#[derive(Debug, Clone)]
pub struct ReportLostMailbox {
    /// Which; the guardian must hold units of the set in force.
    pub guardianship: GuardianshipId,
    /// Where the owner is reached now.
    pub new_email: String,
}

/// Guardian: say yes. Read the result with [`GetGuardianship`].
#[derive(Debug, Clone)]
pub struct AcceptGuardianship {
    /// Which.
    pub guardianship: GuardianshipId,
    /// Made on the guardian's own device.
    pub keys: GuardianKeys,
}

/// Guardian: say no, or stop. Owner: take it back. The set in force goes on until a new one is dealt.
#[derive(Debug, Clone)]
pub struct ResignGuardianship {
    /// Which.
    pub guardianship: GuardianshipId,
    /// By the owner: it stays, and the change of guardians that waits for its vault is taken back, whomever it names.
    pub only_change: bool,
}

/// One guardianship of the caller's; the owner's side if the caller is on both.
#[derive(Debug, Clone)]
pub struct GetGuardianship {
    /// Which.
    pub guardianship: GuardianshipId,
}

/// A page of the caller's guardianships, newest first.
#[derive(Debug, Clone, Default)]
pub struct ListGuardianships {
    /// Only this side; none for both.
    pub side: Option<Side>,
    /// Ended and resigned ones too.
    pub include_ended: bool,
    /// Behind this one.
    pub after: Option<(Side, GuardianshipId)>,
    /// 1 to 100; 0 means 50.
    pub limit: u32,
}

/// Answer of [`ListGuardianships`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardianshipPage {
    /// Newest first.
    pub guardianships: Vec<Guardianship>,
    /// Give it as `after` for the next page; none at the end.
    pub next: Option<(Side, GuardianshipId)>,
}

/// Make a set active. A change of guardians is proposed by the first call and refused with `CHANGE_WAITS`: repeat it with a
/// fresh idempotency key when its time has come.
#[derive(Debug, Clone)]
pub struct DealShares {
    /// The caller's vault.
    pub vault: VaultId,
    /// Chosen by the client.
    pub set: GuardianSetId,
    /// Signed by the owner's published identity key.
    pub signed_set: Vec<u8>,
    /// For each guardian of the set, their units in one box.
    pub units: Vec<(GuardianshipId, Vec<u8>)>,
    /// Slot locked by the recovery key; replaces the vault's recovery slot.
    pub recovery_slot: Vec<u8>,
    /// Manifest with that slot.
    pub manifest: Vec<u8>,
}

/// Answer of [`DealShares`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DealtShares {
    /// The set: DEALT until all units have arrived.
    pub set: GuardianSetInfo,
    /// Counter of the manifest now stored.
    pub counter: u64,
}

/// Where a set stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuardianSetState {
    /// In force; some units are still on their way.
    Dealt,
    /// In force.
    Active,
    /// Replaced, or used by a completed ceremony.
    Retired,
}

/// The guardians of a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardianSetInfo {
    /// Which.
    pub id: GuardianSetId,
    /// Of which vault.
    pub vault: VaultId,
    /// Where it stands.
    pub state: GuardianSetState,
    /// Signed by the owner.
    pub signed_set: Vec<u8>,
    /// The owner's Ed25519 identity key that verified it.
    pub owner_signing_key: [u8; 32],
    /// Units needed.
    pub threshold: u32,
    /// Units dealt.
    pub units: u32,
    /// When it was dealt.
    pub dealt_at: Timestamp,
    /// Until when a guardian's lock stops ceremonies.
    pub locked_until: Option<Timestamp>,
}

/// The set in force; of the caller's own vault without an id.
#[derive(Debug, Clone)]
pub struct GetGuardianSet {
    /// Which vault.
    pub vault: Option<VaultId>,
}

/// A drill challenge that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillChallenge {
    /// Which.
    pub id: ChallengeId,
    /// Set, nonce and end, canonical.
    pub challenge: Vec<u8>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Owner: ask for a sign of life.
#[derive(Debug, Clone)]
pub struct ChallengeGuardian {
    /// Which guardianship; it must hold units of the set in force.
    pub guardianship: GuardianshipId,
    /// Canonical drill challenge for that set.
    pub challenge: Vec<u8>,
}

/// Guardian: show that the units are there, all of them. Read the result with [`GetGuardianship`].
#[derive(Debug, Clone)]
pub struct AnswerChallenge {
    /// Which guardianship.
    pub guardianship: GuardianshipId,
    /// Which challenge.
    pub challenge: ChallengeId,
    /// One answer per unit.
    pub answers: Vec<Vec<u8>>,
}

calls! {
    /// Calls of this area.
    Recovery: RecoveryCall of "RecoveryService" {
        write InviteGuardian => Guardianship,
        write AcceptGuardianship => Done,
        write ResignGuardianship => Guardianship,
        read GetGuardianship => Guardianship,
        read ListGuardianships => GuardianshipPage,
        write DealShares => DealtShares,
        read GetGuardianSet => GuardianSetInfo,
        write ChallengeGuardian => DrillChallenge,
        write AnswerChallenge => Done,
        write ReportLostMailbox => Done,
        write OpenCeremony => CeremonyView,
        read GetCeremony => CeremonyDetail,
        read ListCeremonies => CeremonyPage,
        read WatchCeremonies => Following<Changes, CeremonyChange>,
        write ApproveCeremony => Done,
        write DenyCeremony => Done,
        write VoiceDoubt => Done,
        write LockCeremony => Done,
        write VetoCeremony => Vetoed,
        write OverrideStop => Done,
        write CancelCeremony => CeremonyView,
        once CollectShares => Collected,
        write CompleteCeremony => Completed,
    }
}
