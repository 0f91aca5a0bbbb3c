//! Who has nothing to do with it learns nothing: foreign and unknown ids answer alike.

use ocmt_crypto::ceremony::Verdict;
use ocmt_store::testing::id;
use ocmt_types::Digest32;

use super::circle::{Circle, pass_delay, short};
use crate::{
    ActorError,
    api::{
        auth::LinkPurpose,
        recovery::{
            AcceptGuardianship, AnswerChallenge, ApproveCeremony, CancelCeremony, CeremonyState,
            ChallengeGuardian, CollectShares, DenyCeremony, GetCeremony, GetGuardianSet, GetGuardianship,
            GuardianKeys, InviteGuardian, LockCeremony, ResignGuardianship, VetoCeremony, VoiceDoubt,
        },
        users::Role,
    },
    tests::kit::Kit,
};

macro_rules! not_found {
    ($kit:expr, $who:expr, $($request:expr),+ $(,)?) => {
        $(assert_eq!(
            $kit.call(&$who.caller, $request).await.err(),
            Some(ActorError::NotFound),
            "{}",
            stringify!($request)
        );)+
    };
}

#[tokio::test]
async fn foreign_ceremonies_and_guardianships_are_not_found_like_unknown_ones() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let requester = circle.opened().await;
    let stranger = circle.kit.founder("stranger@example.com").await;
    let member = circle.kit.member(&circle.owner, "member@example.com", Role::Admin).await;
    for who in [&stranger, &member] {
        for ceremony in [requester.id(), Digest32([8; 32])] {
            let statement = circle.statement(0, Verdict::Deny, ceremony);
            not_found!(
                circle.kit,
                who,
                GetCeremony { ceremony },
                CancelCeremony { ceremony },
                CollectShares { ceremony },
                VetoCeremony { ceremony, statement: Vec::new(), retirement: Vec::new() },
                ApproveCeremony { ceremony, approval: Vec::new() },
                DenyCeremony { ceremony, statement: statement.clone() },
                VoiceDoubt { ceremony, statement: statement.clone() },
                LockCeremony { ceremony, statement: statement.clone() },
            );
        }
        for guardianship in [circle.guards[0].guardianship, id(4711)] {
            let keys = GuardianKeys { signing: [1; 32], sealing: [2; 32] };
            not_found!(
                circle.kit,
                who,
                GetGuardianship { guardianship },
                AcceptGuardianship { guardianship, keys },
                ResignGuardianship { guardianship, only_change: false },
                ChallengeGuardian { guardianship, challenge: Vec::new() },
                AnswerChallenge { guardianship, challenge: id(1), answers: Vec::new() },
            );
        }
        for vault in [circle.vault_id(), id(4712)] {
            not_found!(
                circle.kit,
                who,
                GetGuardianSet { vault: Some(vault) },
                InviteGuardian { vault, email: "x@example.com".into(), units: 1 },
            );
        }
        assert_eq!(circle.open(&circle_as(&requester, who)).await.err(), Some(ActorError::NotFound));
    }
    assert_eq!(circle.state_of(&requester.person, requester.id()).await.unwrap().units_approved, 0);
}

fn circle_as(
    requester: &super::circle::Requester,
    who: &crate::tests::kit::Person,
) -> super::circle::Requester {
    super::circle::Requester {
        person: who.clone(),
        secret: requester.secret.duplicate(),
        params: requester.params,
    }
}

#[tokio::test]
async fn a_guardian_is_nobody_in_a_ceremony_over_another_set() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let requester = circle.opened().await;
    // accepted after the set was dealt: knows of no ceremony over it
    let late = circle.kit.founder("late@example.com").await;
    circle.seat(late, 1).await;
    let ceremony = requester.id();
    let guard = &circle.guards[2];
    not_found!(circle.kit, guard.person, GetCeremony { ceremony });
    not_found!(
        circle.kit,
        guard.person,
        DenyCeremony { ceremony, statement: circle.statement(2, Verdict::Deny, ceremony) }
    );
}

#[tokio::test]
async fn no_other_session_goes_on_with_a_ceremony() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let requester = circle.opened().await;
    let ceremony = requester.id();
    let thief = circle.kit.sign_in(&circle.owner, LinkPurpose::Recovery).await;
    for n in 0..2 {
        circle.approve(n, ceremony).await.unwrap();
    }
    pass_delay(&circle);
    circle.reaches(&requester.person, ceremony, CeremonyState::Released).await;
    for other in [&thief, &circle.owner] {
        let collect = circle.kit.call(&other.caller, CollectShares { ceremony }).await.err().unwrap();
        assert_eq!(collect.reason(), "PERMISSION_DENIED");
        let cancel = circle.kit.call(&other.caller, CancelCeremony { ceremony }).await.err().unwrap();
        assert_eq!(cancel.reason(), "PERMISSION_DENIED", "nobody else cancels it");
    }
    let vault = Some(circle.vault_id());
    let read = circle
        .kit
        .call(&thief.caller, crate::api::vault::GetKeySlots { vault, kind: None, claim: None })
        .await
        .err()
        .unwrap();
    assert_eq!(read.reason(), "PERMISSION_DENIED", "the release opens the vault to one session");
    circle.kit.call(&requester.person.caller, CollectShares { ceremony }).await.unwrap();
    // what opens its slot nobody guesses: it waits for nobody at another session of the account
    for _ in 0..3 {
        let ask = crate::api::vault::GetKeySlots { vault, kind: None, claim: None };
        circle.kit.call(&requester.person.caller, ask).await.expect("without a wait");
    }
}

#[tokio::test]
async fn one_session_opens_ten_ceremonies_in_its_life() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let session = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
    for _ in 0..10 {
        let one = circle.requester_in(session.clone());
        circle.open(&one).await.unwrap();
        let cancel = CancelCeremony { ceremony: one.id() };
        circle.kit.call(&session.caller, cancel).await.unwrap();
    }
    let eleventh = circle.requester_in(session);
    assert_eq!(circle.open(&eleventh).await.unwrap_err().reason(), "TOO_MANY_CEREMONIES");
}

#[tokio::test]
async fn one_session_opens_a_few_ceremonies_and_blocks_no_other() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    let thief = circle.kit.sign_in(&circle.owner, LinkPurpose::Recovery).await;
    for _ in 0..3 {
        let one = circle.requester_in(thief.clone());
        circle.open(&one).await.unwrap();
        circle.open(&one).await.expect("a repeat is the same ceremony");
    }
    let fourth = circle.requester_in(thief);
    assert_eq!(circle.open(&fourth).await.unwrap_err().reason(), "TOO_MANY_CEREMONIES");
    let honest = circle.opened().await;
    circle.approve(0, honest.id()).await.unwrap();
}
