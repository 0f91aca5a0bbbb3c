//! What a share opens, for whom, and what stands in the trail of it.

use ocmt_crypto::{datakey::ObjectPlace, object::open_body};
use ocmt_types::Digest32;

use super::{accept, get, given, list, offer, reason, revoke, shares, signed_offer, three};
use crate::{
    ActorError,
    api::{
        audit::QueryAudit,
        programs::EntryGrant,
        shares::{
            CreateShare, ListShares,
            Permission::{List, Read, Share},
            ShareState,
        },
        vault::{BatchGetEntries, GetKeySlots, GetVault},
    },
    tests::{kit::Kit, vault::store},
};

async fn who_took_it_opens_exactly_what_was_given(kit: Kit) {
    let (mut ann, bob, carol) = three(&kit).await;
    let (vault, granted) = (ann.vault(), ann.id("granted"));
    let ask = offer(&kit, &ann, &bob, "granted", &[Read]).await;
    let offered = kit.call(ann.caller(), ask).await.unwrap();
    assert_eq!((offered.state, offered.taker_email.as_str()), (ShareState::Offered, "bob@example.com"));
    // an offer opens nothing, and hands out no key
    assert_eq!(get(&kit, bob.caller(), vault, granted).await.unwrap_err(), ActorError::NotFound);
    assert!(shares(&kit, &bob).await[0].grants[0].sealed.is_empty());
    let taken = accept(&kit, &bob, offered.id).await.unwrap();
    assert_eq!(taken.state, ShareState::Accepted);
    let found = get(&kit, bob.caller(), vault, granted).await.unwrap();
    assert_eq!(found.counter, 0, "how often the vault is written is not shared");
    let place = ObjectPlace { scope: ann.open.scope(), object: granted, version: found.objects[0].version };
    let sealed = found.grant.unwrap();
    assert_eq!(taken.grants[0].sealed, sealed);
    let (own, giver) = (&bob.open.keyring().identity_seal, ann.signing().verify_key());
    let key = ocmt_crypto::grant::open(&place, &sealed, own, &giver).unwrap();
    let body = open_body(&key, &place, &found.objects[0].body).unwrap();
    assert!(body.windows(9).any(|part| part == b"the value"));
    // nobody else, and nothing else
    assert_eq!(get(&kit, carol.caller(), vault, granted).await.unwrap_err(), ActorError::NotFound);
    for object in [ann.id("kept"), ocmt_crypto::object::keyring_id(), Digest32([7; 32])] {
        assert_eq!(get(&kit, bob.caller(), vault, object).await.unwrap_err(), ActorError::NotFound);
    }
    assert_eq!(reason(list(&kit, bob.caller(), vault).await), "PERMISSION_DENIED");
    let many = BatchGetEntries { vault, objects: vec![granted] };
    assert_eq!(kit.call(bob.caller(), many).await.err(), Some(ActorError::NotFound));
    for vault in [Some(vault)] {
        assert_eq!(kit.call(bob.caller(), GetVault { vault }).await.err(), Some(ActorError::NotFound));
        assert_eq!(
            kit.call(bob.caller(), GetKeySlots { vault, kind: None, claim: None }).await.err(),
            Some(ActorError::NotFound)
        );
    }
    assert!(shares(&kit, &carol).await.is_empty());
    assert!(shares(&kit, &ann).await[0].grants[0].sealed.is_empty(), "the keys are the taker's");
    // a new version is not what was given
    let person = ann.person.clone();
    store(&kit, &person, &mut ann.open, "granted", b"a new value").await;
    assert_eq!(reason(get(&kit, bob.caller(), vault, granted).await), "GRANT_STALE");
    assert!(revoke(&kit, &ann, offered.id).await.unwrap().rekey.is_empty(), "no key of the present version");
    assert_eq!(get(&kit, bob.caller(), vault, granted).await.unwrap_err(), ActorError::NotFound);
}

#[tokio::test]
async fn who_took_it_opens_exactly_what_was_given_on_sim() {
    who_took_it_opens_exactly_what_was_given(Kit::sim().await).await;
}

#[tokio::test]
async fn who_took_it_opens_exactly_what_was_given_on_sqlite() {
    who_took_it_opens_exactly_what_was_given(Kit::sqlite().await).await;
}

#[tokio::test]
async fn who_took_it_opens_exactly_what_was_given_on_postgres() {
    who_took_it_opens_exactly_what_was_given(Kit::postgres().await).await;
}

#[tokio::test]
async fn a_list_shows_the_given_entries_and_no_keys() {
    let kit = Kit::sim().await;
    let (mut ann, bob, _) = three(&kit).await;
    given(&kit, &ann, &bob, "granted", &[List]).await;
    let page = list(&kit, bob.caller(), ann.vault()).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.entries[0].leaf.object_id, ann.id("granted"));
    assert!(page.entries[0].wrapped_key.is_empty());
    assert_eq!((page.counter, page.next), (0, None));
    assert_eq!(reason(get(&kit, bob.caller(), ann.vault(), ann.id("granted")).await), "PERMISSION_DENIED");
    // page by page, over two shares
    given(&kit, &ann, &bob, "kept", &[List, Read]).await;
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let ask = crate::api::vault::ListEntries { vault: ann.vault(), after, limit: 1 };
        let page = kit.call(bob.caller(), ask).await.unwrap();
        seen.extend(page.entries.iter().map(|entry| entry.leaf.object_id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut both = vec![ann.id("granted"), ann.id("kept")];
    both.sort_unstable();
    assert_eq!(seen, both);
    // the version that was given, and no later one
    let person = ann.person.clone();
    store(&kit, &person, &mut ann.open, "granted", b"anew").await;
    let page = list(&kit, bob.caller(), ann.vault()).await.unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.leaf.object_id).collect::<Vec<_>>(), [ann.id("kept")]);
}

