//! Second factors: setting them up, showing them, taking them away.

use ocmt_crypto::sign::Signature;
use ocmt_types::{EnrollmentId, HandoutId, Secret, Timestamp, VaultId};
use serde::{Deserialize, Serialize};

use super::auth::SessionIssued;

/// A second factor that an account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecondFactor {
    /// Six digits from an authenticator.
    Totp,
    /// A passkey.
    Passkey,
    /// A backup code that was not used yet.
    BackupCode,
}

/// Make a TOTP secret. It counts for nothing until it is confirmed, and is forgotten after ten minutes. A newer one
/// replaces it.
#[derive(Debug, Clone)]
pub struct BeginTotpEnrollment;

/// Answer of [`BeginTotpEnrollment`]: shown this once.
pub struct TotpOffered {
    /// Which enrolment.
    pub id: EnrollmentId,
    /// For a QR code, at most 512 bytes.
    pub otpauth_uri: Secret<String>,
    /// The secret in base32, for typing.
    pub secret_base32: Secret<String>,
    /// When it is forgotten.
    pub expires_at: Timestamp,
}

/// Confirm it by a code. The account has a second factor from then on, and the session has shown it.
pub struct ConfirmTotpEnrollment {
    /// [`TotpOffered::id`].
    pub enrollment: EnrollmentId,
    /// Six digits.
    pub code: Secret<String>,
}

/// Answer of [`ConfirmTotpEnrollment`].
pub struct TotpConfirmed {
    /// As in [`BackupCodes`].
    pub backup_codes: Vec<Secret<String>>,
    /// The session with its new token.
    pub signed_in: SessionIssued,
}

/// Take TOTP and the backup codes off the account. Not while the policy wants a second factor.
#[derive(Debug, Clone)]
pub struct RemoveTotp;

/// New backup codes. The set before is dead with the answer.
#[derive(Debug, Clone)]
pub struct RegenerateBackupCodes;

/// Answer of [`RegenerateBackupCodes`]: shown this once.
pub struct BackupCodes(pub Vec<Secret<String>>);

/// A code of a second factor.
pub enum Code {
    /// Six digits of the present step.
    Totp(Secret<String>),
    /// One of the codes on paper, in any case and spacing.
    Backup(Secret<String>),
}

/// Show the second factor that is due. The session has another token from then on.
pub struct CompleteMfa {
    /// The code.
    pub code: Code,
}

/// Show again who one is, for acts that want a recent sign-in. The session has another token from
/// then on.
pub struct StepUp {
    /// By what.
    pub proof: Presence,
}

/// A proof of presence.
pub enum Presence {
    /// A second factor, which an account that has one must show.
    Code(Code),
    /// A link of purpose `StepUp` to one's own address (`ocmt_lnk_…`), which is consumed.
    Link {
        /// The whole token.
        token: Secret<String>,
        /// As in [`super::auth::ExchangeMagicLink::binding_secret`].
        binding_secret: Secret<Vec<u8>>,
    },
    /// A signature by the vault signing key over a challenge: whoever asks has the vault open. The one proof in a
    /// recovery session.
    Vault {
        /// Of which vault.
        vault: VaultId,
        /// Whose challenge it answers.
        handout: HandoutId,
        /// The signature.
        signature: Signature,
    },
}
