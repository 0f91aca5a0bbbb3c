//! Every method of the contract, with API keys: with each scope alone, with all of them, and with keys that are over.

use std::{collections::BTreeSet, time::Duration};

use ocmt_testkit::{Person, TestNode, raw};
use tonic::Code;

use super::{
    Walked, is_of_a_session, member, rule,
    rules::{BY_KEY, Least},
};
use crate::{
    foreign::belongings,
    requests::{self, Ids, Made},
};

const LONG: Duration = Duration::from_secs(3600);

/// All that there are.
pub(super) fn scopes() -> BTreeSet<String> {
    BY_KEY.iter().filter(|(_, scope)| !scope.is_empty()).map(|(_, scope)| (*scope).to_owned()).collect()
}

pub(super) async fn secret(person: &Person, scopes: &[String]) -> String {
    person.client.create_api_key("walks", scopes, LONG).await.unwrap().secret.to_string()
}

/// How a key is refused that is not good for a method at all.
fn refusals(made: &Made) -> Vec<Code> {
    if rule(&made.path).least == Least::Operator {
        return vec![Code::Unauthenticated];
    }
    // streams are tied to sessions, which a key has none of
    if is_of_a_session(&made.path) {
        return vec![Code::Unauthenticated, Code::PermissionDenied];
    }
    vec![Code::PermissionDenied]
}

#[tokio::test]
async fn a_key_is_good_for_what_its_scopes_say_and_refused_by_every_other_method() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let hers = belongings(&node, &ada).await;
    let every: Vec<String> = scopes().into_iter().collect();
    assert_eq!(every.len(), 14, "{every:?}");
    let mut keys = vec![("all".to_owned(), every.clone(), secret(&ada, &every).await)];
    for scope in &every {
        let alone = vec![scope.clone()];
        let secret = secret(&ada, &alone).await;
        keys.push((scope.clone(), alone, secret));
    }
    let (mut walked, mut opened) = (Walked::new(), Vec::new());
    for (name, has, key) in &keys {
        for made in requests::all(&hers) {
            if rule(&made.path).least == Least::Anybody {
                continue;
            }
            let needs = BY_KEY.iter().find(|(path, _)| *path == made.path).map(|(_, scope)| *scope);
            let may = needs.is_some_and(|scope| scope.is_empty() || has.iter().any(|one| one == scope));
            if !may {
                let lawful = if needs.is_some() { vec![Code::PermissionDenied] } else { refusals(&made) };
                walked.refused(&node, name, Some(key), &made, &lawful).await;
                continue;
            }
            let channel = node.target().unwrap().connect().await.unwrap();
            let answer = raw::call(&channel, &made.path, Some(key), made.bytes).await.unwrap();
            opened.push(format!("{:<52} {name:<18} {:?} {}", made.path, answer.code, answer.reason));
            if matches!(answer.code, Code::PermissionDenied | Code::Unauthenticated | Code::NotFound) {
                walked.wrong.push(format!("{} by {name}: {answer:?}", made.path));
            }
        }
    }
    println!("{}\n{}", opened.join("\n"), walked.ends_well("API keys"));
    let me = ada.client.who_am_i().await.expect("something was done after all");
    assert_eq!(me.role, "owner");
    let listed = ada.client.list_api_keys().await.unwrap();
    assert_eq!(listed.len(), keys.len() + 1, "a key has made or ended one");
    assert!(listed.iter().filter(|key| key.name == "walks").all(|key| key.last_used_at.is_some()));
}

#[tokio::test]
async fn no_method_takes_a_key_that_is_not_good() {
    let node = TestNode::start().await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let every: Vec<String> = scopes().into_iter().collect();
    let good = secret(&ada, &every).await;
    let ended = ada.client.create_api_key("ended", &every, LONG).await.unwrap();
    ada.client.revoke_api_key(ended.key.id).await.unwrap();
    // of a user who was removed
    let of = member(&node, &ada, "max", "member").await;
    let max = node.local().client().await.unwrap();
    let identity = ocmt_client::Identity {
        tenant: ada.client.identity().unwrap().tenant,
        user: ada.client.identity().unwrap().user,
    };
    let max = max.signed_in(ocmt_client::connect::Credential::new(of), identity);
    let user = max.who_am_i().await.unwrap().user;
    let gone = max.create_api_key("gone", &["vault.read".to_owned()], LONG).await.unwrap();
    ada.client.remove_user(user).await.unwrap();
    let last = if good.ends_with('0') { "1" } else { "0" };
    let altered = format!("{}{last}", &good[..good.len() - 1]);
    let made_up = ocmt_crypto::token::Token::issue(
        ocmt_crypto::token::TokenKind::ApiKey,
        identity.tenant,
        &mut rand::rng(),
    );
    let callers = [
        ("a beginning", "ocmt_key_"),
        ("altered", altered.as_str()),
        ("made up", made_up.expose()),
        ("revoked", ended.secret.as_str()),
        ("of one removed", gone.secret.as_str()),
    ];
    let mut walked = Walked::new();
    for made in requests::all(&Ids::random()) {
        if rule(&made.path).least == Least::Anybody {
            continue;
        }
        for (who, key) in callers {
            walked.refused(&node, who, Some(key), &made, &[Code::Unauthenticated]).await;
        }
    }
    // whoever tries one learns nothing from the words
    let channel = node.target().unwrap().connect().await.unwrap();
    let mut said = BTreeSet::new();
    for key in [made_up.expose(), ended.secret.as_str(), gone.secret.as_str()] {
        let answer = raw::call(&channel, "/ocmt.v1.AuthService/WhoAmI", Some(key), Vec::new()).await.unwrap();
        said.insert((format!("{:?}", answer.code), answer.reason, answer.message));
    }
    assert_eq!(said.len(), 1, "{said:?}");
    println!("{}", walked.ends_well("keys that are not good"));
}
