//! T5: six permissions, six kinds of act, and nobody more than what they were given.

use ocmt_crypto::shared::{Basis, SharedAct, SharedPlace};
use ocmt_types::ShareId;

use super::{Side, get, given, item, list, offer, reason, revoke, shares, three, value};
use crate::{
    ActorError,
    api::{
        shares::{
            CreateShare,
            Permission::{self, Admin, Delete, List, Read, Share, Write},
            SendSharedWrite,
        },
        users::Role,
        vault::{DeleteEntry, PutEntry, Write as Change},
    },
    tests::{kit::Kit, vault::put},
};

const ALL: [Permission; 6] = [Read, List, Write, Delete, Admin, Share];

/// One act of each kind on Ann's entry `granted`, each as good as whoever had stolen Ann's vault keys could make it.
async fn acts(
    kit: &Kit,
    (ann, bob, carol): (&Side, &Side, &Side),
    share: ShareId,
    held: Permission,
) -> Vec<Permission> {
    let (vault, granted) = (ann.vault(), ann.id("granted"));
    let mut done = Vec::new();
    let mut note = |kind: Permission, answer: Result<(), ActorError>| match answer {
        Ok(()) => done.push(kind),
        Err(error) => {
            let refused = ["NOT_FOUND", "PERMISSION_DENIED", "SHARE_ENDED"].contains(&error.reason());
            assert!(refused, "{held:?} {kind:?} {error:?}");
        }
    };
    note(Read, get(kit, bob.caller(), vault, granted).await.map(drop));
    note(List, list(kit, bob.caller(), vault).await.map(drop));
    // the vault itself is nobody's but its owner's
    let (_, write) = put(&ann.open, "granted", b"written by Bob");
    assert_eq!(kit.call(bob.caller(), PutEntry(write)).await.err(), Some(ActorError::NotFound));
    let mut edit = ann.open.edit();
    edit.delete(&ocmt_crypto::entry::EntryName::new("granted").unwrap()).unwrap();
    let change = edit.finish().unwrap();
    let delete = Change { vault, puts: Vec::new(), deletes: vec![(granted, 1)], manifest: change.manifest };
    assert_eq!(kit.call(bob.caller(), DeleteEntry(delete)).await.err(), Some(ActorError::NotFound));
    let object = get(kit, ann.caller(), vault, granted).await.unwrap().objects.remove(0);
    let place = SharedPlace { share, basis: Basis::of(ann.open.scope(), &object), sequence: 0 };
    for (kind, act) in [(Write, value(b"written by Bob")), (Delete, SharedAct::Delete)] {
        let send = SendSharedWrite { share, item: item(&place, &act, ann, bob) };
        note(kind, kit.call(bob.caller(), send).await.map(drop));
    }
    // who may: the share that Carol has of the same entry
    let of_carol = given(kit, ann, carol, "granted", &[List]).await;
    note(Admin, revoke(kit, bob, of_carol).await.map(drop));
    revoke(kit, ann, of_carol).await.unwrap();
    let mut on = offer(kit, ann, carol, "granted", &[held]).await;
    on.taker_email.clone_from(&carol.person.email);
    note(Share, kit.call(bob.caller(), on).await.map(drop));
    done
}

async fn who_holds_one_can_do_exactly_that_one(kit: Kit) {
    let (ann, bob, carol) = three(&kit).await;
    for held in ALL {
        let share = given(&kit, &ann, &bob, "granted", &[held]).await;
        let people = (&ann, &bob, &carol);
        assert_eq!(acts(&kit, people, share, held).await, [held], "holding {held:?} alone");
        revoke(&kit, &ann, share).await.unwrap();
        assert!(acts(&kit, people, share, held).await.is_empty(), "after {held:?} was taken back");
    }
    assert!(get(&kit, ann.caller(), ann.vault(), ann.id("granted")).await.is_ok());
}

#[tokio::test]
async fn t5_who_holds_one_can_do_exactly_that_one_on_sim() {
    who_holds_one_can_do_exactly_that_one(Kit::sim().await).await;
}

#[tokio::test]
async fn t5_who_holds_one_can_do_exactly_that_one_on_sqlite() {
    who_holds_one_can_do_exactly_that_one(Kit::sqlite().await).await;
}

#[tokio::test]
async fn t5_nobody_raises_themselves_whatever_their_role() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    let eve = kit.member(&ann.person, "eve@example.com", Role::Owner).await;
    let eve = Side::of(&kit, eve).await;
    given(&kit, &ann, &bob, "granted", &[List, Share]).await;
    // neither to read by oneself, nor by somebody who would hand it back, nor by an owner of the tenant
    let read = offer(&kit, &ann, &eve, "granted", &[Read]).await;
    assert_eq!(reason(kit.call(bob.caller(), read.clone()).await), "PERMISSION_DENIED");
    let to_self =
        CreateShare { taker_email: bob.person.email.clone(), permissions: vec![List], ..read.clone() };
    assert_eq!(reason(kit.call(bob.caller(), to_self).await), "INVALID_ARGUMENT");
    assert_eq!(kit.call(eve.caller(), read).await.err(), Some(ActorError::NotFound));
    assert_eq!(
        get(&kit, eve.caller(), ann.vault(), ann.id("granted")).await.err(),
        Some(ActorError::NotFound)
    );
    assert!(shares(&kit, &eve).await.is_empty());
}
