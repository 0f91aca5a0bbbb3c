//! Following: who waits is woken by an append and by the end, and by nothing of others.

use std::time::Duration;

use futures_util::FutureExt as _;

use super::{Talk, begin};
use crate::tests::kit::{Kit, PATIENCE};

#[tokio::test]
async fn who_follows_is_woken_by_what_is_appended_to_that_conversation() {
    let kit = Kit::sim().await;
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    let (other, _) = begin(&kit, &talk.person, &mut talk.open).await;
    let tenant = kit.system.tenant(talk.person.tenant);
    let mut wake = tenant.follow_transcript(talk.caller(), talk.id, kit.deadline()).await.unwrap();
    let mut elsewhere = tenant.follow_transcript(talk.caller(), other, kit.deadline()).await.unwrap();
    assert!(wake.changed().now_or_never().is_none());
    talk.say(&kit, &[b"one"]).await.unwrap();
    assert!(tokio::time::timeout(PATIENCE, wake.changed()).await.unwrap());
    assert!(wake.changed().now_or_never().is_none(), "once");
    assert!(elsewhere.changed().now_or_never().is_none());
    // what is refused wakes nobody
    let mut wrong = talk.seal(&[b"two"], false);
    wrong.first_sequence += 1;
    assert!(kit.call(talk.caller(), wrong).await.is_err());
    assert!(wake.changed().now_or_never().is_none());
    let carol = kit.founder("carol@example.com").await;
    assert!(tenant.follow_transcript(&carol.caller, talk.id, kit.deadline()).await.is_err());
}

#[tokio::test]
async fn who_follows_is_told_when_the_tenant_moves_away() {
    let kit = Kit::sim().await;
    let talk = Talk::founded(&kit, "ann@example.com").await;
    let tenant = kit.system.tenant(talk.person.tenant);
    let mut wake = tenant.follow_transcript(talk.caller(), talk.id, kit.deadline()).await.unwrap();
    kit.steal(talk.person.tenant).await;
    // the next call finds the ownership gone
    let told = async {
        loop {
            let _ = super::all(&kit, talk.caller(), talk.id, 1).await;
            if let Ok(false) = tokio::time::timeout(Duration::from_millis(5), wake.changed()).await {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
}
