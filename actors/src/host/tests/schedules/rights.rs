//! By whose right a schedule wakes, and when by nobody's.

use super::*;
use crate::{
    QuotaChange,
    api::{
        groups::{AddMember, CreateGroup, CreateResource, GroupRole, RemoveMember},
        users::{RemoveUser, Role, RoleId, SetRole},
    },
    tests::quotas::limit_to,
};

#[tokio::test]
async fn what_is_held_is_not_woken() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    world.kit.call(&ann.caller, put(container)).await.unwrap();
    world.kit.call(&ann.caller, HoldContainer { container, reason: "odd".to_owned() }).await.unwrap();
    let held = world.kit.call(&ann.caller, put(container)).await.unwrap_err();
    assert_eq!(held.reason(), "CONTAINER_HELD");
    pass(&world, &ann, HALF + MINUTE);
    comes(&world, &ann, "schedule.refused", 1).await;
    let (_, details, result) = records(&world, &ann, "schedule.refused").await;
    assert_eq!(
        (detail(&details, "reason").as_str(), result.as_deref()),
        ("CONTAINER_HELD", Some("CONTAINER_HELD"))
    );
    assert_eq!((world.calls(Op::Start), world.info(&ann, container).await.state), (0, ContainerState::Held));
}

#[tokio::test]
async fn a_suspended_tenant_wakes_nothing_and_goes_on_at_the_times_that_are_written() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    let daily = PutSchedule { cron: "0 20 * * *".to_owned(), ..put(container) };
    world.kit.call(&ann.caller, put(container)).await.unwrap();
    let evening = world.kit.call(&ann.caller, daily).await.unwrap();
    suspend(&world.kit, ann.tenant).await;
    pass(&world, &ann, HALF * 6 + MINUTE);
    resume(&world.kit, ann.tenant).await;
    let ann = again(&world, &ann).await;
    look(&world, &ann);
    // half past eight was two and a half hours ago
    comes(&world, &ann, "schedule.missed", 1).await;
    assert_eq!(records(&world, &ann, "schedule.due").await.0, 0);
    let all = list(&world, &ann, container).await;
    assert!(all.iter().all(|one| one.next_at.is_some_and(|next| next > world.kit.clock.now())));
    // the evening's comes in the evening, and not three hours later
    pass(&world, &ann, HALF * 18 + MINUTE);
    let ann = again(&world, &ann).await;
    until("the evening's is taken", async || {
        let all = list(&world, &ann, container).await;
        all.iter().any(|one| one.id == evening.id && one.next_at > evening.next_at)
    })
    .await;
    let next = list(&world, &ann, container).await.into_iter().find(|one| one.id == evening.id).unwrap();
    assert_eq!(next.next_at, evening.next_at.map(|at| at + Duration::from_secs(24 * 3600)));
}

#[tokio::test]
async fn the_right_of_today_counts_and_a_removed_user_leaves_nothing_behind() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let bob = world.kit.member(&ann, "bob@example.com", Role::Member).await;
    let container = world.container(&bob).await;
    world.kit.call(&bob.caller, put(container)).await.unwrap();
    let observer = SetRole { user: bob.user, role: RoleId::BuiltIn(Role::Observer) };
    world.kit.call(&ann.caller, observer).await.unwrap();
    pass(&world, &ann, HALF + MINUTE);
    comes(&world, &ann, "schedule.refused", 1).await;
    assert_eq!(world.calls(Op::Start), 0);
    let ann = again(&world, &ann).await;
    let member = SetRole { user: bob.user, role: RoleId::BuiltIn(Role::Member) };
    world.kit.call(&ann.caller, member).await.unwrap();
    // it is off, and stays so until somebody puts it anew
    let off = list(&world, &ann, container).await.remove(0);
    assert!(!off.enabled && off.next_at.is_none());
    pass(&world, &ann, HALF);
    assert_eq!(records(&world, &ann, "schedule.refused").await.0, 1);
    let bob = again(&world, &bob).await;
    world.kit.call(&bob.caller, PutSchedule { schedule: Some(off.id), ..put(container) }).await.unwrap();
    pass(&world, &ann, HALF + MINUTE);
    comes(&world, &ann, "schedule.woke", 1).await;
    let ann = again(&world, &ann).await;
    world.kit.call(&ann.caller, RemoveUser { user: bob.user }).await.unwrap();
    assert!(list(&world, &ann, container).await.is_empty());
}

#[tokio::test]
async fn a_schedule_on_what_a_group_holds_ends_with_the_place_in_the_group() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let bob = world.kit.member(&ann, "bob@example.com", Role::Member).await;
    let container = world.container(&ann).await;
    let foreign = world.kit.call(&bob.caller, put(container)).await.unwrap_err();
    assert_eq!(foreign, ActorError::NotFound);
    let group = world.kit.call(&ann.caller, CreateGroup { name: "team".to_owned() }).await.unwrap().id;
    world.kit.call(&ann.caller, CreateResource { group, container }).await.unwrap();
    let add = |role| AddMember { group, user: bob.user, role };
    world.kit.call(&ann.caller, add(GroupRole::Observer)).await.unwrap();
    let sees = world.kit.call(&bob.caller, put(container)).await.unwrap_err();
    assert_eq!(sees.reason(), "PERMISSION_DENIED");
    world.kit.call(&ann.caller, RemoveMember { group, user: bob.user }).await.unwrap();
    world.kit.call(&ann.caller, add(GroupRole::Member)).await.unwrap();
    let made = world.kit.call(&bob.caller, put(container)).await.unwrap();
    pass(&world, &ann, HALF + MINUTE);
    comes(&world, &ann, "schedule.woke", 1).await;
    world.kit.call(&ann.caller, RemoveMember { group, user: bob.user }).await.unwrap();
    pass(&world, &ann, HALF);
    comes(&world, &ann, "schedule.refused", 1).await;
    // its container's owner sees it, and takes it away
    assert_eq!(list(&world, &ann, container).await.len(), 1);
    world.kit.call(&ann.caller, DeleteSchedule { schedule: made.id }).await.unwrap();
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_told_in_the_end() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    world.kit.call(&ann.caller, put(container)).await.unwrap();
    limit_to(&world.kit, &ann, QuotaChange { memory_bytes: Some(1 << 20), ..QuotaChange::default() }).await;
    pass(&world, &ann, HALF + MINUTE);
    comes(&world, &ann, "schedule.due", 1).await;
    until("it is given up", async || {
        pass(&world, &ann, MINUTE);
        records(&world, &ann, "schedule.failed").await.0 == 1
    })
    .await;
    assert_eq!((world.calls(Op::Start), records(&world, &ann, "schedule.due").await.0), (0, 1));
}
