//! Second factors of sign-in, beside the TOTP secret in force, which is in its user's row.

use ocmt_types::{Digest32, EnrollmentId, Timestamp, UserId};

use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// What codes are counted apart.
    pub enum Factor {
        /// Six digits from an authenticator.
        Totp = "totp",
        /// A code on paper.
        BackupCode = "backup_code",
    }
}

rows! {
    /// A TOTP secret that was handed out and not confirmed. It counts for nothing.
    pub struct TotpEnrollment: tenant("totp_enrollments") {
        key {
            /// Whose; the newest replaces the one before.
            user_id: UserId,
        }
        /// Which.
        enrollment_id: EnrollmentId,
        /// The secret, wrapped by the cluster's sealing key.
        wrapped: Vec<u8>,
        /// When it was handed out.
        created_at: Timestamp,
        /// It is dead from then on.
        expires_at: Timestamp,
    };

    /// A backup code that was not used yet.
    pub struct BackupCode: tenant("backup_codes") {
        key {
            /// Whose.
            user_id: UserId,
            /// Its hash (`docs/formats.md`).
            code_hash: Digest32,
        }
        /// When it was made.
        created_at: Timestamp,
    };

    /// Wrong codes of an account since its last right one of the same kind.
    pub struct FactorAttempts: tenant("factor_attempts") {
        key {
            /// Whose.
            user_id: UserId,
            /// Of what kind.
            factor: Factor,
        }
        /// How many.
        failures: i64,
        /// When the last one was.
        failed_at: Timestamp,
        /// None is looked at before.
        not_before: Timestamp,
    };
}
