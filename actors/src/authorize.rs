//! The one place that decides whether a caller may do a thing to an object.
//!
//! [`Standing`] is the caller as the *stored state* knows him (session alive, role today), and
//! [`Object`] holds the owner loaded from state in the same transaction; neither is taken from the
//! request. Who may not know of an object gets NOT_FOUND, exactly as for an object that does not
//! exist: [`authorize_found`] makes both answers out of the same line.

mod group;
mod inert;
mod key;
mod object;
mod permission;
mod program;
mod reach;
mod role;
mod share;

use std::time::Duration;

use ocmt_types::Timestamp;

use crate::{
    api::shares::Permission,
    caller::{Assurance, Caller, Principal, SignedIn},
    error::ActorError,
    tenant::session_issue::PENDING_LASTS,
};

pub use group::GroupRole;
pub(crate) use inert::INERT;
#[cfg(test)]
pub(crate) use key::GIVEN as KEY_SCOPES;
pub(crate) use key::{OWN_TRAIL, scopes as scopes_of_key};
pub(crate) use object::{Object, Owner};
pub(crate) use permission::{Authority, Permissions};
pub(crate) use program::BEYOND_CEILING;
pub use role::Role;
pub(crate) use share::Allowed;

/// A caller as the stored state knows him. Made by `work::standing` in the transaction of the call.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) caller: Caller,
    /// Of a user: the role today.
    pub(crate) role: Option<Role>,
    /// Of a user with a custom role: what is left of the role.
    pub(crate) only: Option<Permissions>,
    /// Of an API key: what it was made for.
    pub(crate) scopes: Option<Permissions>,
    /// Of a user: whether the account has a second factor that counts, or one that this session has yet to show.
    pub(crate) has_factor: bool,
    /// How long ago a proof of presence may be to confirm a sensitive act, as the tenant's policy says.
    pub(crate) step_up: Duration,
    pub(crate) now: Timestamp,
}

impl Standing {
    /// Somebody of whom nothing is loaded yet.
    pub(crate) fn unknown(caller: Caller, now: Timestamp) -> Self {
        Self { caller, role: None, only: None, scopes: None, has_factor: false, step_up: Duration::ZERO, now }
    }

    /// What a user may do in the tenant.
    pub(crate) fn authority(&self) -> Option<Authority> {
        self.role.map(|role| Authority { role, only: self.only.clone() })
    }
}

/// What is to be done. One line in [`rule`] each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    ReadTenant,
    ChangePolicy,
    /// Ask for the end of the tenant.
    DeleteTenant,
    /// Stop it in time.
    StopDeletion,
    ListUsers,
    InviteUser,
    SetRole,
    RemoveUser,
    ListRoles,
    ChangeRoles,
    PublishIdentityKey,
    ReadIdentityKey,
    /// Who am I, and sign out: good for every session.
    ReadSelf,
    SignOut,
    FoundTenant,
    /// Show the second factor that is due.
    CompleteMfa,
    /// Set up a second factor.
    EnrolFactor,
    /// Take one away, or make new backup codes.
    ChangeFactors,
    StepUp,
    /// Ask for another address.
    ChangeAddress,
    /// Confirm it, see it, stop it.
    SeeToAddress,
    ReadSessions,
    EndSessions,
    CreateApiKey,
    /// See one's keys, end them.
    SeeToApiKeys,
    QueryOwnAudit,
    QueryTenantAudit,
    ReadInbox,
    CreateVault,
    ReadVault,
    WriteVault,
    ChangeSlots,
    RotateVault,
    CreateContainer,
    ReadContainer,
    /// Start, pause, stop, wake.
    UseContainer,
    /// What runs inside: its cell, its channels, its gateway.
    EnterContainer,
    /// Put it under the permissions of a group, and take it back.
    GiveContainer,
    RemoveContainer,
    /// Into quarantine.
    HoldContainer,
    /// Out of quarantine.
    ReleaseContainer,
    ReadGuardians,
    ChangeGuardians,
    ActAsGuardian,
    OpenCeremony,
    ReadCeremony,
    CancelCeremony,
    CollectShares,
    CompleteCeremony,
    VetoCeremony,
    CreateGroup,
    ListGroups,
    ReadGroup,
    ChangeGroup,
    LeaveGroup,
    TakeOutOfGroup,
    DeleteGroup,
    PutIntoGroup,
    CheckSender,
    ReadPairings,
    ChangePairings,
    /// Of operators alone: limits and suspension.
    Administer,
    /// Hand entries to a program.
    GrantEntries,
    EndGrants,
    /// What others have of an entry that was shared with the caller.
    EndShared,
    /// By a program: what was handed to it.
    ReadGranted,
    ListGranted,
    /// By somebody whom it was shared with.
    ReadShared,
    ListShared,
    /// To send what the owner's device files.
    WriteShared,
    DeleteShared,
    /// What was offered to the caller.
    TakeShare,
    /// What the caller gave and took.
    ReadShares,
    /// Ask for more than one has.
    RequestCapability,
    /// Of somebody who asks.
    DenyCapability,
    /// What one asked for, and is asked for.
    ReadRequests,
    /// Ask a group's administrators to open its vault.
    RequestUnlock,
    /// With one's own part.
    ApproveUnlock,
    /// See unlocks, refuse them, give one's own up, collect it.
    SeeToUnlock,
}

