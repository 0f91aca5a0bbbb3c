//! Sign-in at the tenant's own OpenID provider. What travels to the provider and back is the node's; here is what may be
//! begun, what is used up once, and whose session comes of it.
//!
//! A person of a provider is its issuer and their subject there, and nothing else. An address finds an account once,
//! where the tenant's owner has allowed that, of a user of this tenant who is no owner and whom nobody of that provider
//! has found before: who gets somebody's old address gets no account with it.

use data_encoding::BASE64URL_NOPAD;
use ocmt_crypto::{
    sealing::SealingPlace,
    token::{Token, TokenKind},
};
use ocmt_store::{
    Filter,
    tables::{Assurance, OidcIdentity, OidcLogin, OidcProvider, TenantState, User, UserRole, UserState},
};
use ocmt_types::{Digest32, Secret, UserId};
use webauthn_rs::prelude::Url;

use super::{
    enrol::tell,
    session_issue::{self, Proof},
    session_row,
};
use crate::{
    api::{
        auth::SessionIssued,
        sso::{
            BeginSso, FinishSso, GetOidcProvider, Provider, RemoveOidcProvider, SetOidcProvider, SsoBegun,
            SsoPerson, SsoTaken, TakeState,
        },
        users::Done,
    },
    audit::sha256,
    authorize::{Action, Object},
    email,
    env::Scope,
    error::ActorError,
    work::{Handle, Work},
};

/// One answer for every way in which a sign-in is not good.
pub const BAD_SSO: ActorError = ActorError::Unauthenticated(
    "the sign-in is unknown, was used, has expired, was begun elsewhere, or is nobody's here: begin again",
);
/// A sign-in is finished within this.
pub(crate) const LASTS: std::time::Duration = std::time::Duration::from_secs(10 * 60);
/// Sign-ins under way in one tenant: strangers begin them.
const MOST_UNDER_WAY: i64 = 1000;
const LONGEST: usize = 512;

impl Handle for GetOidcProvider {
    async fn handle(self, work: &mut Work) -> Result<Option<Provider>, ActorError> {
        work.authorize(Action::ReadTenant, &Object::TENANT)?;
        Ok(work.tx.get::<OidcProvider>(()).await?.as_ref().map(info))
    }
}

impl Handle for SetOidcProvider {
    async fn handle(self, work: &mut Work) -> Result<Provider, ActorError> {
        // whoever names the provider says who signs in
        work.authorize(Action::ChangePolicy, &Object::TENANT)?;
        let issuer = issuer(&self.issuer)?;
        let secret_wrapped = match &self.client_secret {
            Some(secret) => Some(wrap(work, secret.expose().as_bytes()).await?),
            None => None,
        };
        let row = OidcProvider {
            tenant_id: work.ownership.tenant,
            issuer,
            client_id: self.client_id,
            secret_wrapped,
            by_email: self.by_email,
            updated_at: work.now,
        };
        work.tx.delete_all::<OidcLogin>(Filter::all()).await?;
        match work.tx.get::<OidcProvider>(()).await? {
            Some(before) => {
                if before.issuer != row.issuer {
                    work.tx.delete_all::<OidcIdentity>(Filter::all()).await?;
                }
                work.tx.update(&row).await?;
            }
            None => work.tx.insert(&row).await?,
        }
        work.details = vec![
            ("issuer".to_owned(), row.issuer.clone()),
            ("client_id".to_owned(), row.client_id.clone()),
            ("by_email".to_owned(), row.by_email.to_string()),
        ];
        Ok(info(&row))
    }
}

impl Handle for RemoveOidcProvider {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        work.authorize(Action::ChangePolicy, &Object::TENANT)?;
        let row = work.tx.take::<OidcProvider>(()).await?.ok_or(ActorError::NotFound)?;
        work.tx.delete_all::<OidcLogin>(Filter::all()).await?;
        work.tx.delete_all::<OidcIdentity>(Filter::all()).await?;
        work.details = vec![("issuer".to_owned(), row.issuer)];
        Ok(Done)
    }
}

