//! Shares that write: what a taker sends, and what the device of whose vault it is makes of it.

use ocmt_client::{
    ClientError,
    share::{Permission, Share},
    vault::{Key, Vault, Worth},
};
use ocmt_crypto::{kdf::Passphrase, shared::SharedAct, vault::Rollback};
use ocmt_store::testing::TestDatabase;
use ocmt_testkit::{Person, TestNode, command::ocmt};
use tonic::Code;
use zeroize::Zeroizing;

use crate::{
    api_keys::{json, keep},
    shares::{code, trusts},
};

const PASSPHRASE: &str = "tramway-Okapi-39-lantern";

fn value(text: &str) -> SharedAct {
    SharedAct::Put(Zeroizing::new(text.as_bytes().to_vec()))
}

/// Ada, who has a secret, and Bob and Carol of her tenant; all know each other's keys.
struct Three {
    node: TestNode,
    people: [Person; 3],
    vaults: [Vault; 3],
}

impl Three {
    async fn start() -> Self {
        Self::on(TestNode::start().await.unwrap()).await
    }

    async fn on(node: TestNode) -> Self {
        let ada = node.person("ada").await.unwrap();
        let bob = node.member(&ada, "bob", "member").await.unwrap();
        let carol = node.member(&ada, "carol", "member").await.unwrap();
        let mut vaults = Vec::new();
        for who in [&ada, &bob, &carol] {
            vaults.push(who.vault(PASSPHRASE).await.unwrap());
        }
        for other in [&bob, &carol] {
            trusts(&ada, other).await;
            trusts(other, &ada).await;
        }
        let mut vaults: [Vault; 3] = vaults.try_into().ok().unwrap();
        vaults[0].put("bank", b"the value").await.unwrap();
        Self { node, people: [ada, bob, carol], vaults }
    }

    /// Ada gives the secret to one of them, who takes it.
    async fn given(&mut self, to: usize, permissions: &[Permission]) -> Share {
        let email = self.people[to].email.clone();
        let names = ["bank".to_owned()];
        let writes = permissions.iter().any(|one| matches!(one, Permission::Write | Permission::Delete));
        let hers = &mut self.vaults[0];
        let share = match writes {
            true => hers.give_to_write(&email, &names, permissions, None).await.unwrap(),
            false => hers.give(&email, &names, permissions, None).await.unwrap(),
        };
        self.people[to].client.accept_share(share.id).await.unwrap()
    }

    /// A share as its taker sees it now.
    async fn seen(&self, by: usize, share: &Share) -> Share {
        self.people[by].client.share(share.id).await.unwrap()
    }

    async fn sends(&self, by: usize, share: &Share, act: &SharedAct) -> Result<(), ClientError> {
        let share = self.seen(by, share).await;
        self.vaults[by].send_by(&share, share.entries[0].object, act).await.map(drop)
    }

