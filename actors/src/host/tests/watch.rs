//! Watching containers: every change that one may see, once, in order, until the session ends; and cells that woke locked.

use std::time::Duration;

use ocmt_store::{Filter, tables::ContainerEvent};
use ocmt_types::ContainerId;

use super::{
    World,
    schedules::{HALF, MINUTE, pass, put},
};
use crate::{
    ActorError,
    api::{
        auth::{LinkPurpose, SignOut},
        container::*,
        container_watch::*,
        groups::{AddMember, CreateGroup, CreateResource, GroupRole, RemoveMember},
        users::{Role, RoleId, SetRole},
    },
    tenant::container::events::KEPT,
    tests::{kit::Person, vault},
    watch::Told,
};

type Events<E> = Told<E>;

async fn watch(
    world: &World,
    who: &Person,
    container: Option<ContainerId>,
    from: Option<EventAt>,
) -> Result<Events<ContainerChange>, ActorError> {
    let ask = WatchContainers { container, from };
    world.kit.system.watch_containers(who.caller.clone(), world.kit.meta(), ask).await
}

async fn requests(world: &World, who: &Person, from: Option<EventAt>) -> Events<UnlockRequest> {
    let ask = WatchUnlockRequests { from };
    world.kit.system.watch_unlock_requests(who.caller.clone(), world.kit.meta(), ask).await.unwrap()
}

async fn next<E>(events: &mut Events<E>) -> Result<E, ActorError> {
    let event = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
    event.expect("no event in time").expect("the stream has ended")
}

/// From now on: what the watch says at its beginning.
async fn watching(world: &World, who: &Person, container: Option<ContainerId>) -> Events<ContainerChange> {
    let mut events = watch(world, who, container, None).await.unwrap();
    assert_eq!(next(&mut events).await.unwrap().changed, None);
    events
}

/// Reads until the container comes to this state; the states on the way.
async fn until_state(events: &mut Events<ContainerChange>, state: ContainerState) -> Vec<ContainerState> {
    let mut states = Vec::new();
    while states.last() != Some(&state) {
        states.push(next(events).await.unwrap().changed.unwrap().state);
        assert!(states.len() < 20, "{states:?}");
    }
    states
}

/// Nothing was told up to a change that is made now.
async fn nothing_but(
    world: &World,
    events: &mut Events<ContainerChange>,
    owner: &Person,
    container: ContainerId,
) {
    world.kit.call(&owner.caller, HoldContainer { container, reason: "a mark".to_owned() }).await.unwrap();
    let event = next(events).await.unwrap().changed.unwrap();
    assert_eq!((event.id, event.state), (container, ContainerState::Held));
}

#[tokio::test]
async fn every_change_is_told_in_order_on_both_stores() {
    use ContainerState as S;
    for world in [World::sim().await, World::sqlite().await] {
        let ann = world.kit.founder("ann@example.com").await;
        let mut events = watching(&world, &ann, None).await;
        let container = world.container(&ann).await;
        world.wake(&ann, container).await.unwrap();
        assert_eq!(until_state(&mut events, S::Running).await, [S::Absent, S::Creating, S::Running]);
        world.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
        assert_eq!(until_state(&mut events, S::Paused).await, [S::Pausing, S::Paused]);
        world.kit.call(&ann.caller, RemoveContainer { container, delete_volume: false }).await.unwrap();
        let gone = loop {
            let event = next(&mut events).await.unwrap().changed.unwrap();
            if event.state == S::Absent {
                break event;
            }
        };
        assert_eq!((gone.id, gone.info), (container, None));
    }
}

#[tokio::test]
async fn a_watch_goes_on_behind_the_event_it_names_and_one_too_far_behind_is_told_so() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let mut events = watching(&world, &ann, None).await;
    let container = world.container(&ann).await;
    let first = next(&mut events).await.unwrap();
    world.wake(&ann, container).await.unwrap();
    until_state(&mut events, ContainerState::Running).await;
    drop(events);
    let mut again = watch(&world, &ann, None, Some(first.at)).await.unwrap();
    let states = until_state(&mut again, ContainerState::Running).await;
    assert_eq!(states, [ContainerState::Creating, ContainerState::Running], "what came in between, once");
    let other = EventAt { at: ocmt_types::Timestamp(7), ..first.at };
    let refused = watch(&world, &ann, None, Some(other)).await.err().unwrap();
    assert!(matches!(refused, ActorError::OutOfRange(_)), "an event of another copy: {refused}");
    // so many changes later the first is not kept any more
    let mut tx = world.kit.store.fenced(world.ownership(&ann).await).await.unwrap();
    let last =
        tx.first::<ContainerEvent>(Filter::all().desc(ContainerEvent::seq).limit(1)).await.unwrap().unwrap();
    tx.delete_all::<ContainerEvent>(Filter::all()).await.unwrap();
    tx.insert(&ContainerEvent { seq: last.seq + KEPT, ..last }).await.unwrap();
    tx.commit().await.unwrap();
    let refused = watch(&world, &ann, None, Some(first.at)).await.err().unwrap();
    assert!(matches!(refused, ActorError::OutOfRange(_)), "{refused}");
}

