//! Secrets shared between people of a tenant, through a real node and the devices of both.

use std::time::Duration;

use ocmt_client::{
    ClientError,
    capability::CapabilityState,
    share::{Permission, ShareState},
    vault::Vault,
};
use ocmt_testkit::{Person, TestNode, command::ocmt};
use tonic::Code;

use crate::api_keys::{json, keep};

pub(crate) fn code<T>(answer: Result<T, ClientError>) -> Option<Code> {
    answer.err().and_then(|error| error.code())
}

/// Pins, as the command line does after words were compared.
pub(crate) async fn trusts(one: &Person, other: &Person) {
    let keys = one.client.keys_of(&other.email).await.unwrap();
    let tenant = one.client.identity().unwrap().tenant;
    one.device.compared_person(tenant, &other.email, &keys).unwrap();
}

async fn with_vault(person: &Person) -> Vault {
    person.vault("tramway-Okapi-39-lantern").await.unwrap()
}

/// Ada, who has a secret, and Bob of her tenant, whose keys she has compared.
struct Pair {
    node: TestNode,
    ada: Person,
    bob: Person,
    hers: Vault,
    his: Vault,
}

impl Pair {
    async fn start() -> Self {
        let node = TestNode::start().await.unwrap();
        let ada = node.person("ada").await.unwrap();
        let bob = node.member(&ada, "bob", "member").await.unwrap();
        let (mut hers, his) = (with_vault(&ada).await, with_vault(&bob).await);
        hers.put("bank", b"the value").await.unwrap();
        trusts(&ada, &bob).await;
        Self { node, ada, bob, hers, his }
    }
}

#[tokio::test]
async fn a_secret_is_given_taken_read_given_on_and_taken_back() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let bob = node.member(&ada, "bob", "member").await.unwrap();
    let carol = node.member(&ada, "carol", "member").await.unwrap();
    let (mut hers, his, theirs) = (with_vault(&ada).await, with_vault(&bob).await, with_vault(&carol).await);
    hers.put("bank", b"the value").await.unwrap();
    hers.put("kept", b"another").await.unwrap();
    let names = ["bank".to_owned()];
    let read_on = [Permission::Read, Permission::Share];
    // nothing is sealed to keys that were not compared
    let early = hers.give(&bob.email, &names, &read_on, None).await;
    assert!(matches!(early, Err(ClientError::Usage(_))));
    trusts(&ada, &bob).await;
    let hour = Duration::from_secs(3600);
    let share = hers.give(&bob.email, &names, &read_on, Some(hour)).await.unwrap();
    assert_eq!((share.state, share.permissions.as_slice()), (ShareState::Offered, &read_on[..]));
    let offered = bob.client.share(share.id).await.unwrap();
    trusts(&bob, &ada).await;
    assert_eq!(code(his.read_share(&offered).await), Some(Code::NotFound));
    let taken = bob.client.accept_share(share.id).await.unwrap();
    let entries = his.read_share(&taken).await.unwrap();
    assert_eq!((entries[0].name.expose(), entries[0].value.as_slice()), ("bank", &b"the value"[..]));
    assert_eq!(entries.len(), 1);
    assert!(taken.expires_at.is_some());
    // on to Carol, who believes what Bob signed
    trusts(&bob, &carol).await;
    trusts(&carol, &bob).await;
    let for_ever = his.give_on(&taken, &carol.email, &[Permission::Read], None).await;
    assert_eq!(code(for_ever), Some(Code::PermissionDenied));
    let minute = Duration::from_secs(60);
    let on = his.give_on(&taken, &carol.email, &[Permission::Read], Some(minute)).await.unwrap();
    let on = carol.client.accept_share(on.id).await.unwrap();
    assert_eq!(theirs.read_share(&on).await.unwrap()[0].value.as_slice(), b"the value");
    assert_eq!(ada.client.list_shares().await.unwrap().len(), 2);
    // taken back: both at once, and the key with a new version
    let rekey = ada.client.revoke_share(share.id).await.unwrap();
    assert_eq!(rekey.len(), 1);
    assert_eq!(code(his.read_share(&taken).await), Some(Code::NotFound));
    assert_eq!(code(theirs.read_share(&on).await), Some(Code::NotFound));
    hers.rekey(&rekey).await.unwrap();
    let listed = hers.list().await.unwrap();
    let version = |name: &str| listed.iter().find(|one| one.name == name).unwrap().version;
    assert_eq!((version("bank"), version("kept")), (2, 1));
    assert!(ada.client.revoke_share(share.id).await.unwrap().is_empty(), "all is under fresh keys");
    assert!(ada.client.list_shares().await.unwrap().iter().all(|share| share.state == ShareState::Revoked));
    trusts(&ada, &carol).await;
    trusts(&carol, &ada).await;
    looked_after((&ada, &hers), &bob, (&carol, &theirs)).await;
}

