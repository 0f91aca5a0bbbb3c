//! Opening a group's vault by several of its administrators together, each from their own device.

use std::time::Duration;

use ocmt_crypto::{
    CryptoError,
    ceremony::{self as crypto, Collection, Purpose, ReleaseStatement, StopStatement, Verdict, approve},
    group::Admission,
    guardian::{GuardianSet, Unit, open_units},
    seal::SealSecretKey,
    slot::{SlotKind, SlotSecret},
    vault::{Rollback, Seen},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, Digest32, GroupId, SystemClock, Timestamp};
use serde::Serialize;

use super::{CellAsked, GroupVault};
use crate::{
    ClientError,
    client::{idempotency_key, present},
    pages::Pages,
    recovery::{CeremonyState, RecoveryRequest, ceremony_words},
    vault::{Vault, digest, present_vault},
    wire::{as_text, time},
};

/// An unlock as the node tells it, with the parameters that its name proves.
#[derive(Debug, Clone, Serialize)]
pub struct Unlock {
    /// Its name: the hash of its parameters.
    #[serde(serialize_with = "as_text")]
    pub id: Digest32,
    /// Where it stands.
    pub state: CeremonyState,
    /// Who asks.
    pub requester_email: String,
    /// It is over from then on.
    pub expires_at: Timestamp,
    /// How many have to approve, the requester among them.
    pub needed: u32,
    /// How many have.
    pub approved: u32,
    /// Who said what.
    pub acts: Vec<UnlockAct>,
    /// When what was released was handed to the cell, if it goes into one.
    pub handed_at: Option<Timestamp>,
    #[serde(skip)]
    ceremony: crypto::Ceremony,
    #[serde(skip)]
    release: Option<pb::NodeStatement>,
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnlockAct {
    /// Whose word.
    pub email: String,
    /// They approved; else they denied.
    pub approved: bool,
    /// When.
    pub at: Option<Timestamp>,
}

impl Unlock {
    /// The six words to compare by telephone.
    ///
    /// # Errors
    /// None in practice.
    pub async fn words(&self) -> Result<String, ClientError> {
        ceremony_words(self.id).await
    }

    /// Whether it can still be decided about, or is open.
    pub fn is_live(&self) -> bool {
        self.state.is_live()
    }

    /// Whether it goes into a container's cell, and to no device: what its name covers.
    pub fn into_cell(&self) -> bool {
        self.ceremony.purpose == Purpose::Cell
    }

    /// How long it lasts, from asking to its end: what its name covers.
    pub fn lasts(&self) -> Duration {
        self.ceremony.expires_at.since(self.ceremony.opened_at)
    }
}

/// An unlock with the own part, before it is decided about.
pub struct UnlockReview {
    /// The unlock.
    pub unlock: Unlock,
    /// The cell that it goes into, checked; none if it goes to the device of whoever asks.
    pub cell: Option<CellAsked>,
    set: GuardianSet,
    units: Vec<Unit>,
}

impl Vault {
    /// The unlocks of a group's vault, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn group_unlocks(&self, group: GroupId) -> Result<Vec<Unlock>, ClientError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        let mut pages = Pages::default();
        loop {
            let request =
                pb::ListGroupUnlocksRequest { group_id: group.to_string(), page_size: 100, page_token };
            let page = self.client().groups().list_group_unlocks(request).await?.into_inner();
            for one in page.unlocks {
                all.push(unlock(one)?);
            }
            pages.turn(&page.next_page_token)?;
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            page_token = page.next_page_token;
        }
    }