/// What a recovery session may do of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InRecovery {
    Never,
    Always,
    /// Only what a released ceremony has opened to this very session; that stands for step-up too.
    AfterRelease,
}

#[derive(Clone, Copy)]
struct Rule {
    /// Least role, to one's own objects and the tenant's.
    role: Role,
    /// Least role to do it to another user's object; none: nobody.
    others: Option<Role>,
    /// Least role in the group, to an object that is a group's or that a group holds; none: nobody by a group.
    group: Option<GroupRole>,
    /// What a share must name, to an object that was shared with the caller; none: nobody by a share.
    share: Option<Permission>,
    step_up: bool,
    recovery: InRecovery,
}

const fn r(role: Role, others: Option<Role>, step_up: bool, recovery: InRecovery) -> Rule {
    Rule { role, others, group: None, share: None, step_up, recovery }
}

const fn by_share(rule: Rule, needs: Permission) -> Rule {
    Rule { share: Some(needs), ..rule }
}

const fn in_group(rule: Rule, least: GroupRole) -> Rule {
    Rule { group: Some(least), ..rule }
}

const fn rule(action: Action) -> Rule {
    use Action as A;
    use InRecovery::{AfterRelease, Always, Never};
    match action {
        A::ReadTenant | A::ListUsers | A::ListRoles | A::ReadIdentityKey => {
            r(Role::Observer, None, false, Never)
        }
        A::ChangePolicy | A::DeleteTenant | A::SetRole | A::ChangeRoles => r(Role::Owner, None, true, Never),
        // it only keeps: whoever sees a stranger's wish shall be quick
        A::StopDeletion => r(Role::Owner, None, false, Never),
        // an invitation gives a role as much as setting one does
        A::InviteUser | A::RemoveUser => r(Role::Admin, None, true, Never),
        A::ReadSelf | A::SignOut => r(Role::Observer, None, false, Always),
        A::FoundTenant | A::CompleteMfa | A::ReadSessions | A::SeeToAddress | A::CreateVault => {
            r(Role::Observer, None, false, Never)
        }
        // an admin ends another's, by the id that the audit names
        A::SeeToApiKeys => r(Role::Observer, Some(Role::Admin), false, Never),
        A::EnrolFactor | A::ChangeFactors | A::ChangeAddress | A::CreateApiKey => {
            r(Role::Observer, None, true, Never)
        }
        A::StepUp => r(Role::Observer, None, false, AfterRelease),
        A::EndSessions => r(Role::Observer, Some(Role::Admin), false, Never),
        A::PublishIdentityKey | A::QueryOwnAudit | A::ReadInbox => r(Role::Observer, None, false, Never),
        A::QueryTenantAudit => r(Role::Admin, None, false, Never),
        // of a group's vault: who takes part in it, with this role in the group (`tenant::group_vault`)
        A::WriteVault => in_group(r(Role::Observer, None, false, Never), GroupRole::Member),
        A::ReadVault => in_group(r(Role::Observer, None, false, AfterRelease), GroupRole::Member),
        // slots are set by the completion of a ceremony, within the rotation that it finishes
        A::ChangeSlots => in_group(r(Role::Observer, None, true, Never), GroupRole::Admin),
        A::RotateVault => in_group(r(Role::Observer, None, true, AfterRelease), GroupRole::Admin),
        A::CreateContainer | A::EnterContainer | A::GiveContainer => r(Role::Member, None, false, Never),
        A::UseContainer | A::PutIntoGroup => in_group(r(Role::Member, None, false, Never), GroupRole::Member),
        A::ReadContainer => in_group(r(Role::Member, Some(Role::Admin), false, Never), GroupRole::Observer),
        A::RemoveContainer => r(Role::Member, Some(Role::Admin), true, Never),
        A::HoldContainer => r(Role::Member, Some(Role::Admin), false, Never),
        A::ReleaseContainer => r(Role::Admin, Some(Role::Admin), false, Never),
        A::ReadGuardians => r(Role::Observer, None, false, Always),
        A::ChangeGuardians => r(Role::Observer, None, true, Never),
        A::OpenCeremony | A::ReadCeremony | A::CancelCeremony | A::CollectShares | A::CompleteCeremony => {
            r(Role::Observer, None, false, Always)
        }
        A::VetoCeremony => r(Role::Observer, None, true, Never),
        A::CreateGroup => r(Role::Member, None, false, Never),
        A::ListGroups => r(Role::Observer, None, false, Never),
        A::ReadGroup => in_group(r(Role::Observer, Some(Role::Admin), false, Never), GroupRole::Observer),
        A::LeaveGroup => in_group(r(Role::Observer, None, false, Never), GroupRole::Observer),
        // who administers the tenant takes people out of groups, and brings nobody in, not even themselves
        A::TakeOutOfGroup => in_group(r(Role::Member, Some(Role::Admin), false, Never), GroupRole::Admin),
        A::DeleteGroup => in_group(r(Role::Member, Some(Role::Owner), true, Never), GroupRole::Admin),
        A::ChangeGroup | A::SeeToUnlock => in_group(r(Role::Member, None, false, Never), GroupRole::Admin),
        A::CheckSender | A::ReadPairings | A::ChangePairings => r(Role::Member, None, false, Never),
        A::GrantEntries => {
            let own = r(Role::Observer, None, true, Never);
            in_group(by_share(own, Permission::Share), GroupRole::Admin)
        }
        A::ReadShared => by_share(r(Role::Observer, None, false, Never), Permission::Read),
        A::WriteShared => by_share(r(Role::Observer, None, false, Never), Permission::Write),
        A::DeleteShared => by_share(r(Role::Observer, None, false, Never), Permission::Delete),
        A::ListShared => by_share(r(Role::Observer, None, false, Never), Permission::List),
        A::EndShared => by_share(r(Role::Observer, None, false, Never), Permission::Admin),
        A::EndGrants | A::ReadGranted | A::TakeShare | A::ReadShares => r(Role::Observer, None, false, Never),
        A::ListGranted | A::RequestCapability | A::DenyCapability | A::ReadRequests | A::ActAsGuardian => {
            r(Role::Observer, None, false, Never)
        }
        A::RequestUnlock | A::ApproveUnlock => in_group(r(Role::Member, None, true, Never), GroupRole::Admin),
        // no user does, whatever the role: decided before this is asked
        A::Administer => r(Role::Owner, None, true, Never),
    }
}

