//! Connections of a container to a provider that demands PKCE, through a real node, cell and client.

mod attacks;
pub(crate) mod kit;

use std::time::Duration;

use ocmt::{canary, local::wait_for};
use ocmt_crypto::connect::Tokens;
use ocmt_testkit::provider::SECRET;

use self::kit::Kit;

/// Nothing of the node holds a verifier, a token or the client's secret.
fn nothing_is_found(kit: &Kit) {
    let secrets = kit.provider.secrets();
    assert!(secrets.len() >= 3, "{} secrets", secrets.len());
    let named = secrets.iter().map(|secret| ("a secret", secret.as_bytes()));
    let marks = canary::Marks::new(named.chain([("the client's", SECRET.as_bytes())])).unwrap();
    let places = [
        canary::Place::Tree(kit.node.folder().join("data")),
        canary::Place::Tree(kit.node.folder().join("node.log")),
        canary::Place::Process(kit.node.local().pid().unwrap()),
    ];
    let report = canary::search(&marks, &places).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    // they are what is looked for: one that is written down is found
    std::fs::write(kit.inside.path().join("planted"), secrets.last().unwrap()).unwrap();
    let planted = canary::search(&marks, &[canary::Place::Tree(kit.inside.path().to_owned())]).unwrap();
    assert!(!planted.findings.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_a_token_that_nobody_else_saw_and_the_vault_keeps_it() {
    let mut kit = Kit::start().await;
    assert!(kit.token().await.contains("ocmt oauth connect"), "a token of nothing");
    kit.connect().await.unwrap();
    let listed = kit.ada.client.connections(kit.container).await.unwrap();
    assert_eq!((listed.len(), listed[0].provider.as_str(), listed[0].unfiled), (1, "work", true));
    assert_eq!((listed[0].scopes.as_slice(), listed[0].refreshed_at), (["read".to_owned()].as_slice(), None));
    let token = kit.token().await;
    assert!(token.starts_with("access-") && kit.provider.secrets().contains(&token), "{token}");
    nothing_is_found(&kit);

    kit.vault.file_inbox().await.unwrap();
    let entry = kit.vault.get("oauth/tokens/work").await.unwrap();
    assert_eq!(*Tokens::decode(&entry.value).unwrap().access.expose(), token);
    assert!(!kit.ada.client.connections(kit.container).await.unwrap()[0].unfiled);
    // the next unlock goes on with it, without the provider
    kit.lock().await;
    kit.unlock(&["work"]).await;
    assert_eq!(kit.token().await, token);
    assert_eq!(kit.provider.asked("/token"), 1);

    // one without it knows nothing of it
    kit.lock().await;
    kit.unlock(&[]).await;
    assert!(kit.token().await.contains("--connect"));
    assert!(kit.begin("work").await.err().unwrap().contains("--connect"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_once_for_all_who_ask_and_a_refresh_token_is_never_shown_twice() {
    let mut kit = Kit::start().await;
    kit.provider.lasts(1);
    kit.connect().await.unwrap();
    kit.provider.lasts(3600);
    tokio::time::sleep(Duration::from_millis(1100)).await; // why: the token's own life, by the provider's word
    let all = "for n in 1 2 3 4 5; do \"$OCMT_CELL\" token work > t$n & done; wait; sort -u t?; rm t?";
    let token = kit.run(all).await;
    assert_eq!(token.lines().count(), 1, "{token}");
    assert_eq!((kit.provider.asked("/token"), kit.provider.ended()), (2, 0));
    let renewed = wait_for(Duration::from_secs(60), async || {
        kit.ada.client.connections(kit.container).await.unwrap()[0].refreshed_at
    });
    assert!(renewed.await.is_some(), "the renewal is not told");

    // locked with both items in the inbox: the next unlock goes on with the newer one
    kit.lock().await;
    kit.unlock(&["work"]).await;
    assert_eq!(kit.token().await, token);
    kit.provider.lasts(1);
    assert_eq!((kit.provider.asked("/token"), kit.provider.ended()), (2, 0));
    nothing_is_found(&kit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_ends_tokens_is_believed_and_one_that_is_away_is_not() {
    use ocmt_testkit::provider::Wrong;
    let kit = Kit::start().await;
    kit.provider.lasts(15);
    kit.connect().await.unwrap();
    let token = kit.token().await;
    kit.provider.is(Wrong::Broken);
    // away, when it is asked for a renewal: the token is good to its end, and then there is none for a while
    let away = wait_for(Duration::from_secs(90), async || {
        let said = kit.token().await;
        (said != token).then_some(said)
    });
    let away = away.await.expect("a token is good for ever");
    assert!(!away.contains("ocmt oauth connect"), "it gave the connection up: {away}");
    assert!(kit.provider.asked("/token") > 1, "it was not asked");
    kit.provider.is(Wrong::Nothing);
    // whoever stole the refresh token showed it: the provider ends the family when the cell shows it too
    let stolen = kit.provider.secrets().into_iter().find(|secret| secret.starts_with("refresh-")).unwrap();
    kit.provider.steal(&stolen);
    let said = wait_for(Duration::from_secs(90), async || {
        let said = kit.token().await;
        said.contains("ocmt oauth connect").then_some(said)
    });
    assert!(said.await.is_some(), "it goes on with tokens that are over");
    assert!(kit.provider.ended() > 0);
    // and goes on again when it is connected anew
    kit.provider.lasts(3600);
    kit.connect().await.unwrap();
    assert!(kit.token().await.starts_with("access-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_connection_is_revoked_and_leaves_nothing() {
    let mut kit = Kit::start().await;
    kit.connect().await.unwrap();
    let made = kit.ada.client.connections(kit.container).await.unwrap().remove(0);
    assert!(kit.ada.client.disconnect(made.id, false).await.unwrap());
    assert_eq!((kit.provider.asked("/revoke"), kit.provider.ended()), (2, 1));
    assert!(kit.token().await.contains("ocmt oauth connect"));
    assert!(kit.ada.client.connections(kit.container).await.unwrap().is_empty());
    kit.vault.forget_tokens("oauth/tokens/work").await.unwrap();
    assert!(kit.vault.inbox().await.unwrap().is_empty() && kit.vault.get("oauth/tokens/work").await.is_err());
    assert!(kit.ada.client.disconnect(made.id, false).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_in_the_middle_of_a_renewal_loses_nothing() {
    use ocmt_testkit::provider::Wrong;
    let mut kit = Kit::start().await;
    kit.provider.lasts(1);
    kit.connect().await.unwrap();
    kit.provider.lasts(3600);
    kit.provider.is(Wrong::Slow);
    tokio::time::sleep(Duration::from_millis(1100)).await; // why: the token's own life, by the provider's word
    kit.run("\"$OCMT_CELL\" token work > /dev/null 2>&1 &").await;
    let asked = wait_for(Duration::from_secs(60), async || (kit.provider.asked("/token") == 2).then_some(()));
    asked.await.expect("no renewal began");
    kit.lock().await;
    kit.provider.is(Wrong::Nothing);
    kit.unlock(&["work"]).await;
    assert!(kit.token().await.starts_with("access-"));
    assert_eq!((kit.provider.asked("/token"), kit.provider.ended()), (2, 0));
}
