//! Second factors: setting one up, showing it, taking it away. Each proof gives the session another token; the client
//! that is answered has it, and the one that asked is of no more use.

use ocmt_crypto::{slot::SlotKind, vault::ProofOf};
use ocmt_proto::v1 as pb;
use ocmt_types::{EnrollmentId, Timestamp};
use zeroize::Zeroizing;

use crate::{
    Client, ClientError,
    auth::{PendingSignIn, begin},
    client::{id, idempotency_key, present},
    vault::{Vault, digest},
    wire::time,
};

/// A code of a second factor.
pub enum Code {
    /// Six digits from an authenticator.
    Totp(Zeroizing<String>),
    /// A backup code.
    Backup(Zeroizing<String>),
}

impl Code {
    /// What a person typed: six digits are of an authenticator, anything else is a backup code.
    pub fn of(typed: &str) -> Self {
        let bare = Zeroizing::new(typed.chars().filter(|c| !c.is_whitespace()).collect::<String>());
        if bare.len() == 6 && bare.bytes().all(|byte| byte.is_ascii_digit()) {
            Self::Totp(bare)
        } else {
            Self::Backup(Zeroizing::new(typed.trim().to_owned()))
        }
    }
}

/// A TOTP secret to put into an authenticator. Shown this once, and of no use before it is confirmed.
pub struct TotpOffer {
    /// Which, for [`Client::confirm_totp`].
    pub id: EnrollmentId,
    /// For a QR code.
    pub otpauth_uri: Zeroizing<String>,
    /// The secret in base32, for typing.
    pub secret_base32: Zeroizing<String>,
    /// When it is forgotten.
    pub expires_at: Option<Timestamp>,
}

impl Client {
    /// Finishes a sign-in whose second factor is due.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `WRONG_CODE`, `TOO_MANY_CODES`.
    pub async fn complete_mfa(&self, code: &Code) -> Result<Self, ClientError> {
        use pb::complete_mfa_request::Proof;
        let proof = match code {
            Code::Totp(digits) => Proof::TotpCode(digits.to_string()),
            Code::Backup(typed) => Proof::BackupCode(typed.to_string()),
        };
        let request = pb::CompleteMfaRequest { proof: Some(proof), idempotency_key: idempotency_key() };
        begin(self, self.auth().complete_mfa(request).await?.into_inner().sign_in)
    }

    /// Shows a code again, for acts that want a proof of presence.
    ///
    /// # Errors
    /// As [`Client::complete_mfa`].
    pub async fn step_up(&self, code: &Code) -> Result<Self, ClientError> {
        use pb::step_up_request::Proof;
        let proof = match code {
            Code::Totp(digits) => Proof::TotpCode(digits.to_string()),
            Code::Backup(typed) => Proof::BackupCode(typed.to_string()),
        };
        self.stepped_up(proof).await
    }

    /// The same by a mailed link, for accounts without a second factor. `asked` was asked for with
    /// [`Purpose::StepUp`](crate::auth::Purpose::StepUp).
    ///
    /// # Errors
    /// [`ClientError::Refused`] for a bad link, and with reason `SECOND_FACTOR_NEEDED`.
    pub async fn step_up_by_link(&self, asked: &PendingSignIn, link: &str) -> Result<Self, ClientError> {
        self.stepped_up(pb::step_up_request::Proof::Link(asked.proof(link))).await
    }

    /// The same by an open vault, for accounts without a second factor.
    ///
    /// # Errors
    /// As [`Client::step_up_by_link`].
    pub async fn step_up_by_vault(&self, vault: &Vault) -> Result<Self, ClientError> {
        let vault_id = vault.id().to_string();
        let shown = self.key_slots(vault_id.clone(), SlotKind::Passphrase, None).await?;
        let proof = vault.keys().prove(ProofOf::StepUp, digest(&shown.challenge, "challenge")?);
        let signature = bytes::Bytes::copy_from_slice(&proof.signature.0);
        let proof = pb::VaultProof { vault_id, handout_id: shown.handout_id, signature };
        self.stepped_up(pb::step_up_request::Proof::Vault(proof)).await
    }

    async fn stepped_up(&self, proof: pb::step_up_request::Proof) -> Result<Self, ClientError> {
        let request = pb::StepUpRequest { proof: Some(proof), idempotency_key: idempotency_key() };
        begin(self, self.auth().step_up(request).await?.into_inner().sign_in)
    }

    /// Asks for a TOTP secret.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `STEP_UP_REQUIRED` long after signing in.
    pub async fn begin_totp(&self) -> Result<TotpOffer, ClientError> {
        let request = pb::BeginTotpEnrollmentRequest { idempotency_key: idempotency_key() };
        let offer = self.auth().begin_totp_enrollment(request).await?.into_inner();
        Ok(TotpOffer {
            id: id(&offer.enrollment_id, "enrollment_id")?,
            otpauth_uri: Zeroizing::new(offer.otpauth_uri),
            secret_base32: Zeroizing::new(offer.secret_base32),
            expires_at: offer.expires_at.as_ref().map(time),
        })
    }

    /// Confirms it by the code that the authenticator shows. The session with its new token, and the backup codes,
    /// shown this once.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `WRONG_CODE`, and `NOT_FOUND` for one that has lapsed or was replaced.
    pub async fn confirm_totp(
        &self,
        enrollment: EnrollmentId,
        digits: &str,
    ) -> Result<(Self, Vec<Zeroizing<String>>), ClientError> {
        let request = pb::ConfirmTotpEnrollmentRequest {
            enrollment_id: enrollment.to_string(),
            totp_code: digits.chars().filter(|c| !c.is_whitespace()).collect(),
            idempotency_key: idempotency_key(),
        };
        let confirmed = self.auth().confirm_totp_enrollment(request).await?.into_inner();
        let codes = confirmed.backup_codes.into_iter().map(Zeroizing::new).collect();
        Ok((begin(self, Some(present(confirmed.sign_in, "sign_in")?))?, codes))
    }

    /// Takes the authenticator and the backup codes off the account.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `STEP_UP_REQUIRED`, `MFA_REQUIRED`.
    pub async fn remove_totp(&self) -> Result<(), ClientError> {
        let request = pb::RemoveTotpRequest { idempotency_key: idempotency_key() };
        self.auth().remove_totp(request).await?;
        Ok(())
    }

    /// New backup codes, shown this once; the ones before open nothing any more.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `STEP_UP_REQUIRED`.
    pub async fn new_backup_codes(&self) -> Result<Vec<Zeroizing<String>>, ClientError> {
        let request = pb::RegenerateBackupCodesRequest { idempotency_key: idempotency_key() };
        let fresh = self.auth().regenerate_backup_codes(request).await?.into_inner();
        Ok(fresh.backup_codes.into_iter().map(Zeroizing::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_are_of_an_authenticator_and_all_else_is_on_paper() {
        for typed in ["123456", " 123 456\n"] {
            assert!(matches!(Code::of(typed), Code::Totp(digits) if *digits == "123456"), "{typed}");
        }
        for typed in ["12345", "1234567", "abcd-efgh\n", "12345x", "１２３４５６"] {
            assert!(matches!(Code::of(typed), Code::Backup(code) if *code == typed.trim()), "{typed}");
        }
    }
}
