//! Sign-in at a tenant's own provider: whose word counts, for whom, and how often.

use std::time::Duration;

use ocmt_crypto::sealing::SealingKeys;
use ocmt_store::{
    Rewrap,
    tables::{OidcIdentity, OidcProvider},
};
use ocmt_types::{Ownership, Secret};
use tokio::task::JoinSet;

use super::kit::{Kit, Person, binding, sealing_key};
use crate::{
    ActorError, BAD_SSO,
    api::{
        auth::{Assurance, Device, LinkPurpose, SessionIssued, WhoAmI},
        sso::{GetOidcProvider, RemoveOidcProvider, SetOidcProvider, SsoBegun, SsoPerson, SsoTaken},
        users::RemoveUser,
    },
    authorize::Role,
    tenant::sso::LASTS,
};

const ISSUER: &str = "https://id.example/realms/a";

fn provider(by_email: bool) -> SetOidcProvider {
    SetOidcProvider {
        issuer: ISSUER.to_owned(),
        client_id: "ocmt".to_owned(),
        client_secret: Some(Secret::new("the client's secret".to_owned())),
        by_email,
    }
}

fn says(subject: &str, email: Option<&str>) -> SsoPerson {
    SsoPerson {
        issuer: ISSUER.to_owned(),
        subject: subject.to_owned(),
        verified_email: email.map(str::to_owned),
    }
}

async fn begin(kit: &Kit, of: &Person) -> Result<SsoBegun, ActorError> {
    kit.system.begin_sso(of.tenant, binding().1, &kit.meta(), kit.request()).await
}

async fn take(kit: &Kit, state: &str, secret: Vec<u8>) -> Result<SsoTaken, ActorError> {
    kit.system.take_sso(state, &Secret::new(secret), &kit.meta(), kit.request()).await
}

async fn finish(kit: &Kit, of: &Person, person: SsoPerson) -> Result<SessionIssued, ActorError> {
    kit.system.finish_sso(of.tenant, person, Device::default(), &kit.meta(), kit.request()).await
}

fn is_bad<T>(result: Result<T, ActorError>) -> bool {
    matches!(result.err(), Some(error) if error.to_string() == BAD_SSO.to_string())
}

#[tokio::test]
async fn who_says_who_signs_in_is_an_owner_who_was_there_a_moment_ago() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Admin).await;
    assert_eq!(kit.call(&bob.caller, provider(true)).await.unwrap_err().reason(), "PERMISSION_DENIED");
    kit.call(&ann.caller, provider(true)).await.unwrap();
    let seen = kit.call(&bob.caller, GetOidcProvider).await.unwrap().unwrap();
    assert_eq!((seen.issuer.as_str(), seen.has_secret, seen.by_email), (ISSUER, true, true));
    kit.clock.advance(std::time::Duration::from_secs(16 * 60));
    assert_eq!(kit.call(&ann.caller, provider(true)).await.unwrap_err().reason(), "STEP_UP_REQUIRED");
    assert_eq!(kit.call(&ann.caller, RemoveOidcProvider).await.unwrap_err().reason(), "STEP_UP_REQUIRED");
}

#[tokio::test]
async fn an_issuer_is_an_https_url_and_nothing_more() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let long = format!("https://id.example/{}", "a".repeat(512));
    for bad in [
        "",
        "id.example",
        "http://id.example",
        "https://",
        "https://u:p@id.example",
        "https://id.example/?a",
        "https://id.example/#a",
        &long,
    ] {
        let set = SetOidcProvider { issuer: bad.to_owned(), ..provider(true) };
        assert_eq!(kit.call(&ann.caller, set).await.unwrap_err().reason(), "INVALID_ARGUMENT", "{bad}");
    }
}

#[tokio::test]
async fn a_clients_secret_is_at_rest_under_the_sealing_key_alone() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder("ann@example.com").await;
    kit.call(&ann.caller, provider(true)).await.unwrap();
    let owner = kit.store.cluster().owner(ann.tenant).await.unwrap().unwrap();
    let ownership =
        Ownership { tenant: ann.tenant, incarnation: owner.incarnation.unwrap(), epoch: owner.epoch };
    let row = kit.store.read(ownership).await.unwrap().get::<OidcProvider>(()).await.unwrap().unwrap();
    let wrapped = row.secret_wrapped.unwrap();
    assert!(SealingKeys::generation_of(&wrapped).is_ok());
    assert!(!wrapped.windows(6).any(|six| six == b"secret"));
    let begun = begin(&kit, &ann).await.unwrap();
    let taken = take(&kit, begun.state.expose(), binding().0).await.unwrap();
    assert_eq!(taken.client_secret.unwrap().expose(), "the client's secret");
    assert_eq!((taken.nonce, taken.verifier.expose()), (begun.nonce, begun.verifier.expose()));
}

