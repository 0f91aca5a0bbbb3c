//! A user's own pages, through the real listener: whose they are, how long lists go on, and what stands in them of others.

use ocmt_client::{Client, alert::ChannelWanted, container::Spec};
use ocmt_proto::v1 as pb;
use ocmt_types::{ContainerId, Secret};

use crate::{
    browser::{Browser, EMAIL, ann, signed_in},
    kit::Edge,
    pages::eve,
};

const EVIL: &str = "<img src=x onerror=alert(1)>\"'><script>alert(1)</script>";
const ESCAPED: &str =
    "&#60;img src=x onerror=alert(1)&#62;&#34;&#39;&#62;&#60;script&#62;alert(1)&#60;/script&#62;";
const PAGES: [&str; 6] =
    ["/app/containers", "/app/connections", "/app/groups", "/app/approvals", "/app/pairing", "/app/alerts"];

async fn container(of: &Client) -> ContainerId {
    let argv = vec!["/bin/true".to_owned(), EVIL.to_owned()];
    of.create_container(&Spec { argv, ..Spec::default() }, false).await.unwrap().id
}

fn channel(name: &str) -> ChannelWanted {
    ChannelWanted {
        channel: None,
        kind: pb::AlertChannelKind::Email,
        name: name.to_owned(),
        target: Some(Secret::new(EMAIL.to_owned())),
        secret: None,
        min_severity: pb::AlertSeverity::Info,
        actions: Vec::new(),
    }
}

/// The only other page of the list that is linked.
fn next(page: &str, begins: &str) -> Option<String> {
    let rest = page.split_once(&format!("href=\"{begins}"))?.1;
    Some(format!("{begins}{}", rest.split('"').next().unwrap()))
}

#[tokio::test]
async fn every_page_says_that_there_is_nothing_and_leads_home_from_there() {
    let edge = Edge::start(|_| {}).await;
    ann(&edge).await;
    let mut browser = signed_in(&edge).await;
    let home = browser.get(&edge, "/").await.body;
    for (path, says) in PAGES.into_iter().zip([
        "You have none.",
        "There are none.",
        "You are in no group.",
        "Nobody asks for anything.",
        "Nobody waits.",
        "Nobody is told of anything.",
    ]) {
        assert!(home.contains(&format!("href=\"{path}\"")), "{path}");
        let page = browser.get(&edge, path).await;
        assert!(page.status == 200 && page.body.contains(says), "{path}: {}", page.body);
        assert!(!page.body.contains("<script"), "{path} needs no script");
        let german = browser.get(&edge, &format!("{path}?language=de")).await;
        assert!(german.body.contains("<html lang=\"de\">") && !german.body.contains(says), "{path}");
        browser.get(&edge, "/?language=en").await;
        // and whoever is signed out is asked to sign in, and comes back
        let mut stranger = Browser::default();
        let page = stranger.get(&edge, path).await;
        assert!(page.body.contains("Send me a link"), "{path}: {}", page.body);
        assert_eq!(stranger.cookies["__Host-ocmt-next"], path);
    }
    edge.node.stop().await;
}

