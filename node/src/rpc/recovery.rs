//! RecoveryService: guardians and ceremonies. Sets, units, approvals and statements go through as the bytes
//! their makers signed.

use ocmt_actors::api::recovery::{
    AcceptGuardianship, AnswerChallenge, ApproveCeremony, CancelCeremony, CeremonyPurpose, ChallengeGuardian,
    CollectShares, CompleteCeremony, DealShares, DenyCeremony, GetCeremony, GetGuardianSet, GetGuardianship,
    GuardianKeys, InviteGuardian, ListCeremonies, ListGuardianships, LockCeremony, OpenCeremony,
    OverrideStop, ReportLostMailbox, ResignGuardianship, VetoCeremony, VoiceDoubt,
};
use ocmt_crypto::sign::Signature;
use ocmt_proto::v1::{self as pb, recovery_service_server::RecoveryService};
use ocmt_types::Digest32;
use prost::Message;
use tonic::{Request, Response, Status, async_trait, codegen::BoxStream};

use super::{Answer, Rpc, convert, recovery_watch, recovery_wire as wire, vault_wire};

#[async_trait]
impl RecoveryService for Rpc {
    async fn invite_guardian(
        &self,
        request: Request<pb::InviteGuardianRequest>,
    ) -> Answer<pb::InviteGuardianResponse> {
        let it = request.get_ref();
        let ask = InviteGuardian {
            vault: convert::id(&it.vault_id, "vault_id")?,
            email: it.email.clone(),
            units: it.units,
        };
        let asked = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::InviteGuardianResponse { guardianship: Some(wire::guardianship(asked)) }))
    }

    async fn accept_guardianship(
        &self,
        request: Request<pb::AcceptGuardianshipRequest>,
    ) -> Answer<pb::AcceptGuardianshipResponse> {
        let it = request.get_ref();
        let guardianship = convert::id(&it.guardianship_id, "guardianship_id")?;
        let keys = GuardianKeys {
            signing: convert::digest(&it.guardian_signing_key, "guardian_signing_key")?.0,
            sealing: convert::digest(&it.guardian_sealing_key, "guardian_sealing_key")?.0,
        };
        self.ask(&request, &it.idempotency_key, AcceptGuardianship { guardianship, keys }).await?;
        let now = self.ask(&request, &[], GetGuardianship { guardianship }).await?;
        Ok(Response::new(pb::AcceptGuardianshipResponse { guardianship: Some(wire::guardianship(now)) }))
    }

    async fn resign_guardianship(
        &self,
        request: Request<pb::ResignGuardianshipRequest>,
    ) -> Answer<pb::ResignGuardianshipResponse> {
        let it = request.get_ref();
        let guardianship = convert::id(&it.guardianship_id, "guardianship_id")?;
        let ask = ResignGuardianship { guardianship, only_change: it.only_change };
        let ended = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::ResignGuardianshipResponse { guardianship: Some(wire::guardianship(ended)) }))
    }

    async fn list_guardianships(
        &self,
        request: Request<pb::ListGuardianshipsRequest>,
    ) -> Answer<pb::ListGuardianshipsResponse> {
        let it = request.get_ref();
        let ask = ListGuardianships {
            side: wire::side(it.side()),
            include_ended: it.include_ended,
            after: wire::guardianship_page(&it.page_token)?,
            limit: convert::page_size(it.page_size, 50),
        };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ListGuardianshipsResponse {
            guardianships: page.guardianships.into_iter().map(wire::guardianship).collect(),
            next_page_token: page.next.map(wire::guardianship_token).unwrap_or_default(),
        }))
    }

    async fn deal_shares(&self, request: Request<pb::DealSharesRequest>) -> Answer<pb::DealSharesResponse> {
        let it = request.get_ref();
        let units = it.units.iter().map(|dealt| {
            Ok((convert::id(&dealt.guardianship_id, "guardianship_id")?, dealt.sealed_units.to_vec()))
        });
        let ask = DealShares {
            vault: convert::id(&it.vault_id, "vault_id")?,
            set: convert::id(&it.set_id, "set_id")?,
            signed_set: it.signed_set.to_vec(),
            units: units.collect::<Result<_, Status>>()?,
            recovery_slot: it.recovery_slot.to_vec(),
            manifest: it.manifest.to_vec(),
        };
        let dealt = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::DealSharesResponse { set: Some(wire::set(dealt.set)), counter: dealt.counter }))
    }

    async fn get_guardian_set(
        &self,
        request: Request<pb::GetGuardianSetRequest>,
    ) -> Answer<pb::GetGuardianSetResponse> {
        let vault = convert::optional_id(&request.get_ref().vault_id, "vault_id")?;
        let set = self.ask(&request, &[], GetGuardianSet { vault }).await?;
        Ok(Response::new(pb::GetGuardianSetResponse { set: Some(wire::set(set)) }))
    }

    async fn challenge_guardian(
        &self,
        request: Request<pb::ChallengeGuardianRequest>,
    ) -> Answer<pb::ChallengeGuardianResponse> {
        let it = request.get_ref();
        let guardianship = convert::id(&it.guardianship_id, "guardianship_id")?;
        let ask = ChallengeGuardian { guardianship, challenge: it.challenge.to_vec() };
        let challenge = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::ChallengeGuardianResponse { challenge: Some(wire::challenge(challenge)) }))
    }

    async fn answer_challenge(
        &self,
        request: Request<pb::AnswerChallengeRequest>,
    ) -> Answer<pb::AnswerChallengeResponse> {
        let it = request.get_ref();
        let guardianship = convert::id(&it.guardianship_id, "guardianship_id")?;
        let ask = AnswerChallenge {
            guardianship,
            challenge: convert::id(&it.challenge_id, "challenge_id")?,
            answers: vault_wire::parts(&it.answers),
        };
        self.ask(&request, &it.idempotency_key, ask).await?;
        let now = self.ask(&request, &[], GetGuardianship { guardianship }).await?;
        Ok(Response::new(pb::AnswerChallengeResponse { drilled_at: now.drilled_at.map(convert::time) }))
    }

    async fn open_ceremony(
        &self,
        request: Request<pb::OpenCeremonyRequest>,
    ) -> Answer<pb::OpenCeremonyResponse> {
        let it = request.get_ref();
        let ask = OpenCeremony { params: it.params.to_vec(), overrides: vault_wire::parts(&it.overrides) };
        let opened = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::OpenCeremonyResponse { ceremony: Some(wire::ceremony(opened)) }))
    }

    async fn get_ceremony(
        &self,
        request: Request<pb::GetCeremonyRequest>,
    ) -> Answer<pb::GetCeremonyResponse> {
        let ceremony = convert::digest(&request.get_ref().ceremony_id, "ceremony_id")?;
        let detail = self.ask(&request, &[], GetCeremony { ceremony }).await?;
        Ok(Response::new(pb::GetCeremonyResponse {
            ceremony: Some(wire::ceremony(detail.ceremony)),
            guardianship_id: detail.guardianship.map(|id| id.to_string()).unwrap_or_default(),
            signed_set: detail.signed_set.into(),
            sealed_units: detail.sealed_units.into(),
        }))
    }

    async fn list_ceremonies(
        &self,
        request: Request<pb::ListCeremoniesRequest>,
    ) -> Answer<pb::ListCeremoniesResponse> {
        let it = request.get_ref();
        let ask = ListCeremonies {
            only_live: it.only_live,
            after: vault_wire::page_token(&it.page_token)?,
            limit: convert::page_size(it.page_size, 20),
        };
        let page = self.ask(&request, &[], ask).await?;
        Ok(Response::new(pb::ListCeremoniesResponse {
            ceremonies: page.ceremonies.into_iter().map(wire::ceremony).collect(),
            next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
        }))
    }

    async fn approve_ceremony(
        &self,
        request: Request<pb::ApproveCeremonyRequest>,
    ) -> Answer<pb::ApproveCeremonyResponse> {
        let it = request.get_ref();
        let ceremony = convert::digest(&it.ceremony_id, "ceremony_id")?;
        let ask = ApproveCeremony { ceremony, approval: it.approval.to_vec() };
        self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::ApproveCeremonyResponse {
            ceremony: Some(self.ceremony(&request, ceremony).await?.0),
        }))
    }

    async fn deny_ceremony(
        &self,
        request: Request<pb::DenyCeremonyRequest>,
    ) -> Answer<pb::DenyCeremonyResponse> {
        let it = request.get_ref();
        let ceremony = convert::digest(&it.ceremony_id, "ceremony_id")?;
        let ask = DenyCeremony { ceremony, statement: it.statement.to_vec() };
        self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::DenyCeremonyResponse {
            ceremony: Some(self.ceremony(&request, ceremony).await?.0),
        }))
    }

    async fn voice_doubt(&self, request: Request<pb::VoiceDoubtRequest>) -> Answer<pb::VoiceDoubtResponse> {
        let it = request.get_ref();
        let ceremony = convert::digest(&it.ceremony_id, "ceremony_id")?;
        let ask = VoiceDoubt { ceremony, statement: it.statement.to_vec() };
        self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::VoiceDoubtResponse {
            ceremony: Some(self.ceremony(&request, ceremony).await?.0),
        }))
    }

    async fn lock_ceremony(
        &self,
        request: Request<pb::LockCeremonyRequest>,
    ) -> Answer<pb::LockCeremonyResponse> {
        let it = request.get_ref();
        let ceremony = convert::digest(&it.ceremony_id, "ceremony_id")?;
        let ask = LockCeremony { ceremony, statement: it.statement.to_vec() };
        self.ask(&request, &it.idempotency_key, ask).await?;
        let (ceremony, locked_until) = self.ceremony(&request, ceremony).await?;
        Ok(Response::new(pb::LockCeremonyResponse { ceremony: Some(ceremony), locked_until }))
    }

    async fn veto_ceremony(
        &self,
        request: Request<pb::VetoCeremonyRequest>,
    ) -> Answer<pb::VetoCeremonyResponse> {
        let it = request.get_ref();
        let ask = VetoCeremony {
            ceremony: convert::digest(&it.ceremony_id, "ceremony_id")?,
            statement: it.statement.to_vec(),
            retirement: it.retirement.to_vec(),
        };
        let vetoed = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::VetoCeremonyResponse {
            ceremony: Some(wire::ceremony(vetoed.ceremony)),
            deal_anew: vetoed.deal_anew,
        }))
    }

    async fn override_stop(
        &self,
        request: Request<pb::OverrideStopRequest>,
    ) -> Answer<pb::OverrideStopResponse> {
        let it = request.get_ref();
        let ceremony = convert::digest(&it.ceremony_id, "ceremony_id")?;
        let ask = OverrideStop { ceremony, statement: it.statement.to_vec() };
        self.ask(&request, &it.idempotency_key, ask).await?;
        let after = self.ask(&request, &[], GetCeremony { ceremony }).await?.ceremony;
        Ok(Response::new(pb::OverrideStopResponse {
            units_signed: after.units_signed(),
            units_needed: after.units_needed + u32::from(after.purpose == CeremonyPurpose::Override),
            ceremony: Some(wire::ceremony(after)),
        }))
    }

    async fn report_lost_mailbox(
        &self,
        request: Request<pb::ReportLostMailboxRequest>,
    ) -> Answer<pb::ReportLostMailboxResponse> {
        let it = request.get_ref();
        let ask = ReportLostMailbox {
            guardianship: convert::id(&it.guardianship_id, "guardianship_id")?,
            new_email: it.new_email.clone(),
        };
        self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::ReportLostMailboxResponse {}))
    }

    async fn watch_ceremonies(
        &self,
        request: Request<pb::WatchCeremoniesRequest>,
    ) -> Answer<BoxStream<pb::WatchCeremoniesResponse>> {
        recovery_watch::watch(self, request).await
    }

    async fn cancel_ceremony(
        &self,
        request: Request<pb::CancelCeremonyRequest>,
    ) -> Answer<pb::CancelCeremonyResponse> {
        let it = request.get_ref();
        let ask = CancelCeremony { ceremony: convert::digest(&it.ceremony_id, "ceremony_id")? };
        let cancelled = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::CancelCeremonyResponse { ceremony: Some(wire::ceremony(cancelled)) }))
    }

    async fn collect_shares(
        &self,
        request: Request<pb::CollectSharesRequest>,
    ) -> Answer<pb::CollectSharesResponse> {
        let ceremony = convert::digest(&request.get_ref().ceremony_id, "ceremony_id")?;
        let collected = self.ask(&request, &[], CollectShares { ceremony }).await?;
        let approvals = collected.approvals.into_iter().map(|approval| pb::CollectedApproval {
            guardianship_id: approval.guardianship.to_string(),
            guardian_email: approval.guardian_email,
            approval: approval.approval.into(),
        });
        Ok(Response::new(pb::CollectSharesResponse {
            release_private_key: collected.release_private_key.expose().to_vec().into(),
            approvals: approvals.collect(),
            signed_set: collected.signed_set.into(),
        }))
    }

    async fn complete_ceremony(
        &self,
        request: Request<pb::CompleteCeremonyRequest>,
    ) -> Answer<pb::CompleteCeremonyResponse> {
        let it = request.get_ref();
        let proof = it.proof.as_ref().try_into().map(Signature);
        let bad = it.bad_guardianship_ids.iter().map(|id| convert::id(id, "bad_guardianship_ids"));
        let ask = CompleteCeremony {
            ceremony: convert::digest(&it.ceremony_id, "ceremony_id")?,
            rotation: convert::id(&it.rotation_id, "rotation_id")?,
            slots: vault_wire::parts(&it.slots),
            manifest: it.manifest.to_vec(),
            handout: convert::id(&it.handout_id, "handout_id")?,
            proof: proof.map_err(|_| convert::invalid("proof", "is not 64 bytes"))?,
            bad_guardianships: bad.collect::<Result<_, _>>()?,
        };
        let done = self.ask(&request, &it.idempotency_key, ask).await?;
        Ok(Response::new(pb::CompleteCeremonyResponse {
            vault: Some(vault_wire::vault(&done.vault)),
            ceremony: Some(wire::ceremony(done.ceremony)),
            ended_credentials: done.ended_credentials,
        }))
    }
}

impl Rpc {
    /// The ceremony as it stands after an act, and until when a lock holds.
    async fn ceremony<T: Message>(
        &self,
        request: &Request<T>,
        ceremony: Digest32,
    ) -> Result<(pb::Ceremony, Option<prost_types::Timestamp>), Status> {
        let detail = self.ask(request, &[], GetCeremony { ceremony }).await?;
        let locked_until = detail.ceremony.locked_until.map(convert::time);
        Ok((wire::ceremony(detail.ceremony), locked_until))
    }
}
