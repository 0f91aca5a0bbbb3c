//! What owners' and guardians' tenants write to each other. Nothing in here opens a share.

use ocmt_store::tables::Verdict;
use ocmt_types::{
    ChallengeId, GuardianSetId, GuardianshipId, MessageId, TenantId, Timestamp, UserId, VaultId,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    api::recovery::{CeremonyView, DrillChallenge, GuardianKeys},
    error::ActorError,
    work::Work,
};

/// Owner to guardian: will you?
pub(super) const INVITED: &str = "guardian.invited";
/// Guardian to owner: yes.
pub(super) const ACCEPTED: &str = "guardian.accepted";
/// Either to the other: no more.
pub(super) const LEFT: &str = "guardian.left";
/// Owner to guardian: your units.
pub(super) const DEALT: &str = "guardian.dealt";
/// Owner to guardian: this set counts no more.
pub(super) const RETIRED: &str = "guardian.retired";
/// Owner to guardian: others are to guard, or that comes to nothing, or is done.
pub(super) const CHANGING: &str = "guardian.changing";
/// Owner to guardian: are your units still there?
pub(super) const CHALLENGED: &str = "guardian.challenged";
/// Guardian to owner: they are.
pub(super) const DRILLED: &str = "guardian.drilled";
/// Guardian to owner: who you are has lost the mailbox too.
pub(super) const LOST: &str = "guardian.lost_mailbox";
/// Owner to guardian: a ceremony was opened, or has moved.
pub(in crate::tenant) const TOLD: &str = "ceremony.told";
/// Guardian to owner: a verdict.
pub(crate) const SAID: &str = "ceremony.said";

/// [`INVITED`]
#[derive(Serialize, Deserialize)]
pub(super) struct Invited {
    pub(super) guardianship: GuardianshipId,
    pub(super) vault: VaultId,
    pub(super) owner: UserId,
    pub(super) owner_email: String,
    pub(super) owner_identity: Option<[u8; 32]>,
    pub(super) email: String,
    pub(super) units: i64,
    pub(super) invited_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

/// [`ACCEPTED`]
#[derive(Serialize, Deserialize)]
pub(super) struct Accepted {
    pub(super) guardianship: GuardianshipId,
    pub(super) guardian: UserId,
    pub(super) email: String,
    pub(super) keys: GuardianKeys,
}

/// [`LEFT`]
#[derive(Serialize, Deserialize)]
pub(super) struct Left {
    pub(super) guardianship: GuardianshipId,
}

/// [`DEALT`]
#[derive(Serialize, Deserialize)]
pub(super) struct Dealt {
    pub(super) guardianship: GuardianshipId,
    pub(super) set: GuardianSetId,
    pub(super) dealt_at: Timestamp,
    pub(super) owner_identity: [u8; 32],
    pub(super) signed_set: Vec<u8>,
    pub(super) sealed_units: Vec<u8>,
}

/// [`RETIRED`]
#[derive(Serialize, Deserialize)]
pub(super) struct Retired {
    pub(super) guardianship: GuardianshipId,
    pub(super) set: GuardianSetId,
    /// The guardianship is over too.
    pub(super) ended: bool,
}

/// [`CHANGING`]
#[derive(Serialize, Deserialize)]
pub(super) struct Changing {
    pub(super) guardianship: GuardianshipId,
    /// The guardian is to get a mail of this kind, with these facts.
    pub(super) kind: String,
    pub(super) facts: Vec<(String, String)>,
}

/// [`CHALLENGED`]
#[derive(Serialize, Deserialize)]
pub(super) struct Challenged {
    pub(super) guardianship: GuardianshipId,
    pub(super) challenge: DrillChallenge,
}

/// [`DRILLED`]
#[derive(Serialize, Deserialize)]
pub(super) struct Drilled {
    pub(super) guardianship: GuardianshipId,
    pub(super) challenge: ChallengeId,
    pub(super) answers: Vec<Vec<u8>>,
}

/// [`LOST`]
#[derive(Serialize, Deserialize)]
pub(super) struct Lost {
    pub(super) guardianship: GuardianshipId,
    pub(super) new_email: String,
}

/// [`TOLD`]
#[derive(Serialize, Deserialize)]
pub(in crate::tenant) struct Told {
    pub(in crate::tenant) guardianship: GuardianshipId,
    /// Which change of the ceremony this is.
    pub(in crate::tenant) version: i64,
    pub(in crate::tenant) view: CeremonyView,
    /// The guardian is to get a mail of this kind.
    pub(in crate::tenant) news: Option<String>,
    /// Of the words of this step to one tenant, this is the one that its audit and alert channels have; none from a node that
    /// does not say which.
    #[serde(default)]
    pub(in crate::tenant) speaks: Option<bool>,
}

/// [`SAID`]
#[derive(Serialize, Deserialize)]
pub(in crate::tenant) struct SaidIn {
    pub(in crate::tenant) ceremony: [u8; 32],
    pub(in crate::tenant) guardianship: GuardianshipId,
    pub(in crate::tenant) verdict: VerdictKind,
    /// The signed approval or statement.
    pub(in crate::tenant) body: Vec<u8>,
}

/// Answer to [`SAID`].
#[derive(Serialize, Deserialize)]
pub(in crate::tenant) struct Heard {
    pub(in crate::tenant) version: i64,
    pub(in crate::tenant) view: CeremonyView,
}

/// What a guardian can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::tenant) enum VerdictKind {
    Approve,
    Deny,
    Lock,
    Doubt,
    Override,
}

impl VerdictKind {
    pub(in crate::tenant) fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Lock => "lock",
            Self::Doubt => "doubt",
            Self::Override => "override",
        }
    }
}

impl From<VerdictKind> for Verdict {
    fn from(kind: VerdictKind) -> Self {
        match kind {
            VerdictKind::Approve => Self::Approve,
            VerdictKind::Deny => Self::Deny,
            VerdictKind::Lock => Self::Lock,
            VerdictKind::Doubt => Self::Doubt,
            VerdictKind::Override => Self::Override,
        }
    }
}

/// Writes a letter into the outbox.
pub(in crate::tenant) async fn send<T: Serialize>(
    work: &mut Work,
    to: TenantId,
    kind: &'static str,
    letter: &T,
) -> Result<MessageId, ActorError> {
    work.post(to, kind, &write(letter)).await
}

pub(super) fn write<T: Serialize>(letter: &T) -> Vec<u8> {
    // structs of ids, numbers and bytes: there is nothing in them that JSON cannot hold
    serde_json::to_vec(letter).unwrap_or_default()
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ActorError> {
    serde_json::from_slice(body).map_err(|_| {
        ActorError::unavailable("LETTER_UNREADABLE", "a message of another version of this program")
    })
}
