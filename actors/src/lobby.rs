//! Before sign-in, and between tenants of one person: what no single tenant's actor can do alone.
//!
//! Runs in the caller's task over the directory's strict SQL. What a stranger asks for by address is
//! answered at once and alike whether the address is known or not; the work is done afterwards, at a time
//! that nobody knows, since for a known address it is more and slows down whatever else is answered meanwhile.

mod passkeys;
mod sso;

use std::time::Duration;

use ocmt_crypto::token::{Token, TokenKind};
use ocmt_store::{
    Founding, MOST_TENANTS_OF_ADDRESS,
    tables::{Assurance as StoredAssurance, Signup, Tenant, TenantState, User, UserRole, UserState},
};
use ocmt_types::{Deadline, Digest32, RequestId, Secret, TenantId, UserId};
use rand::RngExt as _;
use subtle::ConstantTimeEq as _;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    alert::Parcel,
    api::{
        auth::{
            Assurance, ConsumeLink, Device, ExchangeMagicLink, RequestMagicLink, SessionIssued, SignUp,
            WhoAmI,
        },
        tenant::{BeginFounding, CreateTenant, TenantCreated, TenantSummary},
        users::{AcceptInvite, ConsumeInvite},
    },
    audit,
    authorize::{FACTOR_DUE, Standing},
    call::CallMeta,
    caller::Caller,
    email,
    error::ActorError,
    letter::{self, LinkWanted, WhoAreYou},
    node::NodeMessage,
    policy::positive,
    ports::{Mail, MailBody},
    supervisor,
    system::System,
    tenant::{
        session_issue::{self, Proof},
        session_row,
    },
    work::Work,
};

/// One answer for every way in which a link is not good.
const BAD_LINK: ActorError = ActorError::Unauthenticated(
    "the link is unknown, used, expired or was asked for elsewhere: ask for a new one",
);
const BAD_INVITE: ActorError =
    ActorError::Unauthenticated("the invitation is unknown, used or expired: ask for a new one");

/// Work for a wish for links lasts no longer.
const LINK_WORK: Duration = Duration::from_secs(30);

impl System {
    /// Takes a sign-up and answers at once; a mail with a link follows.
    ///
    /// # Errors
    /// [`ActorError::InvalidArgument`]; [`ActorError::ResourceExhausted`] under too many strangers.
    pub fn sign_up(&self, request: SignUp) -> Result<(), ActorError> {
        let SignUp { email, tenant_name: name, binding_hash } = request;
        let (email, tenant_name) = (email::normalised(&email)?, tenant_name(&name)?);
        self.later(async move |system: System| {
            let token = Token::issue_sign_up(&mut rand::rng());
            let now = system.env.now();
            let signup = Signup {
                token_hash: token.hash(),
                email: email.clone(),
                tenant_name,
                binding_hash,
                created_at: now,
                expires_at: now + positive(system.env.policy.link_ttl_ms),
            };
            if !system.env.store.directory().put_signup(&signup).await? {
                tracing::info!("no sign-up link: too many unused ones of this address");
                return Ok(());
            }
            let token = Secret::new(token.expose().to_owned());
            system.mail(Mail { id: system.env.id(), to: email, body: MailBody::SignUp { token } });
            Ok(())
        })
    }

    /// Takes a wish for sign-in links and answers at once; one mail with a link per tenant follows
    /// if the address is known.
    ///
    /// # Errors
    /// As [`System::sign_up`].
    pub fn request_magic_link(&self, request: RequestMagicLink, id: RequestId) -> Result<(), ActorError> {
        let RequestMagicLink { email, tenant, purpose, binding_hash } = request;
        let email = email::normalised(&email)?;
        self.later(async move |system: System| {
            // the caller has its answer, and its deadline says nothing of this
            let deadline = Deadline::after(&*system.env.clock, LINK_WORK);
            let mut links = Vec::new();
            let mut entries = system.env.store.directory().addresses(&email).await?;
            entries.retain(|entry| tenant.is_none_or(|named| named == entry.tenant_id));
            for entry in entries.into_iter().take(MOST_TENANTS_OF_ADDRESS) {
                let binding_hash = binding_hash.0;
                let wanted = LinkWanted { request: id, email: email.clone(), purpose, binding_hash };
                match letter::send(&system.env, entry.tenant_id, wanted, deadline).await {
                    Ok(issued) => links.extend(issued.map(|link| (link.tenant_name, link.token))),
                    Err(error) => {
                        tracing::warn!(tenant = %entry.tenant_id, %error, "tenant gave no link");
                    }
                }
            }
            if !links.is_empty() {
                let body = MailBody::SignIn { links, purpose };
                system.mail(Mail { id: system.env.id(), to: email, body });
            }
            Ok(())
        })
    }

