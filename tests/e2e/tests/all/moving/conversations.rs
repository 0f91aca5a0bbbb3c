//! Conversations in an export, and out of it into a vault: whole, cut short, gone on with, refused.

use std::{collections::BTreeSet, time::Duration};

use ocmt::local::wait_for;
use ocmt_client::{
    ClientError,
    container::Spec,
    conversation::{Conversation, Start, TranscriptFault},
    passphrase::NewPassphrase,
    share::Permission,
    vault::{
        Exported, Parts, Vault,
        import::{Existing, Source, What},
    },
};
use ocmt_crypto::{CryptoError, export::ExportedConversation, vault::RotationMode};
use ocmt_store::testing::TestDatabase;
use ocmt_testkit::TestNode;
use ocmt_types::{ContainerId, ConversationId};

use super::{
    cut::{MARK, cut, import, usage},
    *,
};
use crate::shares::trusts;

const PATIENCE: Duration = Duration::from_secs(60);

/// What was said in a conversation, and whether it was finished.
type Talk = (Vec<Vec<u8>>, bool);

/// An export with conversations, as some other program may write it: their ids are 1, 2, …
fn spoken(about: &About, entries: &[Entry], talks: &[Talk]) -> Vec<u8> {
    let rng = &mut rand::rng();
    let passphrase = Passphrase::new(PASSPHRASE).unwrap();
    let begun = Sealer::begin_with_conversations(about, &passphrase, Cost::LEAST, rng);
    let (mut sealer, mut file) = begun.unwrap();
    for entry in entries {
        file.extend(sealer.entry(1, entry, rng).unwrap().unwrap_or_default());
    }
    for (at, (said, finished)) in (1_u128..).zip(talks) {
        let head = ExportedConversation {
            id: ConversationId::from_bytes(at.to_be_bytes()),
            container: Some(ContainerId::from_bytes([7; 16])),
            first_sequence: 1,
            created_at: Some(Timestamp(1)),
            updated_at: None,
        };
        file.extend(sealer.conversation(&head, rng).unwrap().unwrap_or_default());
        for (n, text) in said.iter().enumerate() {
            let last = *finished && n + 1 == said.len();
            file.extend(sealer.said(text, last, rng).unwrap().unwrap_or_default());
        }
    }
    file.extend(sealer.finish(rng).unwrap());
    file
}

fn elsewhere() -> About {
    let (tenant, vault) = (TenantId::from_bytes([1; 16]), VaultId::from_bytes([2; 16]));
    About { tenant, vault, at: Timestamp(1), counter: 1 }
}

/// A finished one of 3 records, one of 40 that are sent a quarter at a time, and one of 5.
fn large() -> Vec<Talk> {
    let said = |of: u8, count: u8, bytes: usize| {
        (0..count).map(|n| [vec![of, n], vec![of; bytes]].concat()).collect::<Vec<_>>()
    };
    vec![(said(0, 3, 10), true), (said(1, 40, 100_000), false), (said(2, 5, 10), false)]
}

async fn heard(vault: &Vault, id: ConversationId) -> Talk {
    let mut reading = vault.read_conversation(id, Start::First, false).await.unwrap();
    let mut said = Vec::new();
    while let Some(record) = reading.next().await.unwrap() {
        said.push(record.text.to_vec());
    }
    (said, reading.is_finished())
}

/// All conversations, as they were used, the last at the end.
async fn all_heard(vault: &Vault) -> Vec<Talk> {
    let mut all = Vec::new();
    for one in vault.conversations().await.unwrap().iter().rev() {
        all.push(heard(vault, one.id).await);
    }
    all
}

async fn says(vault: &mut Vault, id: ConversationId, said: &[&[u8]], finish: bool) {
    let mut writer = vault.write_conversation(id).await.unwrap();
    for (at, text) in said.iter().enumerate() {
        writer.push(text, finish && at + 1 == said.len()).unwrap();
    }
    writer.flush().await.unwrap();
    vault.note_conversation(id, writer.stored(), writer.is_finished()).await.unwrap();
}

async fn exported(vault: &Vault, parts: Parts) -> (Exported, Vec<u8>) {
    let (mut file, mut steps) = (Vec::new(), Vec::new());
    let passphrase = NewPassphrase::new(PASSPHRASE, &[]).unwrap();
    let progress = |read, of| steps.push((read, of));
    let told = vault.export(parts, passphrase, Cost::LEAST, &mut file, progress).await.unwrap();
    assert!(steps.last().is_none_or(|(read, of)| read == of), "{steps:?}");
    (told, file)
}

