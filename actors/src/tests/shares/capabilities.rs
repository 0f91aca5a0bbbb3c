//! Requests for more than one has: approved by another person, never by oneself, and never more than was asked.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_store::tables::VaultObject;
use ocmt_types::{CapabilityId, Digest32};

use super::{HOUR_MS, Side, accept, approving, get, given, list, offer, reason, revoke, shares, three};
use crate::{
    ActorError,
    api::{
        audit::QueryAudit,
        auth::LinkPurpose,
        capabilities::{
            ApproveCapability, CapabilityInfo, CapabilityState, DenyCapability, ListCapabilities,
            RequestCapability,
        },
        programs::EntryGrant,
        shares::{
            CreateShare,
            Permission::{self, Admin, Delete, List, Read, Share, Write},
            ShareState,
        },
        users::{RemoveUser, Role},
    },
    tests::{
        kit::{Kit, until},
        vault::store,
    },
};

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

pub(super) fn wish(object: Digest32, permissions: &[Permission]) -> RequestCapability {
    RequestCapability {
        object: format!("entry:{object}"),
        vault: None,
        permissions: permissions.to_vec(),
        lifetime_ms: HOUR_MS,
        reason: "the bank calls back today".to_owned(),
        sign_key: None,
    }
}

async fn ask(
    kit: &Kit,
    by: &Side,
    object: Digest32,
    permissions: &[Permission],
) -> Result<CapabilityInfo, ActorError> {
    kit.call(by.caller(), wish(object, permissions)).await
}

/// What the approver's device makes of a request about `granted`.
async fn approval(
    kit: &Kit,
    ann: &Side,
    to: &Side,
    capability: CapabilityId,
    permissions: &[Permission],
) -> ApproveCapability {
    let grants = match permissions.contains(&Read) {
        true => offer(kit, ann, to, "granted", permissions).await.grants,
        false => Vec::new(),
    };
    approving(capability, permissions, grants)
}

async fn all(kit: &Kit, of: &Side) -> Vec<CapabilityInfo> {
    kit.call(of.caller(), ListCapabilities::default()).await.unwrap().capabilities
}

async fn what_was_asked_for_is_given_for_its_time(kit: Kit) {
    let (ann, bob, carol) = three(&kit).await;
    let (vault, granted) = (ann.vault(), ann.id("granted"));
    given(&kit, &ann, &bob, "granted", &[List]).await;
    let asked = ask(&kit, &bob, granted, &[Read, Share]).await.unwrap();
    assert_eq!(asked.state, CapabilityState::Requested);
    assert_eq!(reason(get(&kit, bob.caller(), vault, granted).await), "PERMISSION_DENIED");
    for side in [&ann, &bob] {
        assert_eq!(all(&kit, side).await, std::slice::from_ref(&asked));
    }
    assert!(all(&kit, &carol).await.is_empty());
    // a part of it
    let give = approval(&kit, &ann, &bob, asked.id, &[Read]).await;
    let done = kit.call(ann.caller(), give).await.unwrap();
    assert_eq!((done.state, done.permissions.as_slice()), (CapabilityState::Approved, &[Read][..]));
    assert_eq!(done.decided_by, Some(ann.person.user));
    let found = get(&kit, bob.caller(), vault, granted).await.unwrap();
    assert!(found.grant.is_some_and(|sealed| !sealed.is_empty()));
    let mut on = offer(&kit, &ann, &carol, "granted", &[List]).await;
    on.lifetime_ms = Some(60_000);
    assert_eq!(reason(kit.call(bob.caller(), on).await), "PERMISSION_DENIED", "SHARE was not given");
    // for its time
    kit.clock.advance(Duration::from_millis(u64::try_from(HOUR_MS).unwrap()));
    let ann = Side { person: kit.sign_in(&ann.person, LinkPurpose::SignIn).await, ..ann };
    let bob = Side { person: kit.sign_in(&bob.person, LinkPurpose::SignIn).await, ..bob };
    assert_eq!(reason(get(&kit, bob.caller(), vault, granted).await), "PERMISSION_DENIED");
    assert_eq!(all(&kit, &ann).await[0].state, CapabilityState::Expired);
    // and it is taken back as shares are
    let asked = ask(&kit, &bob, granted, &[Read]).await.unwrap();
    let give = approval(&kit, &ann, &bob, asked.id, &[Read]).await;
    kit.call(ann.caller(), give).await.unwrap();
    let share = shares(&kit, &ann).await.into_iter().find(|share| share.state == ShareState::Accepted);
    let newest = share.filter(|share| share.permissions == [Read]).unwrap().id;
    assert_eq!(revoke(&kit, &ann, newest).await.unwrap().rekey, [granted.0]);
    assert_eq!(all(&kit, &bob).await[0].state, CapabilityState::Expired, "nobody is told that it is there");
    assert_eq!(reason(get(&kit, bob.caller(), vault, granted).await), "PERMISSION_DENIED");
}

