//! What an API key may do: what its user may, as far as its scopes go, and nothing that asks for presence.

use super::{Action, Denied, Object, Owner, Permissions, Standing, reach, rule};
use crate::caller::Key;

/// What a key can be made for. Not what gives rights away, what makes or changes credentials, nor what enters a
/// container: for these somebody is there.
pub(crate) const GIVEN: [&str; 14] = [
    "audit.read",
    "container.create",
    "container.hold",
    "container.read",
    "container.use",
    "group.list",
    "group.read",
    "pairing.check",
    "pairing.read",
    "role.list",
    "tenant.read",
    "user.list",
    "user.read_identity",
    "vault.read",
];

/// The scopes of these names.
///
/// # Errors
/// The first name that no key can be made for.
pub(crate) fn scopes<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Permissions, &'a str> {
    let given = |name: &'a str| if GIVEN.contains(&name) { Ok(name) } else { Err(name) };
    let names: Vec<_> = names.into_iter().map(given).collect::<Result<_, _>>()?;
    Permissions::named(names)
}

/// A scope that whoever has no such permission has use for: one's own trail is everybody's to read.
pub(crate) const OWN_TRAIL: &str = "audit.read";

/// Decides. Ownership comes first: what is another's is not there, whatever the scopes.
pub(super) fn authorize(
    standing: &Standing,
    key: Key,
    action: Action,
    object: &Object,
) -> Result<(), Denied> {
    let rule = rule(action);
    let Some(role) = standing.role else {
        return Err(Denied::NotSignedIn);
    };
    reach::reaches(standing, role, key.user, &rule, object)?;
    let own = object.owner == Owner::User(key.user);
    if role < rule.role || standing.only.as_ref().is_some_and(|only| !only.allow(action, own)) {
        return Err(Denied::Forbidden("the role of the key's user does not allow it"));
    }
    if rule.step_up || action == Action::Administer {
        return Err(Denied::Forbidden("this asks for somebody who is there: no API key is good for it"));
    }
    let within = |scopes: &Permissions| match action {
        Action::ReadSelf => true,
        Action::QueryOwnAudit => scopes.have(OWN_TRAIL),
        _ => scopes.have_named(action),
    };
    if standing.scopes.as_ref().is_some_and(within) {
        Ok(())
    } else {
        Err(Denied::Forbidden("the scopes of the API key do not allow it"))
    }
}

#[cfg(test)]
mod tests {
    use ocmt_types::{IdGen, RandomIds, Timestamp};

    use super::{
        super::{
            Role,
            permission::{ALL, text},
        },
        *,
    };
    use crate::caller::Caller;

    #[test]
    fn every_scope_is_a_permission_and_none_is_for_who_has_to_be_there() {
        assert!(GIVEN.is_sorted());
        for scope in GIVEN {
            assert!(scopes([scope]).is_ok(), "{scope}");
            let opens: Vec<_> = ALL.iter().filter(|action| text(**action) == Some(scope)).collect();
            assert!(
                !opens.is_empty() && opens.iter().all(|action| !rule(**action).step_up),
                "{scope}: {opens:?}"
            );
        }
        // of the permissions that a key is not made for, the first that was named is told
        assert_eq!(scopes(["vault.read", "vault.write", "user.invite"]), Err("vault.write"));
        assert_eq!(scopes(["vault.read", "nothing.of_ours"]), Err("nothing.of_ours"));
    }

    /// Even if it was made for everything that an owner may: what is not on the list of methods is refused here too.
    #[test]
    fn no_key_does_what_asks_for_presence_or_protects_a_persons_own() {
        let ids: &dyn IdGen = &RandomIds;
        let key = Key { key: ids.id(), user: ids.id() };
        let caller = Caller::of_key(ids.id(), key, ids.id(), None);
        let scopes = Some(Permissions::of(Role::Owner));
        let standing =
            Standing { role: Some(Role::Owner), scopes, ..Standing::unknown(caller, Timestamp(0)) };
        for action in ALL {
            let done = super::super::authorize(&standing, *action, &Object::of(key.user)).is_ok();
            let kept = text(*action).is_none() && !matches!(action, Action::ReadSelf | Action::QueryOwnAudit);
            assert_eq!(done, !rule(*action).step_up && !kept, "{action:?}");
        }
    }
}