/// What a session may do whose second factor is due: show it, or set one up if there is none yet.
const fn while_pending(action: Action, has_factor: bool) -> bool {
    match action {
        Action::ReadSelf | Action::SignOut | Action::CompleteMfa => true,
        Action::EnrolFactor => !has_factor,
        _ => false,
    }
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The caller may not know whether it exists.
    NotFound,
    /// The caller is not signed in as anybody who has a role here.
    NotSignedIn,
    /// The caller may know of it and may not do this.
    Forbidden(&'static str),
    /// He may, after signing in again.
    StepUp,
}

impl From<Denied> for ActorError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NotFound => Self::NotFound,
            Denied::NotSignedIn => Self::Unauthenticated("a session is needed"),
            Denied::Forbidden(why) => Self::PermissionDenied(why),
            Denied::StepUp => Self::StepUpRequired,
        }
    }
}

/// The answer to whoever has not shown the second factor yet.
pub(crate) const FACTOR_DUE: Denied =
    Denied::Forbidden("the second factor is due: show it, or set one up, before anything else");

/// Decides. Pure; everything it looks at was loaded from state.
pub(crate) fn authorize(standing: &Standing, action: Action, object: &Object) -> Result<(), Denied> {
    match &standing.caller.principal {
        Principal::User(_) if action == Action::Administer => Err(Denied::Forbidden("that is for operators")),
        Principal::User(who) => authorize_user(standing, *who, action, object),
        // an operator administers the tenant, and sees nothing that is in it
        Principal::Operator(_) if action == Action::Administer && *object == Object::TENANT => Ok(()),
        Principal::Program(acts) => program::authorize(standing, *acts, action, object),
        Principal::Key(key) => key::authorize(standing, *key, action, object),
        // the tenant's own work asks nobody
        Principal::Operator(_) | Principal::System => Err(Denied::NotFound),
        Principal::Anonymous => Err(Denied::NotSignedIn),
    }
}

