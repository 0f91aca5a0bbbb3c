//! Bounds: of a conversation, of a vault's conversations, of a tenant's storage, exact under parallel callers.

use futures_util::future::join_all;
use ocmt_store::tables::Conversation;

use super::{MOST, Talk, batch, begin, reason};
use crate::{
    Quota, QuotaChange,
    api::{tenant::GetQuota, transcript::ListConversations},
    tests::{
        kit::Kit,
        quotas::{done, limit_to},
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn records_count_into_the_tenants_storage_exactly() {
    let kit = Kit::sqlite().await;
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    let before = kit.call(talk.caller(), GetQuota::default()).await.unwrap().used.storage_bytes;
    let mut talks = Vec::new();
    for _ in 0..8 {
        talks.push(begin(&kit, &talk.person, &mut talk.open).await);
    }
    let used = async || kit.call(talk.caller(), GetQuota::default()).await.unwrap().used.storage_bytes;
    let opened = used().await;
    assert!(opened > before, "keys are objects of the vault");
    // room for three of eight that come at once
    let one = 1_053; // 1,000 bytes in an envelope, and the flag
    limit_to(
        &kit,
        &talk.person,
        QuotaChange { storage_bytes: Some(opened + 3 * one), ..QuotaChange::default() },
    )
    .await;
    let mut batches = Vec::new();
    for (id, writer) in &mut talks {
        let at = writer.anchor();
        let record = writer.append(&[1; 1_000], false, &mut rand::rng()).unwrap();
        assert_eq!(i64::try_from(record.len()).unwrap(), one);
        batches.push(batch(*id, &at, vec![record]));
    }
    let answers = join_all(batches.into_iter().map(|batch| kit.call(talk.caller(), batch))).await;
    assert_eq!(done(answers, "QUOTA_STORAGE"), 3);
    assert_eq!(used().await, opened + 3 * one);
    // without its counter it is counted anew, to the same
    let own = kit.steal(talk.person.tenant).await;
    let mut tx = kit.store.fenced(own).await.unwrap();
    assert!(tx.delete::<ocmt_store::tables::Usage>(()).await.unwrap());
    tx.commit().await.unwrap();
    let again = crate::tests::kit::until("it is counted", async || {
        kit.call(talk.caller(), GetQuota::default())
            .await
            .is_ok_and(|it| it.used.storage_bytes == opened + 3 * one)
    });
    again.await;
    assert!(Quota::DEFAULT.storage_bytes > opened);
}

#[tokio::test]
async fn a_conversation_ends_at_its_bounds_whole_batches_at_a_time() {
    let kit = Kit::sim().await;
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    talk.say(&kit, &[b"one"]).await.unwrap();
    let own = kit.steal(talk.person.tenant).await;
    let mut tx = kit.store.fenced(own).await.unwrap();
    let row = tx.get::<Conversation>(talk.id).await.unwrap().unwrap();
    tx.update(&Conversation { next_sequence: MOST, first_sequence: MOST - 1, ..row }).await.unwrap();
    tx.commit().await.unwrap();
    let ask = async |texts: &[&[u8]], talk: &mut Talk| {
        let mut batch = talk.seal(texts, false);
        batch.first_sequence = u64::try_from(MOST).unwrap();
        let listed = kit.call(talk.caller(), ListConversations { after: None, limit: 1 }).await.unwrap();
        batch.previous_tag.clone_from(&listed.conversations[0].last_tag);
        kit.call(talk.caller(), batch).await
    };
    crate::tests::kit::until("it is awake", async || {
        kit.call(talk.caller(), GetQuota::default()).await.is_ok()
    })
    .await;
    assert_eq!(reason(ask(&[b"the last that fits", b"one more"], &mut talk).await), "TRANSCRIPT_FULL");
    ask(&[b"the last that fits"], &mut talk).await.unwrap();
}
