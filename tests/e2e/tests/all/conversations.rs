//! Conversations through a real node: kept, followed, cut off, attacked, exported.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt::{
    canary::{Marks, Place, search},
    local::wait_for,
};
use ocmt_client::{
    Client, ClientError,
    auth::Purpose,
    conversation::{Start, TranscriptFault},
    vault::{Key, Vault},
};
use ocmt_crypto::{
    kdf::Passphrase,
    vault::{Rollback, RotationMode},
};
use ocmt_store::testing::TestDatabase;
use ocmt_testkit::{Person, TestNode, pace, ports};
use ocmt_types::{Clock as _, ConversationId, SystemClock};
use tokio::time::timeout;
use tonic::Code;

const PASSPHRASE: &str = "violin ledger umbrella quartz";
const PATIENCE: Duration = Duration::from_secs(60);

async fn said(vault: &mut Vault, id: ConversationId, texts: &[&str]) -> Result<u64, ClientError> {
    let mut writer = vault.write_conversation(id).await?;
    for text in texts {
        writer.push(text.as_bytes(), false)?;
    }
    let count = writer.flush().await?;
    vault.note_conversation(id, writer.stored(), writer.is_finished()).await?;
    Ok(count)
}

async fn heard(vault: &Vault, id: ConversationId) -> Result<Vec<String>, ClientError> {
    heard_from(vault, id, Start::First).await
}

async fn heard_from(vault: &Vault, id: ConversationId, start: Start) -> Result<Vec<String>, ClientError> {
    let mut reading = vault.read_conversation(id, start, false).await?;
    let mut texts = Vec::new();
    while let Some(record) = reading.next().await? {
        texts.push(String::from_utf8(record.text.to_vec()).unwrap());
    }
    Ok(texts)
}

async fn unlocked(client: &Client, person: &Person) -> Vault {
    let key = Key::Passphrase(Passphrase::new(PASSPHRASE).unwrap());
    client.unlock_vault(None, key, &person.device, Rollback::Refuse).await.unwrap()
}

/// Another session of somebody.
async fn another(node: &TestNode, person: &Person) -> Client {
    let pending = node.local().client().await.unwrap();
    let pending = pending.request_link(&person.email, None, Purpose::SignIn).await.unwrap();
    let link = node.link(&person.email, "sign-in link").await.unwrap();
    pending.finish(&link, "e2e").await.unwrap()
}

fn code<T>(answer: &Result<T, ClientError>) -> Option<Code> {
    answer.as_ref().err().and_then(ClientError::code)
}

