//! Who signs in from where they were not lately hears of it, and of what ends soon.

use std::{net::IpAddr, time::Duration};

use ocmt_crypto::seal::SealSecretKey;
use ocmt_store::{
    Filter, TenantRow,
    tables::{ApiKeyRow, Session},
};
use ocmt_types::Secret;

use super::{
    api_keys::{DAY, ask as key},
    kit::{Kit, Person, binding, until},
    programs::{ask, owner},
};
use crate::{
    api::{
        auth::{Device, ExchangeMagicLink, LinkPurpose},
        keys::CreateApiKey,
        programs::CreateProgramToken,
    },
    tenant::TenantMessage,
};

const EMAIL: &str = "ann@example.com";
const NEW_PLACE: &str = "session.new_place";

async fn signs_in(kit: &Kit, person: &Person, name: &str, addr: [u8; 4]) {
    let token = kit.link(&person.email, LinkPurpose::SignIn).await;
    let exchange = ExchangeMagicLink {
        token: Secret::new(token),
        binding_secret: Secret::new(binding().0),
        device: Device { name: name.to_owned(), addr: Some(IpAddr::from(addr)) },
    };
    kit.system.exchange_magic_link(exchange, &kit.meta(), kit.request()).await.unwrap();
}

/// Rows of a kind that somebody's tenant has; none while nobody owns it.
async fn stored<R: TenantRow>(kit: &Kit, person: &Person) -> Option<i64> {
    Some(kit.reading(person.tenant).await?.count(Filter::<R>::all()).await.unwrap())
}

async fn a_new_device_or_network_is_told_of_once_and_a_known_one_is_not(kit: Kit) {
    let ann = kit.founder(EMAIL).await;
    signs_in(&kit, &ann, "the first minutes", [198, 51, 100, 1]).await;
    assert_eq!(kit.mailbox.count_of(EMAIL, NEW_PLACE), 0, "whoever makes an account knows of it");
    kit.clock.advance(Duration::from_secs(20 * 60));
    // of the network of before, with another address
    signs_in(&kit, &ann, "a test", [192, 0, 2, 99]).await;
    signs_in(&kit, &ann, "a telephone", [192, 0, 2, 1]).await;
    until("the device is told of", async || kit.mailbox.count_of(EMAIL, NEW_PLACE) == 1).await;
    signs_in(&kit, &ann, "a telephone", [192, 0, 2, 2]).await;
    signs_in(&kit, &ann, "a test", [203, 0, 113, 9]).await;
    until("the network is told of", async || kit.mailbox.count_of(EMAIL, NEW_PLACE) == 2).await;
    let facts = kit.mailbox.all_of(EMAIL, NEW_PLACE).pop().unwrap().facts;
    for (name, value) in [("device", "a test"), ("from address", "203.0.113.9")] {
        assert!(facts.contains(&(name.to_owned(), value.to_owned())), "{facts:?}");
    }
    // longer than rows of sessions are kept, and not as long as the letter is
    kit.clock.advance(DAY * 10);
    until("no session is kept", async || {
        kit.system.send(ann.tenant, TenantMessage::TimerDue);
        stored::<Session>(&kit, &ann).await == Some(0)
    })
    .await;
    signs_in(&kit, &ann, "a telephone", [192, 0, 2, 3]).await;
    signs_in(&kit, &ann, "another telephone", [192, 0, 2, 3]).await;
    until("the other one is told of", async || kit.mailbox.count_of(EMAIL, NEW_PLACE) == 3).await;
    let told = kit.mailbox.all_of(EMAIL, NEW_PLACE).pop().unwrap().facts;
    assert!(told.contains(&("device".to_owned(), "another telephone".to_owned())), "{told:?}");
}

#[tokio::test]
async fn a_new_device_or_network_is_told_of_once_and_a_known_one_is_not_on_sim() {
    a_new_device_or_network_is_told_of_once_and_a_known_one_is_not(Kit::sim().await).await;
}

#[tokio::test]
async fn a_new_device_or_network_is_told_of_once_and_a_known_one_is_not_on_sqlite() {
    a_new_device_or_network_is_told_of_once_and_a_known_one_is_not(Kit::sqlite().await).await;
}

#[tokio::test]
async fn keys_and_tokens_that_end_in_a_week_are_told_of_once() {
    let kit = Kit::sim().await;
    let ann = kit.founder(EMAIL).await;
    let open = owner(&kit, &ann).await;
    let lasts = |days: u32| i64::try_from((DAY * days).as_millis()).unwrap();
    for days in [20, 21, 10] {
        let made = CreateApiKey { lifetime_ms: lasts(days), ..key(&["tenant.read"]) };
        kit.call(&ann.caller, made).await.unwrap();
    }
    let program = SealSecretKey::generate(&mut rand::rng());
    let token = ask(&kit, &ann, &open, &program, "granted").await;
    let token = CreateProgramToken { lifetime_ms: lasts(20), ..token };
    let token = kit.call(&ann.caller, token).await.unwrap();
    let told = |kind: &str| kit.mailbox.count_of(EMAIL, kind);
    let sweep = || kit.system.send(ann.tenant, TenantMessage::TimerDue);
    kit.clock.advance(DAY * 12);
    until("the shortest has ended, and was swept", async || {
        sweep();
        stored::<ApiKeyRow>(&kit, &ann).await == Some(2)
    })
    .await;
    assert_eq!((told("api_key.ends"), told("program.ends")), (0, 0), "too early, or made for a few days");
    kit.clock.advance(DAY + Duration::from_secs(3700));
    until("one of each is told of", async || {
        sweep();
        (told("api_key.ends"), told("program.ends")) == (1, 1)
    })
    .await;
    kit.clock.advance(DAY);
    until("the next one too", async || {
        sweep();
        told("api_key.ends") >= 2
    })
    .await;
    assert_eq!((told("api_key.ends"), told("program.ends")), (2, 1), "each once");
    let facts = kit.mailbox.all_of(EMAIL, "program.ends").pop().unwrap().facts;
    assert!(facts.contains(&("id".to_owned(), token.id.to_string())), "{facts:?}");
}
