//! Invitations, roles, removal, identity keys.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_store::tables::{User, UserRole};
use ocmt_types::Secret;

use super::kit::Kit;
use crate::{
    ActorError,
    api::{
        audit::QueryAudit,
        auth::{Device, LinkPurpose, WhoAmI},
        tenant::{GetTenant, TenantPolicy, UpdateTenantPolicy},
        users::{
            AcceptInvite, GetIdentityKey, InviteUser, ListUsers, PublishIdentityKey, RemoveUser, Role,
            SetRole,
        },
    },
};

#[tokio::test]
async fn an_invitation_works_once_and_the_newer_ends_the_older() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let invite = || InviteUser { email: "Bob@Example.com".into(), role: Role::Member.into() };
    kit.call(&ann.caller, invite()).await.unwrap();
    kit.call(&ann.caller, invite()).await.unwrap();
    let older = kit.mailbox.nth("bob@example.com", 0).await.tokens[0].1.clone();
    let newer = kit.mailbox.nth("bob@example.com", 1).await.tokens[0].1.clone();
    let accept = |token: &str| {
        let request = AcceptInvite { token: Secret::new(token.to_owned()), device: Device::default() };
        async { kit.system.accept_invite(request, &kit.meta(), kit.request()).await }
    };
    assert_eq!(accept(&older).await.err().unwrap().reason(), "UNAUTHENTICATED");
    let results = join_all((0..10).map(|_| accept(&newer))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(kit.call(&ann.caller, ListUsers::default()).await.unwrap().users.len(), 2);
    assert_eq!(kit.call(&ann.caller, invite()).await.unwrap_err().reason(), "ALREADY_EXISTS");
}

#[tokio::test]
async fn an_invitation_lapses() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    kit.call(&ann.caller, InviteUser { email: "bob@example.com".into(), role: Role::Member.into() })
        .await
        .unwrap();
    let token = kit.mailbox.nth("bob@example.com", 0).await.tokens[0].1.clone();
    kit.clock.advance(Duration::from_secs(7 * 24 * 3600));
    let request = AcceptInvite { token: Secret::new(token), device: Device::default() };
    assert!(kit.system.accept_invite(request, &kit.meta(), kit.request()).await.is_err());
}

#[tokio::test]
async fn nobody_raises_anybody_above_themselves() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let admin = kit.member(&ann, "admin@example.com", Role::Admin).await;
    let member = kit.member(&ann, "member@example.com", Role::Member).await;
    let invite = |role: Role| InviteUser { email: "new@example.com".into(), role: role.into() };
    assert_eq!(kit.call(&admin.caller, invite(Role::Owner)).await.unwrap_err().reason(), "PERMISSION_DENIED");
    kit.call(&admin.caller, invite(Role::Admin)).await.unwrap();
    assert_eq!(
        kit.call(&member.caller, invite(Role::Observer)).await.unwrap_err().reason(),
        "PERMISSION_DENIED"
    );
    for who in [&admin, &member] {
        let raise = SetRole { user: who.user, role: Role::Owner.into() };
        assert_eq!(kit.call(&who.caller, raise).await.unwrap_err().reason(), "PERMISSION_DENIED");
    }
    assert_eq!(
        kit.call(&admin.caller, RemoveUser { user: ann.user }).await.unwrap_err().reason(),
        "PERMISSION_DENIED"
    );
}

#[tokio::test]
async fn a_tenant_never_loses_its_last_owner() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let lower = SetRole { user: ann.user, role: Role::Admin.into() };
    assert_eq!(kit.call(&ann.caller, lower.clone()).await.unwrap_err().reason(), "LAST_OWNER");
    assert_eq!(
        kit.call(&ann.caller, RemoveUser { user: ann.user }).await.unwrap_err().reason(),
        "LAST_OWNER"
    );
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    kit.call(&ann.caller, SetRole { user: bob.user, role: Role::Owner.into() }).await.unwrap();
    // both go at once: one stays
    let (one, two) = futures_util::join!(
        kit.call(&ann.caller, lower),
        kit.call(&bob.caller, SetRole { user: bob.user, role: Role::Member.into() })
    );
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1);
}

#[tokio::test]
async fn a_removed_user_is_out_at_once_and_the_address_is_free() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let mut stream = kit.system.tenant(bob.tenant).open_stream(&bob.caller, kit.deadline()).await.unwrap();
    kit.call(&ann.caller, RemoveUser { user: bob.user }).await.unwrap();
    stream.over().await;
    assert!(kit.authenticate(&bob.token).await.is_err());
    assert!(kit.call(&bob.caller, WhoAmI).await.is_err());
    assert_eq!(
        kit.call(&ann.caller, GetIdentityKey { user: bob.user }).await.unwrap_err().reason(),
        "NOT_FOUND"
    );
    let again = kit.member(&ann, "bob@example.com", Role::Observer).await;
    assert_ne!(again.user, bob.user, "another user, with nothing of the first");
    assert_eq!(kit.sign_in(&again, LinkPurpose::SignIn).await.user, again.user);
}

