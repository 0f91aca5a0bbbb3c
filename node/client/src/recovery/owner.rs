//! The owner's side: asking guardians, dealing shares, stopping a ceremony.

use std::time::Duration;

use ocmt_crypto::{
    ceremony::{StopStatement, Verdict},
    guardian::{Delays, DrillChallenge, GuardianSet, Plan, Seat, deal},
    sign::VerifyKey,
    slot::{NewSlot, SlotKind},
    vault::RotationMode,
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, Digest32, GuardianSetId, IdGen, RandomIds, SystemClock, Timestamp, VaultId};
use serde::Serialize;
use tonic::Code;

use super::{Ceremony, Guardianship, Side, ceremony::expect, guardianship::parse};
use crate::{
    Client, ClientError,
    client::{idempotency_key, present},
    vault::Vault,
    wire::time,
};

/// How long a guardian has to answer a drill.
const DRILL: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The node's reason when another set was dealt under the present vault key.
const ROTATION_NEEDED: &str = "ROTATION_NEEDED";

/// Where a guardian set stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SetState {
    /// Some units are still on their way.
    Dealt,
    /// Every unit has arrived.
    Active,
    /// Replaced or used.
    Retired,
}

/// The guardians of a vault, as they were dealt: the set's signature is verified.
#[derive(Debug, Clone, Serialize)]
pub struct Circle {
    /// Which set.
    pub id: GuardianSetId,
    /// Of which vault.
    pub vault: VaultId,
    /// Where it stands.
    pub state: SetState,
    /// Units needed.
    pub threshold: u8,
    /// Units dealt.
    pub units: u8,
    /// How many guardians.
    pub guardians: usize,
    /// When it was dealt.
    pub dealt_at: Option<Timestamp>,
    /// Until when a guardian's lock stops ceremonies.
    pub locked_until: Option<Timestamp>,
    /// The set.
    #[serde(skip)]
    pub set: GuardianSet,
}

impl Client {
    /// The guardians of a vault, of the caller's own without an id; `None` if none were dealt. The owner
    /// key in it is the one the set itself names: compare it with one you know.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] if its signature does not hold.
    pub async fn circle(&self, vault: Option<VaultId>) -> Result<Option<Circle>, ClientError> {
        let request =
            pb::GetGuardianSetRequest { vault_id: vault.map(|vault| vault.to_string()).unwrap_or_default() };
        let answer = match self.recovery().get_guardian_set(request).await {
            Err(status) if status.code() == Code::NotFound => return Ok(None),
            answer => answer?.into_inner(),
        };
        let Some(shown) = answer.set else { return Ok(None) };
        let owner = GuardianSet::claimed_owner(&shown.signed_set)?;
        let set = GuardianSet::verify(&shown.signed_set, &owner)?;
        Ok(Some(Circle {
            id: set.id(),
            vault: set.scope().vault,
            state: match shown.state() {
                pb::GuardianSetState::Dealt => SetState::Dealt,
                pb::GuardianSetState::Active => SetState::Active,
                pb::GuardianSetState::Retired => SetState::Retired,
                pb::GuardianSetState::Unspecified => return Err(ClientError::Answer("state")),
            },
            threshold: set.threshold(),
            units: set.total(),
            guardians: set.guardians().len(),
            dealt_at: shown.dealt_at.as_ref().map(time),
            locked_until: shown.locked_until.as_ref().map(time),
            set,
        }))
    }