#[tokio::test]
async fn the_log_is_bounded() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    for round in 0..KEPT {
        let reason = format!("round {round}");
        world.kit.call(&ann.caller, HoldContainer { container, reason: reason.clone() }).await.unwrap();
        world.kit.call(&ann.caller, ReleaseContainer { container, reason }).await.unwrap();
    }
    let mut tx = world.kit.store.read(world.ownership(&ann).await).await.unwrap();
    let kept = tx.count::<ContainerEvent>(Filter::all()).await.unwrap();
    assert!((KEPT / 2..=KEPT).contains(&kept), "{kept} events");
}

#[tokio::test]
async fn a_watcher_sees_what_they_may_see_at_that_moment_and_nothing_else() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let bob = world.kit.member(&ann, "bob@example.com", Role::Member).await;
    let cy = world.kit.member(&ann, "cy@example.com", Role::Member).await;
    let (hers, his) = (world.container(&ann).await, world.container(&bob).await);
    let foreign = watch(&world, &bob, Some(hers), None).await.err().unwrap();
    assert_eq!(foreign, ActorError::NotFound);
    let mut bobs = watching(&world, &bob, None).await;
    let mut anns = watching(&world, &ann, None).await;
    world.wake(&ann, hers).await.unwrap();
    until_state(&mut anns, ContainerState::Running).await;
    nothing_but(&world, &mut bobs, &bob, his).await;
    assert_eq!(next(&mut anns).await.unwrap().changed.unwrap().id, his, "an admin sees all");
    // through a group, and no longer than that
    let group = world.kit.call(&ann.caller, CreateGroup { name: "team".to_owned() }).await.unwrap().id;
    world.kit.call(&ann.caller, CreateResource { group, container: hers }).await.unwrap();
    let add = AddMember { group, user: cy.user, role: GroupRole::Observer };
    world.kit.call(&ann.caller, add).await.unwrap();
    let mut cys = watching(&world, &cy, Some(hers)).await;
    world.kit.call(&ann.caller, PauseContainer { container: hers }).await.unwrap();
    until_state(&mut cys, ContainerState::Paused).await;
    world.kit.call(&ann.caller, RemoveMember { group, user: cy.user }).await.unwrap();
    world.kit.call(&ann.caller, StopContainer { container: hers, grace: Duration::ZERO }).await.unwrap();
    world.wake(&ann, hers).await.unwrap();
    let own = world.container(&cy).await;
    let mut all = watching(&world, &cy, None).await;
    nothing_but(&world, &mut all, &cy, own).await;
    let told = tokio::time::timeout(Duration::from_millis(1500), cys.recv()).await; // why: longer than the look without a hint
    assert!(told.is_err(), "told of a container of others: {told:?}");
}

