//! What somebody would try: another provider's answer, another authorization's code, a provider that is wrong, a
//! workload that helps itself.

use ocmt_client::oauth::Gifts;
use ocmt_testkit::{
    http,
    provider::{Provider, Wrong},
};

use super::kit::{Kit, settings};

/// A parameter of an address.
fn part<'u>(url: &'u str, name: &str) -> &'u str {
    let from = url.find(&format!("{name}=")).unwrap() + name.len() + 1;
    url[from..].split('&').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_where_it_was_asked_for_and_once() {
    let kit = Kit::start().await;
    let (first, second) = (kit.begin("work").await.unwrap(), kit.begin("work").await.unwrap());
    let (one, two) = (kit.provider.allow(first.url()).unwrap(), kit.provider.allow(second.url()).unwrap());
    // the address of another authorization
    let error = second.finish(&one).await.err().unwrap().to_string();
    assert!(error.contains("another authorization"), "{error}");
    // its code under this one's state: PKCE tells
    let injected = two.replace(part(&two, "code"), part(&one, "code"));
    let error = second.finish(&injected).await.err().unwrap().to_string();
    assert!(error.contains("invalid_grant"), "{error}");
    // that used it up
    let error = second.finish(&two).await.err().unwrap().to_string();
    assert!(error.contains("begin again"), "{error}");
    // a page of anybody's, a page of nobody's, half an address, and what a provider refuses with
    let third = kit.begin("work").await.unwrap();
    let back = kit.provider.allow(third.url()).unwrap();
    for (bad, why) in [
        (back.replace("/oauth/callback/work", "/oauth/callback/other"), "address of the page"),
        (back.replace("https://", "http://"), "address of the page"),
        (format!("https://evil.example/?{}", back.split_once('?').unwrap().1), "address of the page"),
        (back.replace("code=", "cod="), "no code"),
        (back.replace("code=", "error=access_denied&c="), "`access_denied`"),
        (back.replace("code=", "error=%1b%5b31m<x>&c="), "`31mx`"),
    ] {
        let error = third.finish(&bad).await.err().unwrap().to_string();
        assert!(error.contains(why), "{bad}: {error}");
    }
    third.finish(&back).await.unwrap();
    let error = third.finish(&back).await.err().unwrap().to_string();
    assert!(error.contains("begin again"), "{error}");
    assert_eq!(kit.provider.ended(), 0, "a code was shown twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_provider_is_refused_before_its_code_goes_anywhere() {
    let honest = Provider::start().await.unwrap();
    let other = Provider::start().await.unwrap();
    let mut kit = Kit::start_with(honest, vec![other.host.clone()]).await;
    kit.vault.set_provider(&settings(&other, "evil")).await.unwrap();
    kit.lock().await;
    kit.unlock(&["evil"]).await;
    let pending = kit.begin("evil").await.unwrap();
    let back = other.allow(pending.url()).unwrap();
    // what the honest one would send: with its issuer, and with none
    let issuer = part(&back, "iss").to_owned();
    let theirs = back.replace(&issuer, &issuer.replace("localhost", "127.0.0.1"));
    let error = pending.finish(&theirs).await.err().unwrap().to_string();
    assert!(error.contains("another provider's answer"), "{error}");
    let pending = kit.begin("evil").await.unwrap();
    let back = other.allow(pending.url()).unwrap();
    let silent = back.split_once("&iss=").unwrap().0;
    let error = pending.finish(silent).await.err().unwrap().to_string();
    assert!(error.contains("does not say from which provider"), "{error}");
    assert_eq!(other.asked("/token"), 0, "a code was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_wrong_is_refused_in_bounds() {
    let mut kit = Kit::start().await;
    for (wrong, why) in
        [(Wrong::PlainAlone, "S256"), (Wrong::TokensElsewhere, "at a host that its settings do not")]
    {
        kit.provider.is(wrong);
        let error = kit.connect().await.err().unwrap();
        assert!(error.contains(why), "{wrong:?}: {error}");
    }
    for (wrong, why) in [
        (Wrong::Redirects, "sends elsewhere"),
        (Wrong::Endless, "says too much"),
        (Wrong::Html, "does not answer as OAuth wants it"),
        (Wrong::Silent, "does not answer in time"),
        (Wrong::Broken, "temporarily_unavailable"),
    ] {
        kit.provider.is(Wrong::Nothing);
        let pending = kit.begin("work").await.unwrap();
        let back = kit.provider.allow(pending.url()).unwrap();
        kit.provider.is(wrong);
        let error = pending.finish(&back).await.err().unwrap().to_string();
        assert!(error.contains(why), "{wrong:?}: {error}");
    }
    assert_eq!(kit.provider.asked("/elsewhere"), 0);
    assert!(kit.ada.client.connections(kit.container).await.unwrap().is_empty());
    kit.provider.is(Wrong::Nothing);
    // a certificate of the wrong authority
    let mut believed = settings(&kit.provider, "work");
    believed.ca_pem = Some(Provider::start().await.unwrap().ca_pem);
    kit.vault.set_provider(&believed).await.unwrap();
    kit.lock().await;
    kit.unlock(&["work"]).await;
    let error = kit.begin("work").await.err().unwrap();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_carries_to_the_hosts_of_its_operator_alone() {
    let kit = Kit::start_with(Provider::start().await.unwrap(), vec!["id.example".to_owned()]).await;
    let error = kit.begin("work").await.err().unwrap();
    assert!(error.contains("oauth.hosts"), "{error}");
    assert_eq!(kit.provider.asked("/.well-known/openid-configuration"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_gets_tokens_and_neither_their_settings_nor_their_place_in_the_vault() {
    let kit = Kit::start().await;
    kit.connect().await.unwrap();
    let environment = kit.run("env").await;
    assert!(!environment.contains("OAUTH") && !environment.contains("client-secret"), "{environment}");
    let planted = kit.run("printf x | \"$OCMT_CELL\" put oauth/tokens/work").await;
    assert!(planted.contains("kept for the tokens"), "{planted}");
    for bad in ["other", "''", "../work", "WORK"] {
        let said = kit.run(&format!("\"$OCMT_CELL\" token {bad}")).await;
        assert!(said.starts_with("no token: "), "{bad}: {said}");
    }
    let write = ["oauth/provider/work".to_owned()];
    let gifts = Gifts { may_write: &write, ..Gifts::default() };
    let mut vault = kit.vault;
    let refused = vault.unlock_with(kit.container, gifts, std::time::Duration::from_secs(60), false).await;
    assert!(refused.err().unwrap().to_string().contains("for the cell alone"));
    // what it prints goes into the logs of nobody but its user
    assert!(!std::fs::read_to_string(kit.node.folder().join("node.log")).unwrap().contains("access-"));
}

#[tokio::test]
async fn the_page_that_a_browser_ends_at_shows_nothing_and_leads_nowhere() {
    let node = ocmt_testkit::TestNode::start().await.unwrap();
    let target = node.target().unwrap();
    for query in [
        "code=c0de-5e7a&state=ocmt_lnk_x",
        "error=%3Cscript%3E&next=https://evil.example",
        "redirect_uri=//evil.example",
    ] {
        let page = http::get(&target, &format!("/oauth/callback/work?{query}"), &[]).await.unwrap();
        assert_eq!(page.status, 200);
        let said = format!("{:?} {}", page.headers, page.body);
        for leak in ["c0de-5e7a", "evil.example", "<script"] {
            assert!(!said.contains(leak), "{leak}: {said}");
        }
        let head =
            |name: &str| page.headers.get(name).map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default();
        assert!(head("content-security-policy").contains("default-src 'none'"), "{said}");
        assert!(head("referrer-policy").contains("origin"), "{said}");
        assert!(head("cache-control").contains("no-store"), "{said}");
        assert!(page.headers.get("set-cookie").is_none() && page.headers.get("location").is_none());
    }
    let log = std::fs::read_to_string(node.folder().join("node.log")).unwrap();
    assert!(!log.contains("c0de-5e7a"), "a code in the log");
}
