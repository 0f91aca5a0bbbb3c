//! V11 at the node: what is out of order is refused, and changes nothing. What a node cannot see, the reader does.

use futures_util::future::join_all;
use ocmt_crypto::transcript::TranscriptReader;

use super::{Talk, all, batch, begin, reason, shown};
use crate::{api::transcript::AppendTranscript, tests::kit::Kit};

#[tokio::test]
async fn v11_what_is_out_of_order_is_refused_and_changes_nothing() {
    let kit = Kit::sim().await;
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    talk.say(&kit, &[b"one", b"two", b"three"]).await.unwrap();
    let (other_id, mut other) = begin(&kit, &talk.person, &mut talk.open).await;
    let at_other = other.anchor();
    let theirs = vec![other.append(b"of another", false, &mut rand::rng()).unwrap()];
    kit.call(talk.caller(), batch(other_id, &at_other, theirs.clone())).await.unwrap();
    let there = all(&kit, talk.caller(), talk.id, 1).await.unwrap();
    let next = talk.seal(&[b"four", b"five", b"six"], false);
    let with = |first: u64, previous_tag: &[u8], records: &[&Vec<u8>]| AppendTranscript {
        first_sequence: first,
        previous_tag: previous_tag.to_vec(),
        records: records.iter().map(|record| (*record).clone()).collect(),
        ..next.clone()
    };
    let (tag, sealed) = (&next.previous_tag, &next.records);
    let tag_of = |record: &[u8]| record[record.len() - 16..].to_vec();
    let mut unknown = sealed[0].clone();
    unknown[0] = 2;
    let mut other_kind = sealed[0].clone();
    other_kind[5] = 1;
    for (what, attack, refused) in [
        ("dropped", with(5, &tag_of(&sealed[0]), &[&sealed[1]]), "TRANSCRIPT_GAP"),
        ("dropped, with its place taken", with(4, &tag_of(&sealed[0]), &[&sealed[1]]), "CHANGED_MEANWHILE"),
        ("spliced behind another record", with(4, &tag_of(&there[0]), &[&sealed[0]]), "CHANGED_MEANWHILE"),
        (
            "spliced from another conversation",
            with(4, &tag_of(&theirs[0]), &[&theirs[0]]),
            "CHANGED_MEANWHILE",
        ),
        ("doubled at its end", with(4, tag, &[&there[2]]), "INVALID_ARGUMENT"),
        ("doubled within", with(4, tag, &[&sealed[0], &sealed[0]]), "INVALID_ARGUMENT"),
        ("another one in its place", with(3, &tag_of(&there[1]), &[&sealed[0]]), "CHANGED_MEANWHILE"),
        (
            "reordered over what is there",
            with(2, &tag_of(&there[0]), &[&there[2], &there[1]]),
            "CHANGED_MEANWHILE",
        ),
        ("from before the beginning", with(0, &[], &[&sealed[0]]), "INVALID_ARGUMENT"),
        ("cut to nothing", with(4, tag, &[&sealed[0][..40].to_vec()]), "INVALID_ARGUMENT"),
        ("of another form", with(4, tag, &[&unknown]), "INVALID_ARGUMENT"),
        ("of another kind", with(4, tag, &[&other_kind]), "INVALID_ARGUMENT"),
        ("too long", with(4, tag, &[&[&sealed[0][..], &[0; 262_272]].concat()]), "INVALID_ARGUMENT"),
        ("none", with(4, tag, &[]), "INVALID_ARGUMENT"),
        ("good ones before a bad one", with(4, tag, &[&sealed[0], &unknown]), "INVALID_ARGUMENT"),
    ] {
        assert_eq!(reason(kit.call(talk.caller(), attack).await), refused, "{what}");
        assert_eq!(all(&kit, talk.caller(), talk.id, 1).await.unwrap(), there, "{what}");
    }
    kit.call(talk.caller(), next).await.unwrap();
    assert_eq!(talk.heard(&kit).await.len(), 6);
}