#[tokio::test]
async fn a_watch_ends_with_its_session_and_when_the_role_is_taken_down() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let bob = world.kit.member(&ann, "bob@example.com", Role::Member).await;
    let again = world.kit.sign_in(&bob, LinkPurpose::SignIn).await;
    let (mut one, mut two) = (watching(&world, &bob, None).await, watching(&world, &again, None).await);
    let mut waits = requests(&world, &bob, None).await;
    next(&mut waits).await.unwrap();
    world.kit.call(&bob.caller, SignOut).await.unwrap();
    assert!(matches!(next(&mut one).await, Err(ActorError::Unauthenticated(_))));
    assert!(matches!(next(&mut waits).await, Err(ActorError::Unauthenticated(_))));
    let observer = SetRole { user: bob.user, role: RoleId::BuiltIn(Role::Observer) };
    world.kit.call(&ann.caller, observer).await.unwrap();
    assert!(next(&mut two).await.is_err());
    let refused = watch(&world, &again, None, None).await.err().unwrap();
    assert_eq!(refused.reason(), "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_watch_ends_when_the_tenant_moves_and_sees_what_another_host_writes() {
    let (a, _b, ann, container) = super::nodes::apart().await;
    let mut events = watching(&a, &ann, None).await;
    a.wake(&ann, container).await.unwrap();
    until_state(&mut events, ContainerState::Running).await;
    a.kit.steal(ann.tenant).await;
    let moved = loop {
        if let Err(error) = next(&mut events).await {
            break error;
        }
    };
    assert_eq!(moved.reason(), "MOVED");
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_a_few_events_up_and_loses_none() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.container(&ann).await;
    let mut events = watching(&world, &ann, Some(container)).await;
    for round in 0..50 {
        let reason = format!("round {round}");
        world.kit.call(&ann.caller, HoldContainer { container, reason: reason.clone() }).await.unwrap();
        world.kit.call(&ann.caller, ReleaseContainer { container, reason }).await.unwrap();
    }
    assert!(events.len() <= 16, "{} wait", events.len());
    let mut last = None;
    for _ in 0..100 {
        let at = next(&mut events).await.unwrap().at;
        assert!(last.is_none_or(|last| at.seq == last + 1), "one is missing");
        last = Some(at.seq);
    }
}

#[tokio::test]
async fn one_user_watches_sixteen_times_at_most() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let bob = world.kit.member(&ann, "bob@example.com", Role::Member).await;
    let mut all = Vec::new();
    for _ in 0..16 {
        all.push(watching(&world, &ann, None).await);
    }
    let refused = watch(&world, &ann, None, None).await.err().unwrap();
    assert_eq!(refused.reason(), "TOO_MANY_WATCHERS");
    watching(&world, &bob, None).await;
    all.pop();
    crate::tests::kit::until("there is room again", async || watch(&world, &ann, None, None).await.is_ok())
        .await;
}

#[tokio::test]
async fn cells_that_wake_locked_are_told_to_their_user_with_what_woke_them() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let bob = world.kit.member(&ann, "bob@example.com", Role::Member).await;
    let vault = vault::vault_of(&world.kit, &ann).await.scope().vault;
    let container = world.container(&ann).await;
    world.kit.call(&ann.caller, put(container)).await.unwrap();
    let mut bobs = requests(&world, &bob, None).await;
    let mut waits = requests(&world, &ann, None).await;
    let begun = next(&mut waits).await.unwrap();
    assert_eq!(begun.waits, None);
    world.wake(&ann, container).await.unwrap();
    let by_call = next(&mut waits).await.unwrap().waits.unwrap();
    assert_eq!((by_call.container, by_call.cause), (container, WakeCause::Call));
    // once it is unlocked it waits for nobody, whoever asks from before
    world.unlock(&ann, container, vault).await;
    let mut late = requests(&world, &ann, Some(begun.at)).await;
    world.kit.call(&ann.caller, PauseContainer { container }).await.unwrap();
    world.wake(&ann, container).await.unwrap();
    // nor where its user's client is there already
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    world.kit.call(&ann.caller, GetCellKey { container }).await.unwrap();
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    pass(&world, &ann, HALF + MINUTE);
    for events in [&mut waits, &mut late] {
        let by_schedule = next(events).await.unwrap().waits.unwrap();
        assert_eq!((by_schedule.container, by_schedule.cause), (container, WakeCause::Schedule));
        assert!(by_schedule.wait_until > ocmt_types::Clock::now(&world.kit.clock));
    }
    // nor where somebody else wakes it
    let group = world.kit.call(&ann.caller, CreateGroup { name: "team".to_owned() }).await.unwrap().id;
    world.kit.call(&ann.caller, CreateResource { group, container }).await.unwrap();
    let add = AddMember { group, user: bob.user, role: GroupRole::Member };
    world.kit.call(&ann.caller, add).await.unwrap();
    for who in [&bob, &ann] {
        world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
        world.wake(who, container).await.unwrap();
    }
    assert_eq!(next(&mut waits).await.unwrap().waits.unwrap().cause, WakeCause::Call);
    let told = tokio::time::timeout(Duration::from_millis(1500), waits.recv()).await; // why: longer than the look without a hint
    assert!(told.is_err(), "told of a wake by another: {told:?}");
    assert_eq!(next(&mut bobs).await.unwrap().waits, None);
    let told = tokio::time::timeout(Duration::from_millis(1500), bobs.recv()).await; // why: longer than the look without a hint
    assert!(told.is_err(), "told of another's cell: {told:?}");
}