#[tokio::test]
async fn a_clients_secret_goes_under_the_next_sealing_key() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    kit.call(&ann.caller, provider(true)).await.unwrap();
    let ring = kit.system.env.sealing.clone();
    ring.replace(SealingKeys::new([sealing_key(1), sealing_key(2)]));
    let what = Rewrap { lowest: 1, latest: 2 };
    assert_eq!(kit.store.operators().rewrapping(what).await.unwrap().left, 1);
    kit.system.rewrap(ann.tenant, kit.deadline()).await.unwrap();
    assert_eq!(kit.store.operators().rewrapping(what).await.unwrap().left, 0);
    ring.replace(SealingKeys::new([sealing_key(2)]));
    let begun = begin(&kit, &ann).await.unwrap();
    let taken = take(&kit, begun.state.expose(), binding().0).await.unwrap();
    assert_eq!(taken.client_secret.unwrap().expose(), "the client's secret");
}

#[tokio::test]
async fn a_sign_in_is_finished_once_in_time_and_where_it_was_begun() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    assert!(matches!(begin(&kit, &ann).await.err(), Some(ActorError::NotFound)), "no provider");
    kit.call(&ann.caller, provider(true)).await.unwrap();
    let begun = begin(&kit, &ann).await.unwrap();
    assert!(is_bad(take(&kit, begun.state.expose(), vec![8; 32]).await), "another client");
    assert!(is_bad(take(&kit, "ocmt_lnk_x", binding().0).await));
    take(&kit, begun.state.expose(), binding().0).await.unwrap();
    assert!(is_bad(take(&kit, begun.state.expose(), binding().0).await), "used");
    let late = begin(&kit, &ann).await.unwrap();
    kit.clock.advance(LASTS);
    assert!(is_bad(take(&kit, late.state.expose(), binding().0).await), "too late");
    // a state is no link, and a link no state
    let begun = begin(&kit, &ann).await.unwrap();
    assert!(kit.exchange(begun.state.expose()).await.is_err());
}

#[tokio::test]
async fn another_provider_ends_the_sign_ins_and_the_identities_of_the_one_before() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    kit.call(&ann.caller, provider(true)).await.unwrap();
    finish(&kit, &ann, says("1", Some(&bob.email))).await.unwrap();
    let begun = begin(&kit, &ann).await.unwrap();
    let other = SetOidcProvider { issuer: "https://other.example".into(), ..provider(false) };
    kit.call(&ann.caller, other).await.unwrap();
    assert!(is_bad(take(&kit, begun.state.expose(), binding().0).await));
    assert!(
        is_bad(finish(&kit, &ann, says("1", None)).await),
        "the word of a provider that is none any more"
    );
    kit.call(&ann.caller, provider(false)).await.unwrap();
    assert!(is_bad(finish(&kit, &ann, says("1", None)).await), "it was forgotten");
    kit.call(&ann.caller, RemoveOidcProvider).await.unwrap();
    assert!(matches!(begin(&kit, &ann).await.err(), Some(ActorError::NotFound)));
}

#[tokio::test]
async fn of_parallel_answers_at_two_nodes_one_goes_on() {
    let first = Kit::sqlite().await;
    let second = first.beside(2).await;
    let ann = first.founder("ann@example.com").await;
    first.call(&ann.caller, provider(true)).await.unwrap();
    for _ in 0..5 {
        let begun = begin(&first, &ann).await.unwrap();
        let mut tries = JoinSet::new();
        for turn in 0..16 {
            let nodes = [first.system.clone(), second.system.clone()];
            let (meta, id, state) = (first.meta(), first.request(), begun.state.expose().clone());
            tries.spawn(async move {
                for at in turn.. {
                    match nodes[at % 2].take_sso(&state, &Secret::new(binding().0), &meta, id).await {
                        // an edge asks the owner
                        Err(ActorError::NotOwner { .. }) => {}
                        other => return other.is_ok(),
                    }
                }
                unreachable!("one of them owns the tenant")
            });
        }
        assert_eq!(tries.join_all().await.into_iter().filter(|good| *good).count(), 1);
    }
}

