//! Signing in there, and being signed in here.

use tonic::Code;

use crate::{
    kit::{ANN, Kit, OWNER},
    provider::Wrong,
};

#[tokio::test]
async fn who_signs_in_there_is_signed_in_here() {
    let kit = Kit::start(Wrong::Nothing).await;
    let signed_in = kit.sign_in().await.unwrap();
    let (there, here) = (signed_in.who_am_i().await.unwrap(), kit.ann.who_am_i().await.unwrap());
    assert_eq!((there.user, there.tenant), (here.user, kit.tenant));
    assert!(kit.told(ANN, "factor").await.contains(&kit.provider.issuer));
    // a second time without a look at the address
    kit.provider.person("person-1", "renamed@example.com");
    assert_eq!(kit.sign_in().await.unwrap().who_am_i().await.unwrap().user, here.user);
}

#[tokio::test]
async fn an_answer_is_good_once_and_where_it_was_begun() {
    let kit = Kit::start(Wrong::Nothing).await;
    let (mine, other) = (kit.begin().await.unwrap(), kit.begin().await.unwrap());
    let back = kit.provider.sign_in(mine.url());
    let refused = other.finish(&back, "thief").await.err().unwrap();
    assert_eq!(refused.code(), Some(Code::Unauthenticated), "another client");
    mine.finish(&back, "browser").await.unwrap();
    assert_eq!(
        mine.finish(&back, "browser").await.err().unwrap().code(),
        Some(Code::Unauthenticated),
        "used"
    );
    // a code of somebody else's sign-in, brought into one's own
    let (mine, theirs) = (kit.begin().await.unwrap(), kit.begin().await.unwrap());
    let (back, stolen) = (kit.provider.sign_in(mine.url()), kit.provider.sign_in(theirs.url()));
    let code = |url: &str| url.split_once("code=").unwrap().1.split('&').next().unwrap().to_owned();
    let mixed = back.replace(&code(&back), &code(&stolen));
    assert_eq!(mine.finish(&mixed, "thief").await.err().unwrap().code(), Some(Code::Unauthenticated), "PKCE");
}

#[tokio::test]
async fn an_answer_of_another_provider_is_refused() {
    let kit = Kit::start(Wrong::Nothing).await;
    let pending = kit.begin().await.unwrap();
    let back = kit.provider.sign_in(pending.url());
    let other = back.split_once("&iss=").unwrap().0.to_owned() + "&iss=https%3A%2F%2Fother.example";
    assert_eq!(pending.finish(&other, "x").await.err().unwrap().code(), Some(Code::Unauthenticated));
    assert!(!kit.provider.asked().contains(&"/token".to_owned()), "the code went there");
    let kit = Kit::start(Wrong::NamesNoIssuer).await;
    assert_eq!(kit.sign_in().await.err().unwrap().code(), Some(Code::Unauthenticated));
}

#[tokio::test]
async fn an_owner_and_a_stranger_are_found_by_no_address() {
    let kit = Kit::start(Wrong::Nothing).await;
    for email in [OWNER, "nobody@example.com"] {
        kit.provider.person("person-2", email);
        assert_eq!(kit.sign_in().await.err().unwrap().code(), Some(Code::Unauthenticated), "{email}");
    }
}

#[tokio::test]
async fn without_a_provider_nothing_is_begun() {
    let kit = Kit::start(Wrong::Nothing).await;
    kit.owner.remove_oidc_provider().await.unwrap();
    assert_eq!(kit.begin().await.err().unwrap().code(), Some(Code::NotFound));
    assert_eq!(kit.owner.oidc_provider().await.unwrap(), None);
    assert_eq!(kit.ann.remove_oidc_provider().await.err().unwrap().code(), Some(Code::PermissionDenied));
}
