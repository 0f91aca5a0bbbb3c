//! Groups: whose they are, who may see them, and that each has an administrator.

use futures_util::future::join_all;
use ocmt_types::GroupId;

use super::kit::{Kit, Person};
use crate::{
    ActorError,
    api::{
        audit::QueryAudit,
        groups::{
            AddMember, CreateGroup, DeleteGroup, GetGroup, GroupRole, ListGroups, ListResources,
            RemoveMember, SetMemberRole,
        },
        users::{CreateRole, RemoveUser, Role, RoleId, SetRole},
    },
};

async fn group(kit: &Kit, by: &Person, name: &str) -> GroupId {
    kit.call(&by.caller, CreateGroup { name: name.to_owned() }).await.unwrap().id
}

async fn add(kit: &Kit, by: &Person, group: GroupId, who: &Person, role: GroupRole) {
    kit.call(&by.caller, AddMember { group, user: who.user, role }).await.unwrap();
}

fn reason<T>(answer: Result<T, ActorError>) -> String {
    answer.err().map(|error| error.reason().to_owned()).unwrap_or_default()
}

async fn admins(kit: &Kit, by: &Person, group: GroupId) -> usize {
    let detail = kit.call(&by.caller, GetGroup { group }).await.unwrap();
    detail.members.iter().filter(|member| member.role == GroupRole::Admin).count()
}

async fn a_group_is_its_members_and_nobody_elses(kit: Kit) {
    let ann = kit.founder("ann@example.com").await;
    let (bob, cy, dee) = (
        kit.member(&ann, "bob@example.com", Role::Member).await,
        kit.member(&ann, "cy@example.com", Role::Member).await,
        kit.member(&ann, "dee@example.com", Role::Admin).await,
    );
    let team = group(&kit, &bob, "team").await;
    assert_eq!(reason(kit.call(&bob.caller, CreateGroup { name: "team".into() }).await), "ALREADY_EXISTS");
    assert_eq!(reason(kit.call(&bob.caller, CreateGroup { name: " ".into() }).await), "INVALID_ARGUMENT");
    // a stranger in the tenant does not learn of it
    let unknown: GroupId = ocmt_store::testing::id(4711);
    for it in [team, unknown] {
        assert_eq!(kit.call(&cy.caller, GetGroup { group: it }).await.unwrap_err(), ActorError::NotFound);
        let resources = ListResources { group: it, after: None, limit: 0 };
        assert_eq!(kit.call(&cy.caller, resources).await.unwrap_err(), ActorError::NotFound);
        let join = AddMember { group: it, user: cy.user, role: GroupRole::Admin };
        assert_eq!(kit.call(&cy.caller, join).await.unwrap_err(), ActorError::NotFound);
        assert_eq!(kit.call(&cy.caller, DeleteGroup { group: it }).await.unwrap_err(), ActorError::NotFound);
    }
    assert!(kit.call(&cy.caller, ListGroups::default()).await.unwrap().groups.is_empty());
    // who administers the tenant sees it, and brings nobody in
    assert_eq!(kit.call(&dee.caller, ListGroups::default()).await.unwrap().groups.len(), 1);
    let join = AddMember { group: team, user: dee.user, role: GroupRole::Admin };
    assert_eq!(reason(kit.call(&dee.caller, join).await), "PERMISSION_DENIED");
    assert_eq!(reason(kit.call(&dee.caller, DeleteGroup { group: team }).await), "PERMISSION_DENIED");
    // a member sees, and does not rise by it
    add(&kit, &bob, team, &cy, GroupRole::Member).await;
    assert_eq!(kit.call(&cy.caller, GetGroup { group: team }).await.unwrap().members.len(), 2);
    let rise = SetMemberRole { group: team, user: cy.user, role: GroupRole::Admin };
    assert_eq!(reason(kit.call(&cy.caller, rise).await), "PERMISSION_DENIED");
    assert_eq!(
        reason(kit.call(&cy.caller, RemoveMember { group: team, user: bob.user }).await),
        "PERMISSION_DENIED"
    );
    // out is out at the next call
    kit.call(&dee.caller, RemoveMember { group: team, user: cy.user }).await.expect("taken out by an admin");
    assert_eq!(kit.call(&cy.caller, GetGroup { group: team }).await.unwrap_err(), ActorError::NotFound);
    kit.call(&bob.caller, DeleteGroup { group: team }).await.unwrap();
    assert_eq!(kit.call(&bob.caller, GetGroup { group: team }).await.unwrap_err(), ActorError::NotFound);
}

#[tokio::test]
async fn a_group_is_its_members_and_nobody_elses_on_sim() {
    a_group_is_its_members_and_nobody_elses(Kit::sim().await).await;
}

