//! Passkeys: what is asked of an authenticator, and whether its answer is good. A cover over `webauthn-rs`, which
//! does what WebAuthn level 3 wants of a relying party.
//!
//! A passkey verifies its user (a PIN, a finger, a face), so that showing one is two factors at once. Attestation is
//! not asked for: which make of authenticator somebody has is nobody's business here.

use std::time::Duration;

use ocmt_types::{Digest32, UserId};
use serde::{Serialize, de::DeserializeOwned};
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, RequestChallengeResponse, Url, Uuid, Webauthn, WebauthnBuilder,
};

use crate::{audit::sha256, error::ActorError};

/// A challenge is good for so long.
pub(crate) const LASTS: Duration = Duration::from_secs(5 * 60);
/// What authenticators show.
const NAME: &str = "OCMT";

/// The cluster as authenticators know it.
#[derive(Debug)]
pub struct Passkeys(Webauthn);

/// A challenge: what goes to the authenticator, and what its answer is held against.
#[derive(Debug)]
pub(crate) struct Challenge {
    /// JSON of WebAuthn's options.
    pub(crate) options: Vec<u8>,
    /// JSON of the library.
    pub(crate) state: Vec<u8>,
}

/// A passkey that was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) credential_hash: Digest32,
    /// JSON of the library.
    pub(crate) credential: Vec<u8>,
}

/// What an authenticator says, before anything of it is believed.
pub(crate) struct Shown(PublicKeyCredential);

impl Passkeys {
    /// For users who reach the cluster under this URL. `None` if it names no host: passkeys belong to a name, and an
    /// address is none.
    pub fn new(public_url: &str) -> Option<Self> {
        let origin = Url::parse(public_url).ok()?;
        let host = origin.domain()?.to_owned();
        let builder = WebauthnBuilder::new(&host, &origin).ok()?;
        builder.rp_name(NAME).timeout(LASTS).build().ok().map(Self)
    }

    /// Asks for a new passkey of `user`, on none of the authenticators that have one of those `known`.
    pub(crate) fn invite(
        &self,
        user: UserId,
        email: &str,
        known: &[Vec<u8>],
    ) -> Result<Challenge, ActorError> {
        let known = parsed(known)?.iter().map(|passkey| passkey.cred_id().clone()).collect();
        let user = Uuid::from_bytes(*user.as_bytes());
        let begun = self.0.start_passkey_registration(user, email, email, Some(known));
        let (mut options, state) = begun.map_err(failed)?;
        // one that the authenticator keeps itself signs in without an address
        if let Some(wanted) = &mut options.public_key.authenticator_selection {
            wanted.resident_key = serde_json::from_str("\"preferred\"").ok();
        }
        Ok(Challenge { options: json(&options.public_key)?, state: json(&state)? })
    }

    /// Takes the answer to [`Self::invite`].
    pub(crate) fn made(&self, state: &[u8], answer: &[u8]) -> Result<Made, ActorError> {
        let state: PasskeyRegistration = stored(state)?;
        let answer: RegisterPublicKeyCredential = said(answer)?;
        let passkey = self.0.finish_passkey_registration(&answer, &state).map_err(refused)?;
        Ok(Made { credential_hash: sha256(passkey.cred_id().as_ref()), credential: json(&passkey)? })
    }

    /// Asks for one of the passkeys `known`; of nobody in particular if there are none.
    pub(crate) fn ask(&self, known: &[Vec<u8>]) -> Result<Challenge, ActorError> {
        let (options, state) = self.0.start_discoverable_authentication().map_err(failed)?;
        let RequestChallengeResponse { mut public_key, .. } = options;
        if !known.is_empty() {
            let (named, _) = self.0.start_passkey_authentication(&parsed(known)?).map_err(failed)?;
            public_key.allow_credentials = named.public_key.allow_credentials;
        }
        Ok(Challenge { options: json(&public_key)?, state: json(&state)? })
    }

    /// Whether `shown` answers the challenge by this passkey of this user: the passkey as it is from then on. Its
    /// counter, where it has one, must have grown: another one with the same key is a copy.
    pub(crate) fn check(
        &self,
        state: &[u8],
        credential: &[u8],
        user: UserId,
        shown: &Shown,
    ) -> Result<Vec<u8>, ActorError> {
        let state: DiscoverableAuthentication = stored(state)?;
        let mut passkey: Passkey = stored(credential)?;
        // an authenticator that was given a list of passkeys may leave the user out
        if shown.0.get_user_unique_id().is_some_and(|said| said != user.as_bytes()) {
            return Err(wrong());
        }
        let result =
            self.0.finish_discoverable_authentication_v2(&shown.0, state, &passkey).map_err(refused)?;
        if !result.user_verified() || passkey.update_credential(&result).is_none() {
            return Err(wrong());
        }
        json(&passkey)
    }
}

impl Shown {
    pub(crate) fn parse(answer: &[u8]) -> Result<Self, ActorError> {
        said(answer).map(Self)
    }

    /// Which passkey it says it is.
    pub(crate) fn credential_hash(&self) -> Digest32 {
        sha256(self.0.get_credential_id())
    }
}

/// The passkey is not good, whatever the reason.
pub(crate) fn wrong() -> ActorError {
    ActorError::precondition("WRONG_PASSKEY", "the passkey does not answer this challenge: begin again")
}

fn refused(error: impl std::fmt::Display) -> ActorError {
    tracing::debug!(%error, "an authenticator's answer is not good");
    wrong()
}

fn failed(error: impl std::fmt::Display) -> ActorError {
    tracing::error!(%error, "a challenge for authenticators cannot be made");
    ActorError::unavailable("PASSKEYS", "a challenge cannot be made now; repeat")
}

fn parsed(credentials: &[Vec<u8>]) -> Result<Vec<Passkey>, ActorError> {
    credentials.iter().map(|credential| stored(credential)).collect()
}

fn json(of: &impl Serialize) -> Result<Vec<u8>, ActorError> {
    serde_json::to_vec(of).map_err(failed)
}

/// What this program has written.
fn stored<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ActorError> {
    serde_json::from_slice(bytes).map_err(failed)
}

/// What somebody sent.
fn said<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ActorError> {
    serde_json::from_slice(bytes)
        .map_err(|_| ActorError::invalid("credential_json", "is not the JSON of an authenticator's answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_belong_to_a_name() {
        assert!(Passkeys::new("https://ocmt.example.org").is_some());
        assert!(Passkeys::new("https://localhost:7443").is_some());
        for none in ["https://127.0.0.1:7443", "https://[::1]:7443", "", "ocmt.example.org"] {
            assert!(Passkeys::new(none).is_none(), "{none}");
        }
    }
}
