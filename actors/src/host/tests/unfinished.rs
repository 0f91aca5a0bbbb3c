//! What was admitted is done, though whoever was to do it has not heard of it, or could not.

use std::{sync::atomic::Ordering, time::Duration};

use ocmt_runtime::{
    State,
    sim::{Fault, Op},
};

use super::{
    World,
    nodes::{apart, on},
};
use crate::{ActorError, api::container::*, tests::kit::until};

#[tokio::test]
async fn a_removal_and_a_quarantine_whose_order_is_lost_are_done_all_the_same() {
    let (a, b, ann, container) = apart().await;
    let second = a.kit.member(&ann, "cy@example.com", crate::api::users::Role::Member).await;
    let odd = on(&a, &b, &second).await;
    a.wake(&second, odd).await.unwrap();
    a.kit.linked.cut_off.store(true, Ordering::SeqCst);
    let remove = RemoveContainer { container, delete_volume: false };
    let hold = HoldContainer { container: odd, reason: "odd".to_owned() };
    let lost = [
        a.kit.call(&ann.caller, remove).await.unwrap_err(),
        a.kit.call(&ann.caller, hold).await.unwrap_err(),
    ];
    assert!(lost.iter().all(|error| error.reason() == "HOST_UNREACHABLE"), "{lost:?}");
    a.kit.linked.cut_off.store(false, Ordering::SeqCst);
    assert_eq!(b.engine(odd).await, Some(State::Running), "its host has not heard of it");
    a.kit.clock.advance(Duration::from_secs(61));
    let gone =
        async || a.kit.call(&ann.caller, GetContainer { container }).await == Err(ActorError::NotFound);
    until("the one is gone", gone).await;
    a.comes_to(&second, odd, ContainerState::Held).await;
    assert_eq!(b.engine(odd).await, Some(State::Stopped));
}

#[tokio::test]
async fn a_removal_that_the_engine_refused_is_tried_again() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.kit.call(&ann.caller, StopContainer { container, grace: Duration::ZERO }).await.unwrap();
    world.runtime.fault(Op::Remove, Fault::EngineDown);
    let remove = RemoveContainer { container, delete_volume: false };
    let refused = world.kit.call(&ann.caller, remove).await.unwrap_err();
    assert_eq!(refused.reason(), "ENGINE_DOWN");
    world.kit.clock.advance(Duration::from_secs(61));
    let gone =
        async || world.kit.call(&ann.caller, GetContainer { container }).await == Err(ActorError::NotFound);
    until("it is gone", gone).await;
    assert_eq!(world.engine(container).await, None);
}
