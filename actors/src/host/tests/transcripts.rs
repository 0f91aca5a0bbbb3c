//! What cells say in their conversations, into the owner's store: once, in its place, by an unlock that holds, in
//! conversations that are with their container, and not answered before it is there.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ocmt_crypto::{
    datakey::DataKey,
    object::conversation_key_id,
    transcript::{ConversationPlace, TranscriptWriter},
    unlock::{InboxPlace, NewConversation, UnlockKey},
    vault::UnlockedVault,
};
use ocmt_store::tables::Container;
use ocmt_types::{Clock as _, ContainerId, ConversationId, IdGen, MessageId, RandomIds, UnlockId};
use tokio::sync::Notify;

use super::{
    World,
    cells::{FakeCells, PAYLOAD},
    nodes::apart,
    unlock_id,
};
use crate::{
    ActorError, CellCall, CellGot, CellInboxItem, CellTarget, CellTranscripts, CellWant, CellWanted,
    api::{
        audit::QueryAudit,
        container::{LockCell, UnlockCell},
        transcript::{AppendTranscript, ListConversations, OpenConversation, ReadTranscript},
        vault::{BatchPutEntries, ListInboxItems, Write},
    },
    env::Scope,
    tenant::transcript::cell::Fulfil,
    tests::{
        kit::{PATIENCE, Person, until},
        vault::vault_of,
    },
    work::run_system,
};

/// What the cells want, of whichever container, and what they got.
#[derive(Default)]
pub(super) struct Conversing {
    wants: Mutex<Vec<CellWant>>,
    got: Mutex<Vec<(MessageId, CellGot)>>,
    moved: Notify,
    /// Answers do not arrive.
    deaf: AtomicBool,
    asks: AtomicUsize,
}

impl CellTranscripts for FakeCells {
    fn exchange_transcripts<'a>(
        &'a self,
        cell: &'a CellTarget,
        answers: Vec<(MessageId, CellGot)>,
        wait: Duration,
    ) -> CellCall<'a, Vec<CellWant>> {
        Box::pin(async move {
            self.find(cell).await?;
            let it = &self.conversing;
            it.asks.fetch_add(1, Ordering::SeqCst);
            if !it.deaf.load(Ordering::SeqCst) {
                it.wants.lock().unwrap().retain(|want| !answers.iter().any(|(wish, _)| *wish == want.wish));
                it.got.lock().unwrap().extend(answers);
            }
            let moved = it.moved.notified();
            if it.wants.lock().unwrap().is_empty() {
                // time runs out, or something came
                let _ = tokio::time::timeout(wait, moved).await;
            }
            Ok(it.wants.lock().unwrap().iter().take(32).cloned().collect())
        })
    }
}

fn id<I: ocmt_types::Id>() -> I {
    let ids: &dyn IdGen = &RandomIds;
    ids.id()
}

/// Somebody with a running container, and a conversation in it.
struct Talk {
    ann: Person,
    open: UnlockedVault,
    container: ContainerId,
    talk: ConversationId,
    writer: TranscriptWriter,
}

impl World {
    fn wants(&self, want: CellWant) {
        self.cells.conversing.wants.lock().unwrap().push(want);
        self.cells.conversing.moved.notify_waiters();
    }

    async fn answer(&self, wish: MessageId) -> CellGot {
        let find = || {
            let got = self.cells.conversing.got.lock().unwrap();
            got.iter().find(|(of, _)| *of == wish).map(|(_, got)| got.clone())
        };
        until("the cell was answered", async || find().is_some()).await;
        find().unwrap()
    }

    async fn does(&self, want: CellWant) -> CellGot {
        let wish = want.wish;
        self.wants(want);
        self.answer(wish).await
    }