#[tokio::test]
async fn what_was_asked_for_is_given_for_its_time_on_sim() {
    Box::pin(what_was_asked_for_is_given_for_its_time(Kit::sim().await)).await;
}

#[tokio::test]
async fn what_was_asked_for_is_given_for_its_time_on_sqlite() {
    Box::pin(what_was_asked_for_is_given_for_its_time(Kit::sqlite().await)).await;
}

#[tokio::test]
async fn what_was_asked_for_is_given_for_its_time_on_postgres() {
    Box::pin(what_was_asked_for_is_given_for_its_time(Kit::postgres().await)).await;
}

#[tokio::test]
async fn another_person_decides_who_may_and_nobody_gives_more_than_was_asked() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let granted = ann.id("granted");
    // Bob may give on, and see; he asks to read, and could seal to himself whatever he got
    given(&kit, &ann, &bob, "granted", &[List, Share]).await;
    given(&kit, &ann, &carol, "granted", &[List]).await;
    let asked = ask(&kit, &bob, granted, &[Read]).await.unwrap().id;
    let own = approval(&kit, &ann, &bob, asked, &[Read]).await;
    assert_eq!(reason(kit.call(bob.caller(), own.clone()).await), "PERMISSION_DENIED");
    assert_eq!(
        reason(kit.call(bob.caller(), DenyCapability { capability: asked }).await),
        "PERMISSION_DENIED"
    );
    // Carol only sees; an owner of the tenant is nobody here, and so is who is elsewhere
    let eve = Side::of(&kit, kit.member(&ann.person, "eve@example.com", Role::Owner).await).await;
    let mal = Side::of(&kit, kit.founder("mal@example.com").await).await;
    for stranger in [&carol, &eve, &mal] {
        for capability in [asked, ocmt_store::testing::id(4711)] {
            let give = ApproveCapability { capability, ..own.clone() };
            assert_eq!(kit.call(stranger.caller(), give).await.err(), Some(ActorError::NotFound));
            let deny = DenyCapability { capability };
            assert_eq!(kit.call(stranger.caller(), deny).await.err(), Some(ActorError::NotFound));
        }
    }
    // Carol asks too: Bob has it to give on, and it is not his to decide
    let hers = ask(&kit, &carol, granted, &[Read, Share]).await.unwrap().id;
    let on = approval(&kit, &ann, &carol, hers, &[Share]).await;
    assert_eq!(kit.call(bob.caller(), on).await.err(), Some(ActorError::NotFound));
    let deny = DenyCapability { capability: hers };
    assert_eq!(kit.call(bob.caller(), deny).await.err(), Some(ActorError::NotFound));
    // no more than was asked, no longer, of nothing else, and not long after a sign-in
    let good = approval(&kit, &ann, &carol, hers, &[Read]).await;
    let wider = ApproveCapability { permissions: vec![Read, List], ..good.clone() };
    let longer = ApproveCapability { lifetime_ms: HOUR_MS + 1, ..good.clone() };
    let without = ApproveCapability { grants: Vec::new(), ..good.clone() };
    let needless = ApproveCapability { permissions: vec![Share], ..good.clone() };
    let elsewhere =
        ApproveCapability { grants: offer(&kit, &ann, &carol, "kept", &[Read]).await.grants, ..good.clone() };
    let to_another = ApproveCapability {
        grants: offer(&kit, &ann, &bob, "granted", &[Read]).await.grants,
        ..good.clone()
    };
    for wrong in [wider, longer, without, needless, elsewhere, to_another] {
        assert_eq!(reason(kit.call(ann.caller(), wrong.clone()).await), "INVALID_ARGUMENT", "{wrong:?}");
    }
    kit.clock.advance(Duration::from_secs(901));
    assert_eq!(kit.call(ann.caller(), good).await.err(), Some(ActorError::StepUpRequired));
    assert!(all(&kit, &ann).await.iter().all(|one| one.state == CapabilityState::Requested));
}

