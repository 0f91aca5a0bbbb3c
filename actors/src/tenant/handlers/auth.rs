//! Sign-in by link, sessions. Before sign-in the asker is the lobby, with what a mail carried.

use ocmt_crypto::token::{Token, TokenKind};
use ocmt_store::tables::{
    Assurance as StoredAssurance, Link, LinkPurpose as StoredPurpose, LostMailbox, Session, TenantState,
    User, UserState,
};
use ocmt_types::{Digest32, Secret, UserId};

use super::{
    super::{api_key, ceremony::agree, recovery::lost},
    factors, roles,
    session_issue::{self, Proof},
    session_row,
};
use crate::{
    api::{
        auth::{
            ConsumeLink, DescribeTo, IssueLink, IssuedLink, LinkPurpose, ListSessions, Me,
            RevokeOtherSessions, RevokeSession, SessionInfo, SessionIssued, SessionsEnded, SignOut, WhoAmI,
        },
        tenant::TenantSummary,
    },
    authorize::{Action, Object},
    env::Scope,
    error::ActorError,
    work::{Handle, Work},
};

/// One answer for every way in which a link is not good.
pub(super) const BAD_LINK: ActorError = ActorError::Unauthenticated(
    "the link is unknown, used, expired or was asked for elsewhere: ask for a new one",
);
/// Unused links that a user gets for one purpose within [`session_row::LINK_WINDOW`], and that stand side
/// by side.
const MOST_LINKS: usize = 5;

impl Handle for WhoAmI {
    async fn handle(self, work: &mut Work) -> Result<Me, ActorError> {
        let person = work.person()?;
        work.authorize(Action::ReadSelf, &Object::of(person))?;
        let (tenant, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        let user = work.tx.get::<User>(person).await?.ok_or(ActorError::NotFound)?;
        let me = Me {
            tenant: tenant.tenant_id,
            tenant_name: tenant.name,
            user: user.user_id,
            role: roles::id(user.role, user.custom_role.as_deref()),
            email: user.email,
            session: None,
            key: None,
            factors: Vec::new(),
            backup_codes_left: 0,
        };
        if let Some(who) = work.standing.caller.user() {
            let session = work.tx.get::<Session>(who.session).await?.ok_or(ActorError::NotFound)?;
            if session.assurance == StoredAssurance::Inert {
                // of the account it is told the tenant's name and the role: it shows the address that it was given for
                let lost = lost::of_session(work, person, who.session).await?.ok_or(ActorError::NotFound)?;
                let session = Some(session_row::info(&session, &policy));
                return Ok(Me { email: lost.new_email, session, ..me });
            }
            return Ok(Me {
                session: Some(session_row::info(&session, &policy)),
                factors: factors::of(work, person).await?,
                backup_codes_left: factors::backup_codes_left(work, person).await?,
                ..me
            });
        }
        Ok(Me { key: api_key::own(work).await?, ..me })
    }
}

impl Handle for ListSessions {
    async fn handle(self, work: &mut Work) -> Result<Vec<SessionInfo>, ActorError> {
        let who = work.user()?;
        work.authorize(Action::ReadSessions, &Object::of(who.user))?;
        let (_, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        let mut rows = session_row::live_of(work, who.user, &policy).await?;
        rows.sort_by_key(|row| (row.created_at, row.session_id));
        Ok(rows.iter().map(|row| session_row::info(row, &policy)).collect())
    }
}

impl Handle for RevokeSession {
    async fn handle(self, work: &mut Work) -> Result<SessionsEnded, ActorError> {
        let found = work.tx.get::<Session>(self.session).await?;
        let session = work.authorize_found(Action::EndSessions, found, |row| Object::of(row.user_id))?;
        work.object = format!("session/{}", session.session_id);
        agree::end_proposals(work, &session).await?;
        if session_row::holders(work, session.user_id).await?.contains(&session.session_id) {
            if session_row::narrow(work, session).await? {
                return Ok(SessionsEnded { ended: 1, api_keys: 0 });
            }
            return Err(ActorError::precondition(
                "CEREMONY_LIVE",
                "this session has opened a ceremony that is not over: veto the ceremony instead",
            ));
        }
        let ended = session_row::end(work, Some(session).filter(|row| row.ended_at.is_none())).await?;
        Ok(SessionsEnded { ended, api_keys: 0 })
    }
}

impl Handle for RevokeOtherSessions {
    async fn handle(self, work: &mut Work) -> Result<SessionsEnded, ActorError> {
        let who = work.user()?;
        work.authorize(Action::EndSessions, &Object::of(who.user))?;
        for session in session_row::holders(work, who.user).await? {
            if let Some(row) =
                work.tx.get::<Session>(session).await?.filter(|row| row.session_id != who.session)
            {
                agree::end_proposals(work, &row).await?;
            }
        }
        // what is open ends by veto, by a guardian or by itself, never with its session
        let mut kept = session_row::holders(work, who.user).await?;
        let mut ended = 0;
        for session in kept.iter().filter(|session| **session != who.session) {
            if let Some(row) = work.tx.get::<Session>(*session).await? {
                ended += u32::from(session_row::narrow(work, row).await?);
            }
        }
        kept.insert(who.session);
        ended += session_row::end_all(work, who.user, kept).await?;
        if self.api_keys {
            work.authorize(Action::SeeToApiKeys, &Object::of(who.user))?;
        }
        let api_keys = if self.api_keys { api_key::forget_user(work, who.user).await? } else { 0 };
        work.details.push(("api_keys".to_owned(), api_keys.to_string()));
        Ok(SessionsEnded { ended, api_keys })
    }
}

impl Handle for SignOut {
    async fn handle(self, work: &mut Work) -> Result<SessionsEnded, ActorError> {
        let who = work.user()?;
        work.authorize(Action::SignOut, &Object::of(who.user))?;
        let session = work.tx.get::<Session>(who.session).await?;
        work.object = format!("session/{}", who.session);
        let ended = session_row::end(work, session).await?;
        Ok(SessionsEnded { ended, api_keys: 0 })
    }
}

impl Handle for IssueLink {
    async fn handle(self, work: &mut Work) -> Result<Option<IssuedLink>, ActorError> {
        let found = work.tx.first::<User>(User::email.eq(&self.email)).await?;
        let Some(user) = found.filter(|user| user.state == UserState::Active) else {
            return Ok(None);
        };
        let (tenant, policy) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        if tenant.state != TenantState::Active {
            tracing::info!(tenant = %work.ownership.tenant, "no link: the tenant is not served");
            return Ok(None);
        }
        let purpose = stored(self.purpose);
        if !make_room(work, user.user_id, purpose, self.binding_hash).await? {
            tracing::info!(tenant = %work.ownership.tenant, user = %user.user_id, "no link: too many unused ones");
            return Ok(None);
        }
        let token = Token::issue(TokenKind::Link, work.ownership.tenant, &mut rand::rng());
        let link = Link {
            tenant_id: work.ownership.tenant,
            token_hash: token.hash(),
            user_id: user.user_id,
            purpose,
            binding_hash: self.binding_hash,
            created_at: work.now,
            expires_at: work.now + policy.link_ttl(),
        };
        work.tx.insert(&link).await?;
        work.object = format!("user/{}", user.user_id);
        Ok(Some(IssuedLink { tenant_name: tenant.name, token: Secret::new(token.expose().to_owned()) }))
    }
}

/// Ends the older links of the asking device and all but the newest of the others: a stranger's wish for
/// a link leaves those of the user's own devices good. `false` if too many were asked for and not used.
async fn make_room(
    work: &mut Work,
    user: UserId,
    purpose: StoredPurpose,
    device: Digest32,
) -> Result<bool, ActorError> {
    let now = work.now;
    let of = Link::user_id.eq(user).and(Link::purpose.eq(purpose));
    let links = work.tx.find::<Link>(of.desc(Link::created_at)).await?;
    if links.iter().filter(|link| link.created_at > now - session_row::LINK_WINDOW).count() >= MOST_LINKS {
        return Ok(false);
    }
    let (own, others): (Vec<_>, Vec<_>) =
        links.into_iter().filter(|link| link.expires_at > now).partition(|link| link.binding_hash == device);
    // the rows stay until the window has passed: ended links count as asked for
    for ended in own.into_iter().chain(others.into_iter().skip(MOST_LINKS - 1)) {
        work.tx.update(&Link { expires_at: now, ..ended }).await?;
    }
    Ok(true)
}

impl Handle for ConsumeLink {
    async fn look(&self, scope: &Scope) -> Result<(), ActorError> {
        let mut tx = scope.read().await?;
        if tx.get::<LostMailbox>(self.token_hash).await?.is_some() {
            return Ok(());
        }
        tx.get::<Link>(self.token_hash).await?.map(drop).ok_or(BAD_LINK)
    }

