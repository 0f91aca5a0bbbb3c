//! Who may, and how a conversation ends: with its owner's fresh proof, and nothing of it stays.

use std::time::Duration;

use ocmt_crypto::{object::conversation_key_id, vault::Change};
use ocmt_store::{
    Filter,
    tables::{Conversation, TranscriptRecord},
};
use ocmt_types::{IdGen, RandomIds};

use super::{Talk, all, begin, reason};
use crate::{
    ActorError, Caller,
    api::{
        auth::LinkPurpose,
        transcript::{DeleteConversation, ListConversations, OpenConversation, ReadTranscript},
        users::Role,
        vault::{BatchPutEntries, Write},
    },
    tests::kit::{Kit, until},
};

/// What deletes it: a vault without its key, and without its anchor if that is to go.
fn without(talk: &Talk, anchor_too: bool) -> (Change, DeleteConversation) {
    let mut edit = talk.open.edit();
    edit.delete_object(conversation_key_id(talk.id)).unwrap();
    if anchor_too {
        edit.drop_anchor(talk.id);
    }
    let change = edit.finish().unwrap();
    let ask = DeleteConversation { conversation: talk.id, manifest: change.manifest.clone() };
    (change, ask)
}

#[tokio::test]
async fn a_conversation_is_deleted_whole_by_its_owner_with_a_fresh_proof() {
    let kit = Kit::sqlite().await;
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    talk.say(&kit, &[b"one", b"two"]).await.unwrap();
    let (_, anchored) = without(&talk, false);
    assert_eq!(reason(kit.call(talk.caller(), anchored).await), "INVALID_ARGUMENT");
    let honest = talk.open.edit().finish().unwrap().manifest;
    let with_key = DeleteConversation { conversation: talk.id, manifest: honest };
    assert_eq!(reason(kit.call(talk.caller(), with_key).await), "INVALID_ARGUMENT");
    let (change, delete) = without(&talk, true);
    kit.clock.advance(Duration::from_secs(3 * 60));
    let used = ListConversations { after: None, limit: 1 };
    kit.call(talk.caller(), used.clone()).await.unwrap();
    kit.clock.advance(Duration::from_secs(3 * 60));
    assert_eq!(reason(kit.call(talk.caller(), delete.clone()).await), "STEP_UP_REQUIRED");
    let fresh = kit.sign_in(&talk.person, LinkPurpose::SignIn).await;
    let key = || kit.keyed(7, 7);
    let deleted =
        kit.system.tenant(talk.person.tenant).call(fresh.caller.clone(), key(), delete.clone()).await;
    talk.open.apply(change).unwrap();
    assert_eq!(deleted.unwrap().counter, talk.open.manifest().counter);
    let again = kit.system.tenant(talk.person.tenant).call(fresh.caller.clone(), key(), delete).await;
    assert!(again.is_ok(), "a repeat has its answer");
    assert_eq!(all(&kit, &fresh.caller, talk.id, 1).await.unwrap_err(), ActorError::NotFound);
    assert!(kit.call(&fresh.caller, used.clone()).await.unwrap().conversations.is_empty());
    // its records go in steps
    until("nothing is left of it", async || {
        let mut tx = kit.rows(talk.person.tenant).await;
        let rows = tx.count::<Conversation>(Filter::all()).await.unwrap();
        let records = tx.count::<TranscriptRecord>(Filter::all()).await.unwrap();
        drop(tx);
        let _ = kit.call(&fresh.caller, used.clone()).await;
        (rows, records) == (0, 0)
    })
    .await;
}

#[tokio::test]
async fn the_key_of_a_conversation_stays_while_it_is_there() {
    let kit = Kit::sim().await;
    let talk = Talk::founded(&kit, "ann@example.com").await;
    let mut edit = talk.open.edit();
    edit.delete_object(conversation_key_id(talk.id)).unwrap();
    let change = edit.finish().unwrap();
    let write = Write {
        vault: talk.open.scope().vault,
        puts: Vec::new(),
        deletes: vec![(conversation_key_id(talk.id), 1)],
        manifest: change.manifest.clone(),
    };
    assert_eq!(reason(kit.call(talk.caller(), BatchPutEntries(write)).await), "CONVERSATION_KEY");
    assert!(talk.heard(&kit).await.is_empty());
}