    /// Unlocks the cell, and says by which unlock.
    async fn unlocked_by(&self, person: &Person, container: ContainerId, open: &UnlockedVault) -> UnlockId {
        let unlock = unlock_id();
        let vault = open.scope().vault;
        let ask = UnlockCell { container, unlock, sealed_payload: PAYLOAD.to_vec(), vault, objects: vec![] };
        self.kit.call(&person.caller, ask).await.unwrap();
        unlock
    }

    async fn talk(&self) -> Talk {
        let ann = self.kit.founder("ann@example.com").await;
        let mut open = vault_of(&self.kit, &ann).await;
        let container = self.running(&ann).await;
        let (talk, writer) = self.conversation_of(&ann, &mut open, Some(container)).await;
        Talk { ann, open, container, talk, writer }
    }

    async fn conversation_of(
        &self,
        person: &Person,
        open: &mut UnlockedVault,
        container: Option<ContainerId>,
    ) -> (ConversationId, TranscriptWriter) {
        let conversation = id();
        let mut edit = open.edit();
        edit.create_conversation_key(conversation, &mut rand::rng()).unwrap();
        let change = edit.finish().unwrap();
        let (vault, object) = (open.scope().vault, change.objects[0].clone());
        let puts = change.objects.clone();
        let write = Write { vault, puts, deletes: Vec::new(), manifest: change.manifest.clone() };
        self.kit.call(&person.caller, BatchPutEntries(write)).await.unwrap();
        open.apply(change).unwrap();
        let ask =
            OpenConversation { vault, conversation, wrapped_key: object.wrapped_key.clone(), container };
        self.kit.call(&person.caller, ask).await.unwrap();
        let key = open.key_versions(&object).unwrap().current.1;
        let place = ConversationPlace { tenant: person.tenant, conversation };
        (conversation, TranscriptWriter::begin(place, 1, key))
    }

    async fn records(&self, person: &Person, conversation: ConversationId) -> Vec<Vec<u8>> {
        let ask = ReadTranscript { conversation, from: 0, continues: false };
        self.kit.call(&person.caller, ask).await.unwrap().records
    }

    async fn noted(&self, person: &Person, method: &str) -> usize {
        let query = QueryAudit { method: Some(method.to_owned()), limit: 100, ..QueryAudit::default() };
        self.kit.call(&person.caller, query).await.unwrap().records.len()
    }
}

fn says(
    unlock: UnlockId,
    conversation: ConversationId,
    writer: &mut TranscriptWriter,
    text: &[u8],
) -> CellWant {
    let at = writer.anchor();
    let previous_tag = if at.count == 0 { Vec::new() } else { at.last_tag.to_vec() };
    let record = writer.append(text, false, &mut rand::rng()).unwrap();
    let what = CellWanted::Append { sequence: at.count + 1, previous_tag, record };
    CellWant { wish: id(), unlock, conversation, what }
}

fn record(want: &CellWant) -> Vec<u8> {
    match &want.what {
        CellWanted::Append { record, .. } => record.clone(),
        _ => panic!("no record"),
    }
}