    /// Turns the token of a mailed link into a session; once, and from where it was asked for alone.
    ///
    /// # Errors
    /// [`ActorError::Unauthenticated`], the same for every way in which a link is not good.
    pub async fn exchange_magic_link(
        &self,
        request: ExchangeMagicLink,
        meta: &CallMeta,
        id: RequestId,
    ) -> Result<SessionIssued, ActorError> {
        let token = Token::parse(request.token.expose()).map_err(|_| BAD_LINK)?;
        if request.binding_secret.expose().len() != 32 {
            return Err(BAD_LINK);
        }
        let binding_hash = audit::sha256(request.binding_secret.expose());
        match (token.kind(), token.tenant()) {
            (TokenKind::SignUp, _) => {
                self.found_by_sign_up(token.hash(), binding_hash, request.device, id).await
            }
            (TokenKind::Link, Some(tenant)) => {
                let Device { name: client, addr } = request.device;
                let consume = ConsumeLink { token_hash: token.hash(), binding_hash, client };
                let meta = CallMeta { idempotency: None, ..meta.clone() };
                match self.tenant(tenant).call(Caller::anonymous(tenant, id, addr), meta, consume).await {
                    Err(ActorError::NotFound) => Err(BAD_LINK),
                    other => other,
                }
            }
            _ => Err(BAD_LINK),
        }
    }

    /// Accepts an invitation: makes the user and a session.
    ///
    /// # Errors
    /// [`ActorError::Unauthenticated`], the same for every way in which an invitation is not good.
    pub async fn accept_invite(
        &self,
        request: AcceptInvite,
        meta: &CallMeta,
        id: RequestId,
    ) -> Result<SessionIssued, ActorError> {
        let token = Token::parse_kind(TokenKind::Invite, request.token.expose()).map_err(|_| BAD_INVITE)?;
        let tenant = token.tenant().ok_or(BAD_INVITE)?;
        let meta = CallMeta { idempotency: None, ..meta.clone() };
        let Device { name: client, addr } = request.device;
        let consume = ConsumeInvite { token_hash: token.hash(), client };
        match self.tenant(tenant).call(Caller::anonymous(tenant, id, addr), meta, consume).await {
            Err(ActorError::NotFound) => Err(BAD_INVITE),
            other => other,
        }
    }

    /// Another tenant for a signed-in person. A repeat with the same idempotency key finds the same one.
    ///
    /// # Errors
    /// [`ActorError::InvalidArgument`], and what authority says.
    pub async fn create_tenant(
        &self,
        caller: Caller,
        meta: CallMeta,
        request: CreateTenant,
    ) -> Result<TenantCreated, ActorError> {
        let name = tenant_name(&request.name)?;
        let id = caller.request;
        let ticket = self.tenant(caller.tenant).call(caller, meta, BeginFounding).await?;
        let founding = self.founding(ticket.tenant, ticket.user, name, ticket.email, None);
        let created = TenantCreated { tenant: ticket.tenant, user: ticket.user };
        match self.env.store.directory().create_tenant(&founding).await {
            Ok(Some(tx)) => {
                let mut work = self.birth(tx, Caller::anonymous(ticket.tenant, id, None)).await?;
                audit::success(&mut work, "TenantService/CreateTenant").await?;
                work.tx.commit().await?;
                Ok(created)
            }
            // the ids are fresh random ones of this very request: it is a repeat
            Err(ocmt_store::StoreError::AlreadyExists { .. }) => Ok(created),
            Ok(None) => Err(ActorError::Internal(id)),
            Err(error) => Err(error.into()),
        }
    }

    /// The tenants of the caller's address.
    ///
    /// # Errors
    /// What authority says.
    pub async fn list_tenants(
        &self,
        caller: Caller,
        meta: CallMeta,
    ) -> Result<Vec<TenantSummary>, ActorError> {
        let (request, deadline) = (caller.request, meta.deadline);
        let me = self.tenant(caller.tenant).call(caller, meta, WhoAmI).await?;
        let Some(session) = me.session else {
            return Err(ActorError::PermissionDenied("an API key is of one tenant, and not told of others"));
        };
        match session.assurance {
            Assurance::PendingMfa => return Err(FACTOR_DUE.into()),
            Assurance::Inert | Assurance::Recovery => {
                return Err(ActorError::PermissionDenied("a recovery session is good for ceremonies alone"));
            }
            Assurance::Link | Assurance::Mfa => {}
        }
        let mut tenants = Vec::new();
        for entry in
            self.env.store.directory().addresses(&me.email).await?.into_iter().take(MOST_TENANTS_OF_ADDRESS)
        {
            let who = WhoAreYou { request, email: me.email.clone() };
            tenants.extend(letter::send(&self.env, entry.tenant_id, who, deadline).await?);
        }
        Ok(tenants)
    }