#[tokio::test]
async fn one_asks_for_what_one_knows_of_and_has_not() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let granted = ann.id("granted");
    given(&kit, &ann, &bob, "granted", &[List]).await;
    // whether there is an entry, nobody learns by asking
    for (who, object) in
        [(&carol, granted), (&bob, ann.id("kept")), (&bob, Digest32([7; 32])), (&ann, granted)]
    {
        assert_eq!(ask(&kit, who, object, &[Read]).await.err(), Some(ActorError::NotFound));
    }
    assert_eq!(reason(ask(&kit, &bob, granted, &[List]).await), "HELD_ALREADY");
    let of = |vault| RequestCapability { vault: Some(vault), ..wish(granted, &[Read]) };
    assert_eq!(kit.call(bob.caller(), of(carol.vault())).await.err(), Some(ActorError::NotFound));
    assert!(kit.call(bob.caller(), of(ann.vault())).await.is_ok());
    for never in [Write, Delete, Admin] {
        assert_eq!(reason(ask(&kit, &bob, granted, &[Read, never]).await), "NOT_SHAREABLE");
    }
    let good = wish(granted, &[Read]);
    for wrong in [
        RequestCapability { object: granted.to_string(), ..good.clone() },
        RequestCapability { object: format!("container:{granted}"), ..good.clone() },
        RequestCapability { object: format!("entry:{}", granted.to_string().to_uppercase()), ..good.clone() },
        RequestCapability { reason: "two\nlines".to_owned(), ..good.clone() },
        RequestCapability { lifetime_ms: 59_999, ..good.clone() },
        RequestCapability { lifetime_ms: 31 * 24 * HOUR_MS, ..good.clone() },
        RequestCapability { reason: " ".to_owned(), ..good.clone() },
        RequestCapability { permissions: Vec::new(), ..good.clone() },
    ] {
        assert_eq!(reason(kit.call(bob.caller(), wrong.clone()).await), "INVALID_ARGUMENT", "{wrong:?}");
    }
}

/// Ids of entries are made by devices, so somebody can make one that is another's.
#[tokio::test]
async fn of_two_entries_with_one_id_one_says_which() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let granted = ann.id("granted");
    given(&kit, &ann, &bob, "granted", &[List]).await;
    let theirs = offer(&kit, &carol, &bob, "granted", &[List]).await;
    // the same id in Carol's vault, as a device of hers could have made it
    let (row, mine) = (carol.id("granted"), carol.vault());
    let mut tx = kit.store.fenced(kit.steal(ann.person.tenant).await).await.unwrap();
    let head = tx.get::<VaultObject>((mine, row)).await.unwrap().unwrap();
    tx.insert(&VaultObject { object_id: granted, ..head }).await.unwrap();
    tx.commit().await.unwrap();
    until("the tenant is taken up again", async || {
        kit.call(ann.caller(), ListCapabilities::default()).await.is_ok()
    })
    .await;
    let theirs = CreateShare {
        grants: theirs.grants.into_iter().map(|grant| EntryGrant { object: granted, ..grant }).collect(),
        ..theirs
    };
    let share = kit.call(carol.caller(), theirs).await.unwrap().id;
    accept(&kit, &bob, share).await.unwrap();
    assert_eq!(reason(ask(&kit, &bob, granted, &[Read]).await), "INVALID_ARGUMENT");
    for of in [&ann, &carol] {
        let wish = RequestCapability { vault: Some(of.vault()), ..wish(granted, &[Read]) };
        let asked = kit.call(bob.caller(), wish).await.unwrap();
        assert_eq!((asked.vault, all(&kit, of).await.len()), (of.vault(), 1));
    }
}

