//! Second factors: set up, shown, taken away, demanded.

mod guesses;
mod pending;
mod policy;
mod set_up;
mod step_up;

use ocmt_crypto::totp::TotpSecret;
use ocmt_types::{Clock as _, Secret};

use super::kit::{Kit, Person};
use crate::{
    ActorError, Caller,
    api::{
        auth::{LinkPurpose, SessionIssued},
        factors::{BeginTotpEnrollment, Code, CompleteMfa, ConfirmTotpEnrollment, Presence, StepUp},
    },
};

/// Somebody with an authenticator, signed in by it.
pub(crate) struct Enrolled {
    pub(crate) person: Person,
    pub(crate) secret: TotpSecret,
    pub(crate) codes: Vec<String>,
}

impl Enrolled {
    /// What the authenticator shows so many steps from now.
    pub(crate) fn digits(&self, kit: &Kit, step: i64) -> Code {
        digits(kit, &self.secret, step)
    }

    /// A backup code.
    pub(crate) fn paper(&self, n: usize) -> Code {
        Code::Backup(Secret::new(self.codes[n].clone()))
    }
}

pub(crate) fn digits(kit: &Kit, secret: &TotpSecret, step: i64) -> Code {
    let at = ocmt_types::Timestamp(kit.clock.now().millis() + step * 30_000);
    Code::Totp(Secret::new(secret.code(at).unwrap()))
}

/// A code that is not the one of now, before or after.
pub(crate) fn wrong(kit: &Kit, secret: &TotpSecret) -> Code {
    let near: Vec<String> = (-1..=1)
        .map(|step| match digits(kit, secret, step) {
            Code::Totp(code) | Code::Backup(code) => code.expose().clone(),
        })
        .collect();
    let other = (0..).map(|n| format!("{n:06}")).find(|code| !near.contains(code)).unwrap();
    Code::Totp(Secret::new(other))
}

/// A secret as an authenticator gets it.
pub(crate) fn typed_in(base32: &Secret<String>) -> TotpSecret {
    TotpSecret::from_base32(base32.expose()).unwrap()
}

/// Sets up an authenticator in the person's session.
pub(crate) async fn enrol(kit: &Kit, person: &Person) -> Enrolled {
    let offered = kit.call(&person.caller, BeginTotpEnrollment).await.unwrap();
    let secret = typed_in(&offered.secret_base32);
    let Code::Totp(code) = digits(kit, &secret, 0) else { unreachable!() };
    let confirm = ConfirmTotpEnrollment { enrollment: offered.id, code };
    let confirmed = kit.call(&person.caller, confirm).await.unwrap();
    let person = renewed(kit, person, &confirmed.signed_in).await;
    // the step that confirmed it is used
    kit.clock.advance(std::time::Duration::from_secs(30));
    let codes = confirmed.backup_codes.iter().map(|code| code.expose().clone()).collect();
    Enrolled { person, secret, codes }
}

/// The person with the session's new token.
pub(crate) async fn renewed(kit: &Kit, person: &Person, issued: &SessionIssued) -> Person {
    let token = issued.token.expose().clone();
    Person { caller: kit.authenticate(&token).await.unwrap(), token, ..person.clone() }
}

/// Another sign-in by a link.
pub(crate) async fn by_mail(kit: &Kit, person: &Person) -> Person {
    kit.sign_in(person, LinkPurpose::SignIn).await
}

pub(crate) async fn complete(kit: &Kit, caller: &Caller, code: Code) -> Result<SessionIssued, ActorError> {
    kit.call(caller, CompleteMfa { code }).await
}

pub(crate) async fn step_up(kit: &Kit, caller: &Caller, code: Code) -> Result<SessionIssued, ActorError> {
    kit.call(caller, StepUp { proof: Presence::Code(code) }).await
}

/// Waits for the mail of a notice.
pub(crate) async fn told(kit: &Kit, email: &str, kind: &str) {
    let mut n = 0;
    while kit.mailbox.nth(email, n).await.kind != kind {
        n += 1;
    }
}

pub(crate) fn reason<T>(answer: Result<T, ActorError>) -> String {
    answer.err().map(|error| error.reason().to_owned()).unwrap_or_default()
}
