//! Custom roles: they narrow, nobody rises by one, and a tenant stays somebody's.

use super::kit::{Kit, Person};
use crate::{
    ActorError,
    api::{
        audit::QueryAudit,
        auth::{ListSessions, WhoAmI},
        tenant::GetTenant,
        users::{
            AcceptInvite, CreateRole, DeleteRole, InviteUser, ListRoles, ListUsers, RemoveUser, Role, RoleId,
            SetRole,
        },
    },
};

fn role(id: &str, base: Role, permissions: &[&str]) -> CreateRole {
    CreateRole {
        id: id.to_owned(),
        base,
        permissions: permissions.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn custom(id: &str) -> RoleId {
    RoleId::Custom(id.to_owned())
}

async fn give(kit: &Kit, by: &Person, to: &Person, role: RoleId) -> Result<(), ActorError> {
    kit.call(&by.caller, SetRole { user: to.user, role }).await.map(drop)
}

fn reason<T>(answer: Result<T, ActorError>) -> String {
    answer.err().map(|error| error.reason().to_owned()).unwrap_or_default()
}

async fn a_custom_role_takes_effect_at_the_next_call_and_only_narrows(kit: Kit) {
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Admin).await;
    kit.call(&bob.caller, ListUsers::default()).await.unwrap();
    kit.call(&ann.caller, role("desk", Role::Admin, &["user.invite", "tenant.read"])).await.unwrap();
    give(&kit, &ann, &bob, custom("desk")).await.unwrap();
    assert_eq!(kit.call(&bob.caller, WhoAmI).await.unwrap().role, custom("desk"));
    kit.call(&bob.caller, GetTenant).await.expect("what it has");
    assert_eq!(reason(kit.call(&bob.caller, ListUsers::default()).await), "PERMISSION_DENIED");
    assert_eq!(reason(kit.call(&bob.caller, RemoveUser { user: ann.user }).await), "PERMISSION_DENIED");
    assert_eq!(reason(kit.call(&bob.caller, QueryAudit::default()).await), "PERMISSION_DENIED");
    kit.call(&bob.caller, ListSessions).await.expect("what protects a person's own is always there");
    give(&kit, &ann, &bob, Role::Member.into()).await.unwrap();
    kit.call(&bob.caller, ListUsers::default()).await.expect("all of the role again");
}

#[tokio::test]
async fn a_custom_role_takes_effect_at_the_next_call_and_only_narrows_on_sim() {
    a_custom_role_takes_effect_at_the_next_call_and_only_narrows(Kit::sim().await).await;
}

#[tokio::test]
async fn a_custom_role_takes_effect_at_the_next_call_and_only_narrows_on_sqlite() {
    a_custom_role_takes_effect_at_the_next_call_and_only_narrows(Kit::sqlite().await).await;
}

#[tokio::test]
async fn a_custom_role_has_nothing_that_its_base_or_its_maker_has_not() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    for (made, why) in [
        (role("x", Role::Member, &["user.invite"]), "INVALID_ARGUMENT"),
        (role("x", Role::Member, &["no.such"]), "INVALID_ARGUMENT"),
        (role("owner", Role::Member, &["user.list"]), "INVALID_ARGUMENT"),
        (role("A b", Role::Member, &["user.list"]), "INVALID_ARGUMENT"),
    ] {
        assert_eq!(reason(kit.call(&ann.caller, made.clone()).await), why, "{made:?}");
    }
    let bob = kit.member(&ann, "bob@example.com", Role::Admin).await;
    assert_eq!(
        reason(kit.call(&bob.caller, role("x", Role::Admin, &["user.list"])).await),
        "PERMISSION_DENIED"
    );
    // an owner in part makes nothing beyond that part
    let part = ["role.change", "role.list", "user.set_role", "user.list", "user.invite"];
    kit.call(&ann.caller, role("clerk", Role::Owner, &part)).await.unwrap();
    give(&kit, &ann, &bob, custom("clerk")).await.unwrap();
    let more = role("more", Role::Owner, &["tenant.change_policy"]);
    assert_eq!(reason(kit.call(&bob.caller, more).await), "PERMISSION_DENIED");
    kit.call(&bob.caller, role("less", Role::Owner, &["user.list"])).await.unwrap();
}

#[tokio::test]
async fn t5_nobody_raises_themselves_or_others_beyond_what_they_have() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let (bob, cy) = (
        kit.member(&ann, "bob@example.com", Role::Admin).await,
        kit.member(&ann, "cy@example.com", Role::Observer).await,
    );
    let part = ["user.set_role", "user.list", "user.invite", "user.remove"];
    kit.call(&ann.caller, role("clerk", Role::Owner, &part)).await.unwrap();
    give(&kit, &ann, &bob, custom("clerk")).await.unwrap();
    for to in [Role::Owner, Role::Admin, Role::Member, Role::Observer] {
        assert_eq!(reason(give(&kit, &bob, &bob, to.into()).await), "PERMISSION_DENIED", "{to:?}");
        assert_eq!(reason(give(&kit, &bob, &cy, to.into()).await), "PERMISSION_DENIED", "{to:?}");
        let invite = InviteUser { email: "dee@example.com".into(), role: to.into() };
        assert_eq!(reason(kit.call(&bob.caller, invite).await), "PERMISSION_DENIED", "{to:?}");
    }
    // nor does he take from who has more
    assert_eq!(reason(give(&kit, &bob, &ann, custom("clerk")).await), "PERMISSION_DENIED");
    assert_eq!(reason(kit.call(&bob.caller, RemoveUser { user: ann.user }).await), "PERMISSION_DENIED");
    kit.call(&ann.caller, role("sees", Role::Observer, &["user.list"])).await.unwrap();
    give(&kit, &ann, &cy, custom("sees")).await.unwrap();
    kit.call(&bob.caller, RemoveUser { user: cy.user }).await.expect("of one who has less");
}