/// The same for an object that may not be there: unknown and foreign ones answer alike.
pub(crate) fn authorize_found<T>(
    standing: &Standing,
    action: Action,
    found: Option<T>,
    object: impl FnOnce(&T) -> Object,
) -> Result<T, Denied> {
    let found = found.ok_or(Denied::NotFound)?;
    authorize(standing, action, &object(&found)).map(|()| found)
}

/// For acts that want a fresh sign-in whatever the object: with the second factor, if the account has one.
pub(crate) fn require_step_up(standing: &Standing, who: SignedIn) -> Result<(), Denied> {
    let strong = match who.assurance {
        Assurance::Inert | Assurance::Recovery => false,
        Assurance::PendingMfa | Assurance::Link => !standing.has_factor,
        Assurance::Mfa => true,
    };
    let within = match who.assurance {
        // whoever has to set up a factor has the time that the unfinished sign-in lasts
        Assurance::PendingMfa => standing.step_up.max(PENDING_LASTS),
        Assurance::Inert | Assurance::Recovery | Assurance::Link | Assurance::Mfa => standing.step_up,
    };
    if !strong || standing.now.since(who.authenticated_at) > within {
        return Err(Denied::StepUp);
    }
    Ok(())
}

fn authorize_user(standing: &Standing, who: SignedIn, action: Action, object: &Object) -> Result<(), Denied> {
    let rule = rule(action);
    let Some(role) = standing.role else {
        return Err(Denied::NotSignedIn);
    };
    if who.assurance == Assurance::PendingMfa && !while_pending(action, standing.has_factor) {
        return Err(FACTOR_DUE);
    }
    if who.assurance == Assurance::Inert && !inert::may(action) {
        return Err(INERT);
    }
    reach::reaches(standing, role, who.user, &rule, object)?;
    let released = object.released_to == Some(who.session);
    if who.assurance.is_of_recovery() {
        match rule.recovery {
            InRecovery::Always => {}
            InRecovery::AfterRelease if released && who.assurance == Assurance::Recovery => return Ok(()),
            InRecovery::AfterRelease | InRecovery::Never => {
                return Err(Denied::Forbidden("a recovery session is good for ceremonies alone"));
            }
        }
    }
    let own = object.owner == Owner::User(who.user);
    if role < rule.role || standing.only.as_ref().is_some_and(|only| !only.allow(action, own)) {
        return Err(Denied::Forbidden("your role does not allow it"));
    }
    if rule.step_up { require_step_up(standing, who) } else { Ok(()) }
}
