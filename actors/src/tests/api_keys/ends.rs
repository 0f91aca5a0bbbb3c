//! How a key ends: by its time, with its user, with a recovery, and while its tenant is not served.

use std::time::Duration;

use ocmt_crypto::token::{Token, TokenKind};
use ocmt_store::{Filter, tables::ApiKeyRow};

use super::{DAY, ask, made, reason};
use crate::{
    api::{
        auth::{LinkPurpose, RevokeOtherSessions, SignOut},
        factors::RemoveTotp,
        keys::CreateApiKey,
        tenant::{GetTenant, TenantPolicy, UpdateTenantPolicy},
        users::{RemoveUser, Role},
    },
    tests::{
        factors::enrol,
        kit::{Kit, Person, until},
        suspension::{resume, suspend},
    },
};

/// Keys that the store has, whoever's and however old.
async fn stored(kit: &Kit, person: &Person) -> i64 {
    kit.rows(person.tenant).await.count(Filter::<ApiKeyRow>::all()).await.unwrap()
}

#[tokio::test]
async fn a_key_ends_with_its_time_and_its_row_goes() {
    for kit in [Kit::sim().await, Kit::sqlite().await] {
        let ann = kit.founder("ann@example.com").await;
        let key = made(&kit, &ann, &["tenant.read"]).await;
        kit.clock.advance(DAY - Duration::from_millis(1));
        kit.call(&key.caller, GetTenant).await.unwrap();
        kit.clock.advance(Duration::from_millis(1));
        assert_eq!(reason(kit.call(&key.caller, GetTenant).await), "UNAUTHENTICATED");
        assert_eq!(reason(kit.authenticate(key.secret()).await), "UNAUTHENTICATED");
        // the sweep is due once an hour
        kit.clock.advance(Duration::from_secs(3601));
        until("the sweep has passed", async || stored(&kit, &ann).await == 0).await;
    }
}

#[tokio::test]
async fn a_key_outlives_the_session_that_made_it_and_ends_with_its_user() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let (kept, key) = (made(&kit, &ann, &["tenant.read"]).await, made(&kit, &bob, &["tenant.read"]).await);
    kit.call(&ann.caller, RevokeOtherSessions::default()).await.unwrap();
    kit.call(&bob.caller, SignOut).await.unwrap();
    kit.call(&key.caller, GetTenant).await.unwrap();
    kit.call(&ann.caller, RemoveUser { user: bob.user }).await.unwrap();
    assert_eq!(reason(kit.call(&key.caller, GetTenant).await), "UNAUTHENTICATED");
    assert_eq!(reason(kit.authenticate(key.secret()).await), "UNAUTHENTICATED");
    assert_eq!(stored(&kit, &ann).await, 1);
    kit.call(&kept.caller, GetTenant).await.expect("another's key goes on");
}

/// Whoever ends the other sessions because somebody was in one says whether the keys go too.
#[tokio::test]
async fn keys_end_with_the_other_sessions_where_that_is_said() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let keys = [made(&kit, &bob, &["tenant.read"]).await, made(&kit, &bob, &["tenant.read"]).await];
    let of_ann = made(&kit, &ann, &["tenant.read"]).await;
    kit.sign_in(&bob, LinkPurpose::SignIn).await;
    let done = kit.call(&bob.caller, RevokeOtherSessions::default()).await.unwrap();
    assert_eq!((done.ended, done.api_keys), (1, 0));
    for key in &keys {
        kit.call(&key.caller, GetTenant).await.unwrap();
    }
    let done = kit.call(&bob.caller, RevokeOtherSessions { api_keys: true }).await.unwrap();
    assert_eq!((done.ended, done.api_keys), (0, 2));
    for key in &keys {
        assert_eq!(reason(kit.call(&key.caller, GetTenant).await), "UNAUTHENTICATED");
    }
    kit.call(&of_ann.caller, GetTenant).await.expect("another's key goes on");
}

#[tokio::test]
async fn to_the_key_of_a_suspended_tenant_that_is_said_and_to_no_other() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let key = made(&kit, &ann, &["tenant.read"]).await;
    let short = CreateApiKey { lifetime_ms: 60_000, ..ask(&["tenant.read"]) };
    let short = kit.call(&ann.caller, short).await.unwrap();
    suspend(&kit, ann.tenant).await;
    kit.clock.advance(Duration::from_secs(61));
    assert_eq!(reason(kit.call(&key.caller, GetTenant).await), "TENANT_SUSPENDED");
    assert_eq!(reason(kit.authenticate(key.secret()).await), "TENANT_SUSPENDED");
    let made_up = Token::issue(TokenKind::ApiKey, ann.tenant, &mut rand::rng());
    for other in [made_up.expose(), short.secret.expose()] {
        assert_eq!(
            reason(kit.authenticate(other).await),
            "UNAUTHENTICATED",
            "who shows no good key learns nothing"
        );
    }
    resume(&kit, ann.tenant).await;
    kit.call(&key.caller, GetTenant).await.unwrap();
}

#[tokio::test]
async fn a_tenant_that_wants_a_second_factor_takes_keys_that_were_made_with_one() {
    let kit = Kit::sim().await;
    let founder = kit.founder("ann@example.com").await;
    let before = made(&kit, &founder, &["tenant.read"]).await;
    let ann = enrol(&kit, &founder).await.person;
    let after = made(&kit, &ann, &["tenant.read"]).await;
    let info = kit.call(&before.caller, GetTenant).await.unwrap();
    let policy = TenantPolicy { require_mfa: true, ..info.policy };
    kit.call(&ann.caller, UpdateTenantPolicy { policy, version: info.version }).await.unwrap();
    assert_eq!(reason(kit.call(&before.caller, GetTenant).await), "PERMISSION_DENIED");
    kit.call(&after.caller, GetTenant).await.unwrap();
    assert_eq!(reason(kit.call(&after.caller, RemoveTotp).await), "PERMISSION_DENIED");
}