#[tokio::test]
async fn a_role_in_use_is_not_deleted() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    kit.call(&ann.caller, role("desk", Role::Member, &["tenant.read"])).await.unwrap();
    let delete = || DeleteRole { id: "desk".to_owned() };
    give(&kit, &ann, &bob, custom("desk")).await.unwrap();
    assert_eq!(reason(kit.call(&ann.caller, delete()).await), "ROLE_IN_USE");
    // giving it and deleting it at once: never a user with a role that is not there
    give(&kit, &ann, &bob, Role::Member.into()).await.unwrap();
    let set = SetRole { user: bob.user, role: custom("desk") };
    let (given, deleted) =
        futures_util::join!(kit.call(&ann.caller, set.clone()), kit.call(&ann.caller, delete()));
    assert!(given.is_ok() != deleted.is_ok(), "{given:?} {deleted:?}");
    if given.is_ok() {
        kit.call(&ann.caller, RemoveUser { user: bob.user }).await.unwrap();
        kit.call(&ann.caller, delete()).await.expect("a removed user has no role");
    }
    assert_eq!(kit.call(&ann.caller, delete()).await.unwrap_err(), ActorError::NotFound);
}

#[tokio::test]
async fn an_invitation_gives_the_custom_role_and_holds_it() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    kit.call(&ann.caller, role("desk", Role::Member, &["tenant.read"])).await.unwrap();
    let invite = |id: &str| InviteUser { email: "bob@example.com".into(), role: custom(id) };
    assert_eq!(reason(kit.call(&ann.caller, invite("none")).await), "INVALID_ARGUMENT");
    kit.call(&ann.caller, invite("desk")).await.unwrap();
    let delete = DeleteRole { id: "desk".to_owned() };
    assert_eq!(reason(kit.call(&ann.caller, delete).await), "ROLE_IN_USE");
    let token = kit.mailbox.nth("bob@example.com", 0).await.tokens[0].1.clone();
    let accept =
        AcceptInvite { token: ocmt_types::Secret::new(token), device: crate::api::auth::Device::default() };
    let issued = kit.system.accept_invite(accept, &kit.meta(), kit.request()).await.unwrap();
    let bob = kit.authenticate(issued.token.expose()).await.unwrap();
    assert_eq!(kit.call(&bob, WhoAmI).await.unwrap().role, custom("desk"));
    assert_eq!(reason(kit.call(&bob, ListUsers::default()).await), "PERMISSION_DENIED");
}

#[tokio::test]
async fn an_owner_in_part_is_not_the_owner_that_a_tenant_needs() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    kit.call(&ann.caller, role("part", Role::Owner, &["user.list"])).await.unwrap();
    give(&kit, &ann, &bob, custom("part")).await.unwrap();
    for to in [Role::Admin.into(), custom("part")] {
        assert_eq!(reason(give(&kit, &ann, &ann, to).await), "LAST_OWNER");
    }
    assert_eq!(reason(kit.call(&ann.caller, RemoveUser { user: ann.user }).await), "LAST_OWNER");
}

#[tokio::test]
async fn roles_come_in_pages_and_are_not_another_tenants() {
    let kit = Kit::sim().await;
    let (ann, eve) = (kit.founder("ann@example.com").await, kit.founder("eve@example.com").await);
    kit.call(&ann.caller, role("desk", Role::Member, &["tenant.read"])).await.unwrap();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = kit.call(&ann.caller, ListRoles { after, limit: 2 }).await.unwrap();
        seen.extend(page.roles.iter().map(|role| role.id.to_string()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["admin", "desk", "member", "observer", "owner"]);
    assert_eq!(kit.call(&eve.caller, ListRoles::default()).await.unwrap().roles.len(), 4);
    let foreign = kit.call(&eve.caller, DeleteRole { id: "desk".to_owned() }).await.unwrap_err();
    let unknown = kit.call(&eve.caller, DeleteRole { id: "none".to_owned() }).await.unwrap_err();
    assert_eq!((foreign, unknown), (ActorError::NotFound, ActorError::NotFound));
    assert_eq!(reason(give(&kit, &eve, &eve, custom("desk")).await), "INVALID_ARGUMENT");
}

#[tokio::test]
async fn t6_who_may_do_less_loses_open_streams_at_once_and_not_the_session() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    kit.call(&ann.caller, role("desk", Role::Member, &["tenant.read"])).await.unwrap();
    for less in [custom("desk"), Role::Observer.into()] {
        give(&kit, &ann, &bob, Role::Member.into()).await.unwrap();
        let tenant = kit.system.tenant(bob.tenant);
        let mut stream = tenant.open_stream(&bob.caller, kit.deadline()).await.unwrap();
        give(&kit, &ann, &bob, Role::Admin.into()).await.unwrap();
        let over = tokio::time::timeout(std::time::Duration::from_millis(50), stream.over()).await;
        assert!(over.is_err(), "more is no reason to end a stream");
        give(&kit, &ann, &bob, less).await.unwrap();
        stream.over().await;
        kit.authenticate(&bob.token).await.expect("the session goes on");
        kit.call(&bob.caller, WhoAmI).await.unwrap();
    }
}
