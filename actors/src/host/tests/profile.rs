//! Containers that are not as they were made any more.

use std::time::Duration;

use super::{World, of};
use crate::{
    OnDrift, SystemConfig,
    api::{
        audit::QueryAudit,
        container::{ContainerState, ReleaseContainer},
    },
    tests::kit::{Person, until},
};

fn watchful(on_drift: OnDrift) -> impl FnOnce(&mut SystemConfig) {
    move |config| {
        config.limits.profile_every = Duration::from_millis(50);
        config.limits.on_drift = on_drift;
    }
}

async fn noted(world: &World, who: &Person) -> Vec<String> {
    let query =
        QueryAudit { method: Some("container.drift".to_owned()), limit: 100, ..QueryAudit::default() };
    let page = world.kit.call(&who.caller, query).await.unwrap();
    page.records.iter().map(|record| format!("{record:?}")).collect()
}

#[tokio::test]
async fn a_container_that_was_changed_by_hand_is_held_until_somebody_releases_it() {
    let world = World::sqlite_with(watchful(OnDrift::Hold)).await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.runtime.drifts(&of(container), &["Networks is \"bridge\", not \"its own\""]);
    world.comes_to(&ann, container, ContainerState::Held).await;
    let info = world.info(&ann, container).await;
    assert!(info.failure.unwrap().contains("Networks"));
    assert_eq!(world.wake(&ann, container).await.unwrap_err().reason(), "CONTAINER_HELD");
    let noted = noted(&world, &ann).await;
    assert!(noted.len() == 1 && noted[0].contains("Networks"), "{noted:?}");
    let release = |reason: &str| ReleaseContainer { container, reason: reason.to_owned() };
    world.kit.call(&ann.caller, release("it may be fine")).await.unwrap();
    world.wake(&ann, container).await.unwrap();
    world.comes_to(&ann, container, ContainerState::Held).await;
    world.runtime.drifts(&of(container), &[]);
    world.kit.call(&ann.caller, release("taken off")).await.unwrap();
    world.wake(&ann, container).await.unwrap();
    let before = world.runtime.compared();
    until("it was looked at again", async || world.runtime.compared() > before + 3).await;
    assert_eq!(world.info(&ann, container).await.state, ContainerState::Running);
    // the same change once more is found once more
    world.runtime.drifts(&of(container), &["Networks is \"bridge\", not \"its own\""]);
    world.comes_to(&ann, container, ContainerState::Held).await;
}

#[tokio::test]
async fn where_it_is_only_reported_it_runs_on_and_is_written_down_once() {
    let world = World::sim_with(watchful(OnDrift::Report)).await;
    let ann = world.kit.founder("ann@example.com").await;
    let container = world.running(&ann).await;
    world.runtime.drifts(&of(container), &["Memory is 1, not 2"]);
    until("it is written down", async || !noted(&world, &ann).await.is_empty()).await;
    let before = world.runtime.compared();
    until("it was looked at again", async || world.runtime.compared() > before + 3).await;
    assert_eq!(noted(&world, &ann).await.len(), 1);
    assert_eq!(world.info(&ann, container).await.state, ContainerState::Running);
    world.runtime.drifts(&of(container), &["Memory is 3, not 2"]);
    until("another is written down", async || noted(&world, &ann).await.len() == 2).await;
}
