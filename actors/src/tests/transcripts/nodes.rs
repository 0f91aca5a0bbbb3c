//! Appenders at two nodes at once, while the tenant moves between them: no gap, no fork, nothing lost.

use std::time::Duration;

use futures_util::future::join_all;

use super::{Talk, batch};
use crate::{
    ActorError, Call, Caller,
    api::transcript::AppendTranscript,
    tests::{
        kit::{Kit, PATIENCE},
        nodes::hand_over,
    },
};

/// Asks as an edge does, until there is an answer.
async fn ask<C: Call + Clone>(
    nodes: [&Kit; 2],
    from: usize,
    by: &Caller,
    call: C,
) -> Result<C::Answer, ActorError> {
    for turn in from..from + 20_000 {
        let kit = nodes[turn % 2];
        let tenant = kit.system.tenant(by.tenant());
        match tenant.call(by.clone(), kit.meta(), call.clone()).await {
            Err(error) if error.is_retryable() || error.outcome_unknown() => {}
            answer => return answer,
        }
        tokio::time::sleep(Duration::from_millis(2)).await; // why: the pause between two tries of an edge, bounded by the turns
    }
    panic!("no node took it");
}

async fn appenders_at_two_nodes(a: Kit) {
    let b = a.beside(2).await;
    let nodes = [&a, &b];
    let mut talk = Talk::founded(&a, "ann@example.com").await;
    // forty records in one chain, each sent by three senders at once, in any order
    let batches: Vec<AppendTranscript> = (0..40_u8).map(|n| talk.seal(&[&[n; 50]], false)).collect();
    let send = |from: usize, by: Caller| {
        let batches = batches.clone();
        async move {
            for batch in batches {
                loop {
                    match ask(nodes, from, &by, batch.clone()).await {
                        Ok(_) => break,
                        Err(error) => assert_eq!(error.reason(), "TRANSCRIPT_GAP", "{error}"),
                    }
                }
            }
        }
    };
    let senders = join_all((0..3).map(|n| send(n, talk.caller().clone())));
    // and those who would write something else at the same places
    let mut rivals = Vec::new();
    for n in 0..4_u8 {
        let keys = ask_keys(&talk, nodes).await;
        let mut writer = super::TranscriptWriter::begin(talk.place(), 1, keys);
        let at = writer.anchor();
        rivals.push(batch(talk.id, &at, vec![writer.append(&[100 + n], false, &mut rand::rng()).unwrap()]));
    }
    let first = ask(nodes, 0, talk.caller(), batches[0].clone()).await;
    assert!(first.is_ok());
    let rivals = join_all(rivals.into_iter().map(|rival| ask(nodes, 1, talk.caller(), rival)));
    let work = async { tokio::join!(senders, rivals, hand_over(nodes, talk.person.tenant)) };
    let (_, rivals, ()) = tokio::time::timeout(3 * PATIENCE, work).await.unwrap();
    assert!(
        rivals.iter().all(|rival| rival.as_ref().is_err_and(|error| error.reason() == "CHANGED_MEANWHILE"))
    );
    let sent: Vec<Vec<u8>> = batches.into_iter().flat_map(|batch| batch.records).collect();
    let (mut there, mut next) = (Vec::new(), 0);
    while there.len() < sent.len() {
        let read =
            crate::api::transcript::ReadTranscript { conversation: talk.id, from: next, continues: false };
        let page = ask(nodes, 0, talk.caller(), read).await.unwrap();
        next = page.first_sequence + page.records.len() as u64;
        there.extend(page.records);
    }
    assert_eq!(there, sent, "one history, without a gap");
}

/// The key as the vault has it.
async fn ask_keys(talk: &Talk, nodes: [&Kit; 2]) -> ocmt_crypto::datakey::DataKey {
    let (vault, object) = (talk.open.scope().vault, ocmt_crypto::object::conversation_key_id(talk.id));
    let get = crate::api::vault::GetEntry { vault, object, version: 0 };
    let found = ask(nodes, 0, talk.caller(), get).await.unwrap();
    talk.open.key_versions(&found.objects[0]).unwrap().current.1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn appenders_at_two_nodes_leave_one_history_on_sim() {
    appenders_at_two_nodes(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn appenders_at_two_nodes_leave_one_history_on_postgres() {
    appenders_at_two_nodes(Kit::postgres().await).await;
}