/// Bob administers what Carol reads: he sees that, takes it back, and reads nothing by it.
async fn looked_after((ada, hers): (&Person, &Vault), bob: &Person, (carol, theirs): (&Person, &Vault)) {
    let names = ["bank".to_owned()];
    let own = hers.give(&bob.email, &names, &[Permission::Admin], None).await.unwrap();
    bob.client.accept_share(own.id).await.unwrap();
    let given = hers.give(&carol.email, &names, &[Permission::Read], None).await.unwrap();
    let taken = carol.client.accept_share(given.id).await.unwrap();
    assert_eq!(theirs.read_share(&taken).await.unwrap()[0].value.as_slice(), b"the value");
    let seen = bob.client.share(given.id).await.unwrap();
    assert_eq!((&seen.taker_email, seen.entries.len()), (&carol.email, 1));
    assert!(bob.client.revoke_share(given.id).await.unwrap().is_empty(), "the keys are hers to replace");
    assert_eq!(code(theirs.read_share(&taken).await), Some(Code::NotFound));
    assert_eq!(ada.client.revoke_share(given.id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn another_key_than_the_pinned_one_is_neither_sealed_to_nor_believed() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let bob = node.member(&ada, "bob", "member").await.unwrap();
    let eve = node.member(&ada, "eve", "member").await.unwrap();
    let (mut hers, his) = (with_vault(&ada).await, with_vault(&bob).await);
    with_vault(&eve).await;
    hers.put("bank", b"the value").await.unwrap();
    let tenant = ada.client.identity().unwrap().tenant;
    let eves = ada.client.keys_of(&eve.email).await.unwrap();
    let names = ["bank".to_owned()];
    // a device that was told Eve's keys for Bob's: the node sees that they are not Bob's
    ada.device.compared_person(tenant, &bob.email, &eves).unwrap();
    let refused = hers.give(&bob.email, &names, &[Permission::Read], None).await;
    assert_eq!(code(refused), Some(Code::InvalidArgument));
    let bobs = ada.client.keys_of(&bob.email).await.unwrap();
    assert!(ada.device.pin_person(tenant, &bob.email, &bobs).is_err(), "the first ones stay");
    ada.device.compared_person(tenant, &bob.email, &bobs).unwrap();
    let share = hers.give(&bob.email, &names, &[Permission::Read], None).await.unwrap();
    // and one that knows another key for Ada's than that which signed
    bob.device.pin_person(tenant, &ada.email, &eves).unwrap();
    let taken = bob.client.accept_share(share.id).await.unwrap();
    assert!(matches!(his.read_share(&taken).await, Err(ClientError::Crypto(_))));
    let adas = bob.client.keys_of(&ada.email).await.unwrap();
    bob.device.compared_person(tenant, &ada.email, &adas).unwrap();
    assert_eq!(his.read_share(&taken).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_somebody_asks_for_is_given_by_another_and_refused() {
    let Pair { node: _node, ada, bob, hers, his } = Pair::start().await;
    trusts(&bob, &ada).await;
    let hour = Duration::from_secs(3600);
    let seen = hers.give(&bob.email, &["bank".to_owned()], &[Permission::List], None).await.unwrap();
    let seen = bob.client.accept_share(seen.id).await.unwrap();
    assert_eq!(code(his.read_share(&seen).await), Some(Code::PermissionDenied));
    let object = seen.entries[0].object;
    let asked =
        bob.client.request_capability(hers.id(), object, &[Permission::Read], hour, "why").await.unwrap();
    let waiting = ada.client.list_capabilities(true).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].requester_email.as_str()), (1, bob.email.as_str()));
    assert_eq!(
        (waiting[0].id, waiting[0].reason.as_str(), waiting[0].lifetime_ms),
        (asked.id, "why", 3_600_000)
    );
    assert_eq!(hers.asked_name(&waiting[0]).await.unwrap(), "bank");
    let minute = Duration::from_secs(60);
    let given = hers.approve_capability(&waiting[0], &[Permission::Read], minute).await.unwrap();
    assert_eq!(given.state, CapabilityState::Approved);
    let mine = bob.client.list_shares().await.unwrap().into_iter().find(|share| share.id != seen.id).unwrap();
    assert_eq!(his.read_share(&mine).await.unwrap()[0].value.as_slice(), b"the value");
    // and another one is refused
    let asked =
        bob.client.request_capability(hers.id(), object, &[Permission::Share], hour, "why").await.unwrap();
    assert_eq!(ada.client.deny_capability(asked.id).await.unwrap().state, CapabilityState::Denied);
    assert_eq!(code(ada.client.deny_capability(asked.id).await), Some(Code::FailedPrecondition));
    assert_eq!(bob.client.list_capabilities(false).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_somebody_asks_for_is_decided_by_the_command_line() {
    let Pair { node, ada, bob, hers, his } = Pair::start().await;
    let seen = hers.give(&bob.email, &["bank".to_owned()], &[Permission::List], None).await.unwrap();
    bob.client.accept_share(seen.id).await.unwrap();
    let (of_ada, of_bob) = (keep(&node, &ada), keep(&node, &bob));
    let (as_ada, as_bob) = (["--state-dir", &of_ada, "--json"], ["--state-dir", &of_bob, "--json"]);
    let (share, file) = (seen.id.to_string(), node.folder().join("passphrase"));
    std::fs::write(&file, "tramway-Okapi-39-lantern").unwrap();
    let file = file.to_str().unwrap();
    let ask = ["share", "ask", &share, "--may", "read", "--lifetime", "1h", "--reason", "the bank calls"];
    let asked = json(&ocmt(&[&ask[..], &as_bob].concat()).await.unwrap());
    let id = asked["id"].as_str().unwrap();
    let waiting = json(&ocmt(&[&["approve", "list"][..], &as_ada].concat()).await.unwrap());
    assert_eq!(
        (waiting[0]["id"].as_str(), waiting[0]["reason"].as_str()),
        (Some(id), Some("the bank calls"))
    );
    let words = ada.client.keys_of(&bob.email).await.unwrap().words().await.unwrap();
    let give = ["approve", "give", id, "--words", &words, "--passphrase-file", file];
    // nobody is there to be asked which secret is meant, and another one is not given
    for name in [&[][..], &["--name", "another"]] {
        let said = ocmt(&[&give[..], name, &as_ada].concat()).await.unwrap();
        assert_eq!(said.code, Some(2), "{}{}", said.out, said.err);
    }
    let own = ocmt(&[&["approve", "deny", id][..], &as_bob].concat()).await.unwrap();
    assert_eq!(own.code, Some(3), "{}{}", own.out, own.err);
    let given = json(&ocmt(&[&give[..], &["--name", "bank"], &as_ada].concat()).await.unwrap());
    assert_eq!(given["state"].as_str(), Some("approved"));
    trusts(&bob, &ada).await;
    let mine = bob.client.list_shares().await.unwrap().into_iter().find(|share| share.id != seen.id).unwrap();
    assert_eq!(his.read_share(&mine).await.unwrap()[0].value.as_slice(), b"the value");
    // and refused
    let ask = ["share", "ask", &share, "--may", "share", "--reason", "for Carol"];
    let asked = json(&ocmt(&[&ask[..], &as_bob].concat()).await.unwrap());
    let deny = ["approve", "deny", asked["id"].as_str().unwrap()];
    let denied = json(&ocmt(&[&deny[..], &as_ada].concat()).await.unwrap());
    assert_eq!(denied["state"].as_str(), Some("denied"));
    let all = json(&ocmt(&[&["approve", "list", "--all"][..], &as_bob].concat()).await.unwrap());
    assert_eq!(all.as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_accepted_offer_pins_is_sealed_to_by_nobody() {
    let Pair { node, ada, bob, hers, mut his } = Pair::start().await;
    let share = hers.give(&bob.email, &["bank".to_owned()], &[Permission::Read], None).await.unwrap();
    let of_bob = keep(&node, &bob);
    let taken = ocmt(&["share", "accept", &share.id.to_string(), "--state-dir", &of_bob]).await.unwrap();
    assert_eq!(taken.code, Some(0), "{taken:?}");
    his.put("mine", b"of Bob").await.unwrap();
    let file = node.folder().join("passphrase").to_str().unwrap().to_owned();
    std::fs::write(&file, "tramway-Okapi-39-lantern").unwrap();
    let (group, to) = (bob.client.create_group("team").await.unwrap().id.to_string(), ada.email.as_str());
    // what it read by is read; no key is sealed to it, and no vault believed, before words are compared
    let end = ["--passphrase-file", &file, "--state-dir", &of_bob];
    let bob_types = async |words: &[&str]| ocmt(&[words, &end[..]].concat()).await.unwrap();
    let id = share.id.to_string();
    let read = bob_types(&["share", "read", &id, "bank"]).await;
    assert_eq!(read.out, "the value", "{read:?}");
    let refused: [&[&str]; 4] = [
        &["share", "give", to, "--entry", "mine", "--may", "read"],
        &["share", "write", &id, "--value-file", &file],
        &["group", "vault", "admit", &group, to],
        &["group", "vault", "join", &group, "--admin", to],
    ];
    for words in refused {
        let said = bob_types(words).await;
        assert!(said.code != Some(0) && said.err.contains("use --words"), "{words:?}: {said:?}");
    }
    // nor by the client alone
    let (tenant, keys) =
        (bob.client.identity().unwrap().tenant, bob.client.keys_of(&ada.email).await.unwrap());
    bob.device.pin_person(tenant, &ada.email, &keys).unwrap();
    let mine = ["mine".to_owned()];
    for refused in [
        his.give(&ada.email, &mine, &[Permission::Read], None).await,
        his.give_to_write(&ada.email, &mine, &[Permission::Write], None).await,
    ] {
        assert!(matches!(refused, Err(ClientError::Usage(text)) if text.contains("--words")));
    }
    let bobs = json(&bob_types(&["share", "words", "--json"]).await)["words"].as_str().unwrap().to_owned();
    let give = ["share", "give", to, "--entry", "mine", "--may", "read", "--words"];
    let wrong = bob_types(&[&give[..], &[&bobs]].concat()).await;
    assert!(wrong.code != Some(0) && wrong.err.contains("are not those"), "those are his own: {wrong:?}");
    let adas = keys.words().await.unwrap();
    assert_eq!(bob_types(&[&give[..], &[&adas]].concat()).await.code, Some(0));
    let again = bob_types(&["share", "give", to, "--entry", "mine", "--may", "list"]).await;
    assert_eq!(again.code, Some(0), "compared is compared: {again:?}");
}
