//! Signing up and in by a mailed link that works on the asking device alone.

use bytes::Bytes;
use ocmt_crypto::token::Token;
use ocmt_proto::v1 as pb;
use ocmt_types::{Secret, TenantId};
use sha2::{Digest as _, Sha256};

use crate::{
    Client, ClientError,
    client::{Identity, id, idempotency_key, present},
    connect::Credential,
};

/// A sign-in that waits for its mailed link. Holds the secret that binds the link to this device.
pub struct PendingSignIn {
    client: Client,
    binding: Secret<[u8; 32]>,
}

/// What a link is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A full session.
    SignIn,
    /// A session for recovery ceremonies alone.
    Recovery,
    /// A proof of presence for [`Client::step_up_by_link`].
    StepUp,
}

impl Client {
    /// Asks for an account and tenant of one's own.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sign_up(&self, email: &str, tenant_name: &str) -> Result<PendingSignIn, ClientError> {
        let pending = PendingSignIn::new(self.clone());
        let request = pb::SignUpRequest {
            email: email.to_owned(),
            tenant_name: tenant_name.to_owned(),
            binding_hash: pending.binding_hash(),
            idempotency_key: idempotency_key(),
        };
        self.auth().sign_up(request).await?;
        Ok(pending)
    }

    /// Asks for a link; `tenant` narrows to one if the address has several.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn request_link(
        &self,
        email: &str,
        tenant: Option<TenantId>,
        purpose: Purpose,
    ) -> Result<PendingSignIn, ClientError> {
        let pending = PendingSignIn::new(self.clone());
        let purpose = match purpose {
            Purpose::SignIn => pb::MagicLinkPurpose::SignIn,
            Purpose::Recovery => pb::MagicLinkPurpose::Recovery,
            Purpose::StepUp => pb::MagicLinkPurpose::StepUp,
        };
        let request = pb::RequestMagicLinkRequest {
            email: email.to_owned(),
            tenant_id: tenant.map(|tenant| tenant.to_string()).unwrap_or_default(),
            purpose: purpose.into(),
            binding_hash: pending.binding_hash(),
            idempotency_key: idempotency_key(),
        };
        self.auth().request_magic_link(request).await?;
        Ok(pending)
    }

    /// Takes an invitation to a tenant (the mailed link, or the token alone): makes the user and a session.
    ///
    /// # Errors
    /// [`ClientError::Refused`] for an invitation that is used, expired, or none at all.
    pub async fn accept_invite(&self, link: &str, device: &str) -> Result<Self, ClientError> {
        let request = pb::AcceptInviteRequest {
            token: token_of(link).to_owned(),
            client_name: device.to_owned(),
            idempotency_key: idempotency_key(),
        };
        let request = routed(token_of(link), request);
        let answer = self.users().accept_invite(request).await?.into_inner();
        begin(self, answer.sign_in)
    }

    /// Takes the link that came to a new address because a guardian said that the mailbox of the account is lost: a session that
    /// proposes one ceremony.
    ///
    /// # Errors
    /// [`ClientError::Refused`] for a link that is used, expired, or none at all.
    pub async fn take_lost_mailbox_link(&self, link: &str, device: &str) -> Result<Self, ClientError> {
        // it is bound to no device: a guardian's asked for it
        PendingSignIn::new(self.clone()).finish(link, device).await
    }

    /// Ends the session.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sign_out(&self) -> Result<(), ClientError> {
        self.auth().sign_out(pb::SignOutRequest { idempotency_key: idempotency_key() }).await?;
        Ok(())
    }
}

/// Turns what a sign-in answers into a client with its session.
pub(crate) fn begin(client: &Client, sign_in: Option<pb::SignIn>) -> Result<Client, ClientError> {
    let sign_in = present(sign_in, "sign_in")?;
    let identity =
        Identity { tenant: id(&sign_in.tenant_id, "tenant_id")?, user: id(&sign_in.user_id, "user_id")? };
    Ok(client.signed_in(Credential::new(sign_in.session_token), identity))
}

impl PendingSignIn {
    fn new(client: Client) -> Self {
        Self { client, binding: Secret::new(rand::random()) }
    }

    fn binding_hash(&self) -> Bytes {
        Bytes::copy_from_slice(&Sha256::digest(self.binding.expose()))
    }

    /// What shows that the mailed link came to this device.
    pub(crate) fn proof(&self, link: &str) -> pb::LinkProof {
        let binding_secret = Bytes::copy_from_slice(self.binding.expose());
        pb::LinkProof { token: token_of(link).to_owned(), binding_secret }
    }

    /// Turns the mailed link (its address, or the token alone) into a session; once.
    ///
    /// # Errors
    /// [`ClientError::Refused`] for a link that is used, expired, of another device, or none at all.
    pub async fn finish(&self, link: &str, device: &str) -> Result<Client, ClientError> {
        let request = pb::ExchangeMagicLinkRequest {
            token: token_of(link).to_owned(),
            binding_secret: Bytes::copy_from_slice(self.binding.expose()),
            client_name: device.to_owned(),
            idempotency_key: idempotency_key(),
        };
        let request = routed(token_of(link), request);
        let answer = self.client.auth().exchange_magic_link(request).await?.into_inner();
        begin(&self.client, answer.sign_in)
    }
}

/// A call whose token is in its message alone: says of which tenant it is, so that any node finds the way.
pub(crate) fn routed<T>(token: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let tenant = Token::parse(token).ok().and_then(|token| token.tenant());
    if let Some(tenant) = tenant.and_then(|tenant| tenant.to_string().parse().ok()) {
        request.metadata_mut().insert("ocmt-route", tenant);
    }
    request
}

/// The token in a link's address, or the text itself.
pub(crate) fn token_of(link: &str) -> &str {
    let link = link.trim();
    link.rsplit_once('/').map_or(link, |(_, token)| token)
}