fn fault<T>(answer: Result<T, ClientError>) -> Option<TranscriptFault> {
    match answer.err()? {
        ClientError::Transcript(fault) => Some(fault),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_kept_read_rekeyed_finished_and_deleted() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    let id = vault.open_conversation(None).await.unwrap().id;
    assert!(heard(&vault, id).await.unwrap().is_empty());
    assert_eq!(said(&mut vault, id, &["good morning", "", "what is there to do?"]).await.unwrap(), 3);
    // another device goes on, after the keys of the vault were changed
    vault.rotate(RotationMode::Rekey, &[], Vec::new(), "a test").await.unwrap();
    let device = another(&node, &ada).await;
    let mut theirs = unlocked(&device, &ada).await;
    assert_eq!(said(&mut theirs, id, &["nothing"]).await.unwrap(), 4);
    assert_eq!(heard(&theirs, id).await.unwrap(), ["good morning", "", "what is there to do?", "nothing"]);
    // the first device has not read the vault since: its note loses, and its record is there
    let lost = said(&mut vault, id, &["still here"]).await;
    assert_eq!(code(&lost), Some(Code::Aborted));
    let mut vault = unlocked(&ada.client, &ada).await;
    assert_eq!(heard(&vault, id).await.unwrap().len(), 5);
    let mut writer = vault.write_conversation(id).await.unwrap();
    writer.push(b"goodbye", true).unwrap();
    writer.flush().await.unwrap();
    vault.note_conversation(id, writer.stored(), writer.is_finished()).await.unwrap();
    assert!(vault.keys().manifest().anchors.is_empty(), "a finished one needs none");
    assert!(matches!(vault.write_conversation(id).await, Err(ClientError::Usage(_))));
    let listed = vault.conversations().await.unwrap();
    assert_eq!((listed.len(), listed[0].records, listed[0].finished), (1, 6, true));
    vault.delete_conversation(id).await.unwrap();
    assert!(vault.conversations().await.unwrap().is_empty());
    assert!(matches!(heard(&vault, id).await, Err(ClientError::Usage(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_hears_what_comes_and_stops_with_the_session() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    let id = vault.open_conversation(None).await.unwrap().id;
    said(&mut vault, id, &["before"]).await.unwrap();
    let device = another(&node, &ada).await;
    let theirs = unlocked(&device, &ada).await;
    let mut following = theirs.read_conversation(id, Start::First, true).await.unwrap();
    for text in ["before", "while", "and after"] {
        let next = timeout(PATIENCE, following.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(next.text.as_slice(), text.as_bytes());
        match text {
            "before" => said(&mut vault, id, &["while"]).await.unwrap(),
            "while" => said(&mut vault, id, &["and after"]).await.unwrap(),
            _ => 0,
        };
    }
    let waits = async { following.next().await };
    let revoke = async {
        let session = device.who_am_i().await.unwrap().session.unwrap().id;
        let began = SystemClock.boottime();
        ada.client.revoke_session(session).await.unwrap();
        began
    };
    let both = timeout(PATIENCE, async { tokio::join!(waits, revoke) });
    let (both, machine) = pace::beside(both).await.unwrap();
    let (ended, began) = both.unwrap();
    let took = SystemClock.boottime().saturating_sub(began);
    println!("the stream ended {took:?} after asking, {machine:?} of it the machine's");
    assert_eq!(code(&ended), Some(Code::Unauthenticated));
    assert!(took < Duration::from_secs(1) + machine, "{took:?}, {machine:?} of it the machine's");
    // and one that is finished ends by itself
    let mut following = vault.read_conversation(id, Start::First, true).await.unwrap();
    let mut writer = vault.write_conversation(id).await.unwrap();
    writer.push(b"goodbye", true).unwrap();
    writer.flush().await.unwrap();
    let mut count = 0;
    while timeout(PATIENCE, following.next()).await.unwrap().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_appended_before_a_kill_is_there_after_it_and_the_rest_is_sent_again() {
    // the same port again, so that the writer finds it
    let port = ports::unused().unwrap();
    let node = TestNode::start_with(|config| config.listen.client.set_port(port)).await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    let id = vault.open_conversation(None).await.unwrap().id;
    let mut writer = vault.write_conversation(id).await.unwrap();
    let acknowledged = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let seen = acknowledged.clone();
    let append = async move {
        for n in 0..60_u32 {
            for part in 0..5 {
                writer.push(format!("{n}.{part}").as_bytes(), false).unwrap();
            }
            // what waits is sent again with what comes
            while writer.flush().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await; // why: the pause between two tries, bounded by the timeout around it
            }
            seen.store(writer.stored().count, std::sync::atomic::Ordering::Relaxed);
        }
        writer.stored()
    };
    let kill = async {
        let enough = async || (acknowledged.load(std::sync::atomic::Ordering::Relaxed) >= 50).then_some(());
        wait_for(PATIENCE, enough).await.expect("the writer is too slow");
        node.crash_and_restart().await.unwrap()
    };
    let (at, node) = timeout(2 * PATIENCE, async { tokio::join!(append, kill) }).await.unwrap();
    assert_eq!(at.count, 300);
    vault.note_conversation(id, at, false).await.unwrap();
    let expected: Vec<String> = (0..60).flat_map(|n| (0..5).map(move |part| format!("{n}.{part}"))).collect();
    assert_eq!(heard(&vault, id).await.unwrap(), expected);
    drop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_parallel_writers_one_goes_on_and_nothing_is_lost() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    let id = vault.open_conversation(None).await.unwrap().id;
    let mut writers = Vec::new();
    for n in 0..6_u8 {
        let mut writer = vault.write_conversation(id).await.unwrap();
        writer.push(&[n; 4], false).unwrap();
        writer.push(&[n; 5], false).unwrap();
        writers.push(writer);
    }
    let ended = join_all(writers.iter_mut().map(ocmt_client::conversation::Writer::flush)).await;
    assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 1);
    assert!(ended.iter().filter(|ended| ended.is_err()).all(|ended| code(ended) == Some(Code::Aborted)));
    let won = u8::try_from(ended.iter().position(Result::is_ok).unwrap()).unwrap();
    let expected = [[won; 4].to_vec(), [won; 5].to_vec()].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(heard(&vault, id).await.unwrap(), expected);
}

/// What a lying node does to a conversation, with SQL of its own; and what the reader says of it.
struct Attack {
    what: &'static str,
    sql: &'static str,
    found: fn(ConversationId) -> TranscriptFault,
}

const ATTACKS: [Attack; 8] = [
    Attack {
        what: "reordered",
        sql: "UPDATE transcript_records SET sequence = sequence + 1000 WHERE sequence IN (2, 3);
              UPDATE transcript_records SET sequence = 1005 - sequence WHERE sequence > 1000",
        found: |_| TranscriptFault::Record(2),
    },
    Attack {
        what: "one doubled over the next",
        sql: "UPDATE transcript_records t SET record = o.record FROM transcript_records o
              WHERE o.conversation_id = t.conversation_id AND o.sequence = 2 AND t.sequence = 3",
        found: |_| TranscriptFault::Record(3),
    },
    Attack {
        what: "one dropped, and the later ones moved up",
        sql: "DELETE FROM transcript_records WHERE sequence = 2;
              UPDATE transcript_records SET sequence = sequence - 1000 WHERE sequence > 2;
              UPDATE transcript_records SET sequence = sequence + 999 WHERE sequence < 0;
              UPDATE conversations SET next_sequence = next_sequence - 1",
        found: |id| TranscriptFault::Cut { conversation: id, known: 4, shown: 3 },
    },
    Attack {
        what: "one cut short",
        sql: "UPDATE transcript_records SET record = substring(record FROM 1 FOR length(record) - 1) WHERE sequence = 2",
        found: |_| TranscriptFault::Record(2),
    },
    Attack {
        what: "the last one changed",
        sql: "UPDATE transcript_records SET record = set_byte(record, 40, 255 - get_byte(record, 40)) WHERE sequence = 4",
        found: |_| TranscriptFault::Record(4),
    },
    Attack {
        what: "the end cut off",
        sql: "DELETE FROM transcript_records WHERE sequence = 4;
              UPDATE conversations SET next_sequence = 4,
                last_tag = (SELECT substring(r.record FROM length(r.record) - 15) FROM transcript_records r WHERE r.sequence = 3)",
        found: |id| TranscriptFault::Cut { conversation: id, known: 4, shown: 3 },
    },
    Attack {
        what: "the beginning taken as if by retention",
        sql: "DELETE FROM transcript_records WHERE sequence < 3;
              UPDATE conversations SET first_sequence = 3, before_tag = decode(repeat('00', 16), 'hex')",
        found: |_| TranscriptFault::Pruned { before: 2 },
    },
    Attack {
        what: "marked as finished",
        sql: "UPDATE transcript_records SET record = set_byte(record, 0, 1) WHERE sequence = 4;
              UPDATE conversations SET finished = 1",
        found: |_| TranscriptFault::Record(4),
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn v11_a_node_that_lies_is_found_out_by_whoever_reads_and_by_whoever_goes_on() {
    let database = TestDatabase::migrated().await.unwrap();
    let node = TestNode::start_on(&database.url(), |_| {}).await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    let id = vault.open_conversation(None).await.unwrap().id;
    said(&mut vault, id, &["one", "two", "three", "four"]).await.unwrap();
    let kept = "CREATE TABLE kept_records AS TABLE transcript_records; CREATE TABLE kept_conversations AS TABLE conversations";
    database.run(kept).await.unwrap();
    for Attack { what, sql, found } in ATTACKS {
        database.run(sql).await.unwrap();
        assert_eq!(fault(heard(&vault, id).await), Some(found(id)), "{what}");
        // whoever goes on reads from the last record that the vault knows of: of earlier ones nothing follows
        let earlier_alone = matches!(
            what,
            "reordered"
                | "one doubled over the next"
                | "one cut short"
                | "the beginning taken as if by retention"
        );
        if !earlier_alone {
            assert_eq!(fault(vault.write_conversation(id).await), Some(found(id)), "{what}");
        }
        database
            .run(
                "TRUNCATE transcript_records; INSERT INTO transcript_records TABLE kept_records;
                  TRUNCATE conversations; INSERT INTO conversations TABLE kept_conversations",
            )
            .await
            .unwrap();
        assert_eq!(heard(&vault, id).await.unwrap().len(), 4, "{what}: put back");
    }
    // records of another conversation with the same key under the same numbers do not exist: each has a key of its own
    let other = vault.open_conversation(None).await.unwrap().id;
    said(&mut vault, other, &["of", "another"]).await.unwrap();
    let splice = format!(
        "UPDATE transcript_records t SET record = o.record FROM transcript_records o
         WHERE o.conversation_id = decode(replace('{other}', '-', ''), 'hex') AND o.sequence = 2
           AND t.conversation_id = decode(replace('{id}', '-', ''), 'hex') AND t.sequence = 2"
    );
    database.run(&splice).await.unwrap();
    assert_eq!(fault(heard(&vault, id).await), Some(TranscriptFault::Record(2)), "spliced");
    // a whole conversation left out, and a finished one without its end
    let hide =
        format!("DELETE FROM conversations WHERE conversation_id = decode(replace('{id}', '-', ''), 'hex')");
    database.run(&hide).await.unwrap();
    assert_eq!(fault(vault.conversations().await), Some(TranscriptFault::Missing(id)));
    let mut writer = vault.write_conversation(other).await.unwrap();
    writer.push(b"the end", true).unwrap();
    writer.flush().await.unwrap();
    vault.note_conversation(other, writer.stored(), true).await.unwrap();
    assert_eq!(heard(&vault, other).await.unwrap().len(), 3);
    let cut = format!(
        "DELETE FROM transcript_records WHERE sequence = 3;
         UPDATE conversations SET next_sequence = 3, finished = 0
         WHERE conversation_id = decode(replace('{other}', '-', ''), 'hex')"
    );
    database.run(&cut).await.unwrap();
    assert_eq!(fault(heard(&vault, other).await), Some(TranscriptFault::Unfinished(other)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_nowhere_on_the_nodes_side() {
    const MARK: &str = "canary of a conversation 4f7d2b";
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    let id = vault.open_conversation(None).await.unwrap().id;
    said(&mut vault, id, &[MARK, "more"]).await.unwrap();
    vault.rotate(RotationMode::Rekey, &[], Vec::new(), "a test").await.unwrap();
    said(&mut vault, id, &[MARK]).await.unwrap();
    assert_eq!(heard(&vault, id).await.unwrap(), [MARK, "more", MARK]);
    let marks = Marks::new([("what was said", MARK.as_bytes())]).unwrap();
    let places = [
        Place::Tree(node.folder().join("data")),
        Place::Tree(node.folder().join("node.log")),
        Place::Process(node.local().pid().unwrap()),
    ];
    let report = search(&marks, &places).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    // and it would be found: a file with it beside the others
    std::fs::write(node.folder().join("data").join("leak"), MARK).unwrap();
    assert_eq!(search(&marks, &places).unwrap().findings.len(), 1);
}
