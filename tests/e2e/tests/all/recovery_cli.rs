//! `ocmt recovery` and `ocmt guardian` as people type them: a stop that was wrong is gone on over, by one guardian more than
//! usual, and what stops that.

use std::{fs, time::Duration};

use ocmt::local::wait_for;
use ocmt_client::{
    auth::Purpose,
    recovery::{CeremonyState, CeremonyWatch, Side},
};
use ocmt_testkit::{
    Person, TestNode,
    command::{Said, ocmt, ocmt_typed},
};
use ocmt_types::Digest32;
use serde_json::Value;

use crate::{
    api_keys::{json, keep, keep_in},
    delays,
};

const PASSPHRASE: &str = "violin ledger umbrella quartz";
const PATIENCE: Duration = Duration::from_secs(60);

/// An owner who lost the passphrase, three guardians of whom two are needed, and the folders of their commands.
pub(crate) struct Table {
    pub(crate) node: TestNode,
    pub(crate) owner: Person,
    pub(crate) guards: Vec<Person>,
    asks: String,
}

impl Table {
    pub(crate) async fn set() -> Self {
        let node = TestNode::start().await.unwrap();
        let owner = node.person("ada").await.unwrap();
        let mut vault = owner.vault(PASSPHRASE).await.unwrap();
        vault.put("entry", b"value").await.unwrap();
        delays::are_short(&owner).await;
        let mut guards = Vec::new();
        for name in ["grace", "hedy", "joan"] {
            let guard = node.person(name).await.unwrap();
            let hers = guard.vault(PASSPHRASE).await.unwrap();
            let asked = vault.invite_guardian(&guard.email, 1).await.unwrap();
            let came = async || guard.client.guardianship(asked.id, Side::Guardian).await.ok();
            wait_for(PATIENCE, came).await.expect("the invitation did not come");
            hers.accept_guardianship(asked.id).await.unwrap();
            keep(&node, &guard);
            guards.push(guard);
        }
        let accepted = owner.client.guardianships(Some(Side::Owner)).await.unwrap();
        vault.deal_shares(2, &accepted, delays::SHORT, true).await.unwrap();
        keep(&node, &owner);
        fs::write(node.folder().join("passphrase"), PASSPHRASE).unwrap();
        fs::write(node.folder().join("new"), "tramway-Okapi-39-lantern").unwrap();
        let mut table = Self { node, owner, guards, asks: String::new() };
        table.ask_for_a_session().await;
        table
    }

    /// A recovery session: the one before ends with its request.
    async fn ask_for_a_session(&mut self) {
        let pending = self.node.local().client().await.unwrap();
        let pending = pending.request_link(&self.owner.email, None, Purpose::Recovery).await.unwrap();
        let link = self.node.link(&self.owner.email, "recovery link").await.unwrap();
        let client = pending.finish(&link, "e2e").await.unwrap();
        let device = self.node.device("lost").unwrap();
        self.asks = keep_in(&self.node, &Person { email: self.owner.email.clone(), client, device }, "lost");
    }

    fn at(&self, name: &str) -> String {
        self.node.folder().join(name).to_str().unwrap().to_owned()
    }

    async fn types(&self, folder: &str, words: &[&str]) -> Said {
        ocmt(&[words, &["--state-dir", folder]].concat()).await.unwrap()
    }

    /// Whoever lost the passphrase.
    async fn asker(&self, words: &[&str]) -> Said {
        self.types(&self.asks, words).await
    }

    async fn owner(&self, words: &[&str]) -> Said {
        self.types(&self.at("typed/ada"), words).await
    }

    /// A guardian says this of a request, with these words heard on the telephone.
    async fn guard(&self, n: usize, act: &str, request: &str, heard: &str) -> Said {
        let guard = &self.guards[n];
        let name = guard.email.split('@').next().unwrap();
        let (folder, secret) = (self.at(&format!("typed/{name}")), self.at("passphrase"));
        let known = async || {
            let all = guard.client.ceremonies(true).await.ok()?;
            all.into_iter().find(|one| one.id.to_string() == request)
        };
        wait_for(PATIENCE, known).await.expect("the guardian was not told");
        let words = ["guardian", act, request, "--words", heard, "--passphrase-file", &secret, "--json"];
        self.types(&folder, &words).await
    }

