//! Roles: which there are, what each allows, and that a tenant is never without an owner.

use ocmt_store::{
    ReadTx,
    tables::{CustomRole, Invite, User, UserRole, UserState},
};

use crate::{
    api::users::{CreateRole, DeleteRole, Done, ListRoles, Role, RoleId, RoleInfo, RolePage},
    authorize::{Action, Authority, Object, Permissions},
    error::ActorError,
    work::{Handle, Work},
};

/// Custom roles of one tenant.
const MOST_ROLES: i64 = 100;
const LONGEST_ID: usize = 64;
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 100;
const BUILT_IN: [Role; 4] = [Role::Observer, Role::Member, Role::Admin, Role::Owner];

impl Handle for CreateRole {
    async fn handle(self, work: &mut Work) -> Result<RoleInfo, ActorError> {
        work.authorize(Action::ChangeRoles, &Object::TENANT)?;
        check_id(&self.id)?;
        let named = Permissions::named(self.permissions.iter().map(String::as_str));
        let only = named.map_err(|name| {
            ActorError::invalid("permissions", format!("`{name}` is no permission: `ListRoles` shows all"))
        })?;
        let base = Authority::whole(self.base);
        let narrowed = Authority { role: self.base, only: Some(only) };
        if !base.covers(&narrowed) {
            return Err(ActorError::invalid("permissions", "has some that the base role does not have"));
        }
        covered(work, &narrowed, "nobody makes a role with more than their own")?;
        if work.tx.count::<CustomRole>(ocmt_store::Filter::all()).await? >= MOST_ROLES {
            return Err(ActorError::exhausted("TOO_MANY_ROLES", "a tenant has at most 100 custom roles"));
        }
        let row = CustomRole {
            tenant_id: work.ownership.tenant,
            role_id: self.id,
            base: self.base.into(),
            permissions: narrowed.only.map(|only| only.to_stored()).unwrap_or_default(),
            created_at: work.now,
        };
        work.tx.insert(&row).await?;
        work.object = format!("role/{}", row.role_id);
        work.details = vec![
            ("base".to_owned(), row.base.as_str().to_owned()),
            ("permissions".to_owned(), row.permissions.chars().take(500).collect()),
        ];
        Ok(info(&row))
    }
}

impl Handle for ListRoles {
    async fn handle(self, work: &mut Work) -> Result<RolePage, ActorError> {
        work.authorize(Action::ListRoles, &Object::TENANT)?;
        let limit = match usize::try_from(self.limit).unwrap_or(LARGEST_PAGE) {
            0 => PAGE,
            asked => asked.min(LARGEST_PAGE),
        };
        let custom = work.tx.find::<CustomRole>(ocmt_store::Filter::all()).await?;
        let mut roles: Vec<RoleInfo> =
            BUILT_IN.into_iter().map(built_in).chain(custom.iter().map(info)).collect();
        roles.sort_by_key(|role| role.id.to_string());
        roles.retain(|role| self.after.as_ref().is_none_or(|after| role.id.to_string() > *after));
        let more = roles.len() > limit;
        roles.truncate(limit);
        let next = roles.last().filter(|_| more).map(|role| role.id.to_string());
        Ok(RolePage { roles, next })
    }
}

impl Handle for DeleteRole {
    async fn handle(self, work: &mut Work) -> Result<Done, ActorError> {
        work.authorize(Action::ChangeRoles, &Object::TENANT)?;
        work.object = format!("role/{}", self.id);
        let found = work.tx.get::<CustomRole>(self.id.clone()).await?;
        work.authorize_found(Action::ChangeRoles, found, |_| Object::TENANT)?;
        let id = Some(self.id.clone());
        let users = work.tx.count::<User>(User::custom_role.eq(&id)).await?;
        let invites =
            work.tx.count::<Invite>(Invite::custom_role.eq(&id).and(Invite::expires_at.gt(work.now))).await?;
        if users + invites > 0 {
            return Err(ActorError::precondition(
                "ROLE_IN_USE",
                "users or open invitations have this role: give them another first",
            ));
        }
        work.tx.delete_all::<Invite>(Invite::custom_role.eq(&id)).await?;
        work.tx.delete::<CustomRole>(self.id).await?;
        Ok(Done)
    }
}

