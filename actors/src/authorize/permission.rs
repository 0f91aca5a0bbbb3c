//! What a custom role can leave out: the names of permissions, and sets of them.
//!
//! A custom role is a built-in one less some of its permissions. It never adds any, so whoever gives a role
//! must have all of it ([`Authority::covers`]). What protects a person's own cannot be left out: sessions,
//! recovery, and the veto against a stranger's recovery. Nor can what others rely on: a guardian answers, whatever
//! their role has become, or whose guardian they are could not get their vault back.

use std::collections::BTreeSet;

use super::{Action, Role, rule};

/// How an action can be left out of a role.
enum Name {
    /// It cannot.
    Kept,
    /// By this name, whoever's the object is.
    Named(&'static str),
    /// By this name, where the object is another's.
    OfOthers(&'static str),
}

/// One line for each action; an action without one does not compile.
macro_rules! names {
    ($($action:ident => $name:expr),+ $(,)?) => {
        pub(super) const ALL: &[Action] = &[$(Action::$action),+];
        const fn name(action: Action) -> Name {
            match action { $(Action::$action => $name),+ }
        }
    };
}

use Name::{Kept, Named, OfOthers};

names! {
    ReadTenant => Named("tenant.read"),
    ChangePolicy => Named("tenant.change_policy"),
    DeleteTenant => Named("tenant.delete"),
    StopDeletion => Kept,
    ListUsers => Named("user.list"),
    InviteUser => Named("user.invite"),
    SetRole => Named("user.set_role"),
    RemoveUser => Named("user.remove"),
    ListRoles => Named("role.list"),
    ChangeRoles => Named("role.change"),
    PublishIdentityKey => Kept,
    ReadIdentityKey => Named("user.read_identity"),
    ReadSelf => Kept,
    SignOut => Kept,
    FoundTenant => Named("tenant.create"),
    CompleteMfa => Kept,
    EnrolFactor => Kept,
    ChangeFactors => Kept,
    StepUp => Kept,
    ChangeAddress => Kept,
    SeeToAddress => Kept,
    ReadSessions => Kept,
    EndSessions => OfOthers("session.end"),
    CreateApiKey => Named("api_key.create"),
    SeeToApiKeys => Kept,
    QueryOwnAudit => Kept,
    ReadInbox => Kept,
    QueryTenantAudit => Named("audit.read"),
    CreateVault => Named("vault.create"),
    ReadVault => Named("vault.read"),
    WriteVault => Named("vault.write"),
    ChangeSlots => Named("vault.change_slots"),
    RotateVault => Named("vault.rotate"),
    CreateContainer => Named("container.create"),
    ReadContainer => Named("container.read"),
    UseContainer => Named("container.use"),
    EnterContainer => Named("container.enter"),
    GiveContainer => Named("container.give"),
    RemoveContainer => Named("container.remove"),
    HoldContainer => Named("container.hold"),
    ReleaseContainer => Named("container.release"),
    ReadGuardians => Kept,
    ChangeGuardians => Named("guardian.change"),
    ActAsGuardian => Kept,
    OpenCeremony => Kept,
    ReadCeremony => Kept,
    CancelCeremony => Kept,
    CollectShares => Kept,
    CompleteCeremony => Kept,
    VetoCeremony => Kept,
    CreateGroup => Named("group.create"),
    ListGroups => Named("group.list"),
    ReadGroup => Named("group.read"),
    ChangeGroup => Named("group.change"),
    LeaveGroup => Kept,
    TakeOutOfGroup => Named("group.take_out"),
    DeleteGroup => Named("group.delete"),
    PutIntoGroup => Named("group.put"),
    CheckSender => Named("pairing.check"),
    ReadPairings => Named("pairing.read"),
    ChangePairings => Named("pairing.change"),
    // of operators: no role has it
    Administer => Kept,
    GrantEntries => Named("vault.grant"),
    EndGrants => Kept,
    EndShared => Named("vault.grant"),
    ReadGranted => Named("vault.read"),
    ListGranted => Named("vault.read"),
    ReadShared => Named("vault.read"),
    ListShared => Named("vault.read"),
    WriteShared => Named("vault.write"),
    DeleteShared => Named("vault.write"),
    TakeShare => Kept,
    ReadShares => Kept,
    RequestCapability => Kept,
    DenyCapability => Kept,
    ReadRequests => Kept,
    RequestUnlock => Named("group.unlock"),
    ApproveUnlock => Named("group.unlock"),
    SeeToUnlock => Kept,
}

/// A set of permissions by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Permissions(BTreeSet<&'static str>);

impl Permissions {
    /// All that a built-in role has.
    pub(crate) fn of(role: Role) -> Self {
        let has = ALL.iter().filter(|action| rule(**action).role <= role);
        Self(has.filter_map(|action| text(*action)).collect())
    }

    /// The permissions of these names.
    ///
    /// # Errors
    /// The first name that there is not.
    pub(crate) fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        names.into_iter().map(|name| known(name).ok_or(name)).collect::<Result<_, _>>().map(Self)
    }

    /// As it was stored. Names that this program does not know allow nothing in it.
    pub(crate) fn stored(text: &str) -> Self {
        Self(text.split(' ').filter_map(known).collect())
    }

    /// As it is stored.
    pub(crate) fn to_stored(&self) -> String {
        self.names().collect::<Vec<_>>().join(" ")
    }

    /// The names, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }

    /// Whether the other set has nothing that this one has not.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.0.is_superset(&other.0)
    }