#[tokio::test]
async fn t1_what_is_another_tenant_s_is_not_there_and_its_forms_change_nothing() {
    let edge = Edge::start(|_| {}).await;
    let ann = ann(&edge).await;
    let container = container(&ann).await;
    let group = ann.create_group("hers").await.unwrap().id;
    let said = ann.check_sender(container, "telegram", "4711", None, "Bob").await.unwrap();
    let first = ann.list_pending_pairings().await.unwrap()[0].id;
    let sender = ann.approve_pairing(first, &said.code.unwrap()).await.unwrap().id;
    let said = ann.check_sender(container, "telegram", "4712", None, "Carol").await.unwrap();
    let (waits, code) = (ann.list_pending_pairings().await.unwrap()[0].id, said.code.unwrap());
    let channel = ann.put_channel(channel("hers")).await.unwrap().id;
    let mut eve = eve(&edge).await;
    for path in [format!("/app/containers/{container}"), format!("/app/groups/{group}")] {
        let page = eve.get(&edge, &path).await;
        assert!(page.status == 404 && !page.body.contains("hers"), "{path}: {}", page.body);
    }
    for path in PAGES {
        let page = eve.get(&edge, path).await;
        let hers = [container.to_string(), group.to_string(), waits.to_string(), channel.to_string()];
        assert!(page.status == 200 && !hers.iter().any(|id| page.body.contains(id)), "{path}");
    }
    let csrf = eve.csrf();
    for (path, fields) in [
        ("/app/containers/wake", format!("container={container}")),
        ("/app/containers/pause", format!("container={container}")),
        ("/app/containers/log", format!("container={container}")),
        ("/app/containers/terminal", format!("container={container}")),
        ("/app/groups/leave", format!("group={group}")),
        ("/app/pairing/approve", format!("pairing={waits}&code={}", code.as_str())),
        ("/app/pairing/refuse", format!("pairing={waits}")),
        ("/app/pairing/revoke", format!("sender={sender}")),
        ("/app/alerts/test", format!("channel={channel}")),
        ("/app/alerts/remove", format!("channel={channel}")),
    ] {
        let refused = eve.post(&edge, path, &format!("{fields}&csrf={csrf}")).await;
        assert_eq!(refused.status, 404, "{path}: {}", refused.body);
    }
    assert_eq!(ann.list_groups().await.unwrap().len(), 1);
    assert_eq!(ann.list_pending_pairings().await.unwrap().len(), 1);
    assert_eq!(ann.list_paired_senders().await.unwrap().len(), 1);
    assert!(ann.list_channels().await.unwrap()[0].verified_at.is_none());
    edge.node.stop().await;
}

#[tokio::test]
async fn what_others_call_things_and_themselves_is_text() {
    let edge = Edge::start(|_| {}).await;
    let ann = ann(&edge).await;
    let container = container(&ann).await;
    let group = ann.create_group(EVIL).await.unwrap().id;
    let said = ann.check_sender(container, "telegram", EVIL, None, EVIL).await.unwrap();
    ann.put_channel(channel(EVIL)).await.unwrap();
    let mut browser = signed_in(&edge).await;
    for path in [
        format!("/app/containers/{container}"),
        "/app/groups".to_owned(),
        format!("/app/groups/{group}"),
        "/app/pairing".to_owned(),
        "/app/alerts".to_owned(),
    ] {
        let page = browser.get(&edge, &path).await;
        assert!(page.body.contains(ESCAPED), "{path}: {}", page.body);
        assert!(!page.body.contains("<script") && !page.body.contains("<img"), "{path}: {}", page.body);
    }
    // as a sender that is let through too
    let waits = ann.list_pending_pairings().await.unwrap()[0].id;
    ann.approve_pairing(waits, &said.code.unwrap()).await.unwrap();
    let page = browser.get(&edge, "/app/pairing").await;
    assert!(page.body.contains("/app/pairing/revoke") && page.body.contains(ESCAPED), "{}", page.body);
    // nor does an address say what it likes of a connection that was ended
    let page = browser.get(&edge, "/app/connections?ended=%3Cscript%3E&revoked=true").await;
    assert!(!page.body.contains("script") && !page.body.contains("role=\"alert\""), "{}", page.body);
    let page = browser.get(&edge, "/app/connections?ended=work&revoked=true").await;
    assert!(page.body.contains("ocmt vault rm oauth/tokens/work"), "{}", page.body);
    edge.node.stop().await;
}

#[tokio::test]
async fn a_long_list_goes_on_behind_its_last_whatever_its_name() {
    let edge = Edge::start(|_| {}).await;
    let ann = ann(&edge).await;
    let names: Vec<String> = (10..62).map(|n| format!("\"&#{n}=<b> %2f")).collect();
    for name in &names {
        ann.create_group(name).await.unwrap();
    }
    let mut browser = signed_in(&edge).await;
    let count = |page: &str| page.matches("class=\"button\"").count();
    let first = browser.get(&edge, "/app/groups").await.body;
    let further = next(&first, "/app/groups?after=").unwrap();
    let second = browser.get(&edge, &further).await.body;
    assert_eq!((count(&first), count(&second)), (50, 2), "{further}");
    assert!(next(&second, "/app/groups?after=").is_none());
    for path in ["/app/groups?after=%3Cscript%3E", "/app/groups?shares=x", "/app/pairing?after=x"] {
        let refused = browser.get(&edge, path).await;
        assert!(refused.status == 400 && refused.body.contains("is no page of this list"), "{path}");
    }
    edge.node.stop().await;
}

