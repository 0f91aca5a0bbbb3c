//! A tenant that wants a second factor of everybody.

use ocmt_store::tables::Tenant;

use super::{by_mail, complete, enrol, reason, renewed};
use crate::{
    api::{
        auth::{Assurance, WhoAmI},
        factors::{RemoveTotp, SecondFactor},
        tenant::{GetTenant, TenantInfo, TenantPolicy, UpdateTenantPolicy},
        users::Role,
    },
    tests::kit::{Kit, Person},
};

async fn demand(kit: &Kit, owner: &Person) -> Result<TenantInfo, crate::ActorError> {
    let info = kit.call(&owner.caller, GetTenant).await.unwrap();
    let policy = TenantPolicy { require_mfa: true, ..info.policy };
    kit.call(&owner.caller, UpdateTenantPolicy { policy, version: info.version }).await
}

#[tokio::test]
async fn who_has_no_second_factor_can_set_one_up_and_do_nothing_else() {
    let kit = Kit::sqlite().await;
    let founder = kit.founder("ann@example.com").await;
    let bob = kit.member(&founder, "bob@example.com", Role::Member).await;
    assert_eq!(reason(demand(&kit, &founder).await), "SECOND_FACTOR_NEEDED", "who demands it shows it first");
    let ann = enrol(&kit, &founder).await;
    let mut stream = kit.system.tenant(bob.tenant).open_stream(&bob.caller, kit.deadline()).await.unwrap();
    demand(&kit, &ann.person).await.unwrap();
    // at once, in sessions of before as well
    stream.over().await;
    assert_eq!(reason(kit.call(&bob.caller, GetTenant).await), "PERMISSION_DENIED");
    let again = kit.authenticate(&bob.token).await.unwrap();
    assert!(kit.system.tenant(bob.tenant).open_stream(&again, kit.deadline()).await.is_err());
    kit.call(&ann.person.caller, GetTenant).await.expect("who has shown one goes on");
    // a sign-in, and an invitation, lead to the same
    let cy = kit.member(&ann.person, "cy@example.com", Role::Member).await;
    for person in [by_mail(&kit, &bob).await, cy] {
        let me = kit.call(&person.caller, WhoAmI).await.unwrap();
        assert_eq!((me.session.unwrap().assurance, me.factors), (Assurance::PendingMfa, vec![]));
        assert_eq!(reason(kit.call(&person.caller, GetTenant).await), "PERMISSION_DENIED");
        let set_up = enrol(&kit, &person).await;
        let me = kit.call(&set_up.person.caller, WhoAmI).await.unwrap();
        assert_eq!((me.session.unwrap().assurance, me.factors[0]), (Assurance::Mfa, SecondFactor::Totp));
        kit.call(&set_up.person.caller, GetTenant).await.unwrap();
        assert_eq!(reason(kit.call(&set_up.person.caller, RemoveTotp).await), "MFA_REQUIRED");
    }
}

#[tokio::test]
async fn a_session_of_before_is_finished_by_the_second_factor() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let plain = by_mail(&kit, &ann).await;
    let ann = enrol(&kit, &ann).await;
    kit.call(&plain.caller, GetTenant).await.unwrap();
    demand(&kit, &ann.person).await.unwrap();
    assert_eq!(reason(kit.call(&plain.caller, GetTenant).await), "PERMISSION_DENIED");
    let whole = complete(&kit, &plain.caller, ann.digits(&kit, 0)).await.unwrap();
    let whole = renewed(&kit, &plain, &whole).await;
    kit.call(&whole.caller, GetTenant).await.unwrap();
}

#[tokio::test]
async fn a_policy_that_a_newer_program_stored_is_read_and_keeps_what_is_not_known() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder("ann@example.com").await;
    let mut newer =
        serde_json::to_value(TenantPolicy { sessions_per_user: 3, ..TenantPolicy::default() }).unwrap();
    newer["of_tomorrow"] = serde_json::json!("strict");
    let own = kit.steal(ann.tenant).await;
    let mut tx = kit.store.fenced(own).await.unwrap();
    let row = tx.get::<Tenant>(()).await.unwrap().unwrap();
    tx.update(&Tenant { policy: newer.to_string().into_bytes(), ..row }).await.unwrap();
    tx.commit().await.unwrap();
    kit.store.cluster().release(own).await.unwrap();
    let _ = kit.call(&ann.caller, WhoAmI).await;
    let info = kit.call(&ann.caller, GetTenant).await.unwrap();
    assert_eq!(info.policy.sessions_per_user, 3);
    let policy = TenantPolicy { sessions_per_user: 4, ..info.policy };
    kit.call(&ann.caller, UpdateTenantPolicy { policy, version: info.version }).await.unwrap();
    let mut tx = kit.store.read(kit.steal(ann.tenant).await).await.unwrap();
    let stored = tx.get::<Tenant>(()).await.unwrap().unwrap().policy;
    let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap();
    assert_eq!((&stored["of_tomorrow"], &stored["sessions_per_user"]), (&"strict".into(), &4.into()));
}
