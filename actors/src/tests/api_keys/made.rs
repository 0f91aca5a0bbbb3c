//! Making keys: by who is there, for what they may, so many and no more.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_crypto::token::{Token, TokenKind};

use super::{DAY, ask, keys_of, made, reason};
use crate::{
    ActorError,
    api::{
        auth::{LinkPurpose, WhoAmI},
        keys::{CreateApiKey, ListApiKeys, RevokeApiKey},
        users::{CreateRole, Role, RoleId, SetRole},
    },
    tenant::api_key::MOST_KEYS,
    tests::{
        factors::{by_mail, enrol},
        kit::Kit,
    },
};

#[tokio::test]
async fn a_key_is_shown_once_and_listed_without_its_secret() {
    for kit in [Kit::sim().await, Kit::sqlite().await] {
        let ann = kit.founder("ann@example.com").await;
        let key = made(&kit, &ann, &["vault.read", "container.read", "vault.read"]).await;
        assert!(key.secret().starts_with("ocmt_key_"));
        assert_eq!(key.issued.key.scopes, ["container.read", "vault.read"]);
        assert_eq!(key.issued.key.expires_at, key.issued.key.created_at + DAY);
        let me = kit.call(&key.caller, WhoAmI).await.unwrap();
        assert_eq!((me.user, me.session, me.factors), (ann.user, None, vec![]));
        let used = me.key.unwrap();
        assert_eq!((used.id, used.name.as_str()), (key.issued.key.id, "deploys"));
        let listed = keys_of(&kit, &ann).await;
        assert_eq!(listed, [used]);
        assert!(!format!("{listed:?}").contains(key.secret()));
    }
}

#[tokio::test]
async fn a_key_is_made_by_who_has_shown_themselves_within_the_last_minutes() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    kit.clock.advance(Duration::from_secs(901));
    assert_eq!(kit.call(&ann.caller, ask(&["vault.read"])).await.err(), Some(ActorError::StepUpRequired));
    let recovery = kit.sign_in(&ann, LinkPurpose::Recovery).await;
    assert_eq!(reason(kit.call(&recovery.caller, ask(&["vault.read"])).await), "PERMISSION_DENIED");
    let ann = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    kit.call(&ann.caller, ask(&["vault.read"])).await.unwrap();
    enrol(&kit, &ann).await;
    let pending = by_mail(&kit, &ann).await;
    assert_eq!(reason(kit.call(&pending.caller, ask(&["vault.read"])).await), "PERMISSION_DENIED");
    assert_eq!(keys_of(&kit, &ann).await.len(), 1);
}

