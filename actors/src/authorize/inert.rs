//! A session that a guardian's word gave to an address which is not the account's, before guardians have signed for its ceremony.

use super::{Action, Denied};

/// The answer to whoever wants more of it.
pub(crate) const INERT: Denied = Denied::Forbidden(
    "this session proposes one recovery, and is good for nothing else before guardians have signed for it",
);

/// What it may do: say who it is, propose, see what it proposed, give it up.
pub(super) const fn may(action: Action) -> bool {
    use Action as A;
    matches!(
        action,
        A::ReadSelf | A::SignOut | A::ReadGuardians | A::OpenCeremony | A::ReadCeremony | A::CancelCeremony
    )
}

#[cfg(test)]
mod tests {
    use ocmt_types::{IdGen, RandomIds, Timestamp};

    use super::super::{Object, Role, Standing, authorize, permission::ALL};
    use crate::caller::{Assurance, Caller, SignedIn};

    /// Whoever the owner is in the tenant, whatever is released to it by mistake.
    #[test]
    fn an_inert_session_proposes_and_does_nothing_else() {
        let ids: &dyn IdGen = &RandomIds;
        let who = SignedIn {
            user: ids.id(),
            session: ids.id(),
            assurance: Assurance::Inert,
            authenticated_at: Timestamp(0),
        };
        let caller = Caller::signed_in(ids.id(), who, ids.id(), None);
        let standing = Standing { role: Some(Role::Owner), ..Standing::unknown(caller, Timestamp(0)) };
        let released = Object { released_to: Some(who.session), ..Object::of(who.user) };
        let mut done: Vec<_> = ALL
            .iter()
            .filter(|action| authorize(&standing, **action, &released).is_ok())
            .map(|action| format!("{action:?}"))
            .collect();
        done.sort();
        let all = ["CancelCeremony", "OpenCeremony", "ReadCeremony", "ReadGuardians", "ReadSelf", "SignOut"];
        assert_eq!(done, all);
    }
}
