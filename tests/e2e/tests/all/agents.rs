//! An agent with a program's token, through a real node: what it has, what it asks for, and who gives it.

use std::{fs, time::Duration};

use ocmt_client::{
    ClientError,
    capability::{AskingProgram, Capability, CapabilityState},
    program::ProgramAccess,
    share::Permission,
    vault::Vault,
};
use ocmt_crypto::{seal::SealSecretKey, sign::SigningKey};
use ocmt_testkit::{Person, TestNode, command::ocmt};
use ocmt_types::Digest32;
use tonic::Code;

use crate::api_keys::{json, keep};

fn code<T>(answer: Result<T, ClientError>) -> Option<Code> {
    answer.err().and_then(|error| error.code())
}

#[tokio::test]
async fn an_agent_asks_and_reads_what_its_owner_approves() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut hers = ada.vault("tramway-Okapi-39-lantern").await.unwrap();
    hers.put("bot-token", b"the token").await.unwrap();
    hers.put("bank", b"the value").await.unwrap();
    hers.put("drafts", b"the first").await.unwrap();
    let bank = hers.list().await.unwrap().into_iter().find(|one| one.name == "bank").unwrap().object;
    let hour = Duration::from_secs(3600);
    let key = SealSecretKey::generate(&mut rand::rng());
    let made = hers.create_program_token("agent", &["bot-token".to_owned()], key.public(), hour).await;
    let access = made.unwrap();
    let agent = ada.client.as_program(&access);
    assert_eq!(agent.list_granted(&access).await.unwrap().len(), 1);
    assert_eq!(code(agent.read_object(&access, &key, bank).await), Some(Code::NotFound));
    // it asks to read or to write one version, and for no more than that
    for more in [Permission::Delete, Permission::Admin, Permission::Share] {
        let asked =
            agent.request_capability(access.vault, bank, &[Permission::Read, more], hour, "why").await;
        assert_eq!(code(asked), Some(Code::PermissionDenied), "{more:?}");
    }
    let read = [Permission::Read];
    let asked = agent.request_capability(access.vault, bank, &read, hour, "the bank calls").await.unwrap();
    assert_eq!(code(agent.deny_capability(asked.id).await), Some(Code::PermissionDenied));
    let waiting = ada.client.list_capabilities(true).await.unwrap();
    let program = waiting[0].program.clone().unwrap();
    assert_eq!((waiting.len(), waiting[0].requester(), program.key.0), (1, "agent", key.public().0));
    assert_eq!(hers.asked_name(&waiting[0]).await.unwrap(), "bank");
    // a node that puts its own key there gets nothing
    let lie =
        AskingProgram { key: Digest32(SealSecretKey::generate(&mut rand::rng()).public().0), ..program };
    let lied = Capability { program: Some(lie), ..waiting[0].clone() };
    assert!(matches!(hers.approve_capability(&lied, &read, hour).await, Err(ClientError::Usage(_))));
    let given = hers.approve_capability(&waiting[0], &read, hour).await.unwrap();
    assert!(given.state == CapabilityState::Approved && given.expires_at <= access.expires_at);
    let entry = agent.read_object(&access, &key, bank).await.unwrap();
    assert_eq!((entry.name.expose(), entry.value.as_slice()), ("bank", &b"the value"[..]));
    assert_eq!(agent.list_capabilities(false).await.unwrap()[0].state, CapabilityState::Approved);
    it_writes_one_version(&ada, &mut hers, &access, "drafts").await;
    // with the token all of it ends, and both are written under fresh keys
    let rekey = ada.client.revoke_program_token(access.token_id).await.unwrap().rekey;
    assert!(rekey.len() == 2 && rekey.contains(&bank));
    hers.rekey(&rekey).await.unwrap();
    assert_eq!(code(agent.read_object(&access, &key, bank).await), Some(Code::Unauthenticated));
    assert!(ada.client.list_capabilities(false).await.unwrap().is_empty());
}

