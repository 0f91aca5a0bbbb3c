//! Every method of the contract, with a program's token: six are for programs, and every other one refuses them.

use std::time::Duration;

use ocmt_client::program::ProgramAccess;
use ocmt_crypto::seal::SealSecretKey;
use ocmt_testkit::{Person, TestNode};
use tonic::Code;

use super::{Walked, is_of_a_session, rule, rules::Least};
use crate::{foreign::belongings, requests};

/// What a program may call; here it has nothing to do with what it asks about.
const BY_PROGRAM: [&str; 5] = [
    "/ocmt.v1.PairingService/CheckSender",
    "/ocmt.v1.VaultService/GetEntry",
    "/ocmt.v1.VaultService/ListEntries",
    "/ocmt.v1.ShareService/RequestCapability",
    "/ocmt.v1.ShareService/SendSharedWrite",
];
/// Answered with its own alone.
const OWN: &str = "/ocmt.v1.ShareService/ListCapabilities";

/// A program of somebody's, which may read an entry of theirs.
pub(super) async fn program_of(person: &Person) -> ProgramAccess {
    let mut vault = person.vault("tramway-Okapi-39-lantern").await.unwrap();
    vault.put("entry", b"value").await.unwrap();
    let key = SealSecretKey::generate(&mut rand::rng()).public();
    vault.create_program_token("p", &["entry".to_owned()], key, Duration::from_secs(600)).await.unwrap()
}

#[tokio::test]
async fn a_program_is_refused_by_every_method_but_its_six() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let bob = node.member(&ada, "bob", "owner").await.unwrap();
    let program = program_of(&bob).await;
    let hers = belongings(&node, &ada).await;
    let mut walked = Walked::new();
    for made in requests::all(&hers) {
        let lawful = match rule(&made.path).least {
            Least::Anybody => continue,
            Least::Operator => Code::Unauthenticated,
            _ if made.path == OWN => continue,
            _ if BY_PROGRAM.contains(&made.path.as_str()) => Code::NotFound,
            // streams are tied to sessions, which a program has none of
            _ if is_of_a_session(&made.path) => Code::Unauthenticated,
            _ => Code::PermissionDenied,
        };
        // or the method is asked first
        let also = if is_of_a_session(&made.path) { Code::PermissionDenied } else { lawful };
        walked.refused(&node, "a program", Some(program.secret.as_str()), &made, &[lawful, also]).await;
    }
    println!("{}", walked.ends_well("programs"));
    let seen = bob.client.as_program(&program).list_capabilities(false).await.unwrap();
    assert!(seen.is_empty(), "{seen:?}");
}
