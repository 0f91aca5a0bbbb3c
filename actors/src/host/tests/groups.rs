//! Containers under the permissions of a group: exactly what the role in it gives, and no longer than that.

use ocmt_types::{GroupId, ResourceId};

use super::World;
use crate::{
    ActorError,
    api::{container::*, groups::*, users::Role},
    tests::kit::Person,
};

fn reason<T>(answer: Result<T, ActorError>) -> String {
    answer.err().map(|error| error.reason().to_owned()).unwrap_or_default()
}

async fn group(world: &World, by: &Person, name: &str) -> GroupId {
    world.kit.call(&by.caller, CreateGroup { name: name.to_owned() }).await.unwrap().id
}

#[tokio::test]
async fn a_group_gives_its_members_what_their_role_says_and_no_way_in() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let (bob, cy) = (
        world.kit.member(&ann, "bob@example.com", Role::Member).await,
        world.kit.member(&ann, "cy@example.com", Role::Member).await,
    );
    let container = world.container(&bob).await;
    let team = group(&world, &bob, "team").await;
    let add = AddMember { group: team, user: cy.user, role: GroupRole::Observer };
    world.kit.call(&bob.caller, add).await.unwrap();
    let get = || GetContainer { container };
    assert_eq!(world.kit.call(&cy.caller, get()).await.unwrap_err(), ActorError::NotFound);
    let put = CreateResource { group: team, container };
    let resource = world.kit.call(&bob.caller, put.clone()).await.unwrap().id;
    assert_eq!(reason(world.kit.call(&bob.caller, put).await), "ALREADY_EXISTS");
    // an observer sees, a member wakes, and nobody gets in or removes
    world.kit.call(&cy.caller, get()).await.expect("an observer sees it");
    assert_eq!(reason(world.wake(&cy, container).await), "PERMISSION_DENIED");
    for role in [GroupRole::Member, GroupRole::Admin] {
        world.kit.call(&bob.caller, SetMemberRole { group: team, user: cy.user, role }).await.unwrap();
        world.wake(&cy, container).await.expect("a member wakes it");
        let key = world.kit.call(&cy.caller, GetCellKey { container }).await;
        assert_eq!(reason(key), "PERMISSION_DENIED");
        let token = IssueGatewayToken { container, lifetime: None };
        assert_eq!(reason(world.kit.call(&cy.caller, token).await), "PERMISSION_DENIED");
        let remove = RemoveContainer { container, delete_volume: false };
        assert_eq!(reason(world.kit.call(&cy.caller, remove).await), "PERMISSION_DENIED");
    }
    // not longer than the group holds it, nor than he is in the group
    world.kit.call(&bob.caller, DeleteResource { resource }).await.unwrap();
    assert_eq!(world.kit.call(&cy.caller, get()).await.unwrap_err(), ActorError::NotFound);
    world.kit.call(&bob.caller, CreateResource { group: team, container }).await.unwrap();
    world.kit.call(&cy.caller, get()).await.unwrap();
    world.kit.call(&bob.caller, RemoveMember { group: team, user: cy.user }).await.unwrap();
    assert_eq!(world.kit.call(&cy.caller, get()).await.unwrap_err(), ActorError::NotFound);
}

#[tokio::test]
async fn what_a_group_holds_is_given_by_its_owner_and_taken_by_that_groups_own() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let (bob, cy) = (
        world.kit.member(&ann, "bob@example.com", Role::Member).await,
        world.kit.member(&ann, "cy@example.com", Role::Member).await,
    );
    let container = world.container(&bob).await;
    let (team, other) = (group(&world, &bob, "team").await, group(&world, &cy, "other").await);
    // cy is a member of the team, so he may use the container, and gives it to nobody
    let add = AddMember { group: team, user: cy.user, role: GroupRole::Member };
    world.kit.call(&bob.caller, add).await.unwrap();
    let resource = world.kit.call(&bob.caller, CreateResource { group: team, container }).await.unwrap().id;
    world.wake(&cy, container).await.unwrap();
    let steal = CreateResource { group: other, container };
    assert_eq!(world.kit.call(&cy.caller, steal.clone()).await.unwrap_err(), ActorError::NotFound);
    // an owner of the tenant does not either
    let own = group(&world, &ann, "owners").await;
    let steal = CreateResource { group: own, ..steal };
    assert_eq!(world.kit.call(&ann.caller, steal).await.unwrap_err(), ActorError::NotFound);
    // and an administrator of another group has no say over this one's
    let take = DeleteResource { resource };
    assert_eq!(reason(world.kit.call(&cy.caller, take.clone()).await), "PERMISSION_DENIED");
    world.kit.call(&bob.caller, RemoveMember { group: team, user: cy.user }).await.unwrap();
    let unknown: ResourceId = ocmt_store::testing::id(4711);
    for resource in [resource, unknown] {
        let refused = world.kit.call(&cy.caller, DeleteResource { resource }).await.unwrap_err();
        assert_eq!(refused, ActorError::NotFound);
    }
    // who is put out takes along what is his: he would not find it any more
    let add = AddMember { group: team, user: ann.user, role: GroupRole::Admin };
    world.kit.call(&bob.caller, add).await.unwrap();
    world.kit.call(&ann.caller, RemoveMember { group: team, user: bob.user }).await.unwrap();
    let list = ListResources { group: team, after: None, limit: 0 };
    assert!(world.kit.call(&ann.caller, list).await.unwrap().resources.is_empty());
}

#[tokio::test]
async fn what_is_removed_and_whose_owner_is_removed_is_in_no_group() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let bob = world.kit.member(&ann, "bob@example.com", Role::Member).await;
    let cy = world.kit.member(&ann, "cy@example.com", Role::Member).await;
    let team = group(&world, &ann, "team").await;
    for who in [&bob, &cy] {
        let add = AddMember { group: team, user: who.user, role: GroupRole::Member };
        world.kit.call(&ann.caller, add).await.unwrap();
        let container = world.container(who).await;
        world.kit.call(&who.caller, CreateResource { group: team, container }).await.unwrap();
    }
    let list = ListResources { group: team, after: None, limit: 0 };
    let held = world.kit.call(&ann.caller, list.clone()).await.unwrap().resources;
    assert_eq!(held.len(), 2);
    let page = world.kit.call(&ann.caller, ListResources { limit: 1, ..list.clone() }).await.unwrap();
    assert_eq!((page.resources.len(), page.next), (1, Some(held[0].id)));
    world.kit.call(&ann.caller, crate::api::users::RemoveUser { user: bob.user }).await.unwrap();
    let left = world.kit.call(&ann.caller, list.clone()).await.unwrap().resources;
    assert_eq!(left.len(), 1);
    let gone = RemoveContainer { container: left[0].container, delete_volume: false };
    world.kit.call(&cy.caller, gone).await.unwrap();
    assert!(world.kit.call(&ann.caller, list).await.unwrap().resources.is_empty());
}