    async fn reaches(&self, request: &str, state: CeremonyState) {
        let id = Digest32(data_encoding::HEXLOWER.decode(request.as_bytes()).unwrap().try_into().unwrap());
        let there = async || self.owner.client.ceremony(id).await.ok().filter(|one| one.state == state);
        wait_for(PATIENCE, there).await.unwrap_or_else(|| panic!("it does not get to {state:?}"));
    }
}

impl Table {
    /// Guardian `n` says that the owner is reached at `new`; the link that comes there.
    pub(crate) async fn lost_link(&self, n: usize, new: &str) -> String {
        let name = self.guards[n].email.split('@').next().unwrap();
        let folder = self.at(&format!("typed/{name}"));
        let words = ["guardian", "lost-mailbox", &self.owner.email, "--new-address", new];
        let said = self.types(&folder, &words).await;
        assert!(said.code == Some(0) && said.out.contains("You have given nothing yet"), "{said:?}");
        self.node.link(new, "Ask your guardians").await.unwrap()
    }

    /// Whoever lost everything, on a device that knows nothing.
    async fn begins(&self, folder: &str, link: &str, over: &[&str]) -> Said {
        let (target, ca) = (self.node.target().unwrap(), self.at("lost-ca.pem"));
        fs::write(&ca, target.ca.pem()).unwrap();
        let words = [
            "recovery",
            "begin",
            "--json",
            "--state-dir",
            folder,
            "--endpoint",
            &target.endpoint,
            "--ca",
            &ca,
        ];
        ocmt_typed(&[&words, over].concat(), link).await.unwrap()
    }
}

/// Id and six words of what was opened.
fn opened(said: &Said) -> (String, String) {
    let told = json(said);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&told["ceremony"]["id"]), text(&told["words"]))
}

async fn next_state(watch: &mut CeremonyWatch) -> CeremonyState {
    let event = tokio::time::timeout(PATIENCE, watch.next()).await.expect("no event in time");
    event.unwrap().ceremony.state
}

#[tokio::test]
async fn a_stop_that_was_wrong_is_gone_on_over_to_the_new_passphrase() {
    let mut table = Table::set().await;
    let (first, _) = opened(&table.asker(&["recovery", "open", "--json"]).await);
    json(&table.owner(&["recovery", "veto", "--json"]).await);
    table.reaches(&first, CeremonyState::Vetoed).await;
    let over = table.asker(&["recovery", "status"]).await;
    assert_ne!(over.code, Some(0), "the session ended with its request");
    table.ask_for_a_session().await;
    // whoever watches sees all of it
    let mut watch = table.owner.client.watch_ceremonies("").await.unwrap();
    let told = table.asker(&["recovery", "open", "--over-stop"]).await;
    assert!(told.out.contains("0 of 3 have signed") && told.out.contains("call each guardian"), "{told:?}");
    assert_eq!(next_state(&mut watch).await, CeremonyState::Proposed);
    let status = table.asker(&["recovery", "status"]).await;
    assert!(status.out.contains("yes, 0 of 3 signed for it"), "{}", status.out);
    let listed = json(&table.asker(&["recovery", "status", "--json"]).await);
    let request = listed["ceremonies"][0]["id"].as_str().unwrap().to_owned();
    let told = told.out.lines().find(|line| line.starts_with("  ")).unwrap().trim().to_owned();
    let wrong = table.guard(0, "override", &request, "able zoo baker able zoo baker").await;
    assert!(wrong.code != Some(0) && wrong.err.contains("not those of this request"), "{wrong:?}");
    for n in 0..3 {
        assert_eq!(json(&table.guard(n, "override", &request, &told).await)["id"], request.as_str());
    }
    table.reaches(&request, CeremonyState::Open).await;
    let veto = table.owner(&["recovery", "veto", &request[..12]]).await;
    assert!(veto.code != Some(0) && veto.err.contains("neither veto nor lock"), "{veto:?}");
    for n in 0..2 {
        json(&table.guard(n, "approve", &request, &told).await);
    }
    table.reaches(&request, CeremonyState::Released).await;
    let new = table.at("new");
    let done = table.asker(&["recovery", "complete", "--new-passphrase-file", &new, "--json"]).await;
    assert_eq!(json(&done)["completed"], true);
    assert!(
        json(&done)["rests"].is_null(),
        "a session that is good for the recovery alone is told nothing of containers"
    );
}