#[tokio::test]
async fn a_grant_is_what_the_givers_own_key_has_signed_for_this_taker_of_the_present_version() {
    let kit = Kit::sim().await;
    let (mut ann, bob, carol) = three(&kit).await;
    let good = offer(&kit, &ann, &bob, "granted", &[Read]).await;
    let by_another = signed_offer(&kit, &ann, &bob, "granted", &[Read], carol.signing()).await;
    let for_another = CreateShare { taker_email: carol.person.email.clone(), ..good.clone() };
    let twice = CreateShare { grants: [good.grants.clone(), good.grants.clone()].concat(), ..good.clone() };
    let nothing = CreateShare { grants: Vec::new(), ..good.clone() };
    let unsealed = EntryGrant { sealed: Vec::new(), ..good.grants[0].clone() };
    let no_key = CreateShare { grants: vec![unsealed], ..good.clone() };
    let needless = CreateShare { permissions: vec![List, Share], ..good.clone() };
    let for_nothing = CreateShare { permissions: Vec::new(), ..good.clone() };
    let keyring = EntryGrant { object: ocmt_crypto::object::keyring_id(), ..good.grants[0].clone() };
    let keyring = CreateShare { grants: vec![keyring], ..good.clone() };
    let brief = CreateShare { lifetime_ms: Some(59_999), ..good.clone() };
    let to_self = CreateShare { taker_email: ann.person.email.clone(), ..good.clone() };
    let wrong =
        [by_another, for_another, twice, nothing, no_key, needless, for_nothing, keyring, brief, to_self];
    for wrong in wrong {
        assert_eq!(reason(kit.call(ann.caller(), wrong.clone()).await), "INVALID_ARGUMENT", "{wrong:?}");
    }
    // nor of somebody else's vault, nor of what is not there, nor long after a sign-in
    assert_eq!(kit.call(bob.caller(), good.clone()).await.err(), Some(ActorError::NotFound));
    let unknown = EntryGrant { object: Digest32([7; 32]), ..good.grants[0].clone() };
    let unknown = CreateShare { grants: vec![unknown], ..good.clone() };
    assert_eq!(kit.call(ann.caller(), unknown).await.err(), Some(ActorError::NotFound));
    let person = ann.person.clone();
    store(&kit, &person, &mut ann.open, "granted", b"newer").await;
    assert_eq!(reason(kit.call(ann.caller(), good).await), "CHANGED_MEANWHILE");
    let fresh = offer(&kit, &ann, &bob, "granted", &[Read]).await;
    kit.clock.advance(std::time::Duration::from_secs(901));
    assert_eq!(kit.call(ann.caller(), fresh).await.err(), Some(ActorError::StepUpRequired));
    assert!(shares(&kit, &ann).await.is_empty());
}

#[tokio::test]
async fn what_is_read_by_a_share_is_in_the_trail_of_the_vault_under_its_taker() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    let share = given(&kit, &ann, &bob, "granted", &[Read]).await;
    get(&kit, bob.caller(), ann.vault(), ann.id("granted")).await.unwrap();
    get(&kit, bob.caller(), ann.vault(), ann.id("kept")).await.unwrap_err();
    let query =
        QueryAudit { method: Some("VaultService/GetEntry".to_owned()), limit: 100, ..QueryAudit::default() };
    let trail = kit.call(ann.caller(), query).await.unwrap().records;
    let has = |record: &crate::api::audit::AuditEntry, what: &str| {
        record.canonical.windows(what.len()).any(|part| part == what.as_bytes())
    };
    let vault = format!("vault/{}", ann.vault());
    let read: Vec<_> = trail.iter().filter(|record| has(record, &share.to_string())).collect();
    assert_eq!(read.len(), 1);
    assert!(has(read[0], &vault) && read[0].result == "OK", "{}", read[0].result);
    assert!(has(read[0], &ann.id("granted").to_string()));
    assert!(read[0].canonical.windows(16).any(|part| part == bob.person.user.as_bytes()));
    assert!(trail.iter().any(|record| record.result == "NOT_FOUND"));
}

#[tokio::test]
async fn shares_are_listed_newest_first_page_by_page_and_by_state() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let mut made = Vec::new();
    for taker in [&bob, &carol, &bob, &carol, &bob] {
        kit.clock.advance(std::time::Duration::from_secs(1));
        let ask = offer(&kit, &ann, taker, "granted", &[List]).await;
        made.push(kit.call(ann.caller(), ask).await.unwrap().id);
    }
    made.reverse();
    let mut seen = Vec::new();
    let mut ask = ListShares { limit: 2, ..ListShares::default() };
    loop {
        let page = kit.call(ann.caller(), ask.clone()).await.unwrap();
        seen.extend(page.shares.iter().map(|share| share.id));
        ask.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(seen, made);
    assert_eq!(
        shares(&kit, &bob).await.iter().map(|share| share.id).collect::<Vec<_>>(),
        [made[0], made[2], made[4]]
    );
    accept(&kit, &bob, made[2]).await.unwrap();
    revoke(&kit, &ann, made[3]).await.unwrap();
    let of = async |states: &[ShareState]| {
        let ask = ListShares { states: states.to_vec(), limit: 100, after: None };
        let found = kit.call(ann.caller(), ask).await.unwrap().shares;
        found.into_iter().map(|share| share.id).collect::<Vec<_>>()
    };
    assert_eq!(of(&[ShareState::Accepted]).await, [made[2]]);
    assert_eq!(of(&[ShareState::Revoked, ShareState::Accepted]).await, [made[2], made[3]]);
    assert!(of(&[ShareState::Expired]).await.is_empty());
}
