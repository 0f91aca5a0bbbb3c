//! Signing in by a passkey alone.

use ocmt_types::Secret;

use super::{Soft, add, other_binding, reason, renewed, show};
use crate::{
    ActorError,
    api::{
        auth::{Assurance, Device, SessionIssued},
        passkeys::{PasskeyOffer, SignInByPasskey},
        users::{RemoveUser, Role},
    },
    tests::kit::{Kit, binding},
};

fn answer(offer: &PasskeyOffer, credential: Vec<u8>) -> SignInByPasskey {
    SignInByPasskey {
        assertion: offer.id,
        credential,
        binding_secret: Secret::new(binding().0),
        device: Device { name: "browser".to_owned(), addr: None },
    }
}

async fn begin(kit: &Kit) -> PasskeyOffer {
    kit.system.begin_passkey_sign_in(binding().1).await.unwrap()
}

async fn finish(kit: &Kit, request: SignInByPasskey) -> Result<SessionIssued, ActorError> {
    kit.system.finish_passkey_sign_in(request, &kit.meta(), kit.request()).await
}

#[tokio::test]
async fn a_passkey_signs_in_without_an_address_and_as_two_factors() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder("ann@example.com").await;
    let mut soft = Soft::new(1);
    add(&kit, &ann, &mut soft).await;
    let offer = begin(&kit).await;
    assert!(!String::from_utf8(offer.options.clone()).unwrap().contains("ann"));
    let issued = finish(&kit, answer(&offer, soft.show(&offer.options))).await.unwrap();
    assert_eq!((issued.tenant, issued.session.user), (ann.tenant, ann.user));
    assert_eq!((issued.session.assurance, issued.session.client.as_str()), (Assurance::Mfa, "browser"));
    kit.authenticate(issued.token.expose()).await.unwrap();
}

#[tokio::test]
async fn every_way_in_which_it_is_not_good_looks_alike() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let (mut soft, mut unknown, mut gone) = (Soft::new(1), Soft::new(2), Soft::new(3));
    add(&kit, &ann, &mut soft).await;
    add(&kit, &bob, &mut gone).await;
    let ann = renewed(&kit, &ann, &show(&kit, &ann, &mut soft).await.unwrap()).await;
    kit.call(&ann.caller, RemoveUser { user: bob.user }).await.unwrap();
    let mut refused = Vec::new();
    let offer = begin(&kit).await;
    refused.push(finish(&kit, answer(&offer, unknown.show(&offer.options))).await);
    refused.push(finish(&kit, answer(&offer, gone.show(&offer.options))).await);
    let another = kit.system.begin_passkey_sign_in(other_binding()).await.unwrap();
    refused.push(finish(&kit, answer(&another, soft.show(&another.options))).await);
    refused.push(finish(&kit, answer(&offer, soft.show(&another.options))).await);
    let offer = begin(&kit).await;
    let good = soft.show(&offer.options);
    finish(&kit, answer(&offer, good.clone())).await.unwrap();
    refused.push(finish(&kit, answer(&offer, good)).await);
    let late = begin(&kit).await;
    kit.clock.advance(crate::passkeys::LASTS);
    refused.push(finish(&kit, answer(&late, soft.show(&late.options))).await);
    let said: Vec<_> =
        refused.into_iter().map(|answer| answer.map(|_| ()).unwrap_err().to_string()).collect();
    assert_eq!(said.iter().collect::<std::collections::BTreeSet<_>>().len(), 1, "{said:#?}");
}

#[tokio::test]
async fn strangers_who_begin_are_worked_for_a_few_at_a_time() {
    let kit = Kit::sim_with(|config| config.limits.lobby = 0).await;
    assert_eq!(reason(kit.system.begin_passkey_sign_in(binding().1).await), "LOBBY_FULL");
}

#[tokio::test]
async fn work_after_an_answer_takes_no_place_of_who_begins() {
    let kit = Kit::sim_with(|config| config.limits.lobby = 1).await;
    let works = kit.system.afterwards.clone().acquire_owned().await.unwrap();
    begin(&kit).await;
    drop(works);
    // nor do they take its own
    let _begins = kit.system.lobby.clone().acquire_owned().await.unwrap();
    kit.sign_up_link("new@example.com").await;
}

#[tokio::test]
async fn without_a_host_name_there_are_no_passkeys() {
    let kit = Kit::sim_with(|config| config.passkeys = None).await;
    assert_eq!(reason(kit.system.begin_passkey_sign_in(binding().1).await), "PASSKEYS_OFF");
}
