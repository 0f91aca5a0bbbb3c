//! What is tried, and refused.

use super::*;
use crate::api::recovery::{CancelCeremony, CollectShares, GetCeremony, OpenCeremony, VetoCeremony};

#[tokio::test]
async fn an_unlock_is_asked_for_as_it_should_be_or_not_at_all() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    let good = three.asking(&kit, &three.team.ann, HOUR).await.params;
    let ask =
        |params: Params| OpenGroupUnlock { group: three.team.group, params: params.encode(), cell: None };
    let now = good.opened_at;
    for (what, bad) in [
        ("a recovery", Params { purpose: Purpose::Recovery, ..good }),
        ("a delay", Params { delay_ms: 60_000, ..good }),
        ("another time", Params { opened_at: now + 2 * HOUR, expires_at: now + 3 * HOUR, ..good }),
        ("too short", Params { expires_at: now + Duration::from_secs(60), ..good }),
        ("too long", Params { expires_at: now + 25 * HOUR, ..good }),
        ("another set", Params { set_hash: Digest32([7; 32]), ..good }),
        ("over another", Params { overrides: Some(Digest32([7; 32])), ..good }),
    ] {
        assert_eq!(reason(kit.call(three.team.ann.caller(), ask(bad)).await), "INVALID_ARGUMENT", "{what}");
    }
    // of no shared vault, and by nobody who does not administer it
    let dee = kit.member(&three.team.ann.person, "dee@example.com", Role::Member).await;
    let dee = Side::of(&kit, dee).await;
    assert_eq!(kit.call(dee.caller(), ask(good)).await.unwrap_err(), ActorError::NotFound);
    add(&kit, &three.team.ann, three.team.group, &dee, GroupRole::Member).await;
    assert_eq!(kit.call(dee.caller(), ask(good)).await.unwrap_err(), ActorError::NotFound);
    for _ in 0..2 {
        three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    }
    assert_eq!(reason(three.ask(&kit, &three.team.ann, HOUR).await), "TOO_MANY_UNLOCKS_OPEN");
    three.ask(&kit, &three.team.bob, HOUR).await.expect("nobody holds up another");
}

#[tokio::test]
async fn an_approval_is_ones_own_and_for_one_unlock() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    let first = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    let second = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    let group = three.team.group;
    let bobs = three.approval(&kit, &three.team.bob, first.id()).await;
    let ask = |ceremony: Digest32, approval: &[u8]| ApproveGroupUnlock {
        group,
        ceremony,
        approval: approval.to_vec(),
    };
    // of another unlock, another's, and bent
    let (bob, carol) = (three.team.bob.caller(), three.team.carol.caller());
    assert_eq!(reason(kit.call(bob, ask(second.id(), &bobs)).await), "INVALID_ARGUMENT");
    assert_eq!(reason(kit.call(carol, ask(first.id(), &bobs)).await), "INVALID_ARGUMENT");
    let mut bent = bobs.clone();
    bent[40] ^= 1;
    assert_eq!(reason(kit.call(bob, ask(first.id(), &bent)).await), "INVALID_ARGUMENT");
    let signer = &three.team.bob.own.keyring().identity_signing;
    for (by, verdict) in [(carol, Said::Deny), (bob, Said::Lock), (bob, Said::Doubt)] {
        let statement = StopStatement::sign(verdict, first.id(), Timestamp(1), signer);
        let deny = DenyGroupUnlock { group, ceremony: first.id(), statement };
        assert_eq!(reason(kit.call(by, deny).await), "INVALID_ARGUMENT");
    }
    kit.call(bob, ask(first.id(), &bobs)).await.unwrap();
}

#[tokio::test]
async fn an_unlock_is_no_recovery_of_whoever_asked() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    let asked = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    for who in [&three.team.ann, &three.team.bob] {
        three.approve(&kit, who, asked.id()).await.unwrap();
    }
    let (call, ceremony) = (three.team.ann.caller(), asked.id());
    assert_eq!(reason(kit.call(call, GetCeremony { ceremony }).await), "NOT_FOUND");
    assert_eq!(reason(kit.call(call, CollectShares { ceremony }).await), "NOT_FOUND");
    assert_eq!(reason(kit.call(call, CancelCeremony { ceremony }).await), "NOT_FOUND");
    let veto = VetoCeremony { ceremony, statement: Vec::new(), retirement: Vec::new() };
    assert_eq!(reason(kit.call(call, veto).await), "NOT_FOUND");
    let fresh = three.asking(&kit, &three.team.ann, HOUR).await;
    let open = OpenCeremony { params: fresh.params.encode(), overrides: Vec::new() };
    assert_eq!(reason(kit.call(call, open).await), "NOT_FOUND", "a group's vault has no owner");
}

#[tokio::test]
async fn a_set_is_signed_by_the_vault_and_gives_one_part_to_each_who_is_there() {
    let kit = Kit::sim().await;
    let team = Team::with_bob(&kit).await;
    let tried = async |deal: (RecoveryKey, GroupDeal)| {
        let (finish, _) = sharing(&kit, &team.ann, &team.open, deal).await.unwrap();
        reason(kit.call(team.ann.caller(), finish).await)
    };
    let holders = [&team.ann, &team.bob];
    // Bob takes part and administers nothing yet; Carol takes no part
    assert_eq!(tried(dealing(&team.open, &holders, 2)).await, "NOT_ADMITTED");
    let raise = SetMemberRole { group: team.group, user: team.bob.person.user, role: GroupRole::Admin };
    kit.call(team.ann.caller(), raise).await.unwrap();
    assert_eq!(tried(dealing(&team.open, &[&team.ann, &team.carol], 2)).await, "NOT_ADMITTED");
    let (key, good) = dealing(&team.open, &holders, 2);
    let mut bent = good.clone();
    let last = bent.signed_set.len() - 1;
    bent.signed_set[last] ^= 1;
    assert_eq!(tried((key, bent)).await, "INVALID_ARGUMENT");
    let (key, mut one) = dealing(&team.open, &holders, 2);
    one.parts.pop();
    assert_eq!(tried((key, one)).await, "INVALID_ARGUMENT");
    // beside a slot that somebody opens alone
    let (key, deal) = dealing(&team.open, &holders, 2);
    let own = NewSlot::Recovery(&key);
    let refused = staged_with(&kit, &team.ann, &team.open, &[], &[own]).await;
    assert_eq!(reason(refused), "NOT_ADMITTED");
    assert_eq!(tried((key, deal)).await, "");
}
