//! Passkeys of users, what is asked of their authenticators, and where a passkey belongs.

use ocmt_types::{Digest32, EnrollmentId, PasskeyId, SessionId, TenantId, Timestamp, UserId};

use crate::{kernel::row::rows, text_enum};

text_enum! {
    /// What an authenticator is asked for.
    pub enum PasskeyWish {
        /// To make a passkey.
        Register = "register",
        /// To show one.
        Assert = "assert",
    }
}

rows! {
    /// A passkey: a public key, and what is known of its authenticator.
    pub struct Passkey: tenant("passkeys") {
        key {
            /// Which.
            passkey_id: PasskeyId,
        }
        /// Whose.
        user_id: UserId,
        /// What its owner calls it.
        name: String,
        /// SHA-256 of its credential id.
        credential_hash: Digest32,
        /// Public key, counter and flags, in the form of the library that checks them (JSON).
        credential: Vec<u8>,
        /// When it was added.
        created_at: Timestamp,
        /// When it was shown last.
        last_used_at: Option<Timestamp>,
    } unique(tenant_id, credential_hash) index(tenant_id, user_id);

    /// A challenge to an authenticator, given to a session. It is answered once.
    pub struct PasskeyChallenge: tenant("passkey_challenges") {
        key {
            /// Which.
            challenge_id: EnrollmentId,
        }
        /// To whom.
        user_id: UserId,
        /// In which session.
        session_id: SessionId,
        /// What for.
        wish: PasskeyWish,
        /// SHA-256 of the secret that the asking client keeps; none of a registration, which the session binds.
        binding_hash: Option<Digest32>,
        /// The challenge, in the form of the library that checks the answer (JSON).
        state: Vec<u8>,
        /// It is dead from then on.
        expires_at: Timestamp,
    } index(tenant_id, session_id);

    /// Where a passkey belongs: who shows one says no address. A credential id belongs to one account.
    pub struct PasskeyEntry: global("passkey_directory") {
        key {
            /// SHA-256 of the credential id.
            credential_hash: Digest32,
        }
        /// The tenant.
        tenant_id: TenantId,
        /// The user.
        user_id: UserId,
    } index(tenant_id);

    /// A challenge to whoever wants to sign in. It is answered once.
    pub struct PasskeySignIn: global("passkey_sign_ins") {
        key {
            /// Which.
            assertion_id: EnrollmentId,
        }
        /// SHA-256 of the secret that the asking client keeps.
        binding_hash: Digest32,
        /// As in [`PasskeyChallenge::state`].
        state: Vec<u8>,
        /// It is dead from then on.
        expires_at: Timestamp,
    } index(expires_at);
}