impl Handle for BeginSso {
    async fn look(&self, scope: &Scope) -> Result<(), ActorError> {
        let mut tx = scope.read().await?;
        tx.get::<OidcProvider>(()).await?.map(drop).ok_or(ActorError::NotFound)
    }

    async fn handle(self, work: &mut Work) -> Result<SsoBegun, ActorError> {
        let provider = work.tx.get::<OidcProvider>(()).await?.ok_or(ActorError::NotFound)?;
        let (tenant, _) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        if tenant.state != TenantState::Active {
            return Err(ActorError::NotFound);
        }
        sweep(work).await?;
        if work.tx.count::<OidcLogin>(Filter::all()).await? >= MOST_UNDER_WAY {
            return Err(ActorError::ResourceExhausted {
                reason: "LOBBY_FULL",
                why: "too many sign-ins of this tenant were begun and not finished".to_owned(),
                retry_after: Some(LASTS),
            });
        }
        let state = Token::issue(TokenKind::Link, work.ownership.tenant, &mut rand::rng());
        let row = OidcLogin {
            tenant_id: work.ownership.tenant,
            state_hash: state.hash(),
            binding_hash: self.binding_hash,
            issuer: provider.issuer.clone(),
            nonce: random(),
            verifier: random(),
            expires_at: work.now + LASTS,
        };
        work.tx.insert(&row).await?;
        Ok(SsoBegun {
            issuer: provider.issuer,
            client_id: provider.client_id,
            state: Secret::new(state.expose().to_owned()),
            nonce: row.nonce,
            verifier: Secret::new(row.verifier),
        })
    }
}

impl Handle for TakeState {
    async fn look(&self, scope: &Scope) -> Result<(), ActorError> {
        let mut tx = scope.read().await?;
        tx.get::<OidcLogin>(self.state_hash).await?.map(drop).ok_or(BAD_SSO)
    }

    /// One statement: of many who bring the same state exactly one goes on, and only where it was begun.
    async fn handle(self, work: &mut Work) -> Result<SsoTaken, ActorError> {
        let good = OidcLogin::binding_hash.eq(self.binding_hash).and(OidcLogin::expires_at.gt(work.now));
        let login = work.tx.take_if::<OidcLogin>(self.state_hash, good).await?.ok_or(BAD_SSO)?;
        let provider = work.tx.get::<OidcProvider>(()).await?;
        let provider = provider.filter(|row| row.issuer == login.issuer).ok_or(BAD_SSO)?;
        let client_secret = match &provider.secret_wrapped {
            Some(wrapped) => Some(unwrap(work, wrapped)?),
            None => None,
        };
        Ok(SsoTaken {
            tenant: work.ownership.tenant,
            issuer: provider.issuer,
            client_id: provider.client_id,
            client_secret,
            nonce: login.nonce,
            verifier: Secret::new(login.verifier),
        })
    }
}

impl Handle for FinishSso {
    async fn handle(self, work: &mut Work) -> Result<SessionIssued, ActorError> {
        let provider = work.tx.get::<OidcProvider>(()).await?;
        let provider = provider.filter(|row| row.issuer == self.person.issuer).ok_or(BAD_SSO)?;
        let user = match known(work, &self.person).await? {
            Some(user) => user,
            None => found_by_address(work, &provider, &self.person).await?,
        };
        work.object = format!("user/{}", user.user_id);
        session_issue::issue(work, &user, Proof::Of(Assurance::Link), &self.device.name).await
    }
}

/// Whose account this person has; none for somebody new.
async fn known(work: &mut Work, person: &SsoPerson) -> Result<Option<User>, ActorError> {
    let Some(row) = work.tx.get::<OidcIdentity>(hash_of(person)).await? else { return Ok(None) };
    let user = work.tx.get::<User>(row.user_id).await?;
    let user = user.filter(|user| user.state == UserState::Active).ok_or(BAD_SSO)?;
    work.tx.update(&OidcIdentity { last_used_at: work.now, ..row }).await?;
    Ok(Some(user))
}