/// What a stored role allows today. A custom role that is not there allows the least.
pub(in crate::tenant) async fn authority(
    tx: &mut ReadTx,
    role: UserRole,
    custom: Option<&str>,
) -> Result<Authority, ActorError> {
    let Some(id) = custom else {
        return Ok(Authority::whole(role.into()));
    };
    let Some(row) = tx.get::<CustomRole>(id.to_owned()).await? else {
        return Ok(Authority { role: Role::Observer, only: Some(Permissions::default()) });
    };
    Ok(Authority { role: row.base.into(), only: Some(Permissions::stored(&row.permissions)) })
}

/// A role that somebody is to have: as it is stored, and what it allows.
pub(super) struct Given {
    pub(super) role: UserRole,
    pub(super) custom: Option<String>,
    pub(super) authority: Authority,
}

/// The role of this name, which the caller may give: nothing that he does not have himself.
pub(super) async fn given(work: &mut Work, role: RoleId) -> Result<Given, ActorError> {
    let given = match role {
        RoleId::BuiltIn(role) => Given { role: role.into(), custom: None, authority: Authority::whole(role) },
        RoleId::Custom(id) => {
            let row = work.tx.get::<CustomRole>(id.clone()).await?;
            let row = row.ok_or_else(|| ActorError::invalid("role_id", "is no role of this tenant"))?;
            let authority = authority(&mut work.tx, row.base, Some(&id)).await?;
            Given { role: row.base, custom: Some(id), authority }
        }
    };
    covered(work, &given.authority, "nobody gives a role with more than their own")?;
    Ok(given)
}

/// What a user of the tenant may do.
pub(in crate::tenant) async fn authority_of(work: &mut Work, user: &User) -> Result<Authority, ActorError> {
    authority(&mut work.tx, user.role, user.custom_role.as_deref()).await
}

/// Refuses unless the caller has all of it.
pub(super) fn covered(work: &Work, other: &Authority, why: &'static str) -> Result<(), ActorError> {
    match work.standing.authority() {
        Some(own) if own.covers(other) => Ok(()),
        _ => Err(ActorError::PermissionDenied(why)),
    }
}

/// A tenant always has somebody who is an owner in full. Read and written in one fenced transaction, which
/// makes all writers of a tenant come one after the other.
pub(super) async fn keep_an_owner(work: &mut Work, user: &User, stays: bool) -> Result<(), ActorError> {
    if stays || user.role != UserRole::Owner || user.custom_role.is_some() {
        return Ok(());
    }
    let whole =
        User::role.eq(UserRole::Owner).and(User::state.eq(UserState::Active)).and(User::custom_role.eq(None));
    if work.tx.count::<User>(whole).await? < 2 {
        return Err(ActorError::precondition(
            "LAST_OWNER",
            "the last owner of a tenant stays: make another user an owner first",
        ));
    }
    Ok(())
}

/// The role of a stored user or invitation by its name.
pub(in crate::tenant) fn id(role: UserRole, custom: Option<&str>) -> RoleId {
    custom.map_or_else(|| RoleId::BuiltIn(role.into()), |id| RoleId::Custom(id.to_owned()))
}

fn check_id(id: &str) -> Result<(), ActorError> {
    let mut bytes = id.bytes();
    let starts = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let goes_on =
        bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte));
    if !starts || !goes_on || id.len() > LONGEST_ID {
        return Err(ActorError::invalid("role_id", "must be a name of a-z, 0-9, '.', '_' and '-'"));
    }
    match UserRole::parse(id) {
        Some(_) => Err(ActorError::invalid("role_id", "is the name of a built-in role")),
        None => Ok(()),
    }
}

fn built_in(role: Role) -> RoleInfo {
    let permissions = Permissions::of(role).names().map(str::to_owned).collect();
    RoleInfo { id: RoleId::BuiltIn(role), base: role, permissions }
}

fn info(row: &CustomRole) -> RoleInfo {
    RoleInfo {
        id: RoleId::Custom(row.role_id.clone()),
        base: row.base.into(),
        permissions: Permissions::stored(&row.permissions).names().map(str::to_owned).collect(),
    }
}
