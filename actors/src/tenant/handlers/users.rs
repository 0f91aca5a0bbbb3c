//! People of the tenant: invitations, roles, removal, identity keys.

use std::time::Duration;

use ocmt_crypto::token::{Token, TokenKind};
use ocmt_store::tables::{Assurance, Invite, Link, UnlockBudget, User, UserRole, UserState};
use ocmt_types::{Secret, UserId};

use super::{
    super::{
        api_key,
        ceremony::events as ceremony_events,
        container::{lock_cells_of, schedule, snapshot},
        group, pairing, program, share,
    },
    email_change, enrol, factors,
    notices::{self, NoticeText},
    roles::{self, authority_of, covered, given, keep_an_owner},
    session_issue::{self, Proof},
    session_row, sso,
};
use crate::{
    api::{
        auth::SessionIssued,
        users::{
            ConsumeInvite, Done, GetIdentityKey, IdentityKey, InviteUser, Invited, ListUsers,
            PublishIdentityKey, RemoveUser, SetRole, UserInfo, UserPage,
        },
    },
    authorize::{Action, Object, require_step_up},
    effect::Effect,
    email,
    env::Scope,
    error::ActorError,
    ports::{Mail, MailBody},
    tenant::quota,
    work::{Handle, Work},
};

const INVITE_LASTS: Duration = Duration::from_secs(7 * 24 * 3600);
const BAD_INVITE: ActorError =
    ActorError::Unauthenticated("the invitation is unknown, used or expired: ask for a new one");
const PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 500;

impl Handle for InviteUser {
    async fn handle(self, work: &mut Work) -> Result<Invited, ActorError> {
        let who = work.user()?;
        work.authorize(Action::InviteUser, &Object::TENANT)?;
        let given = given(work, self.role).await?;
        let address = email::normalised(&self.email)?;
        if work.tx.first::<User>(User::email.eq(&address)).await?.is_some() {
            return Err(ActorError::AlreadyExists("a user with this address"));
        }
        work.tx.delete_all::<Invite>(Invite::email.eq(&address)).await?;
        quota::one_more_user(work, true).await?;
        let token = Token::issue(TokenKind::Invite, work.ownership.tenant, &mut rand::rng());
        let invite = Invite {
            tenant_id: work.ownership.tenant,
            invite_id: work.env.id(),
            token_hash: token.hash(),
            email: address.clone(),
            role: given.role,
            invited_by: who.user,
            created_at: work.now,
            expires_at: work.now + INVITE_LASTS,
            custom_role: given.custom,
        };
        work.tx.insert(&invite).await?;
        let (tenant, _) = session_row::tenant_of(&work.env, &mut work.tx).await?;
        let body = MailBody::Invite { tenant: tenant.name, token: Secret::new(token.expose().to_owned()) };
        let id = work.env.id();
        work.then(Effect::Mail(Mail { id, to: address, body }));
        work.object = format!("invite/{}", invite.invite_id);
        work.details = vec![
            ("role".to_owned(), name_of(invite.role, invite.custom_role.as_deref())),
            ("address".to_owned(), invite.email),
        ];
        Ok(Invited { invite: invite.invite_id, expires_at: invite.expires_at })
    }
}

impl Handle for ConsumeInvite {
    async fn look(&self, scope: &Scope) -> Result<(), ActorError> {
        let mut tx = scope.read().await?;
        tx.first::<Invite>(Invite::token_hash.eq(self.token_hash)).await?.map(drop).ok_or(BAD_INVITE)
    }

