//! The keys of gateway tokens change with the sealing key, and overlap: for a minute, or as was planned for the life of a token.

use std::time::Duration;

use ocmt_crypto::sealing::SealingKeys;
use ocmt_types::{Clock as _, Timestamp};

use super::{
    World,
    gateway::{connect, token, unlocked},
};
use crate::{GATEWAY_OVERLAP, SealingRing, tests::kit::sealing_key};

fn generations(all: &[u32]) -> SealingKeys {
    SealingKeys::new(all.iter().map(|generation| sealing_key(*generation)))
}

#[tokio::test]
async fn k6_tokens_of_the_key_before_are_taken_for_a_minute_and_no_longer() {
    let ring = SealingRing::new(generations(&[1]));
    let world = World::sim_with(|config| config.sealing = ring.clone()).await;
    let (ann, container, _) = unlocked(&world).await;
    let old = token(&world, &ann, container).await;
    let first = world.kit.system.gateway_keys().unwrap();
    assert_eq!((first.len(), first[0].until), (1, None));
    ring.replace(generations(&[1, 2]));
    let both = world.kit.system.gateway_keys().unwrap();
    let new = token(&world, &ann, container).await;
    assert_eq!((both.len(), both[0].until, &both[1].id), (2, None, &first[0].id));
    assert!(both[1].until.is_some() && both[0].id != both[1].id);
    for token in [&old, &new] {
        connect(&world, container, token).await.expect("within the overlap");
    }
    world.kit.clock.advance(Duration::from_secs(60));
    assert!(connect(&world, container, &old).await.is_err(), "the overlap has no end");
    connect(&world, container, &new).await.expect("the key that signs now");
    assert_eq!(world.kit.system.gateway_keys().unwrap(), both[..1]);
    // a generation that comes in the middle does not bring back one that is over
    ring.replace(generations(&[1, 2, 3]));
    assert!(connect(&world, container, &old).await.is_err(), "two generations back");
    connect(&world, container, &new).await.expect("one generation back");
}

#[tokio::test]
async fn k6_tokens_of_a_key_that_was_replaced_as_planned_are_good_until_they_end_without_the_sealing_key() {
    let ring = SealingRing::new(generations(&[1]));
    let world = World::sim_with(|config| config.sealing = ring.clone()).await;
    let (ann, container, _) = unlocked(&world).await;
    let old = token(&world, &ann, container).await;
    ring.replace(generations(&[1, 2]));
    ring.overlap(2, world.kit.clock.now() + GATEWAY_OVERLAP);
    assert_eq!(world.kit.system.gateway_keys().unwrap().len(), 2);
    world.kit.clock.advance(Duration::from_secs(61));
    // the earlier sealing key is erased once nothing is under it
    world.kit.system.rewrap(ann.tenant, world.kit.deadline()).await.unwrap();
    ring.replace(generations(&[2]));
    connect(&world, container, &old).await.expect("within a token's life");
    // somebody else may have the second: it is taken for a minute, and the first no more
    let second = token(&world, &ann, container).await;
    ring.replace(generations(&[2, 3]));
    assert!(connect(&world, container, &old).await.is_err(), "two generations back");
    connect(&world, container, &second).await.expect("within the minute");
    world.kit.clock.advance(Duration::from_secs(60));
    assert_eq!(world.kit.system.gateway_keys().unwrap().len(), 1, "an overlap that was planned for another");
}

#[tokio::test]
async fn k6_an_overlap_ends_with_the_longest_life_of_a_token_whatever_the_database_says() {
    let ring = SealingRing::new(generations(&[1]));
    let world = World::sim_with(|config| config.sealing = ring.clone()).await;
    ring.replace(generations(&[1, 2]));
    ring.overlap(2, Timestamp(i64::MAX));
    let keys = || world.kit.system.gateway_keys().unwrap().len();
    assert_eq!(keys(), 2);
    world.kit.clock.advance(GATEWAY_OVERLAP - Duration::from_millis(1));
    assert_eq!(keys(), 2);
    world.kit.clock.advance(Duration::from_millis(1));
    assert_eq!(keys(), 1);
}
