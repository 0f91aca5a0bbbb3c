//! Retention: what is older than the policy says goes, and what later records need stays.

use std::time::Duration;

use ocmt_crypto::transcript::{Anchor, TranscriptReader, TranscriptWriter};

use super::{Talk, all, begin, reason, shown};
use crate::{
    api::tenant::{GetQuota, GetTenant, TenantPolicy, UpdateTenantPolicy},
    tenant::TenantMessage,
    tests::kit::{Kit, until},
};

const HOUR: Duration = Duration::from_secs(3600);

async fn keep_for(kit: &Kit, talk: &Talk, kept: Duration) {
    let tenant = kit.call(talk.caller(), GetTenant).await.unwrap();
    let transcript_retention_ms = i64::try_from(kept.as_millis()).unwrap();
    let policy = TenantPolicy {
        transcript_retention_ms,
        // nobody is signed out while the test waits
        session_idle_ms: 3_600_000,
        ..tenant.policy
    };
    kit.call(talk.caller(), UpdateTenantPolicy { policy, version: tenant.version }).await.unwrap();
}

/// Lets time pass in steps in which the session is used.
async fn pass(kit: &Kit, talk: &Talk, steps: u32) {
    for _ in 0..steps {
        kit.clock.advance(HOUR / 2);
        kit.call(talk.caller(), GetTenant).await.unwrap();
        kit.system.send(talk.person.tenant, TenantMessage::TimerDue);
        kit.call(talk.caller(), GetTenant).await.unwrap();
    }
}

async fn what_is_due_goes(kit: Kit) {
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    keep_for(&kit, &talk, 2 * HOUR).await;
    talk.say(&kit, &[b"one", b"two", b"three"]).await.unwrap();
    let used =
        async |talk: &Talk| kit.call(talk.caller(), GetQuota::default()).await.unwrap().used.storage_bytes;
    let before = used(&talk).await;
    let (young, mut young_writer) = begin(&kit, &talk.person, &mut talk.open).await;
    let opened = used(&talk).await;
    pass(&kit, &talk, 3).await;
    assert_eq!(shown(&kit, &talk).await.first_sequence, 1, "not before its time");
    let at = young_writer.anchor();
    let records = (0..3).map(|n| young_writer.append(&[n], false, &mut rand::rng()).unwrap()).collect();
    kit.call(talk.caller(), super::batch(young, &at, records)).await.unwrap();
    let young_bytes = used(&talk).await - opened;
    pass(&kit, &talk, 1).await;
    until("what is due is gone", async || shown(&kit, &talk).await.first_sequence == 3).await;
    assert_eq!(all(&kit, talk.caller(), young, 1).await.unwrap().len(), 3, "the other one is young");
    let left = all(&kit, talk.caller(), talk.id, 1).await.unwrap();
    assert_eq!(left.len(), 1, "the last one stays");
    let freed = opened + young_bytes - used(&talk).await;
    assert_eq!(freed, 2 * 56, "two records of three bytes: {before}");
    // whoever has the key goes on from what is left, and from nothing else
    let info = shown(&kit, &talk).await;
    assert_eq!((info.next_sequence, info.last_tag.as_slice()), (4, &talk.writer.anchor().last_tag[..]));
    let before = Anchor { count: 2, last_tag: info.before_tag.as_slice().try_into().unwrap() };
    let mut reader = TranscriptReader::after(talk.place(), talk.keys(&kit).await, before);
    assert_eq!(reader.next(&left[0]).unwrap().as_slice(), b"three");
    let mut resumed = TranscriptWriter::resume(&reader).unwrap();
    let at = resumed.anchor();
    let four = resumed.append(b"four", false, &mut rand::rng()).unwrap();
    kit.call(talk.caller(), super::batch(talk.id, &at, vec![four.clone()])).await.unwrap();
    reader.next(&four).unwrap();
    // what went cannot be sent again, nor read on from
    let start = super::batch(talk.id, &Anchor::START, vec![four]);
    assert_eq!(reason(kit.call(talk.caller(), start).await), "TRANSCRIPT_PRUNED");
    let behind = crate::api::transcript::ReadTranscript { conversation: talk.id, from: 2, continues: true };
    assert_eq!(reason(kit.call(talk.caller(), behind).await), "TRANSCRIPT_PRUNED");
    // and the rest in its time
    pass(&kit, &talk, 4).await;
    until("it is gone in its time", async || shown(&kit, &talk).await.first_sequence == 4).await;
    until("and the young one", async || all(&kit, talk.caller(), young, 1).await.unwrap().len() == 1).await;
}

#[tokio::test]
async fn what_is_due_goes_and_the_last_record_stays() {
    what_is_due_goes(Kit::sim().await).await;
    what_is_due_goes(Kit::sqlite().await).await;
    what_is_due_goes(Kit::postgres().await).await;
}

#[tokio::test]
async fn without_a_policy_nothing_goes_and_a_policy_counts_from_now_on_for_what_is_there() {
    let kit = Kit::sim().await;
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    talk.say(&kit, &[b"one", b"two"]).await.unwrap();
    pass(&kit, &talk, 6).await;
    assert_eq!(shown(&kit, &talk).await.first_sequence, 1);
    let fresh = kit.sign_in(&talk.person, crate::api::auth::LinkPurpose::SignIn).await;
    talk.person = fresh;
    keep_for(&kit, &talk, HOUR).await;
    until("it is long due", async || shown(&kit, &talk).await.first_sequence == 2).await;
    // a policy that was taken back takes nothing
    talk.say(&kit, &[b"three"]).await.unwrap();
    keep_for(&kit, &talk, Duration::ZERO).await;
    pass(&kit, &talk, 6).await;
    assert_eq!(shown(&kit, &talk).await.first_sequence, 2);
    let tenant = kit.call(talk.caller(), GetTenant).await.unwrap();
    let policy = TenantPolicy { transcript_retention_ms: 1, ..tenant.policy };
    let short = UpdateTenantPolicy { policy, version: tenant.version };
    let fresh = kit.sign_in(&talk.person, crate::api::auth::LinkPurpose::SignIn).await;
    assert_eq!(reason(kit.call(&fresh.caller, short).await), "INVALID_ARGUMENT");
}

/// A step is bounded in bytes: gigabytes at once would take longer than the database lets a statement take.
#[tokio::test]
async fn much_goes_in_steps() {
    let kit = Kit::sim().await;
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    let large = vec![1; ocmt_crypto::transcript::MAX_RECORD];
    for _ in 0..11 {
        talk.say(&kit, &[&large[..]; 13]).await.unwrap();
    }
    keep_for(&kit, &talk, HOUR).await;
    pass(&kit, &talk, 3).await;
    until("all but the last are gone", async || shown(&kit, &talk).await.first_sequence == 143).await;
    let pruned = crate::api::audit::QueryAudit {
        limit: 100,
        method: Some("transcript.pruned".to_owned()),
        ..Default::default()
    };
    let steps = kit.call(talk.caller(), pruned).await.unwrap().records.len();
    // 142 records of 256 KiB, 16 MiB a step at the most
    assert!((3..=10).contains(&steps), "{steps}");
}