/// Of an entry that it reads nothing of, by the key that its owner was told, until that is filed.
async fn it_writes_one_version(ada: &Person, hers: &mut Vault, access: &ProgramAccess, name: &str) {
    let agent = ada.client.as_program(access);
    let object = hers.list().await.unwrap().into_iter().find(|one| one.name == name).unwrap().object;
    let (hour, write) = (Duration::from_secs(3600), [Permission::Write]);
    let (signs, other) = (SigningKey::generate(&mut rand::rng()), SigningKey::generate(&mut rand::rng()));
    let unsigned = agent.request_capability(access.vault, object, &write, hour, "why").await;
    assert_eq!(code(unsigned), Some(Code::InvalidArgument));
    let of_key = Some(signs.verify_key());
    agent.request_signed(access.vault, object, &write, (hour, "it has a new one"), of_key).await.unwrap();
    let asked = ada.client.list_capabilities(true).await.unwrap().remove(0);
    let lied = hers.approve_writing(&asked, &write, hour, other.verify_key()).await;
    assert!(matches!(lied, Err(ClientError::Usage(_))), "another key than Ada was told");
    let value = |text: &[u8]| zeroize::Zeroizing::new(text.to_vec());
    let early = agent.write_granted(access, &signs, object, value(b"early")).await;
    assert!(matches!(early, Err(ClientError::Usage(_))), "it is not approved yet");
    hers.approve_writing(&asked, &write, hour, signs.verify_key()).await.unwrap();
    assert!(agent.write_granted(access, &other, object, value(b"forged")).await.is_err());
    agent.write_granted(access, &signs, object, value(b"the second")).await.unwrap();
    assert_eq!(hers.get(name).await.unwrap().value.as_slice(), b"the first", "it waits");
    assert_eq!(hers.file_inbox().await.unwrap().len(), 1);
    assert_eq!(hers.get(name).await.unwrap().value.as_slice(), b"the second");
    let again = agent.write_granted(access, &signs, object, value(b"the third")).await;
    assert!(matches!(again, Err(ClientError::Usage(_))), "one version was approved");
    // nor does the vault's ledger say so any more, and of another it does until the program is forgotten
    assert!(hers.shares_that_write().await.unwrap().is_empty());
    agent.request_signed(access.vault, object, &write, (hour, "a third"), of_key).await.unwrap();
    let asked = ada.client.list_capabilities(true).await.unwrap().remove(0);
    hers.approve_writing(&asked, &write, hour, signs.verify_key()).await.unwrap();
    assert_eq!(hers.shares_that_write().await.unwrap().len(), 1);
    hers.forget_program(access.token_id, &[]).await.unwrap();
    assert!(hers.shares_that_write().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_agent_asks_and_its_owner_decides_by_the_command_line() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut hers = ada.vault("tramway-Okapi-39-lantern").await.unwrap();
    hers.put("bot-token", b"the token").await.unwrap();
    hers.put("bank", b"the value").await.unwrap();
    let at = |name: &str| node.folder().join(name).to_str().unwrap().to_owned();
    let (state, nowhere, ca, file) = (keep(&node, &ada), at("agent"), at("ca.pem"), at("passphrase"));
    let (key, program) = (at("agent.key"), at("agent.json"));
    let target = node.target().unwrap();
    fs::write(&ca, target.ca.pem()).unwrap();
    fs::write(&file, "tramway-Okapi-39-lantern").unwrap();
    let as_ada = ["--state-dir", &state, "--json"];
    let as_agent =
        ["--endpoint", &target.endpoint, "--ca", &ca, "--state-dir", &nowhere, "--program", &program];
    let key_of = json(
        &ocmt(&["share", "program", "key", "--out", &key, "--state-dir", &nowhere, "--json"]).await.unwrap(),
    );
    let public = key_of["program_key"].as_str().unwrap();
    let create = ["share", "program", "create", "agent", "--entry", "bot-token", "--program-key", public];
    let create = [&create[..], &["--out", &program, "--passphrase-file", &file], &as_ada].concat();
    json(&ocmt(&create).await.unwrap());
    let own = ["vault", "ls", "--passphrase-file", &file];
    let listed = json(&ocmt(&[&own[..], &as_ada].concat()).await.unwrap());
    let bank = listed.as_array().unwrap().iter().find(|one| one["name"] == "bank").unwrap();
    let bank = bank["object"].as_str().unwrap();
    let of_agent = async |command: &[&str]| {
        let whole = [&["share", "program"], command, &as_agent[..], &["--json"]].concat();
        json(&ocmt(&whole).await.unwrap())
    };
    assert_eq!(of_agent(&["list"]).await.as_array().unwrap().len(), 1);
    let first = of_agent(&["ask", bank, "--lifetime", "1h", "--reason", "the bank calls"]).await;
    let second = of_agent(&["ask", bank, "--may", "list", "--reason", "to see it"]).await;
    let waiting = json(&ocmt(&[&["approve", "list"][..], &as_ada].concat()).await.unwrap());
    assert_eq!((waiting.as_array().unwrap().len(), &waiting[1]["program"]["name"]), (2, &"agent".into()));
    let first = first["id"].as_str().unwrap();
    let give = ["approve", "give", first, "--name", "bank", "--passphrase-file", &file];
    // another key than the one that was printed where the program runs is sealed to by nobody
    let other = Digest32(SealSecretKey::generate(&mut rand::rng()).public().0).to_string();
    let wrong = ocmt(&[&give[..], &["--program-key", &other], &as_ada].concat()).await.unwrap();
    assert_eq!(wrong.code, Some(2), "{}{}", wrong.out, wrong.err);
    json(&ocmt(&[&give[..], &as_ada].concat()).await.unwrap());
    let deny = ["approve", "deny", second["id"].as_str().unwrap()];
    json(&ocmt(&[&deny[..], &as_ada].concat()).await.unwrap());
    let read = ["share", "program", "read", "--key-file", &key, "--entry", bank];
    let read = ocmt(&[&read[..], &as_agent].concat()).await.unwrap();
    assert_eq!((read.code, read.out.as_str()), (Some(0), "the value"), "{}", read.err);
    let asked = of_agent(&["asked"]).await;
    let states: Vec<_> = asked.as_array().unwrap().iter().filter_map(|one| one["state"].as_str()).collect();
    assert_eq!(states, ["denied", "approved"]);
    // to write is approved to the key that was printed where the program runs
    let newer = at("newer");
    fs::write(&newer, "the newer value").unwrap();
    let wish = ["ask", bank, "--may", "write", "--reason", "the bank has a new one"];
    let third = of_agent(&[&wish[..], &["--key-file", &key]].concat()).await;
    let give =
        ["approve", "give", third["id"].as_str().unwrap(), "--name", "bank", "--passphrase-file", &file];
    let unheard = ocmt(&[&give[..], &as_ada].concat()).await.unwrap();
    assert_eq!(unheard.code, Some(2), "{}{}", unheard.out, unheard.err);
    let signs = key_of["sign_key"].as_str().unwrap();
    json(&ocmt(&[&give[..], &["--program-sign-key", signs], &as_ada].concat()).await.unwrap());
    of_agent(&["write", "--key-file", &key, bank, "--value-file", &newer]).await;
    let filing = ["vault", "inbox", "--file", "--passphrase-file", &file];
    json(&ocmt(&[&filing[..], &as_ada].concat()).await.unwrap());
    let shown = ["vault", "get", "bank", "--out", "-", "--passphrase-file", &file, "--state-dir", &state];
    assert_eq!(ocmt(&shown).await.unwrap().out, "the newer value");
}
