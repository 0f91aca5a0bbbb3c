//! The keys of gateway tokens change with the sealing key, and overlap for a minute.

use std::time::Duration;

use ocmt_crypto::sealing::SealingKeys;

use super::{
    World,
    gateway::{connect, token, unlocked},
};
use crate::{SealingRing, tests::kit::sealing_key};

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