fn refusal(got: CellGot) -> String {
    match got {
        CellGot::Refused { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_a_cell_says_is_stored_in_its_place_once_and_answered_then() {
    for world in [World::sim().await, World::sqlite().await] {
        let Talk { ann, open, container, talk, mut writer } = world.talk().await;
        let unlock = world.unlocked_by(&ann, container, &open).await;
        let first = says(unlock, talk, &mut writer, b"one");
        assert_eq!(world.does(first.clone()).await, CellGot::Done);
        // answers are lost: it comes again, and is there once
        world.cells.conversing.deaf.store(true, Ordering::SeqCst);
        let second = says(unlock, talk, &mut writer, b"two");
        world.wants(second.clone());
        until("it is stored", async || world.records(&ann, talk).await.len() == 2).await;
        let asks = world.cells.conversing.asks.load(Ordering::SeqCst);
        until("it came again", async || world.cells.conversing.asks.load(Ordering::SeqCst) > asks + 2).await;
        world.cells.conversing.deaf.store(false, Ordering::SeqCst);
        assert_eq!(world.answer(second.wish).await, CellGot::Done);
        assert_eq!(world.records(&ann, talk).await, [record(&first), record(&second)]);
        assert_eq!(world.noted(&ann, "transcript.cell_appended").await, 2, "what was there is noted once");
        let look = CellWant { wish: id(), unlock, conversation: talk, what: CellWanted::Look(2) };
        let shown = CellGot::Shown { first_sequence: 2, records: vec![record(&second)], next_sequence: 3 };
        assert_eq!(world.does(look).await, shown);
    }
}

#[tokio::test]
async fn of_a_cell_and_a_client_that_go_on_from_one_record_one_wins() {
    let world = World::sim().await;
    let Talk { ann, open, container, talk, mut writer } = world.talk().await;
    let unlock = world.unlocked_by(&ann, container, &open).await;
    let key = |sealed: &mut TranscriptWriter| sealed.append(b"mine", false, &mut rand::rng()).unwrap();
    let records = vec![key(&mut writer)];
    let ask = AppendTranscript { conversation: talk, first_sequence: 1, previous_tag: Vec::new(), records };
    world.kit.call(&ann.caller, ask.clone()).await.unwrap();
    let rival = CellWanted::Append { sequence: 1, previous_tag: Vec::new(), record: vec![0; 90] };
    let rival = CellWant { wish: id(), unlock, conversation: talk, what: rival };
    assert_eq!(refusal(world.does(rival).await), "CHANGED_MEANWHILE");
    let next = says(unlock, talk, &mut writer, b"after it");
    assert_eq!(world.does(next).await, CellGot::Done);
    let late = AppendTranscript { first_sequence: 2, previous_tag: tag(&ask.records[0]), ..ask };
    assert_eq!(world.kit.call(&ann.caller, late).await.unwrap_err().reason(), "CHANGED_MEANWHILE");
    assert_eq!(world.records(&ann, talk).await.len(), 2);
}

fn tag(record: &[u8]) -> Vec<u8> {
    record[record.len() - 16..].to_vec()
}

#[tokio::test]
async fn a_cell_that_is_locked_or_of_another_unlock_writes_nothing() {
    let world = World::sim().await;
    let Talk { ann, open, container, talk, mut writer } = world.talk().await;
    let is_asked_in_vain = async |want: CellWant| {
        world.wants(want.clone());
        let asks = world.cells.conversing.asks.load(Ordering::SeqCst);
        until("it came again", async || world.cells.conversing.asks.load(Ordering::SeqCst) > asks + 2).await;
        assert!(world.records(&ann, talk).await.is_empty());
        assert!(world.cells.conversing.got.lock().unwrap().is_empty(), "nor is it told anything");
        world.cells.conversing.wants.lock().unwrap().clear();
    };
    let want = says(unlock_id(), talk, &mut writer, b"one");
    is_asked_in_vain(want.clone()).await;
    let unlock = world.unlocked_by(&ann, container, &open).await;
    is_asked_in_vain(want.clone()).await;
    let own = CellWant { unlock, ..want };
    world.kit.call(&ann.caller, LockCell { container }).await.unwrap();
    is_asked_in_vain(own.clone()).await;
    // an unlock that holds writes the same bytes
    let again = world.unlocked_by(&ann, container, &open).await;
    assert_eq!(world.does(CellWant { unlock: again, ..own }).await, CellGot::Done);
}

#[tokio::test]
async fn a_cell_whose_lease_is_over_writes_nothing_though_nobody_has_locked_it_yet() {
    let world = World::sim().await;
    let Talk { ann, open, container, talk, mut writer } = world.talk().await;
    let unlock = world.unlocked_by(&ann, container, &open).await;
    let want = says(unlock, talk, &mut writer, b"one");
    let scope = Scope::new(Arc::clone(&world.kit.system.env), world.ownership(&ann).await);
    let with_lease_until = async |until| {
        let mut tx = world.kit.store.fenced(scope.ownership).await.unwrap();
        let row = tx.get::<Container>(container).await.unwrap().unwrap();
        assert_eq!(row.unlock_id, Some(unlock));
        tx.update(&Container { unlocked_until: Some(until), ..row }).await.unwrap();
        tx.commit().await.unwrap();
        run_system(&scope, Fulfil { container, want: want.clone() }).await.map(|(got, _)| got)
    };
    let now = world.kit.clock.now();
    assert_eq!(with_lease_until(now).await.unwrap_err().reason(), "CELL_LOCKED");
    assert_eq!(with_lease_until(now + Duration::from_millis(1)).await, Ok(CellGot::Done));
}

#[tokio::test]
async fn a_cell_writes_no_conversation_that_is_not_with_its_container() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let bob = world.kit.founder("bob@example.com").await;
    let (mut open, mut foreign) = (vault_of(&world.kit, &ann).await, vault_of(&world.kit, &bob).await);
    let container = world.running(&ann).await;
    let (alone, mut writer) = world.conversation_of(&ann, &mut open, None).await;
    let theirs = world.conversation_of(&bob, &mut foreign, None).await.0;
    let unlock = world.unlocked_by(&ann, container, &open).await;
    let want = says(unlock, alone, &mut writer, b"one");
    for conversation in [alone, theirs, id()] {
        let append = CellWant { wish: id(), conversation, ..want.clone() };
        assert_eq!(refusal(world.does(append).await), "NO_CONVERSATION");
        let look = CellWant { wish: id(), unlock, conversation, what: CellWanted::Look(1) };
        assert_eq!(refusal(world.does(look).await), "NO_CONVERSATION");
    }
    assert!(world.records(&ann, alone).await.is_empty());
}

/// The key of a new conversation on its way, with what writes under it.
fn begun(
    person: &Person,
    open: &UnlockedVault,
    unlock: UnlockId,
    sequence: u64,
) -> (CellWant, NewConversation) {
    let new = NewConversation { conversation: id(), key: DataKey::generate(&mut rand::rng()) };
    let scope = open.scope();
    let place = InboxPlace { tenant: person.tenant, vault: scope.vault, unlock, sequence };
    let key = UnlockKey::from(open.keyring().inbox_mac_key(unlock));
    let sealed = new.item().seal(&place, &open.keyring().inbox.public(), &key, &mut rand::rng()).unwrap();
    let item = CellInboxItem { item: id(), sealed, connection: None };
    let what = CellWanted::Begin(item);
    (CellWant { wish: id(), unlock, conversation: new.conversation, what }, new)
}

#[tokio::test]
async fn a_conversation_that_a_cell_begins_is_there_with_its_key_in_the_inbox_or_not_at_all() {
    let world = World::sim().await;
    let ann = world.kit.founder("ann@example.com").await;
    let mut open = vault_of(&world.kit, &ann).await;
    let vault = open.scope().vault;
    let container = world.running(&ann).await;
    let unlock = world.unlocked_by(&ann, container, &open).await;
    let (want, new) = begun(&ann, &open, unlock, 0);
    assert_eq!(world.does(want.clone()).await, CellGot::Done);
    // the answer was lost: once all the same
    assert_eq!(world.does(CellWant { wish: id(), ..want.clone() }).await, CellGot::Done);
    let inbox = ListInboxItems { vault, after: None, limit: 48 };
    assert_eq!(world.kit.call(&ann.caller, inbox).await.unwrap().items.len(), 1);
    let listed = world.kit.call(&ann.caller, ListConversations { after: None, limit: 50 }).await.unwrap();
    let [shown] = &listed.conversations[..] else { panic!("{}", listed.conversations.len()) };
    assert_eq!((shown.id, shown.container, shown.wrapped_key.len()), (new.conversation, Some(container), 0));
    let place = ConversationPlace { tenant: ann.tenant, conversation: new.conversation };
    let mut writer = TranscriptWriter::begin(place, 1, new.key.duplicate());
    let said = says(unlock, new.conversation, &mut writer, b"before it was filed");
    assert_eq!(world.does(said).await, CellGot::Done);
    // nobody but the cell writes before its key is in the vault
    let ask = AppendTranscript {
        conversation: new.conversation,
        first_sequence: 2,
        previous_tag: writer.anchor().last_tag.to_vec(),
        records: vec![writer.append(b"x", false, &mut rand::rng()).unwrap()],
    };
    assert_eq!(world.kit.call(&ann.caller, ask.clone()).await.unwrap_err().reason(), "CONVERSATION_KEY");
    let mut edit = open.edit();
    edit.adopt_conversation_key(&new, &mut rand::rng()).unwrap();
    let change = edit.finish().unwrap();
    let (puts, manifest) = (change.objects.clone(), change.manifest.clone());
    assert_eq!((puts[0].object_id, puts[0].version), (conversation_key_id(new.conversation), 1));
    let write = BatchPutEntries(Write { vault, puts, deletes: Vec::new(), manifest });
    world.kit.call(&ann.caller, write).await.unwrap();
    open.apply(change).unwrap();
    world.kit.call(&ann.caller, ask).await.unwrap();
    assert_eq!(world.noted(&ann, "transcript.cell_opened").await, 1);

    // an id that is taken, and an inbox that is full: neither leaves anything
    let taken =
        CellWant { wish: id(), conversation: world.conversation_of(&ann, &mut open, None).await.0, ..want };
    assert_eq!(refusal(world.does(taken).await), "NO_CONVERSATION");
    for n in 1..128 {
        assert_eq!(world.does(begun(&ann, &open, unlock, n).0).await, CellGot::Done);
    }
    let (more, new) = begun(&ann, &open, unlock, 128);
    assert_eq!(refusal(world.does(more).await), "VAULT_INBOX");
    let ask = ReadTranscript { conversation: new.conversation, from: 0, continues: false };
    assert_eq!(world.kit.call(&ann.caller, ask).await.unwrap_err(), ActorError::NotFound);
}

#[tokio::test]
async fn who_follows_hears_what_a_cell_on_another_node_says_and_a_host_goes_on_after_a_crash() {
    let (a, mut b, ann, container) = apart().await;
    let mut open = vault_of(&a.kit, &ann).await;
    a.wake(&ann, container).await.unwrap();
    let (talk, mut writer) = a.conversation_of(&ann, &mut open, Some(container)).await;
    let unlock = a.unlocked_by(&ann, container, &open).await;
    let tenant = a.kit.system.tenant(ann.tenant);
    let mut wake = tenant.follow_transcript(&ann.caller, talk, a.kit.deadline()).await.unwrap();
    assert_eq!(b.does(says(unlock, talk, &mut writer, b"one")).await, CellGot::Done);
    assert!(tokio::time::timeout(PATIENCE, wake.changed()).await.unwrap());
    // the owner dies; the host itself takes the tenant
    a.kit.is_declared_dead().await;
    let listed = async || b.kit.call(&ann.caller, ListConversations { after: None, limit: 1 }).await.is_ok();
    until("the other node owns it", listed).await;
    assert_eq!(b.does(says(unlock, talk, &mut writer, b"two")).await, CellGot::Done);
    // a wish is in the cell while its host is gone
    let third = says(unlock, talk, &mut writer, b"three");
    b.cells.conversing.wants.lock().unwrap().push(third.clone());
    b.restart().await;
    let page = ReadTranscript { conversation: talk, from: 0, continues: false };
    let read = async || b.kit.call(&ann.caller, page.clone()).await.is_ok_and(|page| page.records.len() == 3);
    until("the new life takes it", read).await;
    assert_eq!(b.answer(third.wish).await, CellGot::Done);
}
