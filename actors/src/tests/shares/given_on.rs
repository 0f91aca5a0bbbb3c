//! What is given on: a part of what was given, no longer than that, and gone with it.

use ocmt_crypto::grant;

use super::{Side, accept, get, given, offer, reason, revoke, shares, three};
use crate::{
    ActorError,
    api::{
        programs::EntryGrant,
        shares::{
            CreateShare,
            Permission::{self, List, Read, Share},
            ShareState,
        },
        users::{RemoveUser, Role},
    },
    tests::{kit::Kit, vault::store},
};

const HOUR_MS: i64 = 3_600_000;

/// What the device of a taker makes of an entry of `owner` that it can read.
pub(super) async fn on(
    kit: &Kit,
    owner: &Side,
    giver: &Side,
    taker: &Side,
    permissions: &[Permission],
) -> CreateShare {
    let (scope, object) = (owner.open.scope(), owner.id("granted"));
    let found = get(kit, giver.caller(), scope.vault, object).await.unwrap();
    let object = &found.objects[0];
    let place = object.place(scope);
    let from = owner.signing().verify_key();
    let key = grant::open(&place, &found.grant.unwrap(), &giver.open.keyring().identity_seal, &from).unwrap();
    let to = taker.open.keyring().identity_seal.public();
    let sealed = grant::seal(&place, &key, &to, giver.signing(), &mut rand::rng()).unwrap();
    let sealed = if permissions.contains(&Read) { sealed } else { Vec::new() };
    CreateShare {
        vault: scope.vault,
        taker_email: taker.person.email.clone(),
        permissions: permissions.to_vec(),
        grants: vec![EntryGrant { object: object.object_id, version: object.version, sealed }],
        lifetime_ms: None,
        share: None,
        write_grants: Vec::new(),
    }
}

#[tokio::test]
async fn what_is_given_on_is_a_part_of_what_was_given() {
    let kit = Kit::sim().await;
    let (mut ann, bob, carol) = three(&kit).await;
    let (vault, granted) = (ann.vault(), ann.id("granted"));
    // what Bob has until an hour from now: to read and to give on
    let ask = offer(&kit, &ann, &bob, "granted", &[Read, Share]).await;
    let ask = CreateShare { lifetime_ms: Some(HOUR_MS), ..ask };
    let own = kit.call(ann.caller(), ask).await.unwrap().id;
    accept(&kit, &bob, own).await.unwrap();
    let good = CreateShare { lifetime_ms: Some(HOUR_MS), ..on(&kit, &ann, &bob, &carol, &[Read]).await };
    let for_ever = CreateShare { lifetime_ms: None, ..good.clone() };
    let longer = CreateShare { lifetime_ms: Some(HOUR_MS + 1), ..good.clone() };
    let mut more = on(&kit, &ann, &bob, &carol, &[Read, List]).await;
    more.lifetime_ms = Some(HOUR_MS);
    for wrong in [for_ever, longer, more] {
        assert_eq!(reason(kit.call(bob.caller(), wrong.clone()).await), "PERMISSION_DENIED", "{wrong:?}");
    }
    let mut other = good.clone();
    other.grants[0].object = ann.id("kept");
    assert_eq!(kit.call(bob.caller(), other).await.err(), Some(ActorError::NotFound));
    // the giver is Bob, and it is Bob's key that has to have signed it
    let by_ann =
        CreateShare { lifetime_ms: Some(HOUR_MS), ..offer(&kit, &ann, &carol, "granted", &[Read]).await };
    assert_eq!(reason(kit.call(bob.caller(), by_ann).await), "INVALID_ARGUMENT");
    let back = CreateShare { taker_email: ann.person.email.clone(), ..good.clone() };
    assert_eq!(reason(kit.call(bob.caller(), back).await), "INVALID_ARGUMENT", "back to whose it is");
    let shared = kit.call(bob.caller(), good).await.unwrap();
    assert_eq!(shared.giver_email, bob.person.email);
    accept(&kit, &carol, shared.id).await.unwrap();
    assert!(get(&kit, carol.caller(), vault, granted).await.is_ok());
    // to read is not to give on
    let third = kit.member(&ann.person, "dave@example.com", Role::Member).await;
    let third = Side::of(&kit, third).await;
    let mut further = offer(&kit, &ann, &third, "granted", &[List]).await;
    further.lifetime_ms = Some(60_000);
    assert_eq!(reason(kit.call(carol.caller(), further).await), "PERMISSION_DENIED");
    // and what is there now is not what was given to Bob
    let person = ann.person.clone();
    store(&kit, &person, &mut ann.open, "granted", b"anew").await;
    let mut newer = offer(&kit, &ann, &carol, "granted", &[Share]).await;
    newer.lifetime_ms = Some(HOUR_MS);
    assert_eq!(reason(kit.call(bob.caller(), newer).await), "PERMISSION_DENIED");
}

#[tokio::test]
async fn what_was_given_on_ends_with_what_it_was_given_from() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let (vault, granted) = (ann.vault(), ann.id("granted"));
    let own = given(&kit, &ann, &bob, "granted", &[Read, Share]).await;
    let first = kit.call(bob.caller(), on(&kit, &ann, &bob, &carol, &[Read]).await).await.unwrap().id;
    accept(&kit, &carol, first).await.unwrap();
    assert_eq!(shares(&kit, &ann).await.len(), 2, "whose vault it is sees what was given on");
    // Bob takes it back, and has no key to write anew with: that is left to Ann, and can be asked for again
    assert!(revoke(&kit, &bob, first).await.unwrap().rekey.is_empty());
    assert_eq!(get(&kit, carol.caller(), vault, granted).await.unwrap_err(), ActorError::NotFound);
    assert!(get(&kit, bob.caller(), vault, granted).await.is_ok());
    for _ in 0..2 {
        assert_eq!(revoke(&kit, &ann, first).await.unwrap().rekey, [granted.0]);
    }
    // again, and then Ann takes back Bob's
    let second = kit.call(bob.caller(), on(&kit, &ann, &bob, &carol, &[Read]).await).await.unwrap().id;
    accept(&kit, &carol, second).await.unwrap();
    assert_eq!(revoke(&kit, &carol, own).await.unwrap_err(), ActorError::NotFound);
    assert_eq!(revoke(&kit, &ann, own).await.unwrap().rekey, [granted.0]);
    for person in [&bob, &carol] {
        assert_eq!(get(&kit, person.caller(), vault, granted).await.unwrap_err(), ActorError::NotFound);
    }
    assert!(shares(&kit, &ann).await.iter().all(|share| share.state == ShareState::Revoked));
}

#[tokio::test]
async fn what_somebody_gave_on_ends_when_they_are_removed() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    given(&kit, &ann, &bob, "granted", &[Read, Share]).await;
    let share = kit.call(bob.caller(), on(&kit, &ann, &bob, &carol, &[Read]).await).await.unwrap().id;
    accept(&kit, &carol, share).await.unwrap();
    kit.call(ann.caller(), RemoveUser { user: bob.person.user }).await.unwrap();
    let read = get(&kit, carol.caller(), ann.vault(), ann.id("granted")).await;
    assert_eq!(read.unwrap_err(), ActorError::NotFound);
    assert_eq!(revoke(&kit, &ann, share).await.unwrap().rekey, [ann.id("granted").0]);
}
