//! Sign-in by passkey: nobody says an address, the passkey says whose it is.

use ocmt_store::{StoreError, tables::PasskeySignIn};
use ocmt_types::{Digest32, RequestId};

use crate::{
    ActorError, System,
    api::{
        auth::{Device, SessionIssued},
        passkeys::{ConsumePasskey, PasskeyOffer, SignInByPasskey},
    },
    audit,
    call::CallMeta,
    caller::Caller,
    passkeys::{LASTS, Shown},
    tenant::passkeys::{BAD_PASSKEY, off},
};

impl System {
    /// A challenge for whoever wants to sign in, bound to the client that asks.
    ///
    /// # Errors
    /// [`ActorError::FailedPrecondition`] where passkeys have no name to belong to; [`ActorError::ResourceExhausted`]
    /// under too many strangers.
    pub async fn begin_passkey_sign_in(&self, binding_hash: Digest32) -> Result<PasskeyOffer, ActorError> {
        let _place = self.enter_lobby()?;
        let challenge = self.env.passkeys.as_ref().ok_or_else(off)?.ask(&[])?;
        let now = self.env.now();
        let wish = PasskeySignIn {
            assertion_id: self.env.id(),
            binding_hash,
            state: challenge.state,
            expires_at: now + LASTS,
        };
        match self.env.store.directory().put_passkey_sign_in(&wish, now).await {
            Ok(()) => {}
            Err(StoreError::TooMany { .. }) => {
                return Err(ActorError::ResourceExhausted {
                    reason: "LOBBY_FULL",
                    why: "too many sign-ins by passkey were begun and not finished".to_owned(),
                    retry_after: Some(LASTS),
                });
            }
            Err(error) => return Err(error.into()),
        }
        Ok(PasskeyOffer { id: wish.assertion_id, options: challenge.options, expires_at: wish.expires_at })
    }

    /// Turns the answer of an authenticator into a session; once, and from where it was asked for alone.
    ///
    /// # Errors
    /// [`ActorError::Unauthenticated`], the same for every way in which it is not good.
    pub async fn finish_passkey_sign_in(
        &self,
        request: SignInByPasskey,
        meta: &CallMeta,
        id: RequestId,
    ) -> Result<SessionIssued, ActorError> {
        let credential_hash = Shown::parse(&request.credential)?.credential_hash();
        let entry = self.env.store.directory().passkey(credential_hash).await?.ok_or(BAD_PASSKEY)?;
        let Device { name: client, addr } = request.device;
        let consume = ConsumePasskey {
            assertion: request.assertion,
            credential_hash,
            credential: request.credential,
            binding_hash: audit::sha256(request.binding_secret.expose()),
            client,
        };
        let meta = CallMeta { idempotency: None, ..meta.clone() };
        let caller = Caller::anonymous(entry.tenant_id, id, addr);
        match self.tenant(entry.tenant_id).call(caller, meta, consume).await {
            Err(ActorError::NotFound) => Err(BAD_PASSKEY),
            other => other,
        }
    }
}
