//! What a caller is today.

use super::Work;
use crate::{
    authorize::{FACTOR_DUE, INERT},
    caller::{Assurance, Principal},
    error::ActorError,
    tenant::{api_key, program, session_row},
};

/// What a session may call whose second factor is due. All else is refused before its handler sees it, whatever
/// that would have looked at; [`authorize`] decides on these.
const WHILE_PENDING: [&str; 9] = [
    "AuthService/WhoAmI",
    "AuthService/SignOut",
    "AuthService/CompleteMfa",
    "AuthService/BeginTotpEnrollment",
    "AuthService/ConfirmTotpEnrollment",
    "AuthService/BeginPasskeyRegistration",
    "AuthService/FinishPasskeyRegistration",
    "AuthService/BeginPasskeyAssertion",
    "AuthService/FinishPasskeyAssertion",
];

/// What a session may call that a guardian's word gave to another address, before guardians have signed for its ceremony.
const WHILE_INERT: [&str; 7] = [
    "AuthService/WhoAmI",
    "AuthService/SignOut",
    "RecoveryService/GetGuardianSet",
    "RecoveryService/OpenCeremony",
    "RecoveryService/GetCeremony",
    "RecoveryService/ListCeremonies",
    "RecoveryService/CancelCeremony",
];

/// Loads what the caller is today: the session must live, the user must be active.
pub(super) async fn stand(work: &mut Work, method: &'static str) -> Result<(), ActorError> {
    let who = match *work.standing.caller.principal() {
        Principal::User(who) => who,
        Principal::Program(acts) => {
            let authority = program::stand(work, acts, method).await?;
            work.standing.role = Some(authority.role);
            work.standing.only = authority.only;
            return Ok(());
        }
        Principal::Key(key) => return api_key::stand(work, key, method).await,
        Principal::Operator(_) | Principal::Anonymous | Principal::System => return Ok(()),
    };
    let lives = session_row::stand_of_live(work, who).await?;
    work.standing.caller.principal = Principal::User(lives.who);
    work.standing.role = Some(lives.authority.role);
    work.standing.only = lives.authority.only;
    work.standing.has_factor = lives.has_factor;
    work.standing.step_up = lives.step_up;
    if lives.who.assurance == Assurance::PendingMfa && !WHILE_PENDING.contains(&method) {
        return Err(FACTOR_DUE.into());
    }
    if lives.who.assurance == Assurance::Inert && !WHILE_INERT.contains(&method) {
        return Err(INERT.into());
    }
    Ok(())
}