async fn planned(vault: &Vault, source: &Source) -> Vec<(What, u64, u64)> {
    let plan = vault.plan_import(source, Existing::Refuse, &BTreeSet::new()).await.unwrap();
    plan.conversations().iter().map(|one| (one.what, one.there, one.records)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_go_with_a_vault_into_another_and_there_once() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let bob = node.member(&ada, "bob", "member").await.unwrap();
    let carol = node.person("carol").await.unwrap();
    let mut hers = vault(&ada).await;
    let _his = vault(&bob).await;
    trusts(&ada, &bob).await;
    trusts(&bob, &ada).await;
    hers.put("bank", b"the value").await.unwrap();
    // who may write is kept in an object that is no entry, no key, and nobody else's
    hers.give_to_write(&bob.email, &["bank".to_owned()], &[Permission::Write], None).await.unwrap();
    let spec = Spec { argv: vec!["/bin/sleep".to_owned(), "600".to_owned()], ..Spec::default() };
    let container = ada.client.create_container(&spec, false).await.unwrap().id;
    let first = hers.open_conversation(Some(container)).await.unwrap().id;
    says(&mut hers, first, &[b"good morning", b""], false).await;
    let second = hers.open_conversation(None).await.unwrap().id;
    let large = vec![0xff; 262_144];
    says(&mut hers, second, &[&large, b"the end"], true).await;
    hers.rotate(RotationMode::Rekey, &[], Vec::new(), "a test").await.unwrap();
    says(&mut hers, first, &[b"under another key"], false).await;
    let there = all_heard(&hers).await;
    assert_eq!(
        there.iter().map(|(said, finished)| (said.len(), *finished)).collect::<Vec<_>>(),
        [(2, true), (3, false)]
    );
    let (told, file) = exported(&hers, Parts::Everything).await;
    assert_eq!((told.entries, told.conversations, told.records, told.keys_left_out), (1, 2, 5, 0));
    assert!(!file.windows(12).any(|some| some == b"good morning"), "nothing is to be seen");
    let source = export(&file).unwrap();
    // somebody else's tenant: the order stays, and the container is not there
    let mut theirs = vault(&carol).await;
    import(&mut theirs, &source, Existing::Refuse).await.unwrap();
    assert!(all_heard(&theirs).await == there);
    let listed = theirs.conversations().await.unwrap();
    assert!(listed.iter().all(|one| one.container.is_none()));
    assert_eq!(theirs.keys().manifest().anchors.len(), 1, "a finished one needs none");
    // again: nothing is written, also after it went on there
    let counter = theirs.keys().manifest().counter;
    assert_eq!(planned(&theirs, &source).await, [(What::AlreadyThere, 2, 2), (What::AlreadyThere, 3, 3)]);
    import(&mut theirs, &source, Existing::Refuse).await.unwrap();
    assert_eq!(theirs.keys().manifest().counter, counter);
    let open = listed.iter().find(|one| !one.finished).unwrap().id;
    says(&mut theirs, open, &[b"and more"], false).await;
    import(&mut theirs, &source, Existing::Refuse).await.unwrap();
    assert_eq!(heard(&theirs, open).await.0.len(), 4);
    assert_eq!(theirs.conversations().await.unwrap().len(), 2);
    // into the vault that it is of, beside those that are there: with the container
    import(&mut hers, &source, Existing::Refuse).await.unwrap();
    let all: Vec<Conversation> = hers.conversations().await.unwrap();
    let imported = |one: &&Conversation| one.id != first && one.id != second;
    let imported: Vec<_> = all.iter().filter(imported).map(|one| (one.records, one.container)).collect();
    assert_eq!(imported, [(3, Some(container)), (2, None)]);
    // entries alone are of the version that every program reads
    let (told, file) = exported(&hers, Parts::Entries).await;
    assert_eq!((told.entries, told.conversations, told.keys_left_out, file[5]), (1, 0, 4, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_conversations_that_was_cut_short_goes_on_where_it_was() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    drop(vault(&ada).await);
    let file = export(&spoken(&elsewhere(), &[entry("a", b"1", None)], &large())).unwrap();
    let laptop = node.device("ada's laptop").unwrap();
    let mut before = 0;
    for after in [1, 4, 4] {
        cut(&mut again(&ada, &laptop).await, &file, after).await;
        let hers = again(&ada, &laptop).await;
        assert!(hers.list().await.unwrap().iter().any(|one| one.name == MARK));
        let plan = hers.plan_import(&file, Existing::Refuse, &BTreeSet::new()).await.unwrap();
        let there: u64 = plan.conversations().iter().map(|one| one.there).sum();
        assert!(plan.was_cut_short() && there < 48 && (after == 1 || there > before), "{there} of 48");
        assert_eq!(plan.records_to_write() as u64, 48 - there);
        before = there;
    }
    let mut hers = again(&ada, &laptop).await;
    let other = usage(import(&mut hers, &earlier("other", 1), Existing::Refuse).await);
    assert!(other.contains("another file was cut short"), "{other}");
    // a conversation that somebody opens meanwhile is another one
    let own = hers.open_conversation(None).await.unwrap().id;
    let ids = hers.plan_import(&file, Existing::Refuse, &BTreeSet::new()).await.unwrap();
    assert!(ids.conversations().iter().all(|one| one.conversation != own));
    import(&mut hers, &file, Existing::Refuse).await.unwrap();
    let hers = again(&ada, &laptop).await;
    assert!(hers.list().await.unwrap().iter().all(|one| one.name != MARK));
    let mut said = all_heard(&hers).await;
    said.retain(|(said, _)| !said.is_empty());
    assert!(said == large(), "all of it, in its order, and nothing twice");
    let anchors = &hers.keys().manifest().anchors;
    let noted: BTreeSet<u64> = anchors.iter().map(|anchor| anchor.records).collect();
    assert_eq!((anchors.len(), noted), (3, BTreeSet::from([0, 5, 40])), "the two that go on, and her own");
    assert!(planned(&hers, &file).await.iter().all(|one| one.0 == What::AlreadyThere && one.1 == one.2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_cut_file_of_conversations_is_refused_and_nothing_of_it_is_imported() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut hers = vault(&ada).await;
    let counter = hers.keys().manifest().counter;
    let good = spoken(&elsewhere(), &[entry("a", b"1", None)], &large());
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let mut early = good.clone();
    early[1_500_000] ^= 1;
    let longer = [good.as_slice(), &[0]].concat();
    for bytes in [&damaged[..], &early, &longer, &good[..good.len() - 1], &good[..3_000_000]] {
        let source = export(bytes).unwrap();
        let refused = import(&mut hers, &source, Existing::Refuse).await;
        assert!(matches!(refused, Err(ClientError::Crypto(CryptoError::Refused))));
    }
    let mut later = good.clone();
    later[5] = 3;
    let refused = export(&later).err();
    assert!(matches!(refused, Some(ClientError::Crypto(CryptoError::UnsupportedVersion))));
    let fresh = again(&ada, &ada.device).await;
    assert!(fresh.conversations().await.unwrap().is_empty() && fresh.list().await.unwrap().is_empty());
    assert_eq!((fresh.keys().manifest().counter, fresh.keys().leaves().len()), (counter, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_devices_that_import_conversations_at_once_neither_doubles_anything() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    drop(vault(&ada).await);
    let (phone, laptop) = (node.device("phone").unwrap(), node.device("laptop").unwrap());
    let (mut one, mut other) = (again(&ada, &phone).await, again(&ada, &laptop).await);
    let file = export(&spoken(&elsewhere(), &[], &large())).unwrap();
    let imports = (import(&mut one, &file, Existing::Refuse), import(&mut other, &file, Existing::Refuse));
    let (first, second) = tokio::join!(imports.0, imports.1);
    assert!(first.is_ok() != second.is_ok(), "one has it all");
    let refused = first.err().or(second.err()).unwrap();
    assert_eq!(refused.reason().as_deref(), Some("CHANGED_MEANWHILE"), "{refused}");
    // and one that comes while the other is in the middle of it: whoever loses stops, and doubles nothing
    let again_later = spoken(&elsewhere(), &[], &large());
    let file = export(&again_later).unwrap();
    cut(&mut again(&ada, &phone).await, &file, 4).await;
    let (mut one, mut other) = (again(&ada, &phone).await, again(&ada, &laptop).await);
    let imports = (import(&mut one, &file, Existing::Refuse), import(&mut other, &file, Existing::Refuse));
    let (first, second) = tokio::join!(imports.0, imports.1);
    assert!(first.is_err() || second.is_err());
    let mut later = again(&ada, &ada.device).await;
    import(&mut later, &file, Existing::Refuse).await.unwrap();
    let said = all_heard(&again(&ada, &ada.device).await).await;
    assert_eq!(said.len(), 6);
    for talk in large() {
        assert_eq!(said.iter().filter(|one| **one == talk).count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_wrote_into_a_conversation_that_is_half_there_is_not_gone_on_with() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    drop(vault(&ada).await);
    let file = export(&spoken(&elsewhere(), &[], &large())).unwrap();
    cut(&mut again(&ada, &ada.device).await, &file, 4).await;
    let mut hers = again(&ada, &ada.device).await;
    let half = hers.plan_import(&file, Existing::Refuse, &BTreeSet::new()).await.unwrap();
    let half = half.conversations().iter().rfind(|one| one.there > 0).unwrap().conversation;
    says(&mut hers, half, &[b"by hand"], false).await;
    let refused = usage(import(&mut hers, &file, Existing::Refuse).await);
    assert!(refused.contains("something else was written there") && refused.contains("conversation rm"));
    hers.delete_conversation(half).await.unwrap();
    // its records go in steps: until then nothing of its id is opened
    let done = async || {
        let mut hers = again(&ada, &ada.device).await;
        import(&mut hers, &file, Existing::Refuse).await.ok()
    };
    wait_for(PATIENCE, done).await.expect("it is not imported");
    assert!(all_heard(&again(&ada, &ada.device).await).await.iter().all(|one| large().contains(one)));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_conversations_than_a_vault_keeps_open_are_refused_before_anything_is_written() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut hers = vault(&ada).await;
    hers.open_conversation(None).await.unwrap();
    let counter = hers.keys().manifest().counter;
    let many: Vec<Talk> = (0..1024).map(|_| (Vec::new(), false)).collect();
    let file = spoken(&elsewhere(), &[entry("a", b"1", None)], &many);
    let refused = usage(import(&mut hers, &export(&file).unwrap(), Existing::Refuse).await);
    assert!(refused.contains("room for 1023 more") && refused.contains("--without-conversations"));
    let fresh = again(&ada, &ada.device).await;
    assert_eq!((fresh.keys().manifest().counter, fresh.conversations().await.unwrap().len()), (counter, 1));
    let Source::Export(file) = export(&file).unwrap() else { panic!("an export") };
    let file = Source::Export(file.without_conversations());
    import(&mut hers, &file, Existing::Refuse).await.unwrap();
    assert!(planned(&hers, &file).await.iter().all(|one| one.0 == What::LeftOut));
    assert_eq!(
        (hers.list().await.unwrap().len(), hers.conversations().await.unwrap().len()),
        (1, 1),
        "its entries"
    );
}

/// A container that is not there, or not the importer's, does not keep a conversation out.
#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_of_a_container_that_is_gone_comes_without_it() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut hers = vault(&ada).await;
    let own = About { tenant: hers.keys().scope().tenant, ..elsewhere() };
    let talk = (vec![b"said".to_vec()], false);
    import(&mut hers, &export(&spoken(&own, &[], std::slice::from_ref(&talk))).unwrap(), Existing::Refuse)
        .await
        .unwrap();
    let listed = hers.conversations().await.unwrap();
    assert_eq!((listed.len(), listed[0].container), (1, None));
    assert!(heard(&hers, listed[0].id).await == talk);
}

/// What retention took is not in it, and told of; what somebody cut off is found out, and there is no export.
#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_exported_from_where_it_is_there_and_not_at_all_if_its_end_was_cut_off() {
    let database = TestDatabase::migrated().await.unwrap();
    let node = TestNode::start_on(&database.url(), |_| {}).await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut hers = vault(&ada).await;
    let id = hers.open_conversation(None).await.unwrap().id;
    says(&mut hers, id, &[b"one", b"two", b"three", b"four"], false).await;
    database
        .run(
            "UPDATE conversations SET first_sequence = 3,
               before_tag = (SELECT substring(record FROM length(record) - 15)
                             FROM transcript_records WHERE sequence = 2);
             DELETE FROM transcript_records WHERE sequence < 3",
        )
        .await
        .unwrap();
    let (told, file) = exported(&hers, Parts::Everything).await;
    assert_eq!((told.conversations, told.records, told.pruned), (1, 2, 1));
    let mut his = vault(&node.person("bob").await.unwrap()).await;
    let source = export(&file).unwrap();
    let plan = his.plan_import(&source, Existing::Refuse, &BTreeSet::new()).await.unwrap();
    assert_eq!((plan.conversations()[0].exported_from, plan.records_to_write()), (3, 2));
    his.import(&source, &plan, |_, _| {}).await.unwrap();
    assert!(all_heard(&his).await == [(vec![b"three".to_vec(), b"four".to_vec()], false)]);
    let cut = format!(
        "DELETE FROM transcript_records WHERE sequence = 4;
         UPDATE conversations SET next_sequence = 4,
           last_tag = (SELECT substring(record FROM length(record) - 15)
                       FROM transcript_records WHERE sequence = 3)
         WHERE conversation_id = decode(replace('{id}', '-', ''), 'hex')"
    );
    database.run(&cut).await.unwrap();
    let passphrase = NewPassphrase::new(PASSPHRASE, &[]).unwrap();
    let mut out = Vec::new();
    let refused = hers.export(Parts::Everything, passphrase, Cost::LEAST, &mut out, |_, _| {}).await;
    assert!(matches!(refused, Err(ClientError::Transcript(TranscriptFault::Cut { known: 4, shown: 3, .. }))));
}
