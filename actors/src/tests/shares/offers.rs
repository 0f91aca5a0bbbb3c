//! An offer is answered once, and there are only so many.

use futures_util::future::join_all;

use super::{accept, offer, reason, revoke, shares, three};
use crate::{
    api::shares::{Permission::List, ShareState},
    tests::kit::Kit,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_parallel_answers_one_is_the_answer() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    let ask = offer(&kit, &ann, &bob, "granted", &[List]).await;
    let share = kit.call(ann.caller(), ask).await.unwrap().id;
    let answers = join_all((0..8).map(|_| accept(&kit, &bob, share))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for answer in answers.into_iter().filter(Result::is_err) {
        assert_eq!(reason(answer), "NOT_OFFERED");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_that_meets_its_end_comes_to_nothing_in_the_end() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    for _ in 0..10 {
        let ask = offer(&kit, &ann, &bob, "granted", &[List]).await;
        let share = kit.call(ann.caller(), ask).await.unwrap().id;
        let (taken, ended) = tokio::join!(accept(&kit, &bob, share), revoke(&kit, &ann, share));
        ended.unwrap();
        assert!(taken.is_ok() || reason(taken) == "NOT_OFFERED");
        assert_eq!(shares(&kit, &ann).await[0].state, ShareState::Revoked);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_offers_of_one_person_wait_for_another_however_they_come() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let ask = offer(&kit, &ann, &bob, "granted", &[List]).await;
    let made = join_all((0..30).map(|_| kit.call(ann.caller(), ask.clone()))).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 20);
    assert!(made.into_iter().filter(Result::is_err).all(|made| reason(made) == "TOO_MANY_SHARES"));
    // for others there is room, and for Bob when some are answered or taken back
    let to_carol = offer(&kit, &ann, &carol, "granted", &[List]).await;
    kit.call(ann.caller(), to_carol).await.unwrap();
    let waiting = shares(&kit, &bob).await;
    accept(&kit, &bob, waiting[0].id).await.unwrap();
    revoke(&kit, &ann, waiting[1].id).await.unwrap();
    let made = join_all((0..3).map(|_| kit.call(ann.caller(), ask.clone()))).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 2);
}

#[tokio::test]
async fn one_person_gives_a_hundred_shares_of_a_vault_at_a_time() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    let mut ask = offer(&kit, &ann, &bob, "granted", &[List]).await;
    ask.lifetime_ms = Some(60_000);
    for _ in 0..100 {
        let share = kit.call(ann.caller(), ask.clone()).await.unwrap().id;
        accept(&kit, &bob, share).await.unwrap();
    }
    assert_eq!(reason(kit.call(ann.caller(), ask.clone()).await), "TOO_MANY_SHARES");
    // those that have run out make room, swept or not
    kit.clock.advance(std::time::Duration::from_secs(60));
    kit.call(ann.caller(), ask).await.unwrap();
}
