//! A new generation of the sealing key: the secrets of cells that run are wrapped under it, and open without the
//! earlier one.

use futures_util::FutureExt as _;
use ocmt_crypto::sealing::SealingKeys;
use ocmt_store::{Fault, Point, Rewrap};
use ocmt_types::TenantId;

use super::World;
use crate::{
    SealingRing,
    api::container::*,
    tests::kit::{Person, sealing_key},
};

const WHAT: Rewrap = Rewrap { lowest: 1, latest: 2 };

fn ring(generations: &[u32]) -> SealingRing {
    SealingRing::new(SealingKeys::new(generations.iter().map(|generation| sealing_key(*generation))))
}

async fn left(world: &World) -> Vec<TenantId> {
    world.kit.store.operators().tenants_to_rewrap(WHAT, None, 100).await.unwrap()
}

async fn rewrap(world: &World, tenant: TenantId) -> Result<(), crate::ActorError> {
    world.kit.system.rewrap(tenant, world.kit.deadline()).await
}

#[tokio::test]
async fn rewrapping_goes_on_wherever_it_was_cut_off_and_leaves_nothing_under_the_earlier_key() {
    let mut world = World::sim().await;
    let mut people = Vec::<(Person, _)>::new();
    for n in 0..4 {
        let person = world.kit.founder(&format!("u{n}@example.com")).await;
        let container = world.running(&person).await;
        people.push((person, container));
    }
    world.restart_with(|config| config.sealing = ring(&[1, 2])).await;
    assert_eq!(left(&world).await.len(), 4);
    rewrap(&world, people[0].0.tenant).await.unwrap();
    assert_eq!(left(&world).await.len(), 3);
    // awake, so that the next commit is the one that is meant
    world.info(&people[1].0, people[1].1).await;
    // the commit of the second is lost, the third is dropped as it begins, then the process dies
    world.kit.store.faults().unwrap().plan(Point::Commit, Fault::OutcomeUnknown { applied: false });
    assert!(rewrap(&world, people[1].0.tenant).await.is_err());
    assert!(rewrap(&world, people[2].0.tenant).now_or_never().is_none());
    world.restart_with(|config| config.sealing = ring(&[1, 2])).await;
    assert!(left(&world).await.len() >= 2, "what was cut off is still to be done");
    for tenant in left(&world).await {
        rewrap(&world, tenant).await.unwrap();
    }
    assert_eq!(left(&world).await, []);
    // the earlier key is erased: every cell is adopted and reached all the same
    world.restart_with(|config| config.sealing = ring(&[2])).await;
    for (person, container) in &people {
        let stated = world.kit.call(&person.caller, GetCellKey { container: *container }).await.unwrap();
        assert_eq!(stated.wake.kind, WakeKind::None);
    }
}

#[tokio::test]
async fn a_tenant_of_another_node_is_left_to_it() {
    let mut world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    world.running(&ann).await;
    let linked = world.kit.linked.clone();
    world
        .restart_with(|config| {
            config.sealing = ring(&[1, 2]);
            config.neighbours = linked;
        })
        .await;
    world.kit.linked.believes.lock().unwrap().push_back(false);
    rewrap(&world, ann.tenant).await.unwrap();
    assert_eq!(left(&world).await, [ann.tenant]);
    rewrap(&world, ann.tenant).await.unwrap();
    assert_eq!(left(&world).await, []);
}
