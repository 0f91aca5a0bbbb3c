//! What is decided about: an object with its owner and what ties the caller to it, all loaded from state.

use ocmt_types::{SessionId, UserId};

use super::{Allowed, GroupRole};

/// Whose an object is, loaded from state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The tenant's as a whole.
    Tenant,
    /// One user's.
    User(UserId),
    /// A group's.
    Group,
}

/// What is to be touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) owner: Owner,
    /// The caller's role in the group, or the strongest one in the groups that hold the object.
    pub(crate) through: Option<GroupRole>,
    /// The recovery session to which a released ceremony has opened this vault.
    pub(crate) released_to: Option<SessionId>,
    /// What shares that are in force now give the caller of it; none if nobody gave the caller anything of it.
    pub(crate) shared: Option<Allowed>,
}

impl Object {
    pub(crate) const TENANT: Self =
        Self { owner: Owner::Tenant, through: None, released_to: None, shared: None };

    pub(crate) fn of(user: UserId) -> Self {
        Self { owner: Owner::User(user), ..Self::TENANT }
    }
}
