//! Whose an object must be, before anything else is asked. It is the same for a user and for a key of his.

use ocmt_types::UserId;

use super::{Action, Denied, Object, Owner, Permissions, Role, Rule, Standing};

/// Refuses what is another's, unless the rule lets this role, a group or a share reach it.
pub(super) fn reaches(
    standing: &Standing,
    role: Role,
    user: UserId,
    rule: &Rule,
    object: &Object,
) -> Result<(), Denied> {
    match object.owner {
        Owner::Tenant => {}
        Owner::User(owner) if owner == user => {}
        Owner::User(_) | Owner::Group => {
            let by_group = rule.group.is_some_and(|least| object.through >= Some(least));
            let by_share = rule.share.zip(object.shared).is_some_and(|(needs, shared)| shared.has(needs));
            if !by_group && !by_share && rule.others.is_none_or(|least| role < least) {
                return Err(if object.shared.is_some() {
                    Denied::Forbidden("what was shared with you does not allow it")
                } else if may_know(standing, role, object) {
                    Denied::Forbidden("your role in the group does not allow it")
                } else {
                    Denied::NotFound
                });
            }
        }
    }
    Ok(())
}

/// Whether a caller who may not do this to somebody else's object may know that it is there.
fn may_know(standing: &Standing, role: Role, object: &Object) -> bool {
    let reads = |only: &Permissions| only.allow(Action::ReadGroup, false);
    object.through.is_some()
        || (object.owner == Owner::Group && role >= Role::Admin && standing.only.as_ref().is_none_or(reads))
}