#[tokio::test]
async fn a_conversation_is_opened_once_and_with_the_key_that_the_vault_has() {
    let kit = Kit::sim().await;
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    let ids: &dyn IdGen = &RandomIds;
    let vault = talk.open.scope().vault;
    let ask =
        |conversation, wrapped_key| OpenConversation { vault, conversation, wrapped_key, container: None };
    let none = kit.call(talk.caller(), ask(ids.id(), vec![1; 72])).await;
    assert_eq!(reason(none), "CONVERSATION_KEY");
    let wrapped = super::shown(&kit, &talk).await.wrapped_key;
    let again = kit.call(talk.caller(), ask(talk.id, wrapped)).await;
    assert_eq!(reason(again), "ALREADY_EXISTS");
    let id = ids.id();
    let mut edit = talk.open.edit();
    edit.create_conversation_key(id, &mut rand::rng()).unwrap();
    let change = edit.finish().unwrap();
    let (puts, manifest) = (change.objects.clone(), change.manifest.clone());
    let write = Write { vault, puts, deletes: Vec::new(), manifest };
    kit.call(talk.caller(), BatchPutEntries(write)).await.unwrap();
    assert_eq!(reason(kit.call(talk.caller(), ask(id, vec![1; 72])).await), "CHANGED_MEANWHILE");
    let wrapped = change.objects[0].wrapped_key.clone();
    let stranger = OpenConversation { container: Some(ids.id()), ..ask(id, wrapped.clone()) };
    assert_eq!(kit.call(talk.caller(), stranger).await.unwrap_err(), ActorError::NotFound);
    kit.call(talk.caller(), ask(id, wrapped)).await.unwrap();
    talk.open.apply(change).unwrap();
}

#[tokio::test]
async fn to_everybody_else_a_conversation_is_not_there() {
    let kit = Kit::sim().await;
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    talk.say(&kit, &[b"one"]).await.unwrap();
    let bob = kit.member(&talk.person, "bob@example.com", Role::Admin).await;
    let carol = kit.founder("carol@example.com").await;
    let mut others = talk.seal(&[b"two"], false);
    let (_, delete) = without(&talk, true);
    let ids: &dyn IdGen = &RandomIds;
    for (caller, id) in [(&bob.caller, talk.id), (&carol.caller, talk.id), (talk.caller(), ids.id())] {
        others.conversation = id;
        let delete = DeleteConversation { conversation: id, ..delete.clone() };
        let read = ReadTranscript { conversation: id, from: 0, continues: false };
        let further = ReadTranscript { continues: true, ..read.clone() };
        let answers = [
            kit.call(caller, read).await.err(),
            kit.call(caller, further).await.err(),
            kit.call(caller, others.clone()).await.err(),
            kit.call(caller, delete).await.err(),
        ];
        assert!(answers.iter().all(|answer| *answer == Some(ActorError::NotFound)), "{answers:?}");
    }
    let recovering = kit.sign_in(&talk.person, LinkPurpose::Recovery).await;
    assert_eq!(reason(all(&kit, &recovering.caller, talk.id, 1).await), "PERMISSION_DENIED");
    assert_eq!(talk.heard(&kit).await, [b"one"]);
}

/// The audit has the opening of a stream and each batch, and not each page.
#[tokio::test]
async fn each_batch_and_each_opening_is_in_the_audit() {
    let kit = Kit::sim().await;
    let mut talk = Talk::founded(&kit, "ann@example.com").await;
    let (_, second) = begin(&kit, &talk.person, &mut talk.open).await;
    drop(second);
    let texts = [b"t".as_slice(); 60];
    talk.say(&kit, &texts).await.unwrap();
    talk.say(&kit, &texts).await.unwrap();
    assert_eq!(all(&kit, talk.caller(), talk.id, 1).await.unwrap().len(), 120);
    let count = async |caller: &Caller, method: &str| {
        let ask = crate::api::audit::QueryAudit {
            limit: 100,
            method: Some(method.to_owned()),
            ..Default::default()
        };
        kit.call(caller, ask).await.unwrap().records.len()
    };
    assert_eq!(count(talk.caller(), "TranscriptService/OpenConversation").await, 2);
    assert_eq!(count(talk.caller(), "TranscriptService/AppendTranscript").await, 2);
    assert_eq!(count(talk.caller(), "TranscriptService/ReadTranscript").await, 1);
}
