//! Filing brings shares to the new version, and gives nobody anything else.

use ocmt_crypto::shared::{Basis, WriteGrant};

use super::{
    Side, given, reason, seen, sends, three, value,
    writes::{filing, renewed_to_read, waiting},
};
use crate::{
    api::{
        shares::Permission::{List, Read, Write},
        users::PublishIdentityKey,
        vault::{FileSharedWrites, Renewal},
    },
    tests::kit::Kit,
};

/// Bob's write of Ann's entry, as Ann's device would file it.
async fn waits(kit: &Kit, ann: &Side, bob: &Side) -> (ocmt_types::ShareId, FileSharedWrites) {
    let share = given(kit, ann, bob, "granted", &[Write]).await;
    let send = sends(kit, ann, bob, share, &value(b"by Bob")).await;
    kit.call(bob.caller(), send).await.unwrap();
    let there = waiting(kit, ann).await;
    (share, filing(ann, &there[0], bob, "granted"))
}

#[tokio::test]
async fn a_renewal_is_of_ones_own_live_share_of_the_filed_entry_and_to_the_same_taker() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let to_read = given(&kit, &ann, &carol, "granted", &[Read]).await;
    let to_list = given(&kit, &ann, &carol, "granted", &[List]).await;
    let of_kept = given(&kit, &ann, &carol, "kept", &[Read]).await;
    let of_bob = given(&kit, &bob, &carol, "granted", &[Read]).await;
    let (to_write, file) = waits(&kit, &ann, &bob).await;
    let made = file.change.puts[0].clone();
    let word = |basis: Basis, of: &Side, signer: &Side| {
        let grant = WriteGrant {
            share: to_write,
            basis,
            acts: super::acts(&[Write]).unwrap(),
            inbox: ann.open.keyring().inbox.public(),
            taker: of.signing().verify_key(),
        };
        grant.sign(signer.signing())
    };
    let basis = Basis::of(ann.open.scope(), &made);
    let mut older = basis;
    older.place.version = 1;
    let good = renewed_to_read(&ann, &carol, to_read, &made);
    let with_word =
        |write_grant| Renewal { share: to_write, object: made.object_id, sealed: Vec::new(), write_grant };
    let sealed = |by: &Side, to: &Side| {
        let sealed = renewed_to_read(by, to, to_read, &made).sealed;
        Renewal { sealed, ..good.clone() }
    };
    let mut kept = made.clone();
    kept.object_id = ann.id("kept");
    let wrong = [
        ("another's key", sealed(&ann, &bob)),
        ("signed by another", sealed(&bob, &carol)),
        ("a key to list", Renewal { share: to_list, ..good.clone() }),
        ("nothing to read by", Renewal { sealed: Vec::new(), ..good.clone() }),
        ("another entry", renewed_to_read(&ann, &carol, of_kept, &kept)),
        ("not of its share", Renewal { share: of_kept, ..good.clone() }),
        ("another's share", Renewal { share: of_bob, ..good.clone() }),
        ("a word to who only reads", Renewal { write_grant: word(basis, &bob, &ann), ..good.clone() }),
        ("no word", with_word(Vec::new())),
        ("a word by another", with_word(word(basis, &bob, &bob))),
        ("a word to another", with_word(word(basis, &carol, &ann))),
        ("a word of before", with_word(word(older, &bob, &ann))),
    ];
    for (what, renewal) in wrong {
        let file = FileSharedWrites { renewals: vec![renewal], ..file.clone() };
        assert_eq!(reason(kit.call(ann.caller(), file).await), "INVALID_ARGUMENT", "{what}");
        assert_eq!(waiting(&kit, &ann).await.len(), 1, "{what}: all or nothing");
    }
    // without a filing nothing is renewed
    let mut nothing = file.change.clone();
    nothing.puts.clear();
    nothing.manifest.clear();
    let idle = FileSharedWrites { change: nothing, renewals: vec![good.clone()], ..file.clone() };
    assert_eq!(reason(kit.call(ann.caller(), idle).await), "INVALID_ARGUMENT");
    // one that has ended meanwhile: look again
    super::revoke(&kit, &ann, to_read).await.unwrap();
    let ended = FileSharedWrites { renewals: vec![good], ..file.clone() };
    assert_eq!(reason(kit.call(ann.caller(), ended).await), "CHANGED_MEANWHILE");
    let listed =
        Renewal { share: to_list, object: made.object_id, sealed: Vec::new(), write_grant: Vec::new() };
    let both = vec![with_word(word(basis, &bob, &ann)), listed];
    kit.call(ann.caller(), FileSharedWrites { renewals: both, ..file }).await.unwrap();
    assert_eq!(seen(&kit, &carol, to_list).await.grants[0].version, 2);
    let right = seen(&kit, &bob, to_write).await;
    assert_eq!((right.grants[0].version, right.rights[0].next_sequence), (2, 1));
}

#[tokio::test]
async fn a_taker_who_publishes_other_keys_holds_nobody_elses_writes_up() {
    let kit = Kit::sim().await;
    let (ann, bob, carol) = three(&kit).await;
    let reads = given(&kit, &ann, &carol, "granted", &[Read]).await;
    let writes = given(&kit, &ann, &carol, "granted", &[Write]).await;
    let (of_bob, file) = waits(&kit, &ann, &bob).await;
    let made = file.change.puts[0].clone();
    let word = |share, of: &Side| {
        let grant = WriteGrant {
            share,
            basis: Basis::of(ann.open.scope(), &made),
            acts: super::acts(&[Write]).unwrap(),
            inbox: ann.open.keyring().inbox.public(),
            taker: of.signing().verify_key(),
        };
        let write_grant = grant.sign(ann.signing());
        Renewal { share, object: made.object_id, sealed: Vec::new(), write_grant }
    };
    let others = PublishIdentityKey { verify_key: [5; 32], seal_key: [6; 32] };
    kit.call(carol.caller(), others).await.unwrap();
    // by the keys that Ann's device knows
    let to_carol = renewed_to_read(&ann, &carol, reads, &made);
    let renewals = vec![to_carol, word(writes, &carol), word(of_bob, &bob)];
    kit.call(ann.caller(), FileSharedWrites { renewals, ..file }).await.unwrap();
    assert!(waiting(&kit, &ann).await.is_empty(), "filed");
    for (who, share, version) in [(&carol, reads, 1), (&carol, writes, 1), (&bob, of_bob, 2)] {
        assert_eq!(seen(&kit, who, share).await.grants[0].version, version);
    }
}
