//! What an agent was given ends with its token.

use std::time::Duration;

use ocmt_types::Clock as _;

use super::{agent, approval, approved, ask};
use crate::{
    ActorError,
    api::shares::Permission::{List, Read},
    tests::{
        kit::Kit,
        shares::{get, reason, three},
    },
};

#[tokio::test]
async fn what_an_agent_is_given_never_outlasts_its_token() {
    let kit = Kit::sim().await;
    let (ann, _, _) = three(&kit).await;
    let agent = agent(&kit, &ann, 60_000).await;
    let given = approved(&kit, &ann, &agent, &[Read]).await;
    assert_eq!(
        given.expires_at,
        kit.clock.now() + Duration::from_secs(60),
        "an hour was asked for and given"
    );
    let late = ask(&kit, &agent.caller, ann.id("granted"), &[List]).await.unwrap();
    let give = approval(&kit, &ann, &agent, late.id, &[List]).await;
    kit.clock.advance(Duration::from_secs(60));
    assert_eq!(reason(get(&kit, &agent.caller, ann.vault(), ann.id("granted")).await), "UNAUTHENTICATED");
    assert_eq!(
        kit.call(ann.caller(), give).await.err(),
        Some(ActorError::NotFound),
        "there is no program left"
    );
}
