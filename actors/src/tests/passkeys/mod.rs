//! Passkeys: added, shown, refused, taken away.

mod nodes;
mod sign_in;
mod soft;
mod wanted;

use ocmt_store::tables::User;
use ocmt_types::{Digest32, Secret};

use self::soft::{Soft, USER_VERIFIED};
use super::{
    factors::{by_mail, complete, enrol, reason, renewed, told, wrong},
    kit::{Kit, Person, binding},
};
use crate::{
    ActorError,
    api::{
        auth::{Assurance, SessionIssued, WhoAmI},
        factors::{RegenerateBackupCodes, RemoveTotp, SecondFactor},
        passkeys::{
            BeginPasskeyAssertion, BeginPasskeyRegistration, FinishPasskeyAssertion,
            FinishPasskeyRegistration, ListPasskeys, PasskeyInfo, PasskeyOffer, RemovePasskey,
        },
        users::{RemoveUser, Role},
    },
};

/// Adds a passkey to the person's account.
async fn add(kit: &Kit, person: &Person, soft: &mut Soft) -> PasskeyInfo {
    let offer = kit.call(&person.caller, BeginPasskeyRegistration).await.unwrap();
    finish(kit, person, &offer, soft.make(&offer.options)).await.unwrap()
}

async fn finish(
    kit: &Kit,
    person: &Person,
    offer: &PasskeyOffer,
    credential: Vec<u8>,
) -> Result<PasskeyInfo, ActorError> {
    let name = "telephone".to_owned();
    kit.call(&person.caller, FinishPasskeyRegistration { registration: offer.id, credential, name }).await
}

async fn ask(kit: &Kit, person: &Person) -> Result<PasskeyOffer, ActorError> {
    kit.call(&person.caller, BeginPasskeyAssertion { binding_hash: binding().1 }).await
}

fn shown(offer: &PasskeyOffer, credential: Vec<u8>) -> FinishPasskeyAssertion {
    FinishPasskeyAssertion { assertion: offer.id, credential, binding_secret: Secret::new(binding().0) }
}

async fn show(kit: &Kit, person: &Person, soft: &mut Soft) -> Result<SessionIssued, ActorError> {
    let offer = ask(kit, person).await?;
    kit.call(&person.caller, shown(&offer, soft.show(&offer.options))).await
}

#[tokio::test]
async fn a_passkey_is_added_told_of_shown_and_taken_away() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder("ann@example.com").await;
    let mut soft = Soft::new(1);
    let added = add(&kit, &ann, &mut soft).await;
    told(&kit, "ann@example.com", "factor.added").await;
    assert_eq!(kit.call(&ann.caller, ListPasskeys).await.unwrap(), std::slice::from_ref(&added));
    assert_eq!(
        reason(kit.call(&ann.caller, RegenerateBackupCodes).await),
        "STEP_UP_REQUIRED",
        "it was not shown"
    );
    let later = by_mail(&kit, &ann).await;
    let me = kit.call(&later.caller, WhoAmI).await.unwrap();
    assert_eq!(
        (me.session.unwrap().assurance, me.factors),
        (Assurance::PendingMfa, vec![SecondFactor::Passkey])
    );
    assert!(kit.call(&later.caller, ListPasskeys).await.is_err(), "the factor is due");
    let issued = show(&kit, &later, &mut soft).await.unwrap();
    assert_eq!(issued.session.assurance, Assurance::Mfa);
    assert!(kit.authenticate(&later.token).await.is_err(), "the session has another token");
    let later = renewed(&kit, &later, &issued).await;
    kit.call(&later.caller, RegenerateBackupCodes).await.unwrap();
    let listed = kit.call(&later.caller, ListPasskeys).await.unwrap();
    assert!(listed[0].last_used_at.is_some());
    kit.call(&later.caller, RemovePasskey { passkey: added.id }).await.unwrap();
    told(&kit, "ann@example.com", "factor.removed").await;
    let me = kit.call(&later.caller, WhoAmI).await.unwrap();
    assert_eq!((me.factors, me.backup_codes_left), (vec![], 0), "paper goes with the last factor");
    let again = by_mail(&kit, &later).await;
    assert_eq!(again.caller.user().unwrap().assurance, Assurance::Link);
}

#[tokio::test]
async fn a_challenge_is_answered_once_by_who_asked() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.founder("bob@example.com").await;
    let mut soft = Soft::new(1);
    let offer = kit.call(&ann.caller, BeginPasskeyRegistration).await.unwrap();
    let made = soft.make(&offer.options);
    assert_eq!(reason(finish(&kit, &bob, &offer, made.clone()).await), "WRONG_PASSKEY", "another account's");
    finish(&kit, &ann, &offer, made.clone()).await.unwrap();
    let registered = offer;
    let offer = ask(&kit, &ann).await.unwrap();
    let credential = soft.show(&offer.options);
    let other = FinishPasskeyAssertion {
        binding_secret: Secret::new(vec![8; 32]),
        ..shown(&offer, credential.clone())
    };
    assert_eq!(reason(kit.call(&ann.caller, other).await), "WRONG_PASSKEY", "another client");
    let ann =
        renewed(&kit, &ann, &kit.call(&ann.caller, shown(&offer, credential.clone())).await.unwrap()).await;
    assert_eq!(reason(kit.call(&ann.caller, shown(&offer, credential)).await), "WRONG_PASSKEY", "replayed");
    assert_eq!(reason(finish(&kit, &ann, &registered, made).await), "WRONG_PASSKEY", "answered twice");
    let first = ask(&kit, &ann).await.unwrap();
    let second = ask(&kit, &ann).await.unwrap();
    assert_eq!(
        reason(kit.call(&ann.caller, shown(&first, soft.show(&first.options))).await),
        "WRONG_PASSKEY",
        "a newer wish replaces it"
    );
    kit.clock.advance(crate::passkeys::LASTS);
    let late = shown(&second, soft.show(&second.options));
    assert_eq!(reason(kit.call(&ann.caller, late).await), "WRONG_PASSKEY", "too late");
}