    async fn handle(self, work: &mut Work) -> Result<SessionIssued, ActorError> {
        let found =
            work.tx.first::<Invite>(Invite::token_hash.eq(self.token_hash)).await?.ok_or(BAD_INVITE)?;
        let alive = Invite::expires_at.gt(work.now);
        let invite = work.tx.take_if::<Invite>(found.invite_id, alive).await?.ok_or(BAD_INVITE)?;
        // an invitation is good for what its author could still give today
        let author = work.tx.get::<User>(invite.invited_by).await?;
        let author = author.filter(|user| user.state == UserState::Active).ok_or(BAD_INVITE)?;
        let authors = authority_of(work, &author).await?;
        let given = roles::authority(&mut work.tx, invite.role, invite.custom_role.as_deref()).await?;
        if !authors.covers(&given) || !authors.allows(Action::InviteUser) {
            return Err(BAD_INVITE);
        }
        // the invitation was counted; the quota may be another since
        quota::one_more_user(work, false).await?;
        let user = User {
            tenant_id: work.ownership.tenant,
            user_id: work.env.id(),
            email: invite.email,
            display_name: String::new(),
            role: invite.role,
            state: UserState::Active,
            identity_public: None,
            totp_wrapped: None,
            totp_last_step: None,
            created_at: work.now,
            passkeys: 0,
            custom_role: invite.custom_role,
        };
        work.tx.insert(&user).await?;
        work.tx.list_address(&user.email, user.user_id).await?;
        work.details = vec![
            ("user".to_owned(), user.user_id.to_string()),
            ("invite".to_owned(), invite.invite_id.to_string()),
            ("role".to_owned(), name_of(user.role, user.custom_role.as_deref())),
        ];
        session_issue::issue(work, &user, Proof::Of(Assurance::Link), &self.client).await
    }
}

impl Handle for ListUsers {
    async fn handle(self, work: &mut Work) -> Result<UserPage, ActorError> {
        work.authorize(Action::ListUsers, &Object::TENANT)?;
        let limit = if self.limit == 0 { PAGE } else { self.limit.min(LARGEST_PAGE) };
        let mut filter = User::state.eq(UserState::Active);
        if let Some(after) = self.after {
            filter = filter.and(User::user_id.gt(after));
        }
        let rows = work.tx.find::<User>(filter.limit(limit)).await?;
        let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = rows.last().filter(|_| full).map(|row| row.user_id);
        Ok(UserPage { users: rows.into_iter().map(info).collect(), next })
    }
}

impl Handle for SetRole {
    async fn handle(self, work: &mut Work) -> Result<UserInfo, ActorError> {
        let user = active(work, Action::SetRole, self.user).await?;
        let had = authority_of(work, &user).await?;
        covered(work, &had, "nobody changes the role of a user who may do more")?;
        let given = given(work, self.role).await?;
        keep_an_owner(work, &user, given.authority.is_whole_owner()).await?;
        if !given.authority.covers(&had) {
            forget_invites(work, user.user_id).await?;
            session_row::end_streams(work, user.user_id).await?;
            let role = name_of(given.role, given.custom.as_deref());
            let what = format!("your role was taken down to {role}");
            tell(work, &user, "user.role_reduced", &what).await?;
        }
        let before = name_of(user.role, user.custom_role.as_deref());
        let user = User { role: given.role, custom_role: given.custom, ..user };
        work.tx.update(&user).await?;
        let after = name_of(user.role, user.custom_role.as_deref());
        work.details = vec![("role_before".to_owned(), before), ("role_after".to_owned(), after)];
        if !given.authority.covers(&had) {
            group::lowered_in_tenant(work, user.user_id).await?;
        }
        Ok(info(user))
    }
}

impl Handle for RemoveUser {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        let user = active(work, Action::RemoveUser, self.user).await?;
        let had = authority_of(work, &user).await?;
        covered(work, &had, "nobody removes a user who may do more")?;
        keep_an_owner(work, &user, false).await?;
        session_row::end_all(work, user.user_id, None).await?;
        forget_invites(work, user.user_id).await?;
        work.tx.delete_all::<Link>(Link::user_id.eq(user.user_id)).await?;
        lock_cells_of(work, user.user_id).await?;
        group::forget_user(work, user.user_id).await?;
        pairing::forget_user(work, user.user_id).await?;
        schedule::forget_user(work, user.user_id).await?;
        snapshot::forget_user(work, user.user_id).await?;
        program::forget_user(work, user.user_id).await?;
        api_key::forget_user(work, user.user_id).await?;
        share::end_of_user(work, user.user_id).await?;
        enrol::forget(work, &user).await?;
        work.tx.delete::<UnlockBudget>(user.user_id).await?;
        ceremony_events::forget_user(work, user.user_id).await?;
        email_change::forget(work, user.user_id).await?;
        sso::forget(work, user.user_id).await?;
        work.tx.unlist_address(&user.email).await?;
        tell(work, &user, "user.removed", "your account in this tenant was removed").await?;
        // the row stays for the audit trail, and the address is free for a new user
        let email = format!("removed:{}", user.user_id);
        let (state, custom_role) = (UserState::Removed, None);
        let (totp_wrapped, totp_last_step) = (None, None);
        let gone = User { state, email, custom_role, totp_wrapped, totp_last_step, passkeys: 0, ..user };
        work.tx.update(&gone).await?;
        Ok(Done)
    }
}