#[tokio::test]
async fn who_has_lost_the_mailbox_too_gets_vault_and_account_back_at_another_address() {
    let table = Table::set().await;
    let new = "ada@new.example";
    let link = table.lost_link(0, new).await;
    let told = table.node.link(&table.owner.email, "lost this mailbox").await.unwrap();
    assert!(told.ends_with("/app/recovery"), "the old address is told where to stop it: {told}");
    let (folder, secret) = (table.at("typed/begun"), table.at("new"));
    let (request, words) = opened(&table.begins(&folder, &link, &[]).await);
    let again = table.begins(&table.at("typed/thief"), &link, &[]).await;
    assert!(again.code != Some(0) && again.err.contains("unknown, used or expired"), "{again:?}");
    let status = table.types(&folder, &["recovery", "status"]).await;
    assert!(status.out.contains("0 of 2 signed for ada@new.example"), "{status:?}");
    let inert = table.types(&folder, &["sessions", "ls"]).await;
    assert!(inert.code != Some(0) && inert.err.contains("good for nothing else"), "{inert:?}");
    let owner = table.owner(&["recovery", "status"]).await;
    assert!(owner.out.contains("reached at ada@new.example") && owner.out.contains("ocmt recovery veto"));
    let wrong = table.guard(1, "sign", &request, "able zoo baker able zoo baker").await;
    assert!(wrong.code != Some(0) && wrong.err.contains("not those of this request"), "{wrong:?}");
    let early = table.guard(0, "approve", &request, &words).await;
    assert_ne!(early.code, Some(0), "nothing is approved before it opens: {early:?}");
    for n in 0..2 {
        assert_eq!(json(&table.guard(n, "sign", &request, &words).await)["id"], request.as_str());
    }
    table.reaches(&request, CeremonyState::Open).await;
    for n in 1..3 {
        json(&table.guard(n, "approve", &request, &words).await);
    }
    table.reaches(&request, CeremonyState::Released).await;
    let complete = ["recovery", "complete", "--new-passphrase-file", &secret, "--json"];
    let done = json(&table.types(&folder, &complete).await);
    assert!(done["completed"] == true && done["rests"].is_null(), "its session sees no schedules: {done}");
    let (pending, link) = table.node.request_link(new).await.unwrap();
    let client = pending.finish(&link, "e2e").await.unwrap();
    let me = client.who_am_i().await.unwrap();
    assert_eq!((me.user, me.email.as_str()), (table.owner.client.identity().unwrap().user, new));
}

/// The link is good once: what it was taken for may be refused all the same.
#[tokio::test]
async fn who_was_refused_begins_again_without_another_link() {
    let table = Table::set().await;
    let link = table.lost_link(0, "ada@new.example").await;
    let (folder, mistyped) = (table.at("typed/begun"), "0a".repeat(32));
    let refused = table.begins(&folder, &link, &["--over-stop", &mistyped]).await;
    assert!(refused.code != Some(0) && refused.err.contains("goes on without one"), "{refused:?}");
    // nothing is typed into it
    let (request, _) = opened(&table.types(&folder, &["recovery", "begin", "--json"]).await);
    let status = table.types(&folder, &["recovery", "status"]).await;
    assert!(status.out.contains("0 of 2 signed for ada@new.example"), "{status:?}");
    let again = table.types(&folder, &["recovery", "begin"]).await;
    assert!(again.code != Some(0) && again.err.contains("are asked already"), "{again:?}");
    let listed = json(&table.types(&folder, &["recovery", "status", "--json"]).await);
    let ids = listed["ceremonies"].as_array().unwrap().iter().map(|one| &one["id"]).collect::<Vec<_>>();
    assert_eq!(ids, [request.as_str()]);
}