    /// The delays that the tenant's policy asks for.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn policy_delays(&self) -> Result<Delays, ClientError> {
        let policy = self.tenant().await?.policy;
        let or = |given: Option<u64>, default| given.unwrap_or(default);
        Ok(Delays {
            lock_ms: or(policy.lock_period_ms, Delays::DEFAULT.lock_ms),
            recovery_ms: or(policy.recovery_delay_ms, Delays::DEFAULT.recovery_ms),
            change_ms: or(policy.change_delay_ms, Delays::DEFAULT.change_ms),
            change_window_ms: or(policy.change_window_ms, Delays::DEFAULT.change_window_ms),
        })
    }

    /// The delays to deal a set of the vault with: those of the policy, and none shorter than the set in force has. So the same
    /// guardians anew are no change, also when the policy has become milder since.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delays_to_deal(&self, vault: VaultId) -> Result<Delays, ClientError> {
        let policy = self.policy_delays().await?;
        let now = self.circle(Some(vault)).await?;
        Ok(now.map_or(policy, |now| policy.or_longer(now.set.delays())))
    }

    /// Asks a guardian to show that the units are still there.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn challenge_guardian(&self, guardian: &Guardianship) -> Result<(), ClientError> {
        let set = guardian
            .set
            .ok_or_else(|| ClientError::Usage(format!("{} holds no units yet", guardian.email)))?;
        let challenge = DrillChallenge { set, nonce: rand::random(), expires: SystemClock.now() + DRILL };
        let request = pb::ChallengeGuardianRequest {
            guardianship_id: guardian.id.to_string(),
            challenge: challenge.encode().into(),
            idempotency_key: idempotency_key(),
        };
        self.recovery().challenge_guardian(request).await?;
        Ok(())
    }

    /// Stops a ceremony from a device that has not the vault open. The flag says whether approvals had
    /// come in: then deal anew.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn veto_ceremony(&self, ceremony: Digest32) -> Result<(Ceremony, bool), ClientError> {
        self.veto(ceremony, Vec::new(), Vec::new()).await
    }

    async fn veto(
        &self,
        ceremony: Digest32,
        statement: Vec<u8>,
        retirement: Vec<u8>,
    ) -> Result<(Ceremony, bool), ClientError> {
        let request = pb::VetoCeremonyRequest {
            ceremony_id: ceremony.0.to_vec().into(),
            statement: statement.into(),
            retirement: retirement.into(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.recovery().veto_ceremony(request).await?.into_inner();
        Ok((expect(present(answer.ceremony, "ceremony")?, ceremony)?, answer.deal_anew))
    }
}

impl Vault {
    /// Asks somebody to be a guardian of this vault, holding `units` (fewer than will be needed).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn invite_guardian(&self, email: &str, units: u32) -> Result<Guardianship, ClientError> {
        // the guardian's device pins the owner's key out of the invitation
        self.publish_identity().await?;
        let request = pb::InviteGuardianRequest {
            vault_id: self.id().to_string(),
            email: email.to_owned(),
            units,
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().recovery().invite_guardian(request).await?.into_inner();
        parse(present(answer.guardianship, "guardianship")?)
    }

    /// Makes a fresh recovery key, shares it among these guardians, each by the units asked of them, and
    /// locks a recovery slot by it. Where another set was dealt before, the vault is re-keyed first, so that
    /// old shares open nothing. `short_delays` allows delays under an hour.
    ///
    /// Sealed to exactly the keys in `guardians`: those whose words the owner compared. Nothing about them
    /// is asked of the node again, and this device pins them.
    ///
    /// # Errors
    /// [`ClientError::Usage`] for one who has not accepted, or whose keys are others than this device has
    /// pinned; [`ClientError::Crypto`] naming the rule that k, units or delays break.
    pub async fn deal_shares(
        &mut self,
        threshold: u8,
        guardians: &[Guardianship],
        delays: Delays,
        short_delays: bool,
    ) -> Result<GuardianSetId, ClientError> {
        let seats = seats(self.id(), guardians)?;
        for (guardian, seat) in guardians.iter().zip(&seats) {
            self.state().pin_guardian(self.id(), &guardian.email, &seat.keys)?;
        }
        self.publish_identity().await?;
        let ids: &dyn IdGen = &RandomIds;
        let plan = |id| Plan {
            id,
            scope: self.keys().scope(),
            owner_sealing: self.keys().keyring().identity_seal.public(),
            threshold,
            delays,
            seats: seats.clone(),
            dealt_at: SystemClock.now(),
            dev: short_delays,
        };
        let (first, second) = (plan(ids.id()), plan(ids.id()));
        match self.deal(&first).await {
            Err(error) if error.reason().as_deref() == Some(ROTATION_NEEDED) => {
                // the old recovery slot goes first: the new keys must never be sealed to it
                let old = self.slots_of(SlotKind::Recovery);
                self.rotate(RotationMode::Rekey, &old, Vec::new(), "guardians are changed").await?;
                self.deal(&second).await?;
                Ok(second.id)
            }
            dealt => dealt.map(|()| first.id),
        }
    }

    async fn deal(&mut self, plan: &Plan) -> Result<(), ClientError> {
        let dealt = deal(plan, &self.keys().keyring().identity_signing, &mut rand::rng())?;
        let mut edit = self.keys().edit();
        edit.add_slot(&NewSlot::Recovery(&dealt.recovery_key), &mut rand::rng())?;
        for old in self.slots_of(SlotKind::Recovery) {
            edit.remove_slot(old)?;
        }
        let change = edit.finish()?;
        let slot = change.added_slots.first().cloned().ok_or(ClientError::Answer("slots"))?;
        let units = dealt.units.into_iter().map(|units| pb::DealtUnits {
            guardianship_id: units.guardianship.to_string(),
            sealed_units: units.sealed.into(),
        });
        let request = pb::DealSharesRequest {
            vault_id: self.id().to_string(),
            set_id: plan.id.to_string(),
            signed_set: dealt.signed_set.into(),
            units: units.collect(),
            recovery_slot: slot.into(),
            manifest: change.manifest.clone().into(),
            idempotency_key: idempotency_key(),
        };
        self.client().recovery().deal_shares(request).await?;
        self.apply(change)
    }

    /// Stops a ceremony, signed by the owner's identity key. The flag says whether approvals had come in:
    /// then deal anew.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn veto_ceremony(&self, ceremony: Digest32) -> Result<(Ceremony, bool), ClientError> {
        let signer = &self.keys().keyring().identity_signing;
        let statement = StopStatement::sign(Verdict::Veto, ceremony, SystemClock.now(), signer);
        self.client().veto(ceremony, statement, Vec::new()).await
    }

    /// Retires the guardians, by the vault's own key: ends every ceremony over them, also one that goes on over a veto.
    /// The vault gets new keys without a recovery slot, so that what guardians hold opens nothing; it has none then.
    ///
    /// # Errors
    /// [`ClientError`]. If the rotation fails the guardians are retired all the same, and what they hold opens the vault
    /// until it is repeated.
    pub async fn retire_guardians(&mut self, ceremony: Digest32) -> Result<Ceremony, ClientError> {
        let asked = self.client().ceremony(ceremony).await?;
        let signer = &self.keys().keyring().vault_signing;
        let retirement =
            StopStatement::sign(Verdict::Retire, asked.params().set_hash, SystemClock.now(), signer);
        let (ended, _) = self.client().veto(ceremony, Vec::new(), retirement).await?;
        let slots = self.slots_of(SlotKind::Recovery);
        if !slots.is_empty() {
            self.rotate(RotationMode::Rekey, &slots, Vec::new(), "guardians are retired").await?;
        }
        Ok(ended)
    }

    /// Publishes the public halves of the owner's identity keys, unless they are.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn publish_identity(&self) -> Result<(), ClientError> {
        let keyring = self.keys().keyring();
        let own = (keyring.identity_signing.verify_key(), keyring.identity_seal.public());
        let mut users = self.client().users();
        let published = match users.get_identity_key(pb::GetIdentityKeyRequest::default()).await {
            Err(status) if status.code() == Code::NotFound => None,
            answer => answer?.into_inner().identity_key,
        };
        let same = |key: &pb::IdentityKey| key.signing_key == own.0.0[..] && key.sealing_key == own.1.0[..];
        if published.as_ref().is_some_and(same) {
            return Ok(());
        }
        let request = pb::PublishIdentityKeyRequest {
            signing_key: own.0.0.to_vec().into(),
            sealing_key: own.1.0.to_vec().into(),
            idempotency_key: idempotency_key(),
        };
        users.publish_identity_key(request).await?;
        Ok(())
    }

    /// The owner's identity key.
    pub fn identity_key(&self) -> VerifyKey {
        self.keys().keyring().identity_signing.verify_key()
    }
}

