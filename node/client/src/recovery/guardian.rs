//! The guardian's side: a person who holds units of somebody's recovery key in a vault of their own.

use ocmt_crypto::{
    CryptoError,
    ceremony::{ReleaseStatement, StopStatement, Verdict, approve, lost_mailbox},
    guardian::{DrillChallenge, GuardianSet, Unit, open_units},
};
use ocmt_proto::v1 as pb;
use ocmt_types::{Clock as _, Digest32, GuardianshipId, SystemClock, Timestamp};

use super::{Ceremony, Guardianship, Side, ceremony::expect, guardianship::parse};
use crate::{
    ClientError,
    client::{id, idempotency_key, present},
    vault::Vault,
    wire::time,
};

/// A request for recovery, with all that the guardian's device checked of it.
pub struct Review {
    /// The ceremony; its parameters fit the set.
    pub ceremony: Ceremony,
    /// The guardianship that the decision is made under.
    pub guardianship: GuardianshipId,
    /// Units that an approval would give.
    pub units: usize,
    set: GuardianSet,
    opened: Vec<Unit>,
}

impl Vault {
    /// Says yes to an invitation, with this vault's identity keys. The owner's key is pinned on this
    /// device from now on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn accept_guardianship(&self, which: GuardianshipId) -> Result<Guardianship, ClientError> {
        self.publish_identity().await?;
        let asked = self.client().guardianship(which, Side::Guardian).await?;
        if let Some(owner) = asked.owner_key {
            self.state().pin_owner(which, owner)?;
        }
        let keyring = self.keys().keyring();
        let request = pb::AcceptGuardianshipRequest {
            guardianship_id: which.to_string(),
            guardian_signing_key: keyring.identity_signing.verify_key().0.to_vec().into(),
            guardian_sealing_key: keyring.identity_seal.public().0.to_vec().into(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().recovery().accept_guardianship(request).await?.into_inner();
        parse(present(answer.guardianship, "guardianship")?)
    }

    /// Fetches a request for recovery and checks all of it that this device can: the owner's signature on
    /// the set under the pinned key, the ceremony against the set, and the guardian's own units.
    ///
    /// # Errors
    /// [`ClientError::Crypto`] if something is not what the owner dealt; [`ClientError::Usage`] if the
    /// owner's key is another than the one pinned.
    pub async fn review_ceremony(&self, ceremony: Digest32) -> Result<Review, ClientError> {
        let shown = self.client().ceremony_detail(ceremony).await?;
        let guardianship: GuardianshipId = id(&shown.guardianship_id, "guardianship_id")?;
        let view = expect(present(shown.ceremony, "ceremony")?, ceremony)?;
        let set = self.verified_set(guardianship, &shown.signed_set)?;
        view.params().check(&set)?;
        if view.lost_mailbox && view.params().delay_ms < set.delays().lock_ms {
            let rule = "who has lost the mailbox too waits for the longest";
            return Err(CryptoError::OutOfRange { what: "delay", rule }.into());
        }
        let opened = self.own_units(&set, &shown.sealed_units)?;
        Ok(Review { ceremony: view, guardianship, units: opened.len(), set, opened })
    }

    /// Approves a reviewed request with all of one's units: sealed to the requester, that again to the
    /// release key that the owner's node vouches for, signed.
    ///
    /// # Errors
    /// [`ClientError::Node`] if the node's word for the release key is not to be believed.
    pub async fn approve_ceremony(&self, review: &Review) -> Result<Ceremony, ClientError> {
        let ceremony = review.ceremony.id;
        let stated = review.ceremony.release_statement.as_ref().ok_or_else(|| {
            ClientError::Usage("this request is over: there is nothing left to approve".to_owned())
        })?;
        let node =
            self.client().target().ca.prove_node(&stated.certificate_chain_der, self.client().clock())?;
        let release = ReleaseStatement::verify(&stated.statement, node.id, &node.key, &ceremony)
            .map_err(|_| ClientError::Node("its signature or ceremony is wrong"))?;
        let approval = approve(
            review.ceremony.params(),
            &review.set,
            &release,
            (&self.keys().keyring().identity_signing, &review.opened),
            SystemClock.now(),
            &mut rand::rng(),
        )?;
        let request = pb::ApproveCeremonyRequest {
            ceremony_id: ceremony.0.to_vec().into(),
            approval: approval.into(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().recovery().approve_ceremony(request).await?.into_inner();
        expect(present(answer.ceremony, "ceremony")?, ceremony)
    }

    /// Signs for a reviewed request to open: to go on over a veto or a lock, or for the address of an owner who has lost the
    /// mailbox too. It is not an approval: that comes after.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if it opens without.
    pub async fn override_stop(&self, review: &Review) -> Result<Ceremony, ClientError> {
        let by = review.ceremony.id;
        let address = Some(&review.ceremony.requester_email).filter(|_| review.ceremony.lost_mailbox);
        let over =
            review.ceremony.params().overrides.or_else(|| address.map(|address| lost_mailbox(address)));
        let stopped = over.ok_or_else(|| {
            ClientError::Usage("this request goes on over nothing: approve it, or deny it".to_owned())
        })?;
        let request = pb::OverrideStopRequest {
            ceremony_id: by.0.to_vec().into(),
            statement: self.say(Verdict::Override { by }, stopped),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().recovery().override_stop(request).await?.into_inner();
        expect(present(answer.ceremony, "ceremony")?, by)
    }

    /// Refuses a request.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn deny_ceremony(&self, ceremony: Digest32) -> Result<Ceremony, ClientError> {
        let request = pb::DenyCeremonyRequest {
            ceremony_id: ceremony.0.to_vec().into(),
            statement: self.say(Verdict::Deny, ceremony),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().recovery().deny_ceremony(request).await?.into_inner();
        expect(present(answer.ceremony, "ceremony")?, ceremony)
    }

    /// Says that one is not sure; the owner and the other guardians are told.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn doubt_ceremony(&self, ceremony: Digest32) -> Result<Ceremony, ClientError> {
        let request = pb::VoiceDoubtRequest {
            ceremony_id: ceremony.0.to_vec().into(),
            statement: self.say(Verdict::Doubt, ceremony),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().recovery().voice_doubt(request).await?.into_inner();
        expect(present(answer.ceremony, "ceremony")?, ceremony)
    }

    /// Stops all requests for this vault for a lock period; once a lock period. Until when.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn lock_ceremony(
        &self,
        ceremony: Digest32,
    ) -> Result<(Ceremony, Option<Timestamp>), ClientError> {
        let request = pb::LockCeremonyRequest {
            ceremony_id: ceremony.0.to_vec().into(),
            statement: self.say(Verdict::Lock, ceremony),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().recovery().lock_ceremony(request).await?.into_inner();
        let until = answer.locked_until.as_ref().map(time);
        Ok((expect(present(answer.ceremony, "ceremony")?, ceremony)?, until))
    }

    /// Answers a drill: shows that every unit is still here, and nothing of them.
    ///
    /// # Errors
    /// [`ClientError::Usage`] if none was asked for.
    pub async fn answer_drill(&self, which: GuardianshipId) -> Result<Option<Timestamp>, ClientError> {
        let held = self.client().guardianship(which, Side::Guardian).await?;
        let asked =
            held.challenge.ok_or_else(|| ClientError::Usage("no drill waits for an answer".to_owned()))?;
        let set = self.verified_set(which, &held.signed_set)?;
        let units = self.own_units(&set, &held.sealed_units)?;
        let challenge = DrillChallenge::decode(&asked.challenge)?;
        let now = SystemClock.now();
        let answers = units.iter().map(|unit| unit.answer(&challenge, now)).collect::<Result<Vec<_>, _>>()?;
        let request = pb::AnswerChallengeRequest {
            guardianship_id: which.to_string(),
            challenge_id: asked.id.to_string(),
            answers: answers.into_iter().map(Into::into).collect(),
            idempotency_key: idempotency_key(),
        };
        let answer = self.client().recovery().answer_challenge(request).await?.into_inner();
        Ok(answer.drilled_at.as_ref().map(time))
    }

    /// Verifies a set under the owner's key that this device pinned; on a device that has pinned none,
    /// under the key the set names, which is pinned from then on.
    fn verified_set(&self, which: GuardianshipId, signed: &[u8]) -> Result<GuardianSet, ClientError> {
        let owner = match self.state().owner_pin(which)? {
            Some(pinned) => pinned,
            None => GuardianSet::claimed_owner(signed)?,
        };
        let set = GuardianSet::verify(signed, &owner)?;
        self.state().pin_owner(which, owner)?;
        Ok(set)
    }

    fn own_units(&self, set: &GuardianSet, sealed: &[u8]) -> Result<Vec<Unit>, ClientError> {
        let keyring = self.keys().keyring();
        Ok(open_units(sealed, set, &keyring.identity_signing.verify_key(), &keyring.identity_seal)?)
    }

    fn say(&self, verdict: Verdict, ceremony: Digest32) -> bytes::Bytes {
        let signer = &self.keys().keyring().identity_signing;
        StopStatement::sign(verdict, ceremony, SystemClock.now(), signer).into()
    }
}