#[tokio::test]
async fn only_a_lawful_answer_is_taken() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let mut soft = Soft::new(1);
    add(&kit, &ann, &mut soft).await;
    let mut bad = Vec::new();
    for change in [
        |soft: &mut Soft| soft.origin = "https://ocmt.example.net".to_owned(),
        |soft: &mut Soft| soft.origin = "https://ocmt.example.org:8443".to_owned(),
        |soft: &mut Soft| soft.rp_id = "example.org".to_owned(),
        |soft: &mut Soft| soft.flags &= !USER_VERIFIED,
        |soft: &mut Soft| *soft = soft.of_user(&[9; 16]),
        |soft: &mut Soft| *soft = Soft::new(2),
    ] {
        let mut other = soft.copied();
        change(&mut other);
        bad.push(reason(show(&kit, &ann, &mut other).await));
    }
    assert_eq!(bad, ["WRONG_PASSKEY"; 6]);
    let offer = ask(&kit, &ann).await.unwrap();
    let good = soft.show(&offer.options);
    for cut in [0, 1, good.len() / 2, good.len() - 1] {
        let cut = shown(&offer, good[..cut].to_vec());
        assert_eq!(reason(kit.call(&ann.caller, cut).await), "INVALID_ARGUMENT");
    }
    kit.call(&ann.caller, shown(&offer, good)).await.unwrap();
}

#[tokio::test]
async fn a_copy_of_an_authenticator_that_counts_is_found_out() {
    let kit = Kit::sim().await;
    let ann = kit.founder("ann@example.com").await;
    let mut soft = Soft::new(1);
    soft.counter = 5;
    add(&kit, &ann, &mut soft).await;
    let mut copy = soft.copied();
    let ann = renewed(&kit, &ann, &show(&kit, &ann, &mut soft).await.unwrap()).await;
    assert_eq!(reason(show(&kit, &ann, &mut copy).await), "WRONG_PASSKEY", "the counter stood still");
    show(&kit, &ann, &mut soft).await.unwrap();
}

#[tokio::test]
async fn a_passkey_is_one_accounts_and_goes_with_it() {
    let kit = Kit::sqlite().await;
    let ann = kit.founder("ann@example.com").await;
    let bob = kit.member(&ann, "bob@example.com", Role::Member).await;
    let eve = kit.founder("eve@example.com").await;
    let mut soft = Soft::new(1);
    add(&kit, &bob, &mut soft).await;
    for other in [&ann, &eve] {
        let offer = kit.call(&other.caller, BeginPasskeyRegistration).await.unwrap();
        let made = soft.copied().make(&offer.options);
        assert_eq!(reason(finish(&kit, other, &offer, made).await), "KNOWN_PASSKEY");
    }
    let bob = renewed(&kit, &bob, &show(&kit, &bob, &mut soft).await.unwrap()).await;
    let own = kit.call(&bob.caller, BeginPasskeyRegistration).await.unwrap();
    assert!(String::from_utf8(own.options).unwrap().contains("excludeCredentials\":[{"));
    kit.call(&ann.caller, RemoveUser { user: bob.user }).await.unwrap();
    add(&kit, &eve, &mut soft).await;
    let mut tx = kit.store.fenced(kit.steal(ann.tenant).await).await.unwrap();
    assert_eq!(tx.get::<User>(bob.user).await.unwrap().unwrap().passkeys, 0, "and none is counted");
}

#[tokio::test]
async fn a_passkey_and_an_authenticator_stand_in_for_each_other() {
    let kit = Kit::sim().await;
    let founder = kit.founder("ann@example.com").await;
    let ann = enrol(&kit, &founder).await;
    let mut soft = Soft::new(1);
    let passkey = add(&kit, &ann.person, &mut soft).await;
    let later = by_mail(&kit, &ann.person).await;
    assert_eq!(
        reason(kit.call(&later.caller, BeginPasskeyRegistration).await),
        "PERMISSION_DENIED",
        "mail alone"
    );
    assert_eq!(reason(complete(&kit, &later.caller, wrong(&kit, &ann.secret)).await), "WRONG_CODE");
    let issued = show(&kit, &later, &mut soft).await.unwrap();
    let later = renewed(&kit, &later, &issued).await;
    kit.call(&later.caller, RemoveTotp).await.unwrap();
    let me = kit.call(&later.caller, WhoAmI).await.unwrap();
    assert_eq!(me.factors, [SecondFactor::Passkey, SecondFactor::BackupCode], "the codes on paper stay");
    let again = by_mail(&kit, &later).await;
    assert_eq!(reason(complete(&kit, &again.caller, ann.digits(&kit, 0)).await), "NO_TOTP");
    complete(&kit, &again.caller, ann.paper(0)).await.unwrap();
    kit.call(&later.caller, RemovePasskey { passkey: passkey.id }).await.unwrap();
}

/// What another client would keep.
fn other_binding() -> Digest32 {
    crate::audit::sha256(&[8; 32])
}