    /// Asks the group's administrators to open its vault to this device for so long, and approves with the own part. Everything is
    /// chosen, and kept here, before anything is sent. What this device has asked for before and is not over is gone on
    /// with: a second one would take the first one's key, and what was approved of it.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if the vault opens for each who takes part, or the caller holds no part of its key yet.
    pub async fn ask_for_unlock(&self, group: GroupId, lasts: Duration) -> Result<Unlock, ClientError> {
        let listed = self.listed_unlocks(group).await?;
        let (set, _) = self.set_of(group, &listed.signed_set).await?;
        if let Some(asked) = self.asked_before(group, listed.unlocks).await? {
            return Ok(asked);
        }
        let (secret, now) = (SealSecretKey::generate(&mut rand::rng()), SystemClock.now());
        let ceremony = crypto::Ceremony {
            nonce: rand::random(),
            scope: set.scope(),
            set: set.id(),
            set_hash: set.hash(),
            requester: secret.public(),
            purpose: Purpose::Unlock,
            opened_at: now,
            delay_ms: 0,
            expires_at: now + lasts,
            overrides: None,
        };
        let kept = RecoveryRequest { ceremony, secret };
        self.state().keep_unlock(group, &kept)?;
        self.open_unlock(group, &ceremony).await?;
        let review = self.review_unlock(group, ceremony.hash()).await?;
        self.approve_unlock(group, &review).await
    }

    /// The newest unlocks, and who holds parts.
    pub(super) async fn listed_unlocks(
        &self,
        group: GroupId,
    ) -> Result<pb::ListGroupUnlocksResponse, ClientError> {
        let request = pb::ListGroupUnlocksRequest {
            group_id: group.to_string(),
            page_size: 100,
            page_token: String::new(),
        };
        let listed = self.client().groups().list_group_unlocks(request).await?.into_inner();
        if listed.signed_set.is_empty() {
            let text = "this vault opens for each who takes part: nobody has to be asked";
            return Err(ClientError::Usage(text.to_owned()));
        }
        Ok(listed)
    }