#[tokio::test]
async fn a_group_is_its_members_and_nobody_elses_on_sqlite() {
    a_group_is_its_members_and_nobody_elses(Kit::sqlite().await).await;
}

#[tokio::test]
async fn a_member_is_an_active_user_of_the_same_tenant_and_there_once() {
    let kit = Kit::sim().await;
    let (ann, eve) = (kit.founder("ann@example.com").await, kit.founder("eve@example.com").await);
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let team = group(&kit, &ann, "team").await;
    for user in [eve.user, ocmt_store::testing::id(9)] {
        let foreign = AddMember { group: team, user, role: GroupRole::Member };
        assert_eq!(kit.call(&ann.caller, foreign).await.unwrap_err(), ActorError::NotFound);
    }
    let add = || AddMember { group: team, user: bob.user, role: GroupRole::Member };
    let both = join_all((0..5).map(|_| kit.call(&ann.caller, add()))).await;
    assert_eq!(both.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(kit.call(&eve.caller, GetGroup { group: team }).await.unwrap_err(), ActorError::NotFound);
}

#[tokio::test]
async fn the_last_administrator_of_a_group_stays() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let team = group(&kit, &ann, "team").await;
    let leave = |who: &Person| RemoveMember { group: team, user: who.user };
    let lower = |who: &Person| SetMemberRole { group: team, user: who.user, role: GroupRole::Member };
    assert_eq!(reason(kit.call(&ann.caller, leave(&ann)).await), "LAST_ADMIN");
    assert_eq!(reason(kit.call(&ann.caller, lower(&ann)).await), "LAST_ADMIN");
    add(&kit, &ann, team, &bob, GroupRole::Admin).await;
    // both go at once, one way or the other: one stays
    let (one, two) =
        futures_util::join!(kit.call(&ann.caller, leave(&ann)), kit.call(&bob.caller, lower(&bob)));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1);
    assert_eq!(admins(&kit, &ann, team).await, 1);
}

#[tokio::test]
async fn who_leaves_the_tenant_leaves_its_groups_and_none_is_left_alone() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let (bob, cy, dee) = (
        kit.member(&ann, "bob@example.com", Role::Member).await,
        kit.member(&ann, "cy@example.com", Role::Member).await,
        kit.member(&ann, "dee@example.com", Role::Member).await,
    );
    let (team, alone) = (group(&kit, &bob, "team").await, group(&kit, &bob, "alone").await);
    add(&kit, &bob, team, &cy, GroupRole::Observer).await;
    kit.clock.advance(std::time::Duration::from_secs(1));
    add(&kit, &bob, team, &dee, GroupRole::Member).await;
    kit.call(&ann.caller, RemoveUser { user: bob.user }).await.unwrap();
    let removals = QueryAudit { method: Some("UserService/RemoveUser".to_owned()), ..QueryAudit::default() };
    let records = kit.call(&ann.caller, removals).await.unwrap().records;
    let heir = ("heir".to_owned(), format!("{team}:{}", dee.user));
    assert!(records[0].details.contains(&heir), "the audit says who steps in: {:?}", records[0].details);
    let detail = kit.call(&dee.caller, GetGroup { group: team }).await.unwrap();
    let roles: Vec<_> = detail.members.iter().map(|member| (member.user, member.role)).collect();
    assert_eq!(
        roles,
        [(cy.user, GroupRole::Observer), (dee.user, GroupRole::Admin)],
        "the strongest steps in"
    );
    assert_eq!(kit.call(&ann.caller, GetGroup { group: alone }).await.unwrap_err(), ActorError::NotFound);
    assert_eq!(kit.call(&ann.caller, ListGroups::default()).await.unwrap().groups.len(), 1);
}

#[tokio::test]
async fn whoever_takes_the_last_administrator_out_does_not_inherit_the_group() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let cy = kit.member(&ann, "cy@example.com", Role::Member).await;
    let (team, two) = (group(&kit, &bob, "team").await, group(&kit, &bob, "two").await);
    for of in [team, two] {
        add(&kit, &bob, of, &ann, GroupRole::Member).await;
    }
    add(&kit, &bob, team, &cy, GroupRole::Observer).await;
    kit.call(&ann.caller, RemoveUser { user: bob.user }).await.unwrap();
    let detail = kit.call(&cy.caller, GetGroup { group: team }).await.unwrap();
    let admins: Vec<_> = detail.members.iter().filter(|it| it.role == GroupRole::Admin).collect();
    assert_eq!(admins.iter().map(|it| it.user).collect::<Vec<_>>(), [cy.user]);
    assert_eq!(
        kit.call(&ann.caller, GetGroup { group: two }).await.unwrap_err(),
        ActorError::NotFound,
        "nobody else is left"
    );
}