impl Handle for PublishIdentityKey {
    async fn handle(self, work: &mut Work) -> Result<IdentityKey, ActorError> {
        let who = work.user()?;
        work.authorize(Action::PublishIdentityKey, &Object::of(who.user))?;
        let user = work.tx.get::<User>(who.user).await?.ok_or(ActorError::NotFound)?;
        let before = identity_of(&user);
        if let Some(before) = &before {
            if (before.verify_key, before.seal_key) == (self.verify_key, self.seal_key) {
                return Ok(before.clone());
            }
            // others seal shares to this key: who only holds a session does not replace it
            require_step_up(&work.standing, who)?;
        }
        let version = before.as_ref().map_or(0, |key| key.version) + 1;
        let key =
            IdentityKey { user: who.user, verify_key: self.verify_key, seal_key: self.seal_key, version };
        let stored = [&version.to_be_bytes()[..], &key.verify_key, &key.seal_key].concat();
        work.tx.update(&User { identity_public: Some(stored), ..user }).await?;
        work.object = format!("user/{}", who.user);
        Ok(key)
    }
}

impl Handle for GetIdentityKey {
    async fn handle(self, work: &mut Work) -> Result<IdentityKey, ActorError> {
        let user = active(work, Action::ReadIdentityKey, self.user).await?;
        identity_of(&user).ok_or(ActorError::NotFound)
    }
}

/// Whoever loses something hears of it, though nobody asked them: a stolen session takes nobody away in silence.
async fn tell(work: &mut Work, user: &User, kind: &str, what: &str) -> Result<(), ActorError> {
    let by = match work.standing.caller.user() {
        Some(who) => work.tx.get::<User>(who.user).await?.map(|user| user.email),
        None => None,
    };
    let facts = [("what", what.to_owned()), ("by", by.unwrap_or_else(|| "the platform".to_owned()))];
    let facts = facts.map(|(name, value)| (name.to_owned(), value));
    let subject = user.user_id.to_string();
    let text =
        NoticeText { user: Some(user.user_id), address: &user.email, kind, subject: &subject, facts: &facts };
    notices::write(work, text).await.map(drop)
}

/// A role as the audit names it: a custom one by its id.
fn name_of(role: UserRole, custom: Option<&str>) -> String {
    custom.unwrap_or(role.as_str()).to_owned()
}

/// An active user of this tenant, for an act on the tenant's people.
async fn active(work: &mut Work, action: Action, user: UserId) -> Result<User, ActorError> {
    // the authority first: who may not do it at all learns nothing about the id
    work.authorize(action, &Object::TENANT)?;
    work.object = format!("user/{user}");
    let found = work.tx.get::<User>(user).await?.filter(|user| user.state == UserState::Active);
    Ok(work.authorize_found(action, found, |_| Object::TENANT)?)
}

/// Who loses authority does not come back through an invitation written before.
async fn forget_invites(work: &mut Work, author: UserId) -> Result<(), ActorError> {
    work.tx.delete_all::<Invite>(Invite::invited_by.eq(author)).await?;
    Ok(())
}

/// Published keys: version (8 bytes, big-endian), Ed25519, X25519.
pub(crate) fn identity_of(user: &User) -> Option<IdentityKey> {
    let stored = user.identity_public.as_deref()?;
    let (version, rest) = stored.split_first_chunk::<8>()?;
    let (verify_key, seal_key) = rest.split_first_chunk::<32>()?;
    let seal_key = seal_key.try_into().ok()?;
    Some(IdentityKey {
        user: user.user_id,
        verify_key: *verify_key,
        seal_key,
        version: i64::from_be_bytes(*version),
    })
}

fn info(user: User) -> UserInfo {
    UserInfo {
        id: user.user_id,
        has_identity_key: user.identity_public.is_some(),
        role: roles::id(user.role, user.custom_role.as_deref()),
        has_second_factor: factors::has_one(&user),
        email: user.email,
        created_at: user.created_at,
    }
}
