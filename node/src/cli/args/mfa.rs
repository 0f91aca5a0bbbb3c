//! Arguments of second factors.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ocmt_types::{EnrollmentId, PasskeyId};

/// Where a code comes from; asked for without.
#[derive(Args, Clone)]
pub struct CodeArgs {
    /// Read the code of your second factor (authenticator or backup code) from this file, - for standard input
    #[arg(long, value_name = "FILE")]
    pub totp_code_file: Option<PathBuf>,
}

/// `ocmt mfa`
#[derive(Subcommand)]
pub enum MfaCommand {
    /// Set up an authenticator app: shows a QR code, asks for a code, prints backup codes
    #[command(
        after_help = "Examples:\n  ocmt mfa enrol\n  ocmt mfa enrol --json     prints the secret; then `ocmt mfa confirm`"
    )]
    Enrol,
    /// Finish setting it up, where there was no terminal to ask on
    #[command(after_help = "Example:\n  ocmt mfa confirm 0b8c2a54-… --totp-code-file -")]
    Confirm {
        /// Which set-up, from `ocmt mfa enrol`
        enrollment: EnrollmentId,
        /// The code.
        #[command(flatten)]
        code: CodeArgs,
    },
    /// Which second factors your account has
    #[command(after_help = "Example:\n  ocmt mfa status")]
    Status,
    /// Make new backup codes; the ones before open nothing any more
    #[command(after_help = "Example:\n  ocmt mfa codes")]
    Codes,
    /// Your passkeys; they are added and shown by programs that can talk to an authenticator
    #[command(after_help = "Example:\n  ocmt mfa passkeys")]
    Passkeys,
    /// Take a passkey off your account
    #[command(after_help = "Example:\n  ocmt mfa remove-passkey 5d1f6c1e-…")]
    RemovePasskey {
        /// Which, from `ocmt mfa passkeys`
        passkey: PasskeyId,
    },
    /// Take the authenticator and the backup codes off your account
    #[command(after_help = "Example:\n  ocmt mfa remove")]
    Remove,
}