#[tokio::test]
async fn an_observer_of_the_tenant_makes_and_changes_no_group() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Observer).await;
    let refused = kit.call(&bob.caller, CreateGroup { name: "team".into() }).await;
    assert_eq!(reason(refused), "PERMISSION_DENIED");
    let team = group(&kit, &ann, "team").await;
    add(&kit, &ann, team, &bob, GroupRole::Admin).await;
    let more = AddMember { group: team, user: ann.user, role: GroupRole::Admin };
    assert_eq!(reason(kit.call(&bob.caller, more).await), "PERMISSION_DENIED");
    kit.call(&bob.caller, RemoveMember { group: team, user: bob.user }).await.expect("everybody may leave");
}

async fn set_role(kit: &Kit, by: &Person, of: &Person, role: impl Into<RoleId>) {
    kit.call(&by.caller, SetRole { user: of.user, role: role.into() }).await.unwrap();
}

#[tokio::test]
async fn who_administers_in_name_alone_is_no_administrator_that_could_be_left_alone() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let cy = kit.member(&ann, "cy@example.com", Role::Observer).await;
    let team = group(&kit, &bob, "team").await;
    add(&kit, &bob, team, &cy, GroupRole::Admin).await;
    // an observer of the tenant changes no group, so the other one stays
    let leave = RemoveMember { group: team, user: bob.user };
    assert_eq!(reason(kit.call(&bob.caller, leave.clone()).await), "LAST_ADMIN");
    let lower = SetMemberRole { group: team, user: bob.user, role: GroupRole::Member };
    assert_eq!(reason(kit.call(&bob.caller, lower).await), "LAST_ADMIN");
    set_role(&kit, &ann, &cy, Role::Member).await;
    kit.call(&bob.caller, leave).await.unwrap();
    let more = AddMember { group: team, user: bob.user, role: GroupRole::Observer };
    kit.call(&cy.caller, more).await.expect("she can act now");
}

async fn whose_role_is_narrowed_is_followed_by_who_can_act(kit: Kit) {
    let ann = kit.founder("ann@example.com").await;
    let (bob, cy, dee) = (
        kit.member(&ann, "bob@example.com", Role::Member).await,
        kit.member(&ann, "cy@example.com", Role::Observer).await,
        kit.member(&ann, "dee@example.com", Role::Member).await,
    );
    let (team, own) = (group(&kit, &bob, "team").await, group(&kit, &bob, "own").await);
    // of a higher role in the group, and there for longer, but it could not act; nor does who takes him down inherit
    add(&kit, &bob, team, &cy, GroupRole::Admin).await;
    add(&kit, &bob, team, &ann, GroupRole::Member).await;
    add(&kit, &bob, team, &dee, GroupRole::Observer).await;
    let only = vec!["group.list".to_owned(), "group.read".to_owned()];
    let narrow = CreateRole { id: "narrow".to_owned(), base: Role::Member, permissions: only };
    kit.call(&ann.caller, narrow).await.unwrap();
    set_role(&kit, &ann, &bob, RoleId::Custom("narrow".to_owned())).await;
    let changes = QueryAudit { method: Some("UserService/SetRole".to_owned()), ..QueryAudit::default() };
    let records = kit.call(&ann.caller, changes).await.unwrap().records;
    let heir = ("heir".to_owned(), format!("{team}:{}", dee.user));
    assert!(records[0].details.contains(&heir), "{:?}", records[0].details);
    let eve = kit.member(&ann, "eve@example.com", Role::Member).await;
    let more = AddMember { group: team, user: eve.user, role: GroupRole::Observer };
    assert_eq!(reason(kit.call(&bob.caller, more.clone()).await), "PERMISSION_DENIED");
    kit.call(&dee.caller, more).await.expect("who can act is an administrator");
    // where nobody else is, nobody follows, and an owner sees to it
    assert_eq!(admins(&kit, &ann, own).await, 1);
    kit.call(&ann.caller, DeleteGroup { group: own }).await.unwrap();
}

#[tokio::test]
async fn whose_role_is_narrowed_is_followed_by_who_can_act_on_sim() {
    whose_role_is_narrowed_is_followed_by_who_can_act(Kit::sim().await).await;
}

#[tokio::test]
async fn whose_role_is_narrowed_is_followed_by_who_can_act_on_sqlite() {
    whose_role_is_narrowed_is_followed_by_who_can_act(Kit::sqlite().await).await;
}

#[tokio::test]
async fn groups_come_in_pages_by_name() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    for name in ["c", "a", "e", "b", "d"] {
        group(&kit, &ann, name).await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = kit.call(&ann.caller, ListGroups { after, limit: 2 }).await.unwrap();
        seen.extend(page.groups.into_iter().map(|group| group.name));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
}
