//! The tie between a guardian and an owner, as either side sees it.

use bytes::Bytes;
use ocmt_crypto::{guardian::GuardianKeys, seal::SealPublicKey, sign::VerifyKey};
use ocmt_proto::v1 as pb;
use ocmt_types::{ChallengeId, GuardianSetId, GuardianshipId, Timestamp, VaultId};
use serde::Serialize;

use crate::{
    Client, ClientError,
    client::{id, idempotency_key, present},
    pages::Pages,
    wire::time,
};

/// Which side of a guardianship the caller is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The caller's vault is guarded.
    Owner,
    /// The caller guards.
    Guardian,
}

/// Where a guardianship stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardianshipState {
    /// Asked.
    Invited,
    /// Said yes.
    Accepted,
    /// Units are on their way.
    Dealt,
    /// Units have arrived.
    Active,
    /// Said no, or stopped.
    Resigned,
    /// Taken back, or expired.
    Ended,
}

/// A drill that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenChallenge {
    /// Which.
    pub id: ChallengeId,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    #[serde(skip)]
    pub(super) challenge: Bytes,
}

/// One guardianship.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    pub email: String,
    /// Units the guardian holds or will hold.
    pub units: u32,
    /// The guardian's public keys, once accepted.
    #[serde(skip)]
    pub keys: Option<GuardianKeys>,
    /// The owner's identity key as the owner's tenant says.
    #[serde(skip)]
    pub owner_key: Option<VerifyKey>,
    /// The set it belongs to, once dealt.
    pub set: Option<GuardianSetId>,
    /// Guardian's side: the signed set.
    #[serde(skip)]
    pub signed_set: Bytes,
    /// Guardian's side: the guardian's own units, sealed.
    #[serde(skip)]
    pub sealed_units: Bytes,
    /// When it was asked for.
    pub invited_at: Option<Timestamp>,
    /// When an unanswered invitation ends.
    pub expires_at: Option<Timestamp>,
    /// When the guardian last passed a drill.
    pub drilled_at: Option<Timestamp>,
    /// The drill that waits for an answer.
    pub challenge: Option<OpenChallenge>,
}

impl GuardianshipState {
    /// Whether units can be dealt to the guardian.
    pub fn can_hold_units(self) -> bool {
        matches!(self, Self::Accepted | Self::Dealt | Self::Active)
    }
}

impl Client {
    /// Says that an owner whom one guards has lost the mailbox too, and is reached at `new_email`: a link goes there, good once
    /// within a day, and the owner is told.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with `TOO_MANY_LOST_MAILBOXES` after three times in a week.
    pub async fn report_lost_mailbox(
        &self,
        which: GuardianshipId,
        new_email: &str,
    ) -> Result<(), ClientError> {
        let request = pb::ReportLostMailboxRequest {
            guardianship_id: which.to_string(),
            new_email: new_email.to_owned(),
            idempotency_key: idempotency_key(),
        };
        self.recovery().report_lost_mailbox(request).await?;
        Ok(())
    }

    /// All guardianships of the caller that have not ended, newest first; of one side if named.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn guardianships(&self, side: Option<Side>) -> Result<Vec<Guardianship>, ClientError> {
        let side = match side {
            None => pb::GuardianshipSide::Unspecified,
            Some(Side::Owner) => pb::GuardianshipSide::Owner,
            Some(Side::Guardian) => pb::GuardianshipSide::Guardian,
        };
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request = pb::ListGuardianshipsRequest {
                page_size: 100,
                page_token,
                side: side.into(),
                include_ended: false,
            };
            let page = self.recovery().list_guardianships(request).await?.into_inner();
            for guardianship in page.guardianships {
                all.push(parse(guardianship)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// One guardianship of the caller's, on the side given.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if there is none.
    pub async fn guardianship(&self, which: GuardianshipId, side: Side) -> Result<Guardianship, ClientError> {
        let all = self.guardianships(Some(side)).await?;
        all.into_iter()
            .find(|guardianship| guardianship.id == which)
            .ok_or_else(|| ClientError::Usage(format!("there is no guardianship {which} of yours")))
    }

    /// Ends a guardianship: a guardian stops being one, an owner takes it back. The set that was dealt
    /// goes on until a new one is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn resign_guardianship(&self, which: GuardianshipId) -> Result<Guardianship, ClientError> {
        let request = pb::ResignGuardianshipRequest {
            guardianship_id: which.to_string(),
            only_change: false,
            idempotency_key: idempotency_key(),
        };
        let answer = self.recovery().resign_guardianship(request).await?.into_inner();
        parse(present(answer.guardianship, "guardianship")?)
    }

    /// Takes back the change of guardians that waits for the vault of a guardianship of the caller's, whomever it names; all
    /// guardianships stay as they are.
    ///
    /// # Errors
    /// `NO_CHANGE` if none waits; `STEP_UP_REQUIRED`; [`ClientError`].
    pub async fn take_change_back(&self, of: GuardianshipId) -> Result<(), ClientError> {
        let request = pb::ResignGuardianshipRequest {
            guardianship_id: of.to_string(),
            only_change: true,
            idempotency_key: idempotency_key(),
        };
        self.recovery().resign_guardianship(request).await?;
        Ok(())
    }
}

pub(super) fn parse(from: pb::Guardianship) -> Result<Guardianship, ClientError> {
    Ok(Guardianship {
        id: id(&from.guardianship_id, "guardianship_id")?,
        side: match from.side() {
            pb::GuardianshipSide::Owner => Side::Owner,
            pb::GuardianshipSide::Guardian => Side::Guardian,
            pb::GuardianshipSide::Unspecified => return Err(ClientError::Answer("side")),
        },
        state: match from.state() {
            pb::GuardianshipState::Invited => GuardianshipState::Invited,
            pb::GuardianshipState::Accepted => GuardianshipState::Accepted,
            pb::GuardianshipState::Dealt => GuardianshipState::Dealt,
            pb::GuardianshipState::Active => GuardianshipState::Active,
            pb::GuardianshipState::Resigned => GuardianshipState::Resigned,
            pb::GuardianshipState::Ended => GuardianshipState::Ended,
            pb::GuardianshipState::Unspecified => return Err(ClientError::Answer("state")),
        },
        vault: id(&from.vault_id, "vault_id")?,
        keys: match (key(&from.guardian_signing_key)?, key(&from.guardian_sealing_key)?) {
            (Some(signing), Some(sealing)) => {
                Some(GuardianKeys { identity: VerifyKey(signing), sealing: SealPublicKey(sealing) })
            }
            _ => None,
        },
        owner_key: key(&from.owner_signing_key)?.map(VerifyKey),
        set: match from.set_id.as_str() {
            "" => None,
            set => Some(id(set, "set_id")?),
        },
        email: from.counterpart_email,
        units: from.units,
        signed_set: from.signed_set,
        sealed_units: from.sealed_units,
        invited_at: from.invited_at.as_ref().map(time),
        expires_at: from.expires_at.as_ref().map(time),
        drilled_at: from.drilled_at.as_ref().map(time),
        challenge: from.open_challenge.map(challenge).transpose()?,
    })
}

fn challenge(from: pb::DrillChallenge) -> Result<OpenChallenge, ClientError> {
    Ok(OpenChallenge {
        id: id(&from.challenge_id, "challenge_id")?,
        expires_at: from.expires_at.as_ref().map(time),
        challenge: from.challenge,
    })
}

/// A public key in an answer; empty for none.
fn key(bytes: &[u8]) -> Result<Option<[u8; 32]>, ClientError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    bytes.try_into().map(Some).map_err(|_| ClientError::Answer("a public key"))
}