async fn found_by_address(
    work: &mut Work,
    provider: &OidcProvider,
    person: &SsoPerson,
) -> Result<User, ActorError> {
    let address = person.verified_email.as_deref().filter(|_| provider.by_email).ok_or(BAD_SSO)?;
    let address = email::normalised(address).map_err(|_| BAD_SSO)?;
    let user = work.tx.first::<User>(User::email.eq(&address)).await?;
    let user =
        user.filter(|user| user.state == UserState::Active && user.role != UserRole::Owner).ok_or(BAD_SSO)?;
    let theirs = OidcIdentity::user_id.eq(user.user_id).and(OidcIdentity::issuer.eq(&person.issuer));
    if work.tx.count::<OidcIdentity>(theirs).await? > 0 {
        return Err(BAD_SSO);
    }
    let row = OidcIdentity {
        tenant_id: work.ownership.tenant,
        identity_hash: hash_of(person),
        user_id: user.user_id,
        issuer: person.issuer.clone(),
        subject: person.subject.clone(),
        created_at: work.now,
        last_used_at: work.now,
    };
    work.tx.insert(&row).await?;
    let what = format!("sign-in at {} was added", person.issuer);
    tell(work, &user, "factor.added", &what).await?;
    work.details = vec![("issuer".to_owned(), person.issuer.clone())];
    Ok(user)
}

/// Of a user who goes.
pub(super) async fn forget(work: &mut Work, user: UserId) -> Result<(), ActorError> {
    work.tx.delete_all::<OidcIdentity>(OidcIdentity::user_id.eq(user)).await?;
    Ok(())
}

/// Sign-ins that nobody finished.
pub(super) async fn sweep(work: &mut Work) -> Result<(), ActorError> {
    work.tx.delete_all::<OidcLogin>(OidcLogin::expires_at.le(work.now)).await?;
    Ok(())
}

/// The client's secret under the latest generation of the sealing key.
pub(in crate::tenant) fn rewrapped(work: &Work, wrapped: &[u8]) -> Result<Vec<u8>, ActorError> {
    work.env.sealing.rewrap(&place(work.ownership.tenant.as_bytes()), wrapped).map_err(|_| missing())
}

async fn wrap(work: &mut Work, secret: &[u8]) -> Result<Vec<u8>, ActorError> {
    let row = work.ownership.tenant;
    let wrapped = work.env.sealing.wrap(&place(row.as_bytes()), secret, &mut rand::rng());
    let wrapped = wrapped.map_err(|_| missing())?;
    work.check_wrapped(&wrapped).await?;
    Ok(wrapped)
}

fn unwrap(work: &Work, wrapped: &[u8]) -> Result<Secret<String>, ActorError> {
    let place = place(work.ownership.tenant.as_bytes());
    let secret = work.env.sealing.now().unwrap_secret(&place, wrapped).map_err(|_| missing())?;
    let text = std::str::from_utf8(&secret).map_err(|_| missing())?;
    Ok(Secret::new(text.to_owned()))
}

fn place(tenant: &[u8]) -> SealingPlace<'_> {
    SealingPlace { purpose: "oidc client", row: tenant }
}

fn missing() -> ActorError {
    ActorError::unavailable("SEALING_KEY", "the sealing key of this secret is missing")
}

/// An issuer as OpenID Connect Discovery, 3 has it, in the one form in which it is compared.
fn issuer(text: &str) -> Result<String, ActorError> {
    let wrong = |why: &str| ActorError::invalid("issuer", why.to_owned());
    let url = Url::parse(text).map_err(|_| wrong("is no URL"))?;
    let bare = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if url.scheme() != "https" || !url.has_host() || !bare || text.len() > LONGEST {
        return Err(wrong("must be an https URL without login, query and fragment"));
    }
    Ok(text.to_owned())
}

fn hash_of(person: &SsoPerson) -> Digest32 {
    // no URL holds a zero byte
    sha256(&[person.issuer.as_bytes(), &[0], person.subject.as_bytes()].concat())
}

fn random() -> String {
    BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>())
}

fn info(row: &OidcProvider) -> Provider {
    Provider {
        issuer: row.issuer.clone(),
        client_id: row.client_id.clone(),
        has_secret: row.secret_wrapped.is_some(),
        by_email: row.by_email,
        updated_at: row.updated_at,
    }
}