/// A seat for each guardian, with the keys given.
fn seats(vault: VaultId, guardians: &[Guardianship]) -> Result<Vec<Seat>, ClientError> {
    if guardians.is_empty() {
        return Err(ClientError::Usage("no guardians are named".to_owned()));
    }
    guardians
        .iter()
        .map(|guardian| {
            let accepted =
                guardian.side == Side::Owner && guardian.vault == vault && guardian.state.can_hold_units();
            let keys = guardian.keys.filter(|_| accepted).ok_or_else(|| {
                ClientError::Usage(format!("{} has not accepted: see `ocmt recovery status`", guardian.email))
            })?;
            Ok(Seat {
                guardianship: guardian.id,
                keys,
                units: u8::try_from(guardian.units).map_err(|_| ClientError::Answer("units"))?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ocmt_crypto::{guardian::GuardianKeys, seal::SealPublicKey};
    use ocmt_types::{GuardianshipId, Id as _};

    use super::{super::GuardianshipState, *};

    fn guardian() -> Guardianship {
        Guardianship {
            id: GuardianshipId::from_bytes([1; 16]),
            side: Side::Owner,
            state: GuardianshipState::Accepted,
            vault: VaultId::from_bytes([2; 16]),
            email: "grace@example.com".to_owned(),
            units: 1,
            keys: Some(GuardianKeys { identity: VerifyKey([3; 32]), sealing: SealPublicKey([4; 32]) }),
            owner_key: None,
            set: None,
            signed_set: Default::default(),
            sealed_units: Default::default(),
            invited_at: None,
            expires_at: None,
            drilled_at: None,
            challenge: None,
        }
    }

    #[test]
    fn shares_are_sealed_to_the_keys_that_were_compared() {
        let one = guardian();
        let seats = seats(one.vault, std::slice::from_ref(&one)).unwrap();
        assert_eq!(seats.iter().map(|seat| Some(seat.keys)).collect::<Vec<_>>(), [one.keys]);
    }

    #[test]
    fn nobody_gets_a_share_who_has_not_accepted_for_this_vault() {
        let vault = guardian().vault;
        for wrong in [
            Guardianship { keys: None, ..guardian() },
            Guardianship { state: GuardianshipState::Invited, ..guardian() },
            Guardianship { side: Side::Guardian, ..guardian() },
            Guardianship { vault: VaultId::from_bytes([9; 16]), ..guardian() },
        ] {
            assert!(matches!(seats(vault, &[guardian(), wrong]), Err(ClientError::Usage(_))));
        }
        assert!(matches!(seats(vault, &[]), Err(ClientError::Usage(_))));
    }
}
