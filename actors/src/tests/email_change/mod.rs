//! Another address for an account: asked for, confirmed, stopped, come to count.

mod forbidden;
mod links;
mod nodes;
mod takes_effect;

use std::time::Duration;

use ocmt_types::Secret;

use super::kit::{Kit, Person, until};
use crate::{
    ActorError, SystemConfig,
    api::{
        auth::{LinkPurpose, WhoAmI},
        email_change::{
            ConfirmEmailChange, EmailChangeConfirmed, GetEmailChange, PendingEmailChange, RequestEmailChange,
        },
    },
    tenant::TenantMessage,
};

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
pub(super) const OLD: &str = "ann@example.com";
pub(super) const NEW: &str = "ann@new.example";

/// A delay that sessions outlive.
pub(super) const SHORT: Duration = Duration::from_secs(1800);
pub(super) fn short(config: &mut SystemConfig) {
    config.policy.email_change_delay_ms = 1_800_000;
}

/// Asks for another address; the token that comes there.
pub(in crate::tests) async fn asked(kit: &Kit, who: &Person, new: &str) -> String {
    let to = new.to_lowercase();
    let n = kit.mailbox.count(&to);
    kit.call(&who.caller, RequestEmailChange { new_email: new.to_owned() }).await.unwrap();
    let mail = kit.mailbox.token_after(&to, n).await;
    assert_eq!(mail.kind, "email_change");
    mail.tokens[0].1.clone()
}

pub(in crate::tests) async fn confirm(
    kit: &Kit,
    who: &Person,
    token: &str,
) -> Result<EmailChangeConfirmed, ActorError> {
    kit.call(&who.caller, ConfirmEmailChange { token: Secret::new(token.to_owned()) }).await
}

/// Asked for and confirmed.
pub(in crate::tests) async fn confirmed(kit: &Kit, who: &Person, new: &str) {
    let token = asked(kit, who, new).await;
    confirm(kit, who, &token).await.unwrap();
}

pub(in crate::tests) async fn under_way(kit: &Kit, who: &Person) -> Option<PendingEmailChange> {
    kit.call(&who.caller, GetEmailChange).await.unwrap()
}

/// Tenants in which an address is listed.
pub(super) async fn listed(kit: &Kit, email: &str) -> usize {
    kit.store.directory().addresses(email).await.unwrap().len()
}

/// Time passes, and the tenant looks at its timers.
pub(super) async fn pass(kit: &Kit, who: &Person, time: Duration) {
    kit.clock.advance(time);
    kit.system.send(who.tenant, TenantMessage::TimerDue);
}

/// Time passes and changes nothing: the tenant has looked at its timers, and the address is what it was.
pub(super) async fn stays(kit: &Kit, who: &Person, time: Duration) {
    pass(kit, who, time).await;
    // signing in goes through the lane behind the look
    let again = kit.sign_in(who, LinkPurpose::SignIn).await;
    assert_eq!(kit.call(&again.caller, WhoAmI).await.unwrap().email, who.email);
    assert_eq!((listed(kit, OLD).await, listed(kit, NEW).await), (1, 0));
}

/// Time passes, and the new address is the account's.
pub(super) async fn comes_to_count(kit: &Kit, who: &Person, time: Duration) -> Person {
    pass(kit, who, time).await;
    until("the new address is listed", async || listed(kit, NEW).await == 1).await;
    Person { email: NEW.to_owned(), ..who.clone() }
}