#[tokio::test]
async fn identity_keys_are_published_and_read_by_members() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Observer).await;
    assert_eq!(
        kit.call(&bob.caller, GetIdentityKey { user: ann.user }).await.unwrap_err().reason(),
        "NOT_FOUND"
    );
    kit.call(&ann.caller, PublishIdentityKey { verify_key: [1; 32], seal_key: [2; 32] }).await.unwrap();
    let key = kit.call(&bob.caller, GetIdentityKey { user: ann.user }).await.unwrap();
    assert_eq!((key.verify_key, key.seal_key, key.version), ([1; 32], [2; 32], 1));
    kit.call(&ann.caller, PublishIdentityKey { verify_key: [3; 32], seal_key: [4; 32] }).await.unwrap();
    assert_eq!(kit.call(&bob.caller, GetIdentityKey { user: ann.user }).await.unwrap().version, 2);
}

#[tokio::test]
async fn who_lost_authority_does_not_come_back_through_an_invitation() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    for (n, fall) in ["removed", "lowered"].into_iter().enumerate() {
        let admin = kit.member(&ann, &format!("admin{n}@example.com"), Role::Admin).await;
        let invite = InviteUser { email: format!("back{n}@example.com"), role: Role::Admin.into() };
        kit.call(&admin.caller, invite).await.unwrap();
        let token = kit.mailbox.nth(&format!("back{n}@example.com"), 0).await.tokens[0].1.clone();
        if fall == "removed" {
            kit.call(&ann.caller, RemoveUser { user: admin.user }).await.unwrap();
        } else {
            kit.call(&ann.caller, SetRole { user: admin.user, role: Role::Member.into() }).await.unwrap();
        }
        let accept = AcceptInvite { token: Secret::new(token), device: Device::default() };
        let refused = kit.system.accept_invite(accept, &kit.meta(), kit.request()).await.err();
        assert_eq!(refused.as_ref().map(ActorError::reason), Some("UNAUTHENTICATED"), "{fall}");
    }
}

#[tokio::test]
async fn an_invitation_is_good_for_what_its_author_may_still_give() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let admin = kit.member(&ann, "admin@example.com", Role::Admin).await;
    let invite = InviteUser { email: "back@example.com".into(), role: Role::Admin.into() };
    kit.call(&admin.caller, invite).await.unwrap();
    let token = kit.mailbox.nth("back@example.com", 0).await.tokens[0].1.clone();
    // lowered by a version of this program that kept the invitation
    let mut tx = kit.store.fenced(kit.steal(ann.tenant).await).await.unwrap();
    let row = tx.get::<User>(admin.user).await.unwrap().unwrap();
    tx.update(&User { role: UserRole::Observer, ..row }).await.unwrap();
    tx.commit().await.unwrap();
    let _ = kit.call(&ann.caller, WhoAmI).await;
    let accept = AcceptInvite { token: Secret::new(token), device: Device::default() };
    let refused = kit.system.accept_invite(accept, &kit.meta(), kit.request()).await.err();
    assert_eq!(refused.as_ref().map(ActorError::reason), Some("UNAUTHENTICATED"));
}

#[tokio::test]
async fn a_published_identity_key_is_replaced_after_a_fresh_sign_in_alone() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    kit.clock.advance(Duration::from_secs(901));
    let publish = |n| PublishIdentityKey { verify_key: [n; 32], seal_key: [n; 32] };
    kit.call(&ann.caller, publish(1)).await.expect("the first one");
    assert_eq!(kit.call(&ann.caller, publish(2)).await.unwrap_err(), ActorError::StepUpRequired);
    assert_eq!(kit.call(&ann.caller, publish(1)).await.unwrap().version, 1, "the same is no change");
    let fresh = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    assert_eq!(kit.call(&fresh.caller, publish(2)).await.unwrap().version, 2);
    let recovery = kit.sign_in(&ann, LinkPurpose::Recovery).await;
    assert_eq!(kit.call(&recovery.caller, publish(3)).await.unwrap_err().reason(), "PERMISSION_DENIED");
}

#[tokio::test]
async fn users_come_in_pages() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    for n in 0..4 {
        kit.member(&ann, &format!("user{n}@example.com"), Role::Member).await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = kit.call(&ann.caller, ListUsers { after, limit: 2 }).await.unwrap();
        seen.extend(page.users.iter().map(|user| user.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn the_audit_says_who_was_given_what_and_what_the_policy_became() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    kit.call(&ann.caller, SetRole { user: bob.user, role: Role::Admin.into() }).await.unwrap();
    let tenant = kit.call(&ann.caller, GetTenant).await.unwrap();
    let policy = TenantPolicy { sessions_per_user: 3, ..tenant.policy };
    let update = UpdateTenantPolicy { policy, version: tenant.version };
    kit.call(&ann.caller, update).await.unwrap();
    let said = async |method: &str| {
        let query =
            QueryAudit { after: None, limit: 0, method: Some(method.to_owned()), ..QueryAudit::default() };
        let records = kit.call(&ann.caller, query).await.unwrap().records;
        let mut details = records.last().unwrap().details.clone();
        // with what the session was signed in every record says
        details.retain(|(name, _)| name != "assurance");
        details
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let invited = said("UserService/InviteUser").await;
    assert_eq!(invited, [pair("role", "member"), pair("address", "bob@example.com")]);
    let joined = said("UserService/ConsumeInvite").await;
    assert!(
        joined.contains(&pair("user", &bob.user.to_string())) && joined.contains(&pair("role", "member"))
    );
    let raised = said("UserService/SetRole").await;
    assert_eq!(raised, [pair("role_before", "member"), pair("role_after", "admin")]);
    assert_eq!(said("TenantService/UpdateTenantPolicy").await, [pair("sessions_per_user", "3")]);
}