#[tokio::test]
async fn who_has_the_key_of_an_older_version_asks_for_the_one_that_is_there() {
    let kit = Kit::sim().await;
    let (mut ann, bob, _) = three(&kit).await;
    let granted = ann.id("granted");
    given(&kit, &ann, &bob, "granted", &[Read]).await;
    assert_eq!(reason(ask(&kit, &bob, granted, &[Read]).await), "HELD_ALREADY");
    store(&kit, &ann.person, &mut ann.open, "granted", b"newer").await;
    let asked = ask(&kit, &bob, granted, &[Read]).await.unwrap().id;
    let give = approval(&kit, &ann, &bob, asked, &[Read]).await;
    kit.call(ann.caller(), give).await.unwrap();
    assert!(get(&kit, bob.caller(), ann.vault(), granted).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_is_decided_once() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    given(&kit, &ann, &bob, "granted", &[List]).await;
    for _ in 0..5 {
        let asked = ask(&kit, &bob, ann.id("granted"), &[Share]).await.unwrap().id;
        let give = approval(&kit, &ann, &bob, asked, &[Share]).await;
        let gives = join_all((0..3).map(|_| kit.call(ann.caller(), give.clone())));
        let denies = join_all((0..3).map(|_| kit.call(ann.caller(), DenyCapability { capability: asked })));
        let (given, denied) = tokio::join!(gives, denies);
        let done: Vec<_> = given.into_iter().chain(denied).collect();
        assert_eq!(done.iter().filter(|one| one.is_ok()).count(), 1);
        let of_bob = shares(&kit, &bob).await;
        let live =
            of_bob.iter().filter(|share| share.state == ShareState::Accepted && share.permissions == [Share]);
        let live: Vec<_> = live.map(|share| share.id).collect();
        let approved = all(&kit, &ann).await[0].state == CapabilityState::Approved;
        assert_eq!(live.len(), usize::from(approved));
        for share in live {
            revoke(&kit, &ann, share).await.unwrap();
        }
        kit.clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_requests_wait_and_thirty_are_made_in_a_day_however_they_come() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    given(&kit, &ann, &bob, "granted", &[List]).await;
    let granted = ann.id("granted");
    for _ in 0..3 {
        let made = join_all((0..15).map(|_| ask(&kit, &bob, granted, &[Read]))).await;
        let (made, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 10);
        assert!(refused.into_iter().all(|one| reason(one) == "TOO_MANY_REQUESTS"));
        for one in made {
            let deny = DenyCapability { capability: one.unwrap().id };
            assert_eq!(kit.call(ann.caller(), deny).await.unwrap().state, CapabilityState::Denied);
        }
    }
    assert_eq!(reason(ask(&kit, &bob, granted, &[Read]).await), "TOO_MANY_REQUESTS");
    kit.clock.advance(Duration::from_secs(24 * 3600));
    let bob = Side { person: kit.sign_in(&bob.person, LinkPurpose::SignIn).await, ..bob };
    assert!(ask(&kit, &bob, granted, &[Read]).await.is_ok());
}

#[tokio::test]
async fn requests_are_listed_newest_first_each_once_page_by_page() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    given(&kit, &ann, &bob, "granted", &[List]).await;
    let mut made = Vec::new();
    for n in 0..7 {
        made.push(ask(&kit, &bob, ann.id("granted"), &[Share]).await.unwrap().id);
        kit.clock.advance(Duration::from_secs(n % 2));
    }
    kit.call(ann.caller(), DenyCapability { capability: made[3] }).await.unwrap();
    for (waiting, count) in [(false, 7), (true, 6)] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = ListCapabilities { waiting, after, limit: 2 };
            let page = kit.call(ann.caller(), page).await.unwrap();
            assert!(page.capabilities.len() <= 2);
            seen.extend(page.capabilities.iter().map(|one| (one.requested_at, one.id)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert!(seen.len() == count && seen.windows(2).all(|pair| pair[0] > pair[1]), "{seen:?}");
    }
}

#[tokio::test]
async fn a_request_is_over_at_its_time_and_not_before() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    given(&kit, &ann, &bob, "granted", &[List]).await;
    let asked = ask(&kit, &bob, ann.id("granted"), &[Share]).await.unwrap();
    kit.clock.advance(WEEK - Duration::from_millis(1));
    let ann = Side { person: kit.sign_in(&ann.person, LinkPurpose::SignIn).await, ..ann };
    let give = approval(&kit, &ann, &bob, asked.id, &[Share]).await;
    let in_time = give.clone();
    let (one, two) = tokio::join!(kit.call(ann.caller(), in_time), async {
        kit.clock.advance(Duration::from_millis(1));
        kit.call(ann.caller(), give).await
    });
    // whichever came first: one share at the most, and what was given is not said to have lapsed
    let given = usize::from(one.is_ok()) + usize::from(two.is_ok());
    let live = shares(&kit, &ann).await.into_iter().filter(|share| share.permissions == [Share]).count();
    assert_eq!((live, given), (given, given.min(1)));
    let state = all(&kit, &ann).await[0].state;
    let expected = if given == 1 { CapabilityState::Approved } else { CapabilityState::Expired };
    assert_eq!(state, expected);
}

#[tokio::test]
async fn a_request_lapses_and_goes_with_its_people() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let granted = ann.id("granted");
    given(&kit, &ann, &bob, "granted", &[List]).await;
    let asked = ask(&kit, &bob, granted, &[Share]).await.unwrap().id;
    kit.clock.advance(WEEK);
    let sign_in =
        async |side: Side| Side { person: kit.sign_in(&side.person, LinkPurpose::SignIn).await, ..side };
    let (ann, bob) = (sign_in(ann).await, sign_in(bob).await);
    let late = approval(&kit, &ann, &bob, asked, &[Share]).await;
    assert_eq!(reason(kit.call(ann.caller(), late).await), "NOT_REQUESTED");
    assert_eq!(all(&kit, &ann).await[0].state, CapabilityState::Expired);
    ask(&kit, &bob, granted, &[Share]).await.unwrap();
    kit.call(ann.caller(), RemoveUser { user: bob.person.user }).await.unwrap();
    assert_eq!(all(&kit, &ann).await.len(), 1, "only that which lapsed");
    assert_eq!(
        list(&kit, sign_in(carol).await.caller(), ann.vault()).await.err(),
        Some(ActorError::NotFound)
    );
}

#[tokio::test]
async fn asking_and_deciding_are_in_the_trail() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    given(&kit, &ann, &bob, "granted", &[List]).await;
    let asked = ask(&kit, &bob, ann.id("granted"), &[Share]).await.unwrap().id;
    let give = approval(&kit, &ann, &bob, asked, &[Share]).await;
    kit.call(ann.caller(), give).await.unwrap();
    for method in ["RequestCapability", "ApproveCapability"] {
        let method = Some(format!("ShareService/{method}"));
        let trail = kit.call(ann.caller(), QueryAudit { method, limit: 10, ..QueryAudit::default() }).await;
        let id = format!("capability/{asked}");
        let records = trail.unwrap().records;
        assert_eq!(records.len(), 1);
        assert!(records[0].canonical.windows(id.len()).any(|part| part == id.as_bytes()));
    }
}