    /// Whether this name is one of them.
    pub(crate) fn have(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Whether the action has a name, and it is one of them: what needs none is not in any scope.
    pub(super) fn have_named(&self, action: Action) -> bool {
        text(action).is_some_and(|name| self.have(name))
    }

    /// Whether the action is allowed to an object that is the caller's own or not.
    pub(super) fn allow(&self, action: Action, own: bool) -> bool {
        match name(action) {
            Kept => true,
            OfOthers(_) if own => true,
            Named(name) | OfOthers(name) => self.0.contains(name),
        }
    }
}

/// What a user may do in the tenant: a built-in role, all or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    /// The built-in role.
    pub(crate) role: Role,
    /// Of a custom role: what is left of it.
    pub(crate) only: Option<Permissions>,
}

impl Authority {
    /// All of a built-in role.
    pub(crate) fn whole(role: Role) -> Self {
        Self { role, only: None }
    }

    /// Whether the other has nothing that this one has not: nobody gives or takes what they do not have.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.role >= other.role && self.permissions().covers(&other.permissions())
    }

    /// Whether the permission of this name is in it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.permissions().have(name)
    }

    /// Whether it is good for an action on the tenant itself.
    pub(crate) fn allows(&self, action: Action) -> bool {
        self.role >= rule(action).role && self.only.as_ref().is_none_or(|only| only.allow(action, false))
    }

    /// All that an owner has: what a tenant must not be without.
    pub(crate) fn is_whole_owner(&self) -> bool {
        *self == Self::whole(Role::Owner)
    }

    fn permissions(&self) -> Permissions {
        self.only.clone().unwrap_or_else(|| Permissions::of(self.role))
    }
}

pub(super) const fn text(action: Action) -> Option<&'static str> {
    match name(action) {
        Kept => None,
        Named(name) | OfOthers(name) => Some(name),
    }
}

fn known(wanted: &str) -> Option<&'static str> {
    ALL.iter().filter_map(|action| text(*action)).find(|name| *name == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 4] = [Role::Observer, Role::Member, Role::Admin, Role::Owner];

    #[test]
    fn a_stronger_role_has_all_that_a_weaker_one_has() {
        for pair in ROLES.windows(2) {
            let (less, more) = (Authority::whole(pair[0]), Authority::whole(pair[1]));
            assert!(more.covers(&less) && !less.covers(&more), "{pair:?}");
        }
    }

    #[test]
    fn names_are_made_for_machines_and_come_back_as_they_were_stored() {
        let all = Permissions::of(Role::Owner);
        assert_eq!(Permissions::stored(&all.to_stored()), all);
        assert_eq!(Permissions::named(all.names()), Ok(all.clone()));
        assert_eq!(Permissions::named(["vault.read", "vault.steal"]), Err("vault.steal"));
        assert_eq!(Permissions::stored("vault.steal"), Permissions::default());
        for name in all.names() {
            assert!(name.len() <= 64 && name.bytes().all(|b| b.is_ascii_lowercase() || b"._".contains(&b)));
        }
    }

    #[test]
    fn a_part_of_a_role_is_covered_by_who_has_that_part_alone() {
        let part = |names: &[&'static str]| Authority {
            role: Role::Admin,
            only: Permissions::named(names.iter().copied()).ok(),
        };
        let (both, one) = (part(&["user.list", "user.invite"]), part(&["user.list"]));
        assert!(both.covers(&one) && !one.covers(&both));
        assert!(!one.covers(&Authority::whole(Role::Observer)), "a whole role of a lower rank is more");
        assert!(Authority::whole(Role::Admin).covers(&both));
        assert!(!Authority { role: Role::Owner, only: Some(Permissions::of(Role::Owner)) }.is_whole_owner());
    }
}