    async fn reads(&self, by: usize, share: &Share) -> Vec<u8> {
        let share = self.seen(by, share).await;
        self.vaults[by].read_share(&share).await.unwrap()[0].value.to_vec()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taker_writes_the_owners_device_files_and_whoever_reads_sees_it() {
    let mut three = Three::start().await;
    let (ada, bob) = (three.people[0].email.clone(), three.people[1].email.clone());
    let writes = three.given(1, &[Permission::Write]).await;
    let both = three.given(2, &[Permission::Read, Permission::Write, Permission::Delete]).await;
    three.sends(1, &writes, &value("the first of Bob's")).await.unwrap();
    three.sends(1, &writes, &value("by Bob")).await.unwrap();
    // nothing has changed, and who writes neither reads nor deletes
    assert_eq!(three.vaults[0].get("bank").await.unwrap().value.as_slice(), b"the value");
    assert_eq!(
        code(three.vaults[1].read_share(&three.seen(1, &writes).await).await),
        Some(Code::PermissionDenied)
    );
    assert!(matches!(three.sends(1, &writes, &SharedAct::Delete).await, Err(ClientError::Usage(_))));
    assert!(three.seen(1, &writes).await.rights[0].waits);
    let there = three.vaults[0].inbox().await.unwrap();
    assert_eq!(there.len(), 1, "the newer one took the place of the first");
    assert_eq!((there[0].worth, there[0].name.as_deref()), (Worth::Fileable, Some("bank")));
    assert_eq!(
        (there[0].taker.as_deref(), there[0].share, there[0].deletes),
        (Some(bob.as_str()), Some(writes.id), false)
    );
    // another device of hers, which knows nobody's keys, files it: the ledger knows whom it was given to
    let device = three.node.device("another").unwrap();
    let key = Key::Passphrase(Passphrase::new(PASSPHRASE).unwrap());
    let mut fresh = three.people[0].client.unlock_vault(None, key, &device, Rollback::Refuse).await.unwrap();
    let filed = fresh.file_inbox().await.unwrap();
    assert_eq!((filed.len(), filed[0].taker.as_deref()), (1, None), "an address is the node's word there");
    assert_eq!(fresh.get("bank").await.unwrap().value.as_slice(), b"by Bob");
    assert!(fresh.inbox().await.unwrap().is_empty());
    assert_eq!(three.reads(2, &both).await, b"by Bob");
    // Carol goes on from there, and both at once: one is filed, the other is of an older version
    three.sends(2, &both, &value("by Carol")).await.unwrap();
    three.sends(1, &writes, &value("also by Bob")).await.unwrap();
    assert_eq!(fresh.file_inbox().await.unwrap().len(), 1);
    let left = fresh.inbox().await.unwrap();
    assert_eq!((left.len(), left[0].worth), (1, Worth::Stale));
    assert_eq!(fresh.drop_inbox(|item| item.worth != Worth::Fileable).await.unwrap().len(), 1);
    assert!(!three.seen(1, &writes).await.rights[0].waits);
    // and the end of it
    three.sends(2, &both, &SharedAct::Delete).await.unwrap();
    let there = fresh.inbox().await.unwrap();
    assert!(there[0].deletes && there[0].worth == Worth::Fileable);
    fresh.file_inbox().await.unwrap();
    assert!(fresh.list().await.unwrap().is_empty());
    assert!(three.seen(2, &both).await.entries.is_empty());
    assert_eq!(both.giver_email, ada);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_decides_and_not_the_node() {
    let mut three = Three::start().await;
    let share = three.given(1, &[Permission::Write]).await;
    // taken out of the ledger alone: the node takes what is sent, and nothing of it is filed
    three.vaults[0].forget_share(share.id).await.unwrap();
    three.sends(1, &share, &value("by Bob")).await.unwrap();
    let there = three.vaults[0].inbox().await.unwrap();
    assert_eq!((there.len(), there[0].worth, there[0].taker.is_none()), (1, Worth::Forged, true));
    assert!(three.vaults[0].file_inbox().await.unwrap().is_empty());
    assert_eq!(three.vaults[0].get("bank").await.unwrap().value.as_slice(), b"the value");
    assert_eq!(three.vaults[0].drop_inbox(|_| true).await.unwrap().len(), 1);
    // a giver's key that is not the pinned one is not sealed to
    let tenant = three.people[1].client.identity().unwrap().tenant;
    let carols = three.people[1].client.keys_of(&three.people[2].email).await.unwrap();
    three.people[1].device.compared_person(tenant, &three.people[0].email, &carols).unwrap();
    let refused = three.sends(1, &share, &value("to nobody")).await;
    assert!(matches!(refused, Err(ClientError::Crypto(_))), "{refused:?}");
    // what the node refuses is not left in the ledger: sharing wants a fresh sign-in, and a taker
    let names = ["bank".to_owned()];
    let hers = &mut three.vaults[0];
    let me = three.people[0].email.clone();
    trusts(&three.people[0], &three.people[0]).await;
    let before = hers.shares_that_write().await.unwrap();
    let to_herself = hers.give_to_write(&me, &names, &[Permission::Write], None).await;
    assert_eq!(code(to_herself), Some(Code::InvalidArgument));
    assert_eq!(hers.shares_that_write().await.unwrap(), before);
    let carols = &three.people[2].email;
    let share = hers.give_to_write(carols, &names, &[Permission::Write], None).await.unwrap();
    assert_eq!(hers.shares_that_write().await.unwrap(), [before, vec![share.id]].concat());
    // and who may write it goes with an entry: another of its name is another
    hers.delete("bank").await.unwrap();
    assert!(hers.shares_that_write().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_only_reads_is_not_renewed_whatever_a_node_lists() {
    let mut three = Three::start().await;
    let reads = three.given(2, &[Permission::Read]).await;
    let writes = three.given(1, &[Permission::Write]).await;
    let both = three.given(1, &[Permission::Read, Permission::Write]).await;
    three.sends(1, &writes, &value("by Bob")).await.unwrap();
    assert_eq!(three.vaults[0].file_inbox().await.unwrap().len(), 1);
    // that it is in force, and of whom, would be the node's word; the ledger says it of the others
    let stale = three.vaults[2].read_share(&three.seen(2, &reads).await).await;
    assert_eq!(stale.err().and_then(|error| error.reason()).as_deref(), Some("GRANT_STALE"));
    assert_eq!(three.reads(1, &both).await, b"by Bob");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_is_revoked_is_out_of_the_ledger_whatever_the_node_says() {
    let database = TestDatabase::migrated().await.unwrap();
    let mut three = Three::on(TestNode::start_on(&database.url(), |_| {}).await.unwrap()).await;
    let share = three.given(1, &[Permission::Write]).await;
    assert_eq!(three.vaults[0].shares_that_write().await.unwrap(), [share.id]);
    // a node that knows of no such share
    database.run("DELETE FROM shares").await.unwrap();
    let (of_ada, id) = (keep(&three.node, &three.people[0]), share.id.to_string());
    let file = three.node.folder().join("passphrase").to_str().unwrap().to_owned();
    std::fs::write(&file, PASSPHRASE).unwrap();
    let revoke = ["share", "revoke", &id, "--passphrase-file", &file, "--state-dir", &of_ada];
    let revoked = ocmt(&revoke).await.unwrap();
    assert_ne!(revoked.code, Some(0), "{revoked:?}");
    let key = Key::Passphrase(Passphrase::new(PASSPHRASE).unwrap());
    let device = three.node.device("another").unwrap();
    let fresh = three.people[0].client.unlock_vault(None, key, &device, Rollback::Refuse).await.unwrap();
    assert!(fresh.shares_that_write().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_written_and_deleted_by_a_share_on_the_command_line() {
    let three = Three::start().await;
    let (of_ada, of_bob) = (keep(&three.node, &three.people[0]), keep(&three.node, &three.people[1]));
    let at = |name: &str| three.node.folder().join(name).to_str().unwrap().to_owned();
    let (file, new) = (at("passphrase"), at("new"));
    std::fs::write(&file, PASSPHRASE).unwrap();
    std::fs::write(&new, "by Bob").unwrap();
    let ada = async |words: &[&str]| {
        ocmt(&[words, &["--passphrase-file", &file, "--state-dir", &of_ada]].concat()).await.unwrap()
    };
    let bob = async |words: &[&str]| {
        ocmt(&[words, &["--passphrase-file", &file, "--state-dir", &of_bob]].concat()).await.unwrap()
    };
    let heard = |said: &ocmt_testkit::command::Said| json(said)["words"].as_str().unwrap().to_owned();
    let adas = heard(&ada(&["share", "words", "--json"]).await);
    let bobs = heard(&bob(&["share", "words", "--json"]).await);
    let to = three.people[1].email.as_str();
    let give = ["share", "give", to, "--entry", "bank", "--may", "write,delete", "--words", &bobs, "--json"];
    let share = json(&ada(&give).await)["id"].as_str().unwrap().to_owned();
    let accept = ["share", "accept", &share, "--words", &adas, "--state-dir", &of_bob];
    assert_eq!(ocmt(&accept).await.unwrap().code, Some(0));
    let sent = bob(&["share", "write", &share, "--value-file", &new]).await;
    assert!(
        sent.code == Some(0) && sent.out.contains("delivered") && sent.out.contains("waits for their device"),
        "{sent:?}"
    );
    let listed = ocmt(&["share", "list", "--state-dir", &of_bob]).await.unwrap();
    assert!(listed.out.contains("waits for its owner"), "{listed:?}");
    let there = ada(&["vault", "inbox"]).await;
    assert!(
        there.out.contains("bank") && there.out.contains(to) && there.out.contains("can be filed"),
        "{there:?}"
    );
    assert_eq!(ada(&["vault", "inbox", "--file"]).await.code, Some(0));
    assert_eq!(ada(&["vault", "get", "bank", "--out", "-"]).await.out, "by Bob");
    let wish = bob(&["share", "delete", &share]).await;
    assert!(wish.code == Some(0) && wish.out.contains("waits for their device"), "{wish:?}");
    assert!(ada(&["vault", "inbox"]).await.out.contains("asks to delete it"));
    // taken back before it was filed: what waits is gone, and nothing more is sent
    assert_eq!(ada(&["share", "revoke", &share]).await.code, Some(0));
    assert_eq!(json(&ada(&["vault", "inbox", "--json"]).await).as_array().unwrap().len(), 0);
    let late = bob(&["share", "write", &share, "--value-file", &new]).await;
    assert!(late.code != Some(0), "{late:?}");
    assert_eq!(ada(&["vault", "get", "bank", "--out", "-"]).await.out, "by Bob");
}
