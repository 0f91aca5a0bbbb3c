//! Passkeys of an account. The answers of authenticators come from whoever can talk to one, in the JSON of WebAuthn
//! level 3: a page in a browser, or a program with an authenticator of its own.

use ocmt_proto::v1 as pb;
use ocmt_types::{EnrollmentId, PasskeyId, Secret, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::{
    Client, ClientError,
    auth::begin,
    client::{id, idempotency_key, present},
    wire::{as_text, time},
};

/// A passkey of the account.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Passkey {
    /// Which.
    #[serde(serialize_with = "as_text")]
    pub id: PasskeyId,
    /// What its owner calls it.
    pub name: String,
    /// When it was added.
    pub created_at: Option<Timestamp>,
    /// When it was shown last.
    pub last_used_at: Option<Timestamp>,
}

/// What to hand to an authenticator that is to make a passkey.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Which, for [`Client::finish_passkey`].
    pub id: EnrollmentId,
    /// `PublicKeyCredentialCreationOptions` as JSON.
    pub options_json: Vec<u8>,
}

/// What to hand to an authenticator that is to show one. Holds the secret that binds the answer to this client.
pub struct Assertion {
    id: String,
    binding: Secret<[u8; 32]>,
    /// `PublicKeyCredentialRequestOptions` as JSON.
    pub options_json: Vec<u8>,
}

impl Client {
    /// The account's passkeys.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn passkeys(&self) -> Result<Vec<Passkey>, ClientError> {
        let all = self.auth().list_passkeys(pb::ListPasskeysRequest::default()).await?.into_inner().passkeys;
        all.into_iter().map(passkey).collect()
    }

    /// Asks for a new passkey.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `STEP_UP_REQUIRED`, `PASSKEYS_OFF`, `TOO_MANY_PASSKEYS`.
    pub async fn begin_passkey(&self) -> Result<Registration, ClientError> {
        let request = pb::BeginPasskeyRegistrationRequest { idempotency_key: idempotency_key() };
        let offer = self.auth().begin_passkey_registration(request).await?.into_inner();
        Ok(Registration {
            id: id(&offer.registration_id, "registration_id")?,
            options_json: offer.options_json.to_vec(),
        })
    }

    /// Adds the passkey that was made.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `WRONG_PASSKEY`, `KNOWN_PASSKEY`.
    pub async fn finish_passkey(
        &self,
        registration: EnrollmentId,
        credential_json: Vec<u8>,
        name: &str,
    ) -> Result<Passkey, ClientError> {
        let request = pb::FinishPasskeyRegistrationRequest {
            registration_id: registration.to_string(),
            credential_json: credential_json.into(),
            name: name.to_owned(),
            idempotency_key: idempotency_key(),
        };
        let made = self.auth().finish_passkey_registration(request).await?.into_inner();
        passkey(present(made.passkey, "passkey")?)
    }

    /// Asks for a passkey: of a signed-in account its own, as second factor or proof of presence; else anybody's, to
    /// sign in.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `NO_PASSKEY`, `PASSKEYS_OFF`.
    pub async fn ask_for_passkey(&self) -> Result<Assertion, ClientError> {
        let binding: [u8; 32] = rand::random();
        let request = pb::BeginPasskeyAssertionRequest {
            binding_hash: bytes::Bytes::copy_from_slice(&Sha256::digest(binding)),
            idempotency_key: idempotency_key(),
        };
        let offer = self.auth().begin_passkey_assertion(request).await?.into_inner();
        let options_json = offer.options_json.to_vec();
        Ok(Assertion { id: offer.assertion_id, binding: Secret::new(binding), options_json })
    }

    /// Shows it. The client that is signed in by it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `WRONG_PASSKEY`, and as unauthenticated where it was to sign in.
    pub async fn show_passkey(
        &self,
        asked: &Assertion,
        credential_json: Vec<u8>,
        device: &str,
    ) -> Result<Self, ClientError> {
        let request = pb::FinishPasskeyAssertionRequest {
            assertion_id: asked.id.clone(),
            credential_json: credential_json.into(),
            binding_secret: bytes::Bytes::copy_from_slice(asked.binding.expose()),
            client_name: device.to_owned(),
            idempotency_key: idempotency_key(),
        };
        begin(self, self.auth().finish_passkey_assertion(request).await?.into_inner().sign_in)
    }

    /// Takes a passkey off the account.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with reason `STEP_UP_REQUIRED`, `MFA_REQUIRED`, and `NOT_FOUND`.
    pub async fn remove_passkey(&self, passkey: PasskeyId) -> Result<(), ClientError> {
        let request =
            pb::RemovePasskeyRequest { passkey_id: passkey.to_string(), idempotency_key: idempotency_key() };
        self.auth().remove_passkey(request).await?;
        Ok(())
    }
}

fn passkey(of: pb::Passkey) -> Result<Passkey, ClientError> {
    Ok(Passkey {
        id: id(&of.passkey_id, "passkey_id")?,
        name: of.name,
        created_at: of.created_at.as_ref().map(time),
        last_used_at: of.last_used_at.as_ref().map(time),
    })
}
