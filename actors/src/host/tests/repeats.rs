//! Repeats by idempotency key: decided again each time, since the right may have been taken away meanwhile.

use std::time::Duration;

use ocmt_runtime::State;

use super::World;
use crate::{
    ActorError, Call,
    api::{
        audit::QueryAudit,
        container::*,
        groups::{AddMember, CreateGroup, CreateResource, GroupRole, RemoveMember},
        users::Role,
    },
    tests::kit::Person,
};

/// The same call again, as a client makes it that heard no answer.
async fn repeat<C: Call>(world: &World, person: &Person, key: u8, call: C) -> Result<C::Answer, ActorError> {
    let mut caller = person.caller.clone();
    caller.request = world.kit.request();
    world.kit.system.tenant(person.tenant).call(caller, world.kit.keyed(key, key), call).await
}

#[tokio::test]
async fn what_was_stored_for_a_repeat_opens_nothing_that_was_closed_since() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let bob = world.kit.member(&ann, "bob@example.com", Role::Member).await;
    let cy = world.kit.member(&ann, "cy@example.com", Role::Member).await;
    let container = world.container(&bob).await;
    let group = world.kit.call(&bob.caller, CreateGroup { name: "team".to_owned() }).await.unwrap().id;
    let add = AddMember { group, user: cy.user, role: GroupRole::Member };
    world.kit.call(&bob.caller, add).await.unwrap();
    world.kit.call(&bob.caller, CreateResource { group, container }).await.unwrap();
    let start = || StartContainer { container };
    let stop = || StopContainer { container, grace: Duration::ZERO };
    repeat(&world, &cy, 1, start()).await.unwrap();
    repeat(&world, &cy, 2, stop()).await.unwrap();
    repeat(&world, &cy, 1, start()).await.expect("cy may still, and may not have heard the answer");
    assert_eq!(world.engine(container).await, Some(State::Running));
    let by_cy = QueryAudit {
        method: Some("ContainerService/StartContainer".to_owned()),
        user: Some(cy.user),
        ..QueryAudit::default()
    };
    let records = world.kit.call(&ann.caller, by_cy).await.unwrap().records;
    assert_eq!(records.len(), 2, "what is ordered again is written down again");
    world.kit.call(&bob.caller, stop()).await.unwrap();
    world.kit.call(&bob.caller, RemoveMember { group, user: cy.user }).await.unwrap();
    assert_eq!(repeat(&world, &cy, 1, start()).await.unwrap_err(), ActorError::NotFound);
    assert_eq!(repeat(&world, &cy, 2, stop()).await.unwrap_err(), ActorError::NotFound, "nor how it is now");
    assert_eq!(world.engine(container).await, Some(State::Stopped));
}

#[tokio::test]
async fn a_late_repeat_of_a_hold_holds_nothing_that_was_released_since() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    let hold = || HoldContainer { container, reason: "odd".to_owned() };
    repeat(&world, &ann, 1, hold()).await.unwrap();
    let release = ReleaseContainer { container, reason: "looked at".to_owned() };
    world.kit.call(&ann.caller, release).await.unwrap();
    repeat(&world, &ann, 1, hold()).await.unwrap();
    world.wake(&ann, container).await.expect("it is not held");
}