#[tokio::test]
async fn an_address_finds_its_account_where_that_is_allowed_and_verified_and_no_owners() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Admin).await;
    let eve = kit.founder("eve@example.com").await;
    kit.call(&ann.caller, provider(false)).await.unwrap();
    assert!(is_bad(finish(&kit, &ann, says("1", Some(&bob.email))).await), "nobody has allowed it");
    kit.call(&ann.caller, provider(true)).await.unwrap();
    assert!(is_bad(finish(&kit, &ann, says("1", None)).await), "not verified");
    assert!(is_bad(finish(&kit, &ann, says("1", Some(&ann.email))).await), "an owner's");
    assert!(is_bad(finish(&kit, &ann, says("1", Some(&eve.email))).await), "another tenant's");
    assert!(is_bad(finish(&kit, &ann, says("1", Some("no address"))).await));
    let issued = finish(&kit, &ann, says("1", Some("Bob@Example.com"))).await.unwrap();
    assert_eq!((issued.tenant, issued.session.user), (ann.tenant, bob.user));
    assert_eq!(issued.session.assurance, Assurance::Link, "one factor");
    kit.authenticate(issued.token.expose()).await.unwrap();
    super::factors::told(&kit, &bob.email, "factor.added").await;
}

#[tokio::test]
async fn a_person_is_who_they_are_at_the_provider_whatever_address_they_have_today() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let cy = kit.member(&ann, "cy@example.com", Role::Member).await;
    kit.call(&ann.caller, provider(true)).await.unwrap();
    finish(&kit, &ann, says("1", Some(&bob.email))).await.unwrap();
    let again = finish(&kit, &ann, says("1", Some(&cy.email))).await.unwrap();
    assert_eq!(again.session.user, bob.user);
    // somebody new has got bob's old address there
    assert!(is_bad(finish(&kit, &ann, says("2", Some(&bob.email))).await));
    // what is allowed no more still knows whom it knows
    kit.call(&ann.caller, provider(false)).await.unwrap();
    assert_eq!(finish(&kit, &ann, says("1", None)).await.unwrap().session.user, bob.user);
    kit.call(&ann.caller, RemoveUser { user: bob.user }).await.unwrap();
    assert!(is_bad(finish(&kit, &ann, says("1", Some(&bob.email))).await), "removed");
    let owner = kit.store.cluster().owner(ann.tenant).await.unwrap().unwrap();
    let ownership =
        Ownership { tenant: ann.tenant, incarnation: owner.incarnation.unwrap(), epoch: owner.epoch };
    let mut tx = kit.store.read(ownership).await.unwrap();
    assert_eq!(tx.count(ocmt_store::Filter::<OidcIdentity>::all()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_provider_is_one_factor_and_the_tenants_rule_holds() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    kit.call(&ann.caller, provider(true)).await.unwrap();
    finish(&kit, &ann, says("1", Some(&bob.email))).await.unwrap();
    super::factors::enrol(&kit, &bob).await;
    let issued = finish(&kit, &ann, says("1", None)).await.unwrap();
    assert_eq!(issued.session.assurance, Assurance::PendingMfa);
}

#[tokio::test]
async fn a_session_that_came_of_a_provider_ends_by_the_tenants_limits_and_begins_at_the_provider_again() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    kit.call(&ann.caller, provider(true)).await.unwrap();
    let issued = finish(&kit, &ann, says("1", Some(&bob.email))).await.unwrap();
    let his = kit.authenticate(issued.token.expose()).await.unwrap();
    // used all the time: use moves the idle limit alone
    let half_hour = Duration::from_secs(1800);
    for _ in 0..47 {
        kit.clock.advance(half_hour);
        kit.call(&his, WhoAmI).await.unwrap();
    }
    kit.clock.advance(half_hour);
    let over = kit.call(&his, WhoAmI).await.unwrap_err();
    assert_eq!(over.reason(), "UNAUTHENTICATED");
    // nothing of before is taken again: a sign-in at the provider is, for as long as it is the tenant's
    assert!(kit.authenticate(issued.token.expose()).await.is_err());
    finish(&kit, &ann, says("1", None)).await.unwrap();
    let anew = kit.sign_in(&ann, LinkPurpose::SignIn).await;
    kit.call(&anew.caller, RemoveOidcProvider).await.unwrap();
    assert!(is_bad(finish(&kit, &ann, says("1", None)).await));
}
