//! `ocmt group vault` as people type it, and what a member's device believes.

mod cell;
mod together;

use std::fs;

use ocmt_client::{
    ClientError,
    group::MemberRole,
    group_vault::Part,
    share::PersonKeys,
    vault::{Key, Vault},
};
use ocmt_crypto::{kdf::Passphrase, vault::Rollback};
use ocmt_testkit::{
    Person, TestNode,
    command::{Said, ocmt},
    http,
};
use ocmt_types::GroupId;
use tonic::Code;

use crate::{
    api_keys::{json, keep},
    shares::{code, trusts},
};

const PASSPHRASE: &str = "violin ledger umbrella quartz";

/// Ada, who administers a group, and Bob and Carol, who are in it; each with a vault of their own.
struct Team {
    node: TestNode,
    people: [Person; 3],
    vaults: [Vault; 3],
    group: GroupId,
}

impl Team {
    async fn start() -> Self {
        Self::on(TestNode::start().await.unwrap()).await
    }

    async fn on(node: TestNode) -> Self {
        let ada = node.person("ada").await.unwrap();
        let bob = node.member(&ada, "bob", "member").await.unwrap();
        let carol = node.member(&ada, "carol", "member").await.unwrap();
        let group = ada.client.create_group("team").await.unwrap().id;
        let mut vaults = Vec::new();
        for who in [&ada, &bob, &carol] {
            vaults.push(who.vault(PASSPHRASE).await.unwrap());
            let user = who.client.who_am_i().await.unwrap().user;
            if who.email != ada.email {
                ada.client.add_member(group, user, MemberRole::Member).await.unwrap();
            }
        }
        let vaults: [Vault; 3] = vaults.try_into().ok().unwrap();
        Self { node, people: [ada, bob, carol], vaults, group }
    }

    async fn user(&self, n: usize) -> ocmt_types::UserId {
        self.people[n].client.who_am_i().await.unwrap().user
    }

    fn at(&self, name: &str) -> String {
        self.node.folder().join(name).to_str().unwrap().to_owned()
    }

    /// What one of them types, with the own vault's passphrase.
    async fn types(&self, n: usize, words: &[&str]) -> Said {
        let secret = self.at("passphrase");
        self.asks(n, &[words, &["--passphrase-file", &secret]].concat()).await
    }