    async fn found_by_sign_up(
        &self,
        token_hash: Digest32,
        binding_hash: Digest32,
        device: Device,
        id: RequestId,
    ) -> Result<SessionIssued, ActorError> {
        let now = self.env.now();
        let directory = self.env.store.directory();
        let signup = directory
            .signup(token_hash, now)
            .await?
            .filter(|signup| signup.binding_hash.0.ct_eq(&binding_hash.0).into())
            .ok_or(BAD_LINK)?;
        let (tenant, user) = (self.env.id(), self.env.id());
        let founding = self.founding(tenant, user, signup.tenant_name, signup.email, Some(token_hash));
        let tx = match directory.create_tenant(&founding).await {
            // this node takes no tenants now, and nothing was used up: another one may found it
            Err(ocmt_store::StoreError::Fenced) => return Err(ActorError::NotOwner { owner: None }),
            founded => founded?.ok_or(BAD_LINK)?,
        };
        let mut work = self.birth(tx, Caller::anonymous(tenant, id, device.addr)).await?;
        let issued =
            session_issue::issue(&mut work, &founding.owner, Proof::Of(StoredAssurance::Link), &device.name)
                .await?;
        audit::success(&mut work, "AuthService/ExchangeMagicLink").await?;
        work.tx.commit().await?;
        Ok(issued)
    }

    fn founding(
        &self,
        tenant_id: TenantId,
        user_id: UserId,
        name: String,
        email: String,
        signup: Option<Digest32>,
    ) -> Founding {
        let now = self.env.now();
        Founding {
            tenant: Tenant {
                tenant_id,
                name,
                state: TenantState::Active,
                policy: Vec::new(),
                version: 1,
                created_at: now,
            },
            owner: User {
                tenant_id,
                user_id,
                email,
                display_name: String::new(),
                role: UserRole::Owner,
                state: UserState::Active,
                identity_public: None,
                totp_wrapped: None,
                totp_last_step: None,
                created_at: now,
                passkeys: 0,
                custom_role: None,
            },
            node_id: self.env.node,
            incarnation: self.env.incarnation,
            signup: signup.map(|token_hash| (token_hash, now)),
        }
    }

    /// The frame around the transaction in which a tenant is born.
    async fn birth(&self, tx: ocmt_store::FencedTx, caller: Caller) -> Result<Work, ActorError> {
        let tenant = caller.tenant;
        let standing = Standing::unknown(caller, self.env.now());
        let mut work = Work::around(tx, self.env.clone(), standing);
        session_row::sweep(&mut work).await?;
        work.object = format!("tenant/{tenant}");
        Ok(work)
    }

    fn mail(&self, mail: Mail) {
        let _ = self.root.cast(NodeMessage::Mail(Parcel { mail, notice: None }));
    }

    /// A place among the strangers that are worked for.
    fn enter_lobby(&self) -> Result<OwnedSemaphorePermit, ActorError> {
        self.lobby.clone().try_acquire_owned().map_err(|_| full())
    }

    /// Does work after the answer, within [`crate::Limits::lobby_spread`] and then in its turn, so that neither
    /// the answer nor the ones behind it tell what it was; bounded.
    fn later<F>(&self, work: impl FnOnce(Self) -> F) -> Result<(), ActorError>
    where
        F: Future<Output = Result<(), ActorError>> + Send + 'static,
    {
        let place = self.waiting.clone().try_acquire_owned().map_err(|_| full())?;
        let (work, turns) = (work(self.clone()), self.afterwards.clone());
        let most = u64::try_from(self.env.limits.lobby_spread.as_millis()).unwrap_or(u64::MAX);
        let wait = (most > 0).then(|| Duration::from_millis(rand::rng().random_range(0..=most)));
        supervisor::detach(async move {
            if let Some(wait) = wait {
                tokio::time::sleep(wait).await;
            }
            // it is never closed
            let Ok(_turn) = turns.acquire_owned().await else { return };
            drop(place);
            if let Err(error) = work.await {
                tracing::warn!(%error, "work before sign-in failed, its person has to ask again");
            }
        });
        Ok(())
    }
}

fn full() -> ActorError {
    ActorError::ResourceExhausted {
        reason: "LOBBY_FULL",
        why: "too many requests before sign-in".to_owned(),
        retry_after: Some(Duration::from_secs(1)),
    }
}

fn tenant_name(name: &str) -> Result<String, ActorError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.len() > 200 || name.chars().any(char::is_control)
    {
        return Err(ActorError::invalid(
            "tenant_name",
            "must have 1 to 100 characters (200 bytes), none of them a control character",
        ));
    }
    Ok(name.to_owned())
}