#[tokio::test]
async fn with_the_vault_open_the_guardians_are_dismissed_and_nothing_goes_on() {
    let mut table = Table::set().await;
    let (first, _) = opened(&table.asker(&["recovery", "open", "--json"]).await);
    json(&table.owner(&["recovery", "veto", "--json"]).await);
    table.reaches(&first, CeremonyState::Vetoed).await;
    table.ask_for_a_session().await;
    let (request, words) = opened(&table.asker(&["recovery", "open", "--over-stop", "--json"]).await);
    for n in 0..3 {
        json(&table.guard(n, "override", &request, &words).await);
    }
    for n in 0..2 {
        json(&table.guard(n, "approve", &request, &words).await);
    }
    let secret = table.at("passphrase");
    let dismissed =
        table.owner(&["recovery", "veto", "--retire-guardians", "--passphrase-file", &secret]).await;
    assert!(dismissed.out.contains("what they hold opens nothing"), "{dismissed:?}");
    table.reaches(&request, CeremonyState::Vetoed).await;
    // as after one that was cut off: it finds nothing left to do
    let again = table.owner(&["recovery", "veto", "--retire-guardians", "--passphrase-file", &secret]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    let slots = json(&table.owner(&["vault", "slots", "ls", "--passphrase-file", &secret, "--json"]).await);
    assert_eq!(slots.as_array().unwrap().len(), 1, "{slots}");
    let status = table.owner(&["recovery", "status"]).await;
    assert!(status.out.contains("Your vault has no guardians"), "{}", status.out);
    let collect = table.asker(&["recovery", "collect"]).await;
    assert_ne!(collect.code, Some(0), "{collect:?}");
}

#[tokio::test]
async fn other_guardians_wait_and_the_owner_takes_them_back_by_address() {
    let table = Table::set().await;
    let secret = table.at("passphrase");
    let of = |n: usize| table.guards[n].email.clone();
    let (first, second) = (of(0), of(1));
    let setup = ["recovery", "setup", "--guardian", &first, "--guardian", &second, "--need", "2", "--yes"];
    let setup = [&setup[..], &["--short-delays", "--passphrase-file", &secret]].concat();
    let waits = table.owner(&setup).await;
    assert_eq!(waits.code, Some(0), "{waits:?}");
    assert!(
        waits.out.contains("it can be made in") && waits.out.contains("Run this command again"),
        "{waits:?}"
    );
    let status = table.owner(&["recovery", "status"]).await;
    assert!(status.out.contains("2 of 3 parts"), "those of before count: {}", status.out);
    let stranger = table.owner(&["recovery", "take-back", "stranger@e2e.example"]).await;
    assert_ne!(stranger.code, Some(0), "{stranger:?}");
    let taken = table.owner(&["recovery", "take-back", &second]).await;
    assert!(taken.out.contains("is not to be your guardian"), "{taken:?}");
    let again = table.owner(&setup).await;
    assert!(again.out.contains("asked, has not answered"), "whoever was taken back is asked anew: {again:?}");
}

/// A node that shows other keys of a guardian to the owner shows them to the guardian too: words are of the guardian's own vault.
#[tokio::test]
async fn a_guardians_words_are_of_the_own_vault_and_not_of_what_the_node_shows() {
    let table = Table::set().await;
    let (folder, secret) = (table.at("typed/grace"), table.at("passphrase"));
    // nothing opened on this device yet: no words rather than the node's
    let told = table.types(&folder, &["guardian", "list"]).await;
    assert!(
        told.err.contains("on your guardian card") && !told.err.contains("Your words, for owners who call: ")
    );
    assert!(json(&table.types(&folder, &["guardian", "list", "--json"]).await)["words"].is_null());
    let opened = ["guardian", "list", "--words", "--passphrase-file", &secret, "--json"];
    let opened = json(&table.types(&folder, &opened).await)["words"].clone();
    let grace = &table.guards[0];
    let keys = grace.client.guardianships(Some(Side::Guardian)).await.unwrap()[0].keys.unwrap();
    let words = ocmt_client::recovery::identity_words(keys.identity, keys.sealing).await.unwrap();
    assert_eq!(opened, words.as_str(), "an honest node shows the same keys");
    let told = table.types(&folder, &["guardian", "list"]).await;
    assert!(told.err.contains(&format!("Your words, for owners who call: {words}")), "{told:?}");
    // the vault has other keys than the node shows
    let path = std::path::Path::new(&folder).join("state.json");
    let mut state: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for own in state["own"].as_object_mut().unwrap().values_mut() {
        *own = "ab".repeat(64).into();
    }
    fs::write(&path, state.to_string()).unwrap();
    let told = table.types(&folder, &["guardian", "list"]).await;
    assert!(told.err.contains("other keys for you") && !told.err.contains(&words), "{told:?}");
    assert!(json(&table.types(&folder, &["guardian", "list", "--json"]).await)["words"].is_null());
}