#[tokio::test]
async fn a_sender_is_let_through_by_the_code_alone_however_it_is_written() {
    let edge = Edge::start(|_| {}).await;
    let ann = ann(&edge).await;
    let container = container(&ann).await;
    let said = ann.check_sender(container, "telegram", "4711", None, "Bob").await.unwrap();
    let waits = ann.list_pending_pairings().await.unwrap()[0].id;
    let mut browser = signed_in(&edge).await;
    browser.get(&edge, "/app/pairing").await;
    let csrf = browser.csrf();
    let wrong = format!("pairing={waits}&code=22222222&csrf={csrf}");
    let wrong = browser.post(&edge, "/app/pairing/approve", &wrong).await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.headers["location"].to_str().unwrap()),
        (303, "/app/pairing?wrong=1")
    );
    assert!(browser.get(&edge, "/app/pairing?wrong=1").await.body.contains("not the code of this sender"));
    assert!(ann.list_paired_senders().await.unwrap().is_empty());
    let code = said.code.unwrap();
    let written = format!("{}-+{}", code[..4].to_lowercase(), &code[4..]);
    let form = format!("pairing={waits}&code={written}&csrf={csrf}");
    let done = browser.post(&edge, "/app/pairing/approve", &form).await;
    assert_eq!(done.headers["location"], "/app/pairing", "{}", done.body);
    let sender = ann.list_paired_senders().await.unwrap()[0].id;
    browser.post(&edge, "/app/pairing/revoke", &format!("sender={sender}&csrf={csrf}")).await;
    assert!(ann.list_paired_senders().await.unwrap().is_empty());
    edge.node.stop().await;
}

#[tokio::test]
async fn a_channel_of_letters_is_made_tried_and_removed_and_no_secret_is_asked_for() {
    let edge = Edge::start(|_| {}).await;
    let ann = ann(&edge).await;
    let mut browser = signed_in(&edge).await;
    let page = browser.get(&edge, "/app/alerts").await.body;
    assert!(!page.contains("type=\"password\"") && !page.contains("name=\"secret\""), "{page}");
    let (csrf, email) = (browser.csrf(), EMAIL.replace('@', "%40"));
    for (name, to, least) in
        [("", email.as_str(), "info"), ("me", "eve%40example.com", "info"), ("me", &email, "x")]
    {
        let form = format!("name={name}&email={to}&least={least}&csrf={csrf}");
        let refused = browser.post(&edge, "/app/alerts/add", &form).await;
        assert_eq!(refused.status, 400, "{name} {to} {least}: {}", refused.body);
    }
    let form = format!("name=me&email={email}&least=critical&csrf={csrf}");
    let made = browser.post(&edge, "/app/alerts/add", &form).await;
    assert_eq!(made.headers["location"], "/app/alerts", "{}", made.body);
    let channel = ann.list_channels().await.unwrap().remove(0);
    assert_eq!((channel.name.as_str(), channel.min_severity), ("me", "critical"));
    let form = format!("channel={}&csrf={csrf}", channel.id);
    let tried = browser.post(&edge, "/app/alerts/test", &form).await;
    assert!(tried.status == 200 && tried.body.contains("The channel took it."), "{}", tried.body);
    assert!(ann.list_channels().await.unwrap()[0].verified_at.is_some());
    let again = browser.post(&edge, "/app/alerts/test", &form).await;
    assert_eq!(again.status, 429, "{}", again.body);
    browser.post(&edge, "/app/alerts/remove", &form).await;
    assert!(ann.list_channels().await.unwrap().is_empty());
    edge.node.stop().await;
}
