//! AuthService: second factors, and showing them.

use ocmt_actors::api::factors::{
    BeginTotpEnrollment, Code, CompleteMfa, ConfirmTotpEnrollment, Presence, SecondFactor, StepUp,
};
use ocmt_crypto::sign::Signature;
use ocmt_proto::v1 as pb;
use ocmt_types::Secret;
use tonic::{Request, Response, Status};

use super::{Answer, Rpc, auth::sign_in, convert};

pub(super) async fn complete_mfa(
    rpc: &Rpc,
    request: Request<pb::CompleteMfaRequest>,
) -> Answer<pb::CompleteMfaResponse> {
    use pb::complete_mfa_request::Proof;
    let code = match request.get_ref().proof.clone() {
        Some(Proof::TotpCode(digits)) => Code::Totp(Secret::new(digits)),
        Some(Proof::BackupCode(typed)) => Code::Backup(Secret::new(typed)),
        None => return Err(convert::invalid("proof", "is missing")),
    };
    let issued = rpc.ask(&request, &[], CompleteMfa { code }).await?;
    Ok(Response::new(pb::CompleteMfaResponse { sign_in: Some(sign_in(&issued)) }))
}

pub(super) async fn step_up(rpc: &Rpc, request: Request<pb::StepUpRequest>) -> Answer<pb::StepUpResponse> {
    use pb::step_up_request::Proof;
    let proof = match request.get_ref().proof.clone() {
        Some(Proof::TotpCode(digits)) => Presence::Code(Code::Totp(Secret::new(digits))),
        Some(Proof::BackupCode(typed)) => Presence::Code(Code::Backup(Secret::new(typed))),
        Some(Proof::Link(link)) => Presence::Link {
            token: Secret::new(link.token),
            binding_secret: Secret::new(link.binding_secret.to_vec()),
        },
        Some(Proof::Vault(vault)) => of_vault(&vault)?,
        None => return Err(convert::invalid("proof", "is missing")),
    };
    let issued = rpc.ask(&request, &[], StepUp { proof }).await?;
    Ok(Response::new(pb::StepUpResponse {
        stepped_up_until: Some(convert::time(issued.session.stepped_up_until)),
        sign_in: Some(sign_in(&issued)),
    }))
}

fn of_vault(proof: &pb::VaultProof) -> Result<Presence, Status> {
    let signature = proof.signature.as_ref().try_into().map(Signature);
    Ok(Presence::Vault {
        vault: convert::id(&proof.vault_id, "vault_id")?,
        handout: convert::id(&proof.handout_id, "handout_id")?,
        signature: signature.map_err(|_| convert::invalid("signature", "is not 64 bytes"))?,
    })
}

pub(super) async fn begin_totp_enrollment(
    rpc: &Rpc,
    request: Request<pb::BeginTotpEnrollmentRequest>,
) -> Answer<pb::BeginTotpEnrollmentResponse> {
    let offered = rpc.ask(&request, &[], BeginTotpEnrollment).await?;
    Ok(Response::new(pb::BeginTotpEnrollmentResponse {
        enrollment_id: offered.id.to_string(),
        otpauth_uri: offered.otpauth_uri.expose().clone(),
        secret_base32: offered.secret_base32.expose().clone(),
        expires_at: Some(convert::time(offered.expires_at)),
    }))
}

pub(super) async fn confirm_totp_enrollment(
    rpc: &Rpc,
    request: Request<pb::ConfirmTotpEnrollmentRequest>,
) -> Answer<pb::ConfirmTotpEnrollmentResponse> {
    let it = request.get_ref();
    let ask = ConfirmTotpEnrollment {
        enrollment: convert::id(&it.enrollment_id, "enrollment_id")?,
        code: Secret::new(it.totp_code.clone()),
    };
    let confirmed = rpc.ask(&request, &[], ask).await?;
    Ok(Response::new(pb::ConfirmTotpEnrollmentResponse {
        sign_in: Some(sign_in(&confirmed.signed_in)),
        backup_codes: texts(confirmed.backup_codes),
    }))
}

/// Codes as they are shown, once.
pub(super) fn texts(codes: Vec<Secret<String>>) -> Vec<String> {
    codes.into_iter().map(|code| code.expose().clone()).collect()
}

pub(super) fn second_factor(factor: SecondFactor) -> i32 {
    match factor {
        SecondFactor::Totp => pb::SecondFactor::Totp,
        SecondFactor::Passkey => pb::SecondFactor::Passkey,
        SecondFactor::BackupCode => pb::SecondFactor::BackupCode,
    }
    .into()
}