#[tokio::test]
async fn a_key_is_made_for_what_it_can_be_and_its_user_may() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let good = ask(&["vault.read"]);
    let wrong = [
        CreateApiKey { name: " ".to_owned(), ..good.clone() },
        CreateApiKey { name: "a\nb".to_owned(), ..good.clone() },
        CreateApiKey { name: "n".repeat(101), ..good.clone() },
        CreateApiKey { lifetime_ms: 59_999, ..good.clone() },
        CreateApiKey { lifetime_ms: 366 * 86_400_000 + 1, ..good.clone() },
        ask(&[]),
        ask(&["vault.steal"]),
        // there, and not for keys
        ask(&["vault.write"]),
        ask(&["vault.read", "api_key.create"]),
        ask(&["user.invite"]),
        ask(&["container.enter"]),
    ];
    for wrong in wrong {
        assert_eq!(reason(kit.call(&ann.caller, wrong.clone()).await), "INVALID_ARGUMENT", "{wrong:?}");
    }
    let bob = kit.member(&ann, "bob@example.com", Role::Observer).await;
    assert_eq!(reason(kit.call(&bob.caller, ask(&["container.read"])).await), "PERMISSION_DENIED");
    // their own trail is everybody's to read
    kit.call(&bob.caller, ask(&["audit.read", "vault.read"])).await.unwrap();
    let permissions = vec!["vault.read".to_owned(), "user.list".to_owned()];
    let role = CreateRole { id: "keyless".to_owned(), base: Role::Observer, permissions };
    kit.call(&ann.caller, role).await.unwrap();
    let narrowed = SetRole { user: bob.user, role: RoleId::Custom("keyless".to_owned()) };
    kit.call(&ann.caller, narrowed).await.unwrap();
    assert_eq!(reason(kit.call(&bob.caller, ask(&["vault.read"])).await), "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_repeat_makes_no_second_key() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let wish = ask(&["vault.read"]);
    let answers = join_all((0..8).map(|_| kit.call(&ann.caller, wish.clone()))).await;
    let made: Vec<_> = answers.iter().flatten().map(|issued| issued.key.id).collect();
    assert_eq!(made.len(), 1);
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(refused.reason(), "API_KEY_MADE");
        assert!(refused.to_string().contains(&made[0].to_string()), "{refused}");
    }
    // of another user the same idempotency key is another wish
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    kit.call(&bob.caller, wish).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_exactly_the_cap_are_made_and_a_list_has_them_all() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder("ann@example.com").await;
    let most = usize::try_from(MOST_KEYS).unwrap();
    let answers = join_all((0..most + 10).map(|_| kit.call(&ann.caller, ask(&["vault.read"])))).await;
    assert_eq!(answers.iter().flatten().count(), most);
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert_eq!(refused.reason(), "TOO_MANY_KEYS");
    }
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = kit.call(&ann.caller, ListApiKeys { after, limit: 7 }).await.unwrap();
        assert!(page.keys.len() <= 7);
        listed.extend(page.keys);
        // one of a page that was read is ended: nothing is left out by that
        if let Some(last) = listed.last().filter(|_| listed.len() == 7) {
            kit.call(&ann.caller, RevokeApiKey { key: last.id }).await.unwrap();
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let places: Vec<_> = listed.iter().map(|key| (key.created_at, key.id)).collect();
    assert_eq!(places.len(), most);
    assert!(places.is_sorted_by(|newer, older| newer > older), "newest first, each once");
    kit.call(&ann.caller, ask(&["vault.read"])).await.expect("one was ended");
    // those that have ended by themselves are not counted
    kit.clock.advance(DAY);
    let ann = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    assert!(keys_of(&kit, &ann).await.is_empty());
    kit.call(&ann.caller, ask(&["vault.read"])).await.unwrap();
}

#[tokio::test]
async fn t1_a_key_is_its_users_alone_and_a_made_up_one_is_nobodys() {
    let kit = Kit::sim().await;
    let (ann, eve) = (kit.founder("ann@example.com").await, kit.founder("eve@example.com").await);
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let key = made(&kit, &ann, &["vault.read"]).await;
    crate::tests::factors::told(&kit, "ann@example.com", "api_key.created").await;
    for other in [&bob, &eve] {
        assert!(keys_of(&kit, other).await.is_empty());
        for key in [key.issued.key.id, ocmt_store::testing::id(4711)] {
            assert_eq!(kit.call(&other.caller, RevokeApiKey { key }).await.err(), Some(ActorError::NotFound));
        }
    }
    // nothing tells one that was never made from one that has ended, or a tenant that is not there from one that is
    let made_up = Token::issue(TokenKind::ApiKey, ann.tenant, &mut rand::rng());
    let nowhere = Token::issue(TokenKind::ApiKey, ocmt_store::testing::id(99), &mut rand::rng());
    kit.call(&ann.caller, RevokeApiKey { key: key.issued.key.id }).await.unwrap();
    let unknown = kit.authenticate(made_up.expose()).await.unwrap_err();
    assert_eq!(unknown.reason(), "UNAUTHENTICATED");
    for other in [nowhere.expose(), key.secret()] {
        assert_eq!(kit.authenticate(other).await.unwrap_err(), unknown);
    }
    // an admin ends another's, by the id that the audit names
    let chief = kit.member(&ann, "chief@example.com", Role::Admin).await;
    let of_bob = made(&kit, &bob, &["vault.read"]).await;
    assert!(keys_of(&kit, &chief).await.is_empty());
    kit.call(&chief.caller, RevokeApiKey { key: of_bob.issued.key.id }).await.unwrap();
    assert_eq!(kit.authenticate(of_bob.secret()).await.unwrap_err(), unknown);
    // its hash, which the store has, is no key
    let hash = Token::parse(key.secret()).unwrap().hash().to_string();
    assert!(kit.authenticate(&hash).await.is_err());
}