    async fn open_unlock(&self, group: GroupId, ceremony: &crypto::Ceremony) -> Result<Unlock, ClientError> {
        let request = pb::OpenGroupUnlockRequest {
            group_id: group.to_string(),
            params: ceremony.encode().into(),
            cell: None,
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().groups().open_group_unlock(request).await?.into_inner();
        expected(present(answer.unlock, "unlock")?, ceremony.hash())
    }

    /// What this device has asked for and is not over, approved with the own part if it was cut off before.
    async fn asked_before(
        &self,
        group: GroupId,
        listed: Vec<pb::GroupUnlock>,
    ) -> Result<Option<Unlock>, ClientError> {
        let Some(kept) = self.state().unlock(group)? else { return Ok(None) };
        let mut known = listed.into_iter().map(unlock).collect::<Result<Vec<_>, _>>()?;
        known.retain(|one| one.id == kept.id() && one.is_live());
        let Some(known) = known.pop() else { return Ok(None) };
        // signed in anew since, it goes on in this sign-in
        self.open_unlock(group, &kept.ceremony).await?;
        if known.state != CeremonyState::Open {
            return Ok(Some(known));
        }
        // given twice it counts once
        let review = self.review_unlock(group, known.id).await?;
        self.approve_unlock(group, &review).await.map(Some)
    }

    /// An unlock with all that this device needs to decide: the set that the vault's own key signed, and the own part of it.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] if the set, the part or the parameters are not what they are said to be.
    pub async fn review_unlock(&self, group: GroupId, which: Digest32) -> Result<UnlockReview, ClientError> {
        let request =
            pb::GetGroupUnlockRequest { group_id: group.to_string(), ceremony_id: which.0.to_vec().into() };
        let answer = self.client().groups().get_group_unlock(request).await?.into_inner();
        let unlock = expected(present(answer.unlock, "unlock")?, which)?;
        let (set, believed) = self.set_of(group, &answer.signed_set).await?;
        unlock.ceremony.check(&set)?;
        // where it goes is in its name: the one is never shown as the other
        let cell = match (unlock.ceremony.purpose, answer.cell) {
            (Purpose::Unlock, None) => None,
            (Purpose::Cell, Some(evidence)) => {
                Some(self.judge_cell(group, &believed, &unlock.ceremony, evidence).await?)
            }
            _ => return Err(CryptoError::Refused.into()),
        };
        if answer.sealed_part.is_empty() {
            let text = "you hold no part of this vault's key: whoever has it open deals it anew with `ocmt group vault rotate`";
            return Err(ClientError::Usage(text.to_owned()));
        }
        let keyring = self.keys().keyring();
        let units = open_units(&answer.sealed_part, &set, &self.identity_key(), &keyring.identity_seal)?;
        Ok(UnlockReview { unlock, cell, set, units })
    }

    /// Approves with the own part: sealed to whoever asks, that again to the release key that the node vouches for, signed.
    ///
    /// # Errors
    /// [`ClientError::Node`] if the node's word for the release key is not to be believed.
    pub async fn approve_unlock(&self, group: GroupId, review: &UnlockReview) -> Result<Unlock, ClientError> {
        let over = || ClientError::Usage("this unlock is over: there is nothing left to approve".to_owned());
        let stated = review.unlock.release.as_ref().ok_or_else(over)?;
        let node =
            self.client().target().ca.prove_node(&stated.certificate_chain_der, self.client().clock())?;
        let release = ReleaseStatement::verify(&stated.statement, node.id, &node.key, &review.unlock.id)
            .map_err(|_| ClientError::Node("its signature or unlock is wrong"))?;
        let own = (&self.keys().keyring().identity_signing, review.units.as_slice());
        let now = SystemClock.now();
        let approval = approve(&review.unlock.ceremony, &review.set, &release, own, now, &mut rand::rng())?;
        let request = pb::ApproveGroupUnlockRequest {
            group_id: group.to_string(),
            ceremony_id: review.unlock.id.0.to_vec().into(),
            approval: approval.into(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().groups().approve_group_unlock(request).await?.into_inner();
        if let Some(cell) = &review.cell {
            let vault = review.set.scope().vault;
            self.state().keep_appointment(vault, cell.number, cell.hash)?;
            // a device that never opens the vault hears of new keys so: nobody shows it those of before again
            self.state().saw(vault, &cell.present)?;
        }
        expected(present(answer.unlock, "unlock")?, review.unlock.id)
    }

    /// Refuses an unlock.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn deny_unlock(&self, group: GroupId, which: Digest32) -> Result<Unlock, ClientError> {
        let signer = &self.keys().keyring().identity_signing;
        let request = pb::DenyGroupUnlockRequest {
            group_id: group.to_string(),
            ceremony_id: which.0.to_vec().into(),
            statement: StopStatement::sign(Verdict::Deny, which, SystemClock.now(), signer).into(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().groups().deny_group_unlock(request).await?.into_inner();
        expected(present(answer.unlock, "unlock")?, which)
    }

    /// Gives an unlock up that this device asked for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn cancel_unlock(&self, group: GroupId, which: Digest32) -> Result<Unlock, ClientError> {
        let request = pb::CancelGroupUnlockRequest {
            group_id: group.to_string(),
            ceremony_id: which.0.to_vec().into(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().groups().cancel_group_unlock(request).await?.into_inner();
        // another of the caller's devices may have asked for it
        if self.state().unlock(group)?.is_some_and(|kept| kept.ceremony.hash() == which) {
            self.state().forget_unlock(group)?;
        }
        expected(present(answer.unlock, "unlock")?, which)
    }

    /// Opens the vault with what was released to this device, checking every part.
    pub(super) async fn open_together(
        &self,
        group: GroupId,
        believed: &Admission,
        rollback: Rollback,
    ) -> Result<GroupVault<'_>, ClientError> {
        let kept = self.state().unlock(group)?.ok_or_else(|| {
            let text = "this vault opens by several together: `ocmt group vault unlock` asks them";
            ClientError::Usage(text.to_owned())
        })?;
        let request = pb::CollectGroupUnlockRequest {
            group_id: group.to_string(),
            ceremony_id: kept.id().0.to_vec().into(),
        };
        let collected = self.client().groups().collect_group_unlock(request).await;
        let answer = collected.map_err(ClientError::from).inspect_err(|error| {
            // it ended: what this device kept of it opens nothing any more
            let over = matches!(error.reason().as_deref(), Some("CEREMONY_OVER" | "NOT_FOUND"));
            if over && self.state().forget_unlock(group).is_err() {
                tracing::warn!("the key of an unlock that is over could not be forgotten");
            }
        })?;
        let answer = answer.into_inner();
        let set = GuardianSet::verify(&answer.signed_set, &believed.identity)?;
        let release = SealSecretKey::from_slice(&answer.release_private_key)?;
        let approvals: Vec<Vec<u8>> = answer.approvals.iter().map(|one| one.to_vec()).collect();
        let shown = self.client().show_vault(Some(believed.scope.vault), SlotKind::Recovery, None).await?;
        // on a device that remembers nothing the succession has to lead on from what the administrator said
        let said = Seen { counter: 0, manifest_hash: Digest32([0; 32]), verify_key: believed.verify_key };
        let seen = self.state().seen(believed.scope.vault)?.unwrap_or(said);
        let given =
            Collection { ceremony: &kept.ceremony, set: &set, release: &release, requester: &kept.secret };
        let locked = shown.locked;
        let collected = crypto::collect(&given, &approvals, move |key| {
            locked.open(&SlotSecret::Recovery(key), Some(&seen), rollback)
        })?;
        for bad in &collected.bad {
            tracing::warn!(index = bad.index, reason = ?bad.reason, "a part was left out");
        }
        let open = collected.outcome.map_err(|error| match error {
            CryptoError::RolledBack { shown, seen } => ClientError::RolledBack { seen, shown },
            other => ClientError::Crypto(other),
        })?;
        let vault = present_vault(self.client(), self.state(), open, &shown.handout).await?;
        Ok(GroupVault { own: self, vault, group, together: Some(set.threshold()) })
    }

    /// A set of this group, by the vault's own key as the administrator named it whom the own acceptance names.
    pub(super) async fn set_of(
        &self,
        group: GroupId,
        signed: &[u8],
    ) -> Result<(GuardianSet, Admission), ClientError> {
        let admission = self.believed_now(group).await?;
        let set = GuardianSet::verify(signed, &admission.identity)?;
        if set.scope() == admission.scope { Ok((set, admission)) } else { Err(CryptoError::Refused.into()) }
    }

    /// What the administrator said of the vault whom the own acceptance names.
    pub(super) async fn believed_now(&self, group: GroupId) -> Result<Admission, ClientError> {
        let status = self.client().group_vault(group).await?;
        self.believed(group, status.vault()?, &status)
    }
}

pub(super) fn expected(from: pb::GroupUnlock, which: Digest32) -> Result<Unlock, ClientError> {
    let unlock = unlock(from)?;
    if unlock.id == which { Ok(unlock) } else { Err(ClientError::Answer("unlock")) }
}

pub(super) fn unlock(from: pb::GroupUnlock) -> Result<Unlock, ClientError> {
    let ceremony = crypto::Ceremony::decode(&from.params)?;
    let id = digest(&from.ceremony_id, "ceremony_id")?;
    // its name is the hash of what it is for: a node shows no other under it
    if ceremony.hash() != id {
        return Err(ClientError::Answer("params"));
    }
    let acts = from.acts.into_iter().map(|act| UnlockAct {
        email: act.email,
        approved: act.approved,
        at: act.at.as_ref().map(time),
    });
    Ok(Unlock {
        id,
        state: CeremonyState::of(from.state)?,
        requester_email: from.requester_email,
        expires_at: ceremony.expires_at,
        needed: from.units_needed,
        approved: from.units_approved,
        acts: acts.collect(),
        handed_at: from.handed_at.as_ref().map(time),
        ceremony,
        release: from.release_statement,
    })
}