/// The places of records are bound into them, and the node has no key: a client that numbers its own records wrongly is
/// found out by whoever reads.
#[tokio::test]
async fn v11_what_a_node_cannot_see_the_reader_does() {
    let kit = Kit::sim().await;
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    let mut wrong = talk.seal(&[b"one", b"two", b"three"], false);
    wrong.records.swap(1, 2);
    kit.call(talk.caller(), wrong).await.unwrap();
    let mut reader = TranscriptReader::new(talk.place(), talk.keys(&kit).await);
    let records = all(&kit, talk.caller(), talk.id, 1).await.unwrap();
    assert!(reader.next(&records[0]).is_ok() && reader.next(&records[1]).is_err());
}

#[tokio::test]
async fn a_repeat_is_skipped_and_goes_on_where_it_was_cut_off() {
    let kit = Kit::sqlite().await;
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    let whole = talk.seal(&[b"1", b"2", b"3", b"4", b"5"], false);
    let cut = AppendTranscript { records: whole.records[..2].to_vec(), ..whole.clone() };
    assert_eq!(kit.call(talk.caller(), cut.clone()).await.unwrap().next_sequence, 3);
    assert_eq!(kit.call(talk.caller(), whole.clone()).await.unwrap().next_sequence, 6);
    for again in [cut, whole.clone()] {
        assert_eq!(kit.call(talk.caller(), again).await.unwrap().next_sequence, 6);
    }
    // a repeat of which one byte is another is none
    let mut other = whole;
    *other.records[4].last_mut().unwrap() ^= 1;
    assert_eq!(reason(kit.call(talk.caller(), other).await), "CHANGED_MEANWHILE");
    assert_eq!(talk.heard(&kit).await.len(), 5);
}

#[tokio::test]
async fn after_the_final_record_nothing_is_appended() {
    let kit = Kit::sim().await;
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    let spare = talk.seal(&[b"not the last"], false);
    kit.call(talk.caller(), spare.clone()).await.unwrap();
    let last = talk.seal(&[b"the last"], true);
    let mut more = last.clone();
    more.records.push(spare.records[0].clone());
    assert_eq!(reason(kit.call(talk.caller(), more).await), "INVALID_ARGUMENT", "final in the middle");
    kit.call(talk.caller(), last.clone()).await.unwrap();
    assert!(shown(&kit, &talk).await.finished);
    let at = talk.writer.anchor();
    let behind = batch(talk.id, &at, spare.records);
    assert_eq!(reason(kit.call(talk.caller(), behind).await), "TRANSCRIPT_FINISHED");
    assert_eq!(kit.call(talk.caller(), last).await.unwrap().next_sequence, 3, "a repeat is no addition");
}

/// Of those who go on from one record one wins, and the others change nothing.
async fn of_parallel_appenders_one_wins(kit: Kit) {
    let talk = Talk::founded(&kit, "ann@example.com").await;
    for round in 1..=5 {
        let mut ways = Vec::new();
        for n in 0..8 {
            // the same key and the same place, eight different words
            let mut writer = talk.resumed(&kit).await;
            let at = writer.anchor();
            let record = writer.append(&[n; 9], false, &mut rand::rng()).unwrap();
            ways.push(batch(talk.id, &at, vec![record]));
        }
        let answers = join_all(ways.iter().map(|way| kit.call(talk.caller(), way.clone()))).await;
        let lost: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert!(
            lost.len() == 7 && lost.iter().all(|error| error.reason() == "CHANGED_MEANWHILE"),
            "{lost:?}"
        );
        let won = answers.iter().position(Result::is_ok).unwrap();
        let records = all(&kit, talk.caller(), talk.id, 1).await.unwrap();
        assert_eq!((records.len(), records.last()), (round, ways[won].records.first()));
    }
    assert_eq!(talk.heard(&kit).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_parallel_appenders_one_wins_on_sqlite() {
    of_parallel_appenders_one_wins(Kit::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_parallel_appenders_one_wins_on_postgres() {
    of_parallel_appenders_one_wins(Kit::postgres().await).await;
}
