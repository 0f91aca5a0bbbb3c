//! Passkeys: adding one, showing one, taking one away.

use ocmt_types::{Digest32, EnrollmentId, PasskeyId, Secret, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    auth::{Device, SessionIssued},
    users::Done,
};
use crate::call::calls;

/// A passkey as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasskeyInfo {
    /// Which.
    pub id: PasskeyId,
    /// What its owner calls it.
    pub name: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was shown last.
    pub last_used_at: Option<Timestamp>,
}

/// What to hand to an authenticator. It is answered once, within five minutes.
#[derive(Debug, Clone)]
pub struct PasskeyOffer {
    /// Which challenge.
    pub id: EnrollmentId,
    /// JSON of WebAuthn level 3 options.
    pub options: Vec<u8>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Ask for a new passkey. A newer wish in the same session replaces it.
#[derive(Debug, Clone)]
pub struct BeginPasskeyRegistration;

/// Add the passkey that was made.
#[derive(Debug, Clone)]
pub struct FinishPasskeyRegistration {
    /// [`PasskeyOffer::id`].
    pub registration: EnrollmentId,
    /// JSON of the authenticator's answer.
    pub credential: Vec<u8>,
    /// What its owner calls it, 1 to 100 bytes.
    pub name: String,
}

/// Ask for a passkey of the caller's own: to finish a sign-in, or as proof of presence.
#[derive(Debug, Clone)]
pub struct BeginPasskeyAssertion {
    /// SHA-256 of 32 random bytes that the asking client keeps.
    pub binding_hash: Digest32,
}

/// Show it. The session has another token from then on.
pub struct FinishPasskeyAssertion {
    /// [`PasskeyOffer::id`].
    pub assertion: EnrollmentId,
    /// JSON of the authenticator's answer.
    pub credential: Vec<u8>,
    /// The 32 bytes.
    pub binding_secret: Secret<Vec<u8>>,
}

/// Sign in by a passkey, without an address. Served by [`crate::System::finish_passkey_sign_in`]; the challenge comes
/// from [`crate::System::begin_passkey_sign_in`].
pub struct SignInByPasskey {
    /// [`PasskeyOffer::id`].
    pub assertion: EnrollmentId,
    /// JSON of the authenticator's answer.
    pub credential: Vec<u8>,
    /// The 32 bytes whose SHA-256 the challenge was asked for with.
    pub binding_secret: Secret<Vec<u8>>,
    /// What shows it.
    pub device: Device,
}

/// The caller's passkeys.
#[derive(Debug, Clone)]
pub struct ListPasskeys;

/// Take a passkey off the account. Not the last factor, while the policy wants one.
#[derive(Debug, Clone)]
pub struct RemovePasskey {
    /// Which.
    pub passkey: PasskeyId,
}

/// Of the lobby: sign in by a passkey of this tenant.
pub(crate) struct ConsumePasskey {
    pub(crate) assertion: EnrollmentId,
    pub(crate) credential_hash: Digest32,
    pub(crate) credential: Vec<u8>,
    pub(crate) binding_hash: Digest32,
    pub(crate) client: String,
}

calls! {
    /// Calls about passkeys.
    Passkeys: PasskeysCall of "AuthService" {
        once BeginPasskeyRegistration => PasskeyOffer,
        write FinishPasskeyRegistration => PasskeyInfo,
        once BeginPasskeyAssertion => PasskeyOffer,
        once FinishPasskeyAssertion => SessionIssued,
        once ConsumePasskey => SessionIssued,
        read ListPasskeys => Vec<PasskeyInfo>,
        write RemovePasskey => Done,
    }
}
