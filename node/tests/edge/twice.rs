//! Forms of the pages that are sent twice, as a browser does that is told to load the answer again, through the real listener.

use ocmt_client::Client;

use crate::{
    browser::{Browser, EMAIL, ann, signed_in},
    kit::Edge,
};

const HERE: &str = "/app/alerts";

/// What the forms of a page repeat, as it is shown now.
async fn shown(edge: &Edge, browser: &mut Browser) -> String {
    crate::browser::field(&browser.get(edge, HERE).await.body)
}

/// Asks for a channel, and says how many there are then.
async fn add(edge: &Edge, (browser, ann): (&mut Browser, &Client), name: &str, csrf: &str) -> (u16, usize) {
    let form = format!("name={name}&email={}&least=critical&csrf={csrf}", EMAIL.replace('@', "%40"));
    let answer = browser.post(edge, "/app/alerts/add", &form).await;
    assert!(answer.status != 303 || answer.headers["location"] == HERE, "{:?}", answer.headers);
    (answer.status.as_u16(), ann.list_channels().await.unwrap().len())
}

#[tokio::test]
async fn f1_a_form_that_is_sent_twice_acts_once_and_every_other_one_acts() {
    let edge = Edge::start(|_| {}).await;
    let ann = ann(&edge).await;
    let mut browser = signed_in(&edge).await;
    let first = shown(&edge, &mut browser).await;
    let (token, nonce) = first.split_once('.').expect("a form has no nonce");
    assert_eq!(token, browser.csrf(), "the cookie has none");
    // again, filled in otherwise after "back", and from the page as it is shown now
    assert_eq!(add(&edge, (&mut browser, &ann), "me", &first).await, (303, 1));
    assert_eq!(add(&edge, (&mut browser, &ann), "me", &first).await, (303, 1), "it acted twice");
    assert_eq!(add(&edge, (&mut browser, &ann), "phone", &first).await, (303, 2));
    let second = shown(&edge, &mut browser).await;
    assert_eq!(add(&edge, (&mut browser, &ann), "me", &second).await, (303, 3), "a new page did not act");
    assert_eq!(add(&edge, (&mut browser, &ann), "me", &first).await, (303, 3), "the first one acted again");
    // another form of the same page; what it took away is taken away when it is sent again
    let channel = ann.list_channels().await.unwrap()[0].id;
    let form = format!("channel={channel}&csrf={second}");
    for _ in 0..2 {
        let gone = browser.post(&edge, "/app/alerts/remove", &form).await;
        assert_eq!((gone.status.as_u16(), gone.headers["location"].to_str().unwrap()), (303, HERE));
        assert_eq!(ann.list_channels().await.unwrap().len(), 2);
    }
    let third = shown(&edge, &mut browser).await;
    let anew = browser.post(&edge, "/app/alerts/remove", &format!("channel={channel}&csrf={third}")).await;
    assert_eq!(anew.status, 404, "another request finds it gone");
    // the nonce proves nothing: not without the token, not with another session's, and not in place of it
    let other = signed_in(&edge).await.csrf();
    for forged in [
        format!(".{nonce}"),
        nonce.to_owned(),
        format!("{other}.{nonce}"),
        format!("{token}."),
        format!("{token}.x"),
        format!("{token}.{nonce}A"),
        format!("{token}.{nonce}.{nonce}"),
        format!("{nonce}.{token}"),
    ] {
        assert_eq!(add(&edge, (&mut browser, &ann), "forged", &forged).await, (403, 2), "{forged}");
    }
    // a script repeats the cookie, whose requests are as many as it sends
    let bare = token.to_owned();
    assert_eq!(add(&edge, (&mut browser, &ann), "me", &bare).await, (303, 3));
    assert_eq!(add(&edge, (&mut browser, &ann), "me", &bare).await, (303, 4));
    edge.node.stop().await;
}

#[tokio::test]
async fn f1_a_link_or_an_account_that_is_asked_for_twice_by_one_form_is_one_letter() {
    let edge = Edge::start(|config| {
        config.rates.account = "1/1h".parse().unwrap();
        config.rates.sign_in = "100/1h".parse().unwrap();
    })
    .await;
    for (shown, to, email) in
        [("/", "/auth/link", "ada@example.org"), ("/auth/sign-up", "/auth/sign-up", "bob@example.org")]
    {
        // a second letter to the same address would be refused
        let (mut browser, mut other) = (Browser::default(), Browser::default());
        let form = async |browser: &mut Browser| {
            let page = browser.get(&edge, shown).await;
            format!("email={}&csrf={}", email.replace('@', "%40"), crate::browser::field(&page.body))
        };
        let first = form(&mut browser).await;
        let answers = [
            browser.post(&edge, to, &first).await.status.as_u16(),
            browser.post(&edge, to, &first).await.status.as_u16(),
        ];
        assert_eq!(answers, [200, 200], "{to}");
        let anew = form(&mut browser).await;
        for _ in 0..2 {
            assert_eq!(browser.post(&edge, to, &anew).await.status, 429, "{to}: a page that was loaded anew");
        }
        let elsewhere = form(&mut other).await;
        assert_eq!(other.post(&edge, to, &elsewhere).await.status, 429, "{to}: another browser");
    }
    edge.node.stop().await;
}