    async fn handle(self, work: &mut Work) -> Result<SessionIssued, ActorError> {
        if let Some(issued) = lost::shown(work, self.token_hash, &self.client).await? {
            return issued;
        }
        // one statement: of many that show the same link exactly one gets the row, and a link that
        // is shown from elsewhere (a mail scanner) stays good for whoever asked for it
        let good = Link::expires_at.gt(work.now).and(Link::binding_hash.eq(self.binding_hash));
        let link = work.tx.take_if::<Link>(self.token_hash, good).await?.ok_or(BAD_LINK)?;
        let user = work
            .tx
            .get::<User>(link.user_id)
            .await?
            .filter(|user| user.state == UserState::Active)
            .ok_or(BAD_LINK)?;
        let shown = match link.purpose {
            StoredPurpose::SignIn => StoredAssurance::Link,
            StoredPurpose::Recovery => StoredAssurance::Recovery,
            // the transaction is undone: the link stays good for what it is for
            StoredPurpose::StepUp => return Err(BAD_LINK),
        };
        session_issue::issue(work, &user, Proof::Of(shown), &self.client).await
    }
}

impl Handle for DescribeTo {
    async fn handle(self, work: &mut Work) -> Result<Option<TenantSummary>, ActorError> {
        let found = work.tx.first::<User>(User::email.eq(&self.email)).await?;
        let Some(user) = found.filter(|user| user.state == UserState::Active) else {
            return Ok(None);
        };
        let (tenant, _) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        let role = roles::id(user.role, user.custom_role.as_deref());
        let (id, state) = (tenant.tenant_id, tenant.state.into());
        Ok(Some(TenantSummary { id, name: tenant.name, state, role }))
    }
}

fn stored(purpose: LinkPurpose) -> StoredPurpose {
    match purpose {
        LinkPurpose::SignIn => StoredPurpose::SignIn,
        LinkPurpose::Recovery => StoredPurpose::Recovery,
        LinkPurpose::StepUp => StoredPurpose::StepUp,
    }
}