    /// What needs no vault.
    async fn asks(&self, n: usize, words: &[&str]) -> Said {
        let name = self.people[n].email.split('@').next().unwrap();
        let (folder, group) = (self.at(&format!("typed/{name}")), self.group.to_string());
        let named = |word: &&str| if *word == "GROUP" { group.clone() } else { (*word).to_owned() };
        let words: Vec<String> = words.iter().map(named).chain(["--state-dir".to_owned(), folder]).collect();
        ocmt(&words.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_members_device_believes_whom_it_compared_and_no_other() {
    let team = Team::start().await;
    let [ada, bob, carol] = &team.people;
    let [hers, his, carols] = &team.vaults;
    let mut open = hers.create_group_vault(team.group).await.unwrap();
    open.secrets_mut().put("bank", b"the value").await.unwrap();
    // nothing is believed and nothing is sealed before words were compared
    assert!(matches!(his.join_group_vault(team.group, &ada.email).await, Err(ClientError::Usage(_))));
    let tenant = ada.client.identity().unwrap().tenant;
    // nor by a key that was pinned without them
    bob.device.pin_person(tenant, &ada.email, &hers.person_keys()).unwrap();
    assert!(matches!(his.join_group_vault(team.group, &ada.email).await, Err(ClientError::Usage(_))));
    trusts(bob, ada).await;
    his.join_group_vault(team.group, &ada.email).await.unwrap();
    assert!(matches!(open.admit(&bob.email).await, Err(ClientError::Usage(_))));
    ada.device.pin_person(tenant, &bob.email, &his.person_keys()).unwrap();
    assert!(matches!(open.admit(&bob.email).await, Err(ClientError::Usage(_))));
    let carols_keys: PersonKeys = ada.client.keys_of(&carol.email).await.unwrap();
    ada.device.compared_person(tenant, &bob.email, &carols_keys).unwrap();
    let refused = open.admit(&bob.email).await;
    assert!(matches!(refused, Err(ClientError::Usage(text)) if text.contains("other keys")));
    let bobs_keys = ada.client.keys_of(&bob.email).await.unwrap();
    ada.device.compared_person(tenant, &bob.email, &bobs_keys).unwrap();
    open.admit(&bob.email).await.unwrap();
    let read = his.open_group_vault(team.group, Rollback::Refuse).await.unwrap();
    assert_eq!(read.secrets().get("bank").await.unwrap().value.as_slice(), b"the value");
    // a device that remembers nothing opens it too: whom to believe stands in what Bob signed
    let fresh = team.node.device("another").unwrap();
    let key = Key::Passphrase(Passphrase::new(PASSPHRASE).unwrap());
    let own = bob.client.unlock_vault(None, key, &fresh, Rollback::Refuse).await.unwrap();
    own.open_group_vault(team.group, Rollback::Refuse).await.unwrap();
    // Carol names Bob, who administers nothing
    trusts(carol, bob).await;
    assert!(matches!(carols.join_group_vault(team.group, &bob.email).await, Err(ClientError::Usage(_))));
    assert!(matches!(
        carols.open_group_vault(team.group, Rollback::Refuse).await,
        Err(ClientError::Usage(text)) if text.contains("ocmt group vault join")
    ));
}

/// Whether the group's page tells Ada of new keys that are due, with the command that makes them.
async fn page_says_due(team: &Team) -> bool {
    let cookie = format!("__Host-ocmt-session={}", team.people[0].token().unwrap());
    let path = format!("/app/groups/{}", team.group);
    let page = http::get(&team.node.target().unwrap(), &path, &[("cookie", &cookie)]).await.unwrap();
    assert!(page.status == 200 && page.body.contains("ocmt group vault ls"), "{}", page.body);
    page.body.contains(&format!("<code>ocmt group vault rotate {}</code>", team.group))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_is_out_at_once_and_a_rotation_shuts_the_old_key_out() {
    let team = Team::start().await;
    let [ada, bob, _] = &team.people;
    let [hers, his, _] = &team.vaults;
    let mut open = hers.create_group_vault(team.group).await.unwrap();
    open.secrets_mut().put("bank", b"the value").await.unwrap();
    trusts(ada, bob).await;
    trusts(bob, ada).await;
    his.join_group_vault(team.group, &ada.email).await.unwrap();
    open.admit(&bob.email).await.unwrap();
    let read = his.open_group_vault(team.group, Rollback::Refuse).await.unwrap();
    let bobs = team.user(1).await;
    assert!(ada.client.remove_member(team.group, bobs).await.unwrap(), "new keys are due");
    assert_eq!(code(read.secrets().get("bank").await), Some(Code::NotFound));
    assert_eq!(code(his.open_group_vault(team.group, Rollback::Refuse).await), Some(Code::NotFound));
    assert!(ada.client.group_vault(team.group).await.unwrap().due_since.is_some());
    assert!(page_says_due(&team).await);
    let stays = open.admitted().await.unwrap();
    assert_eq!(open.rotate(&stays, "Bob has left").await.unwrap(), 1);
    let status = ada.client.group_vault(team.group).await.unwrap();
    // Ada, and Carol who takes no part
    assert!(status.due_since.is_none() && status.participants.len() == 2);
    assert!(!page_says_due(&team).await);
    assert_eq!(open.secrets().get("bank").await.unwrap().value.as_slice(), b"the value");
    let open = hers.open_group_vault(team.group, Rollback::Refuse).await.unwrap();
    assert_eq!(open.secrets().keys().epoch(), 2);
    // he comes back as everybody does
    ada.client.add_member(team.group, bobs, MemberRole::Member).await.unwrap();
    let status = ada.client.group_vault(team.group).await.unwrap();
    assert_eq!(status.of(&bob.email).unwrap().part, Part::None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_of_a_group_is_kept_by_the_command_line() {
    let team = Team::start().await;
    for who in &team.people {
        keep(&team.node, who);
    }
    fs::write(team.at("passphrase"), PASSPHRASE).unwrap();
    fs::write(team.at("value"), "the value").unwrap();
    let words = async |n: usize| {
        let told = json(&team.types(n, &["share", "words", "--json"]).await);
        told["words"].as_str().unwrap().to_owned()
    };
    let (adas, bobs, carols) = (words(0).await, words(1).await, words(2).await);
    let (ada, bob) = (team.people[0].email.as_str(), team.people[1].email.as_str());
    let carol = team.people[2].email.as_str();
    let early = team.types(1, &["group", "vault", "ls", "GROUP"]).await;
    assert!(early.code != Some(0) && early.err.contains("ocmt group vault create"), "{early:?}");
    json(&team.types(0, &["group", "vault", "create", "GROUP", "--json"]).await);
    let wrong = "able zoo baker able zoo baker";
    let refused = team.types(1, &["group", "vault", "join", "GROUP", "--admin", ada, "--words", wrong]).await;
    assert!(refused.code != Some(0) && refused.err.contains("are not those"), "{refused:?}");
    let joined = team.types(1, &["group", "vault", "join", "GROUP", "--admin", ada, "--words", &adas]).await;
    assert_eq!(joined.code, Some(0), "{joined:?}");
    let status = team.asks(0, &["group", "vault", "status", "GROUP"]).await;
    assert!(status.out.contains("waits for `ocmt group vault admit`"), "{status:?}");
    let admitted = team.types(0, &["group", "vault", "admit", "GROUP", bob, "--words", &bobs]).await;
    assert_eq!(admitted.code, Some(0), "{admitted:?}");
    let file = team.at("value");
    let put = team.types(1, &["group", "vault", "put", "GROUP", "bank", "--value-file", &file]).await;
    assert_eq!(put.code, Some(0), "{put:?}");
    let got = team.types(0, &["group", "vault", "get", "GROUP", "bank", "--out", "-"]).await;
    assert_eq!(got.out, "the value", "{got:?}");
    // one secret for Carol, who takes no part
    let share = ["group", "vault", "give", "GROUP", carol, "--entry", "bank", "--words", &carols, "--json"];
    let share = json(&team.types(0, &share).await)["id"].as_str().unwrap().to_owned();
    let taken = team.asks(2, &["share", "accept", &share, "--words", &adas, "--json"]).await;
    assert_eq!(taken.code, Some(0), "{taken:?}");
    let read = team.types(2, &["share", "read", &share, "bank"]).await;
    assert_eq!(read.out, "the value", "{read:?}");
    let revoked = json(&team.types(0, &["share", "revoke", &share, "--json"]).await);
    assert_eq!(revoked["rekeyed"], 1);
    assert_ne!(team.types(2, &["share", "read", &share, "bank"]).await.code, Some(0));
    // Bob goes
    let bobs = team.user(1).await.to_string();
    let removed = json(&team.asks(0, &["group", "remove", "GROUP", &bobs, "--json"]).await);
    assert_eq!(removed["rotation_due"], true);
    let out = team.types(1, &["group", "vault", "ls", "GROUP"]).await;
    assert_ne!(out.code, Some(0), "{out:?}");
    let status = json(&team.asks(0, &["group", "vault", "status", "GROUP", "--json"]).await);
    assert!(!status["due_since"].is_null(), "{status}");
    let rotated = json(&team.types(0, &["group", "vault", "rotate", "GROUP", "--json"]).await);
    assert_eq!(rotated["slots_gone"], 1);
    let list = json(&team.types(0, &["group", "vault", "ls", "GROUP", "--json"]).await);
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    let gone = team.types(0, &["group", "vault", "rm", "GROUP", "bank"]).await;
    assert_eq!(gone.code, Some(0), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_keeps_whom_the_person_names_and_by_no_keys_of_the_node() {
    let team = Team::start().await;
    let [ada, bob, carol] = &team.people;
    let [hers, his, carols] = &team.vaults;
    let mut open = hers.create_group_vault(team.group).await.unwrap();
    for (other, own) in [(bob, his), (carol, carols)] {
        trusts(ada, other).await;
        trusts(other, ada).await;
        own.join_group_vault(team.group, &ada.email).await.unwrap();
        open.admit(&other.email).await.unwrap();
    }
    // what the node lists, the person at the device has to say too
    keep(&team.node, ada);
    fs::write(team.at("passphrase"), PASSPHRASE).unwrap();
    let rotates = async |more: &[&str]| {
        team.types(0, &[&["group", "vault", "rotate", "GROUP", "--json"][..], more].concat()).await
    };
    let asked = rotates(&[]).await;
    assert!(asked.code != Some(0) && asked.err.contains("--keep"), "{asked:?}");
    let fewer = rotates(&["--keep", &bob.email]).await;
    assert!(fewer.code != Some(0) && fewer.err.contains(&carol.email), "{fewer:?}");
    // the folder of the command line knows nobody: the keys that the node shows are not believed
    let unknown = rotates(&["--keep", &bob.email, "--keep", &carol.email]).await;
    assert!(unknown.code != Some(0) && unknown.err.contains("compared"), "{unknown:?}");
    // nor by a device that admitted nobody
    let device = team.node.device("another").unwrap();
    let key = Key::Passphrase(Passphrase::new(PASSPHRASE).unwrap());
    let own = ada.client.unlock_vault(None, key, &device, Rollback::Refuse).await.unwrap();
    let mut there = own.open_group_vault(team.group, Rollback::Refuse).await.unwrap();
    let all = there.admitted().await.unwrap();
    assert!(matches!(there.rotate(&all, "by nobody's keys").await, Err(ClientError::Usage(_))));
    // whom she does not name has no slot any more
    let mut open = hers.open_group_vault(team.group, Rollback::Refuse).await.unwrap();
    let mut stays = open.admitted().await.unwrap();
    assert_eq!(stays.len(), 3);
    stays.retain(|one| one.email != bob.email);
    assert_eq!(open.rotate(&stays, "Bob is to be out").await.unwrap(), 1);
    assert!(his.open_group_vault(team.group, Rollback::Refuse).await.is_err());
    carols.open_group_vault(team.group, Rollback::Refuse).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_a_groups_vault_is_ended_without_the_group_s_name() {
    let team = Team::start().await;
    keep(&team.node, &team.people[0]);
    fs::write(team.at("passphrase"), PASSPHRASE).unwrap();
    let mut open = team.vaults[0].create_group_vault(team.group).await.unwrap();
    open.secrets_mut().put("bank", b"the value").await.unwrap();
    let (key, out) = (team.at("program.key"), team.at("program.json"));
    let made = json(&team.asks(0, &["share", "program", "key", "--out", &key, "--json"]).await);
    let public = made["program_key"].as_str().unwrap();
    let program =
        ["group", "vault", "program", "GROUP", "deploys", "--entry", "bank", "--program-key", public];
    let made = json(&team.types(0, &[&program[..], &["--out", &out, "--json"]].concat()).await);
    let token = made["token_id"].as_str().unwrap();
    let ended = json(&team.types(0, &["share", "program", "revoke", token, "--json"]).await);
    assert_eq!(ended["rekeyed"], 1);
    let open = team.vaults[0].open_group_vault(team.group, Rollback::Refuse).await.unwrap();
    let listed = open.secrets().list().await.unwrap();
    assert_eq!((listed.len(), listed[0].version), (1, 2), "under a fresh key");
}
