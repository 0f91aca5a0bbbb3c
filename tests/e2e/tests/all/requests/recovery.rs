//! Guardians and ceremonies.

use ocmt_proto::v1 as pb;

use super::{Ids, Made, key, uuid};

pub(super) fn guardians(ids: &Ids) -> Vec<Made> {
    let (vault_id, guardianship_id) = (ids.vault.clone(), ids.guardianship.clone());
    let units = pb::DealtUnits { guardianship_id: guardianship_id.clone(), sealed_units: vec![1; 64].into() };
    made! {
        RecoveryService/InviteGuardian "vault" => pb::InviteGuardianRequest { vault_id: vault_id.clone(),
            email: "g@e2e.example".into(), units: 1, idempotency_key: key() };
        RecoveryService/AcceptGuardianship "guardianship" => pb::AcceptGuardianshipRequest { guardianship_id: guardianship_id.clone(), guardian_signing_key: vec![1; 32].into(), guardian_sealing_key: vec![1; 32].into(), idempotency_key: key() };
        RecoveryService/ResignGuardianship "guardianship" => pb::ResignGuardianshipRequest { guardianship_id: guardianship_id.clone(), only_change: false, idempotency_key: key() };
        RecoveryService/ListGuardianships "" => pb::ListGuardianshipsRequest::default();
        RecoveryService/DealShares "vault, guardianship" => pb::DealSharesRequest { vault_id: vault_id.clone(), set_id: uuid(),
            signed_set: vec![1; 64].into(), units: vec![units.clone(), units],
            recovery_slot: vec![1; 64].into(), manifest: vec![1; 64].into(), idempotency_key: key() };
        RecoveryService/GetGuardianSet "vault" => pb::GetGuardianSetRequest { vault_id };
        RecoveryService/ReportLostMailbox "guardianship" => pb::ReportLostMailboxRequest { guardianship_id: guardianship_id.clone(), new_email: "new@e2e.example".into(), idempotency_key: key() };
        RecoveryService/ChallengeGuardian "guardianship" => pb::ChallengeGuardianRequest { guardianship_id: guardianship_id.clone(), challenge: vec![1; 64].into(), idempotency_key: key() };
        RecoveryService/AnswerChallenge "guardianship" => pb::AnswerChallengeRequest { guardianship_id,
            challenge_id: uuid(), answers: vec![vec![1; 64].into()], idempotency_key: key() };
    }
}

pub(super) fn ceremonies(ids: &Ids) -> Vec<Made> {
    let (ceremony_id, statement) =
        (bytes::Bytes::from(ids.ceremony.to_vec()), bytes::Bytes::from(vec![1; 64]));
    made! {
        RecoveryService/OpenCeremony "vault, set" => pb::OpenCeremonyRequest { params: ids.params().into(),
            overrides: vec![], idempotency_key: key() };
        RecoveryService/GetCeremony "ceremony" => pb::GetCeremonyRequest { ceremony_id: ceremony_id.clone() };
        RecoveryService/ListCeremonies "" => pb::ListCeremoniesRequest::default();
        RecoveryService/ApproveCeremony "ceremony" => pb::ApproveCeremonyRequest { ceremony_id: ceremony_id.clone(), approval: statement.clone(), idempotency_key: key() };
        RecoveryService/DenyCeremony "ceremony" => pb::DenyCeremonyRequest { ceremony_id: ceremony_id.clone(), statement: statement.clone(), idempotency_key: key() };
        RecoveryService/VoiceDoubt "ceremony" => pb::VoiceDoubtRequest { ceremony_id: ceremony_id.clone(),
            statement: statement.clone(), idempotency_key: key() };
        RecoveryService/LockCeremony "ceremony" => pb::LockCeremonyRequest { ceremony_id: ceremony_id.clone(), statement: statement.clone(), idempotency_key: key() };
        RecoveryService/VetoCeremony "ceremony" => pb::VetoCeremonyRequest { ceremony_id: ceremony_id.clone(), statement: statement.clone(), retirement: bytes::Bytes::new(), idempotency_key: key() };
        RecoveryService/OverrideStop "ceremony" => pb::OverrideStopRequest { ceremony_id: ceremony_id.clone(), statement: statement.clone(), idempotency_key: key() };
        RecoveryService/WatchCeremonies "" => pb::WatchCeremoniesRequest::default();
        RecoveryService/CancelCeremony "ceremony" => pb::CancelCeremonyRequest { ceremony_id: ceremony_id.clone(), idempotency_key: key() };
        RecoveryService/CollectShares "ceremony" => pb::CollectSharesRequest { ceremony_id: ceremony_id.clone() };
        RecoveryService/CompleteCeremony "ceremony" => pb::CompleteCeremonyRequest { ceremony_id,
            rotation_id: ids.rotation.clone(), slots: vec![vec![1; 32].into()],
            manifest: vec![1; 64].into(), handout_id: uuid(), proof: vec![1; 64].into(),
            bad_guardianship_ids: vec![], idempotency_key: key() };
    }
}
