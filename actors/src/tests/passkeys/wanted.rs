//! A tenant that wants a passkey of everybody.

use std::time::Duration;

use super::{Soft, add, ask, reason, show};
use crate::{
    ActorError,
    api::{
        auth::{Assurance, WhoAmI},
        factors::{BeginTotpEnrollment, SecondFactor},
        passkeys::{BeginPasskeyRegistration, ListPasskeys, RemovePasskey},
        tenant::{GetTenant, TenantInfo, TenantPolicy, UpdateTenantPolicy},
        users::Role,
    },
    tests::{
        api_keys::made,
        factors::{by_mail, complete, enrol, renewed, step_up},
        kit::{Kit, Person},
    },
};

async fn demand(kit: &Kit, owner: &Person) -> Result<TenantInfo, ActorError> {
    let info = kit.call(&owner.caller, GetTenant).await?;
    let policy = TenantPolicy { require_passkey: true, ..info.policy };
    kit.call(&owner.caller, UpdateTenantPolicy { policy, version: info.version }).await
}

/// The person in a session that showed a passkey of theirs just now.
async fn with_passkey(kit: &Kit, person: &Person, soft: &mut Soft) -> Person {
    add(kit, person, soft).await;
    let issued = show(kit, person, soft).await.unwrap();
    renewed(kit, person, &issued).await
}

#[tokio::test]
async fn who_demands_a_passkey_shows_one_in_that_session() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder("ann@example.com").await;
    assert_eq!(reason(demand(&kit, &ann).await), "PASSKEY_REQUIRED");
    let coded = enrol(&kit, &ann).await;
    assert_eq!(reason(demand(&kit, &coded.person).await), "PASSKEY_REQUIRED", "a code is none");
    let mut soft = Soft::new(1);
    add(&kit, &coded.person, &mut soft).await;
    assert_eq!(reason(demand(&kit, &coded.person).await), "PASSKEY_REQUIRED", "added, and not shown");
    let issued = show(&kit, &coded.person, &mut soft).await.unwrap();
    let ann = renewed(&kit, &coded.person, &issued).await;
    assert!(demand(&kit, &ann).await.unwrap().policy.require_passkey);
}

#[tokio::test]
async fn sessions_without_one_end_what_is_open_and_can_do_nothing_but_show_or_add_one() {
    let kit = Kit::sqlite().await;
    let founder = kit.founder("ann@example.com").await;
    let bob = kit.member(&founder, "bob@example.com", Role::Member).await;
    let cy = enrol(&kit, &kit.member(&founder, "cy@example.com", Role::Member).await).await;
    let mut keys = Soft::new(1);
    let ann = with_passkey(&kit, &founder, &mut keys).await;
    let mut streams = Vec::new();
    for person in [&bob, &cy.person] {
        streams
            .push(kit.system.tenant(bob.tenant).open_stream(&person.caller, kit.deadline()).await.unwrap());
    }
    let mut own = kit.system.tenant(ann.tenant).open_stream(&ann.caller, kit.deadline()).await.unwrap();
    demand(&kit, &ann).await.unwrap();
    for stream in &mut streams {
        stream.over().await;
    }
    for person in [&bob, &cy.person] {
        assert_eq!(reason(kit.call(&person.caller, GetTenant).await), "PERMISSION_DENIED");
        let again = kit.authenticate(&person.token).await.unwrap();
        assert!(kit.system.tenant(bob.tenant).open_stream(&again, kit.deadline()).await.is_err());
    }
    kit.call(&ann.caller, GetTenant).await.expect("who has shown one goes on");
    assert!(futures_util::FutureExt::now_or_never(own.over()).is_none(), "and so does what is open");
}

