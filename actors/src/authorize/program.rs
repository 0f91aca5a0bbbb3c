//! What a program may do: what is on one list, to what is its user's, while its user may.

use super::{Action, Denied, Object, Owner, Standing, rule};
use crate::caller::Program;

/// All that a program's token is good for.
const OF_PROGRAMS: [Action; 6] = [
    Action::CheckSender,
    Action::ReadGranted,
    Action::ListGranted,
    Action::RequestCapability,
    Action::ReadRequests,
    // one version of what was approved
    Action::WriteShared,
];

/// The one answer to all that is more.
pub(crate) const BEYOND_CEILING: Denied = Denied::Forbidden(
    "a program reads and lists what was handed to it, and asks for more, to write one version too: all else is for people",
);

/// A program does what is on the list, to what is its user's, while its user may.
pub(super) fn authorize(
    standing: &Standing,
    program: Program,
    action: Action,
    object: &Object,
) -> Result<(), Denied> {
    let Some(role) = standing.role else {
        return Err(Denied::NotSignedIn);
    };
    match object.owner {
        Owner::User(owner) if owner == program.user => {}
        Owner::Tenant => {}
        Owner::User(_) | Owner::Group => return Err(Denied::NotFound),
    }
    if !OF_PROGRAMS.contains(&action) {
        return Err(BEYOND_CEILING);
    }
    if role < rule(action).role || standing.only.as_ref().is_some_and(|only| !only.allow(action, true)) {
        return Err(Denied::Forbidden("the role of the program's user does not allow it"));
    }
    Ok(())
}
