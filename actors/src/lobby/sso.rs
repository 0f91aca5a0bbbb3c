//! Sign-in at a tenant's own provider: before it, nobody is known; afterwards the provider's word says who it is.

use ocmt_crypto::token::{Token, TokenKind};
use ocmt_types::{Digest32, RequestId, Secret, TenantId};

use crate::{
    ActorError, System,
    api::{
        auth::{Device, SessionIssued},
        sso::{BeginSso, FinishSso, SsoBegun, SsoPerson, SsoTaken, TakeState},
    },
    audit,
    call::CallMeta,
    caller::Caller,
    tenant::sso::BAD_SSO,
};

impl System {
    /// Begins a sign-in at the tenant's provider, bound to the client that asks. It is finished once, within 10 min.
    ///
    /// # Errors
    /// [`ActorError::NotFound`], the same for no tenant and no provider; [`ActorError::ResourceExhausted`].
    pub async fn begin_sso(
        &self,
        tenant: TenantId,
        binding_hash: Digest32,
        meta: &CallMeta,
        id: RequestId,
    ) -> Result<SsoBegun, ActorError> {
        let _place = self.enter_lobby()?;
        let meta = CallMeta { idempotency: None, ..meta.clone() };
        self.tenant(tenant).call(Caller::anonymous(tenant, id, None), meta, BeginSso { binding_hash }).await
    }

    /// Uses up a sign-in that was begun, for the client that began it: what the provider's code is redeemed with.
    ///
    /// # Errors
    /// [`ActorError::Unauthenticated`], the same for every way in which it is not good.
    pub async fn take_sso(
        &self,
        state: &str,
        binding_secret: &Secret<Vec<u8>>,
        meta: &CallMeta,
        id: RequestId,
    ) -> Result<SsoTaken, ActorError> {
        let token = Token::parse_kind(TokenKind::Link, state).map_err(|_| BAD_SSO)?;
        let tenant = token.tenant().ok_or(BAD_SSO)?;
        let binding_hash = audit::sha256(binding_secret.expose());
        let take = TakeState { state_hash: token.hash(), binding_hash };
        let meta = CallMeta { idempotency: None, ..meta.clone() };
        match self.tenant(tenant).call(Caller::anonymous(tenant, id, None), meta, take).await {
            Err(ActorError::NotFound) => Err(BAD_SSO),
            other => other,
        }
    }

    /// A session for who the provider of `tenant` says it is. To be called with what [`System::take_sso`] led to and
    /// with nothing else: the caller has checked the provider's word.
    ///
    /// # Errors
    /// [`ActorError::Unauthenticated`] if that is nobody's account.
    pub async fn finish_sso(
        &self,
        tenant: TenantId,
        person: SsoPerson,
        device: Device,
        meta: &CallMeta,
        id: RequestId,
    ) -> Result<SessionIssued, ActorError> {
        let meta = CallMeta { idempotency: None, ..meta.clone() };
        let caller = Caller::anonymous(tenant, id, device.addr);
        self.tenant(tenant).call(caller, meta, FinishSso { person, device }).await
    }
}