#[tokio::test]
async fn an_authenticator_leads_to_the_first_passkey_and_no_further() {
    let kit = Kit::sqlite().await;
    let founder = kit.founder("ann@example.com").await;
    let cy = enrol(&kit, &kit.member(&founder, "cy@example.com", Role::Member).await).await;
    let mut keys = Soft::new(1);
    let ann = with_passkey(&kit, &founder, &mut keys).await;
    demand(&kit, &ann).await.unwrap();
    // the mailbox alone adds none: the account has a factor, which is due
    let fresh = by_mail(&kit, &cy.person).await;
    let me = kit.call(&fresh.caller, WhoAmI).await.unwrap();
    assert_eq!(me.session.unwrap().assurance, Assurance::PendingMfa);
    assert_eq!(reason(kit.call(&fresh.caller, BeginTotpEnrollment).await), "PERMISSION_DENIED");
    let begun = kit.call(&fresh.caller, BeginPasskeyRegistration).await;
    assert_eq!(reason(begun.map(drop)), "PERMISSION_DENIED");
    // a code was shown: it is no passkey, and may become one
    let coded = complete(&kit, &fresh.caller, cy.digits(&kit, 1)).await.unwrap();
    assert_eq!(coded.session.assurance, Assurance::PendingMfa);
    let coded = renewed(&kit, &fresh, &coded).await;
    assert_eq!(reason(kit.call(&coded.caller, GetTenant).await), "PERMISSION_DENIED");
    assert_eq!(reason(demand(&kit, &coded).await), "PERMISSION_DENIED");
    assert_eq!(
        reason(kit.call(&coded.caller, BeginTotpEnrollment).await),
        "PERMISSION_DENIED",
        "it adds no code"
    );
    let session = kit.call(&coded.caller, WhoAmI).await.unwrap().session.unwrap();
    assert!(session.expires_at.since(session.created_at) <= Duration::from_secs(600), "and lasts as before");
    let mut soft = Soft::new(2);
    add(&kit, &coded, &mut soft).await;
    assert_eq!(reason(kit.call(&coded.caller, GetTenant).await), "PERMISSION_DENIED", "added, and not shown");
    let whole = show(&kit, &coded, &mut soft).await.unwrap();
    assert_eq!((whole.session.assurance, whole.pending_factors.len()), (Assurance::Mfa, 0));
    assert!(whole.session.expires_at.since(whole.session.created_at) > Duration::from_secs(3600));
    let whole = renewed(&kit, &coded, &whole).await;
    kit.call(&whole.caller, GetTenant).await.unwrap();
    // from now on the code is worth nothing
    let next = by_mail(&kit, &cy.person).await;
    assert_eq!(
        kit.call(&next.caller, WhoAmI).await.unwrap().factors,
        [SecondFactor::Passkey, SecondFactor::BackupCode]
    );
    let refused = complete(&kit, &next.caller, cy.digits(&kit, 2)).await;
    assert_eq!(reason(refused.map(drop)), "PASSKEY_REQUIRED");
    let refused = step_up(&kit, &whole.caller, cy.digits(&kit, 2)).await;
    assert_eq!(reason(refused.map(drop)), "PASSKEY_REQUIRED", "nor to confirm a sensitive act");
    let refused = step_up(&kit, &whole.caller, cy.paper(0)).await;
    assert_eq!(reason(refused.map(drop)), "PASSKEY_REQUIRED", "and neither does a backup code");
    // and the last passkey stays
    let listed = kit.call(&whole.caller, ListPasskeys).await.unwrap();
    let remove = RemovePasskey { passkey: listed[0].id };
    assert_eq!(reason(kit.call(&whole.caller, remove).await.map(drop)), "PASSKEY_REQUIRED");
}

#[tokio::test]
async fn a_lost_passkey_is_replaced_by_way_of_a_backup_code() {
    let kit = Kit::sqlite().await;
    let founder = enrol(&kit, &kit.founder("ann@example.com").await).await;
    let mut lost = Soft::new(1);
    let ann = with_passkey(&kit, &founder.person, &mut lost).await;
    demand(&kit, &ann).await.unwrap();
    let fresh = by_mail(&kit, &ann).await;
    let coded = complete(&kit, &fresh.caller, founder.paper(0)).await.unwrap();
    assert_eq!(coded.session.assurance, Assurance::PendingMfa, "it stands in for no passkey");
    let coded = renewed(&kit, &fresh, &coded).await;
    assert_eq!(reason(kit.call(&coded.caller, GetTenant).await), "PERMISSION_DENIED");
    let mut found = Soft::new(3);
    add(&kit, &coded, &mut found).await;
    ask(&kit, &coded).await.unwrap();
    let whole = show(&kit, &coded, &mut found).await.unwrap();
    let whole = renewed(&kit, &coded, &whole).await;
    kit.call(&whole.caller, GetTenant).await.unwrap();
}

#[tokio::test]
async fn api_keys_are_good_that_were_made_in_a_session_that_showed_one() {
    let kit = Kit::sim().await;
    let coded = enrol(&kit, &kit.founder("ann@example.com").await).await.person;
    let before = made(&kit, &coded, &["tenant.read"]).await;
    let ann = with_passkey(&kit, &coded, &mut Soft::new(1)).await;
    let after = made(&kit, &ann, &["tenant.read"]).await;
    demand(&kit, &ann).await.unwrap();
    assert_eq!(reason(kit.call(&before.caller, GetTenant).await), "PERMISSION_DENIED");
    kit.call(&after.caller, GetTenant).await.unwrap();
}
