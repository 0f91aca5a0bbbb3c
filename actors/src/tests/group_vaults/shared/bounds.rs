//! Who may ask, how often, and for how long what was open shows anything.

use ocmt_crypto::group::Admission;

use super::*;
use crate::{
    QuotaChange,
    api::{
        auth::{LinkPurpose, RevokeOtherSessions, WhoAmI},
        group_unlocks::CancelGroupUnlock,
        vault::{GetVault, WatchVault},
    },
    tests::{kit::until, quotas::limit_to},
};

/// Ann has it open, for less than what a session may be idle.
async fn opened(kit: &Kit, three: &Three) -> Asked {
    let asked = three.ask(kit, &three.team.ann, HOUR / 2).await.unwrap();
    for who in [&three.team.ann, &three.team.bob] {
        three.approve(kit, who, asked.id()).await.unwrap();
    }
    asked
}

#[tokio::test]
async fn a_session_with_an_unlock_is_ended_like_any_other() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    let asked = opened(&kit, &three).await;
    // whoever stole it is not held in for the sake of what they opened, as the requester of a recovery is
    let another = kit.sign_in(&three.team.ann.person, LinkPurpose::SignIn).await;
    kit.call(&another.caller, RevokeOtherSessions { api_keys: false }).await.unwrap();
    let vault = three.team.vault();
    let refused = kit.call(three.team.ann.caller(), GetVault { vault: Some(vault) }).await;
    assert_eq!(reason(refused), "UNAUTHENTICATED");
    assert_eq!(reason(three.collect(&kit, &three.team.ann, asked.id()).await), "UNAUTHENTICATED");
    let hers = GetVault { vault: Some(vault) };
    assert_eq!(reason(kit.call(&another.caller, hers).await), "PERMISSION_DENIED", "nor in another session");
}

#[tokio::test]
async fn who_signed_in_anew_goes_on_with_what_they_asked_for_and_nobody_else() {
    let kit = Kit::sim().await;
    let mut three = Three::on(&kit).await;
    let asked = opened(&kit, &three).await;
    let again = OpenGroupUnlock { group: three.team.group, params: asked.params.encode(), cell: None };
    assert_eq!(reason(kit.call(three.team.bob.caller(), again.clone()).await), "ALREADY_EXISTS");
    let before = three.team.ann.person.caller.clone();
    three.team.ann.person = kit.sign_in(&three.team.ann.person, LinkPurpose::SignIn).await;
    assert_eq!(reason(three.collect(&kit, &three.team.ann, asked.id()).await), "PERMISSION_DENIED");
    kit.call(three.team.ann.caller(), again.clone()).await.unwrap();
    three
        .open(&kit, &three.team.ann, &asked)
        .await
        .expect("the same device has the key that they are sealed to");
    // in one session at a time
    let vault = three.team.vault();
    assert_eq!(reason(kit.call(&before, GetVault { vault: Some(vault) }).await), "PERMISSION_DENIED");
    // and a session that merely is there takes nothing over: it needs a fresh sign-in, as asking does
    kit.clock.advance(HOUR / 4);
    assert_eq!(reason(kit.call(&before, again).await), "STEP_UP_REQUIRED");
}

#[tokio::test]
async fn who_holds_no_part_asks_for_no_unlock() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    let (group, scope) = (three.team.group, three.team.open.scope());
    let dee = kit.member(&three.team.ann.person, "dee@example.com", Role::Member).await;
    let dee = Side::of(&kit, dee).await;
    add(&kit, &three.team.ann, group, &dee, GroupRole::Admin).await;
    accept(&kit, &dee, &three.team.ann, group, scope).await.unwrap();
    let asked = opened(&kit, &three).await;
    let open = three.open(&kit, &three.team.ann, &asked).await.unwrap();
    let said = Admission { slot: None, ..admission(&open, group, &dee, open.slots()[0].id()) };
    let admit = AdmitToGroupVault {
        group,
        user: dee.person.user,
        slot: Vec::new(),
        manifest: Vec::new(),
        admission: said.sign(&three.team.ann.own.keyring().identity_signing),
    };
    kit.call(three.team.ann.caller(), admit).await.unwrap();
    assert_eq!(
        reason(three.ask(&kit, &dee, HOUR).await),
        "NO_PART",
        "nobody is told of what she cannot begin"
    );
    assert_eq!(kit.mailbox.count_of("bob@example.com", "group_vault.unlock_asked"), 1);
}

#[tokio::test]
async fn nobody_floods_the_others_with_what_they_ask() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    for _ in 0..20 {
        let asked = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
        let give_up = CancelGroupUnlock { group: three.team.group, ceremony: asked.id() };
        kit.call(three.team.ann.caller(), give_up).await.unwrap();
    }
    assert_eq!(reason(three.ask(&kit, &three.team.ann, HOUR).await), "ASKED_TOO_OFTEN");
    three.ask(&kit, &three.team.bob, HOUR).await.expect("nobody holds up another");
}

#[tokio::test]
async fn an_unlock_is_looked_at_and_denied_in_a_tenant_that_has_no_calls_left() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    let asked = three.ask(&kit, &three.team.ann, HOUR).await.unwrap();
    let bob = &three.team.bob;
    limit_to(
        &kit,
        &three.team.ann.person,
        QuotaChange { calls_per_minute: Some(1), ..QuotaChange::default() },
    )
    .await;
    let _ = kit.call(bob.caller(), WhoAmI).await;
    assert_eq!(kit.call(bob.caller(), WhoAmI).await.unwrap_err().reason(), "QUOTA_CALLS");
    let look = GetGroupUnlock { group: three.team.group, ceremony: asked.id() };
    kit.call(bob.caller(), look).await.expect("what there is to stop is shown");
    three.deny(&kit, bob, asked.id()).await.unwrap();
    let denied = three.deny(&kit, &three.team.carol, asked.id()).await.unwrap();
    assert_eq!(denied.state, CeremonyState::Denied);
}

#[tokio::test]
async fn a_watch_that_was_begun_while_it_was_open_ends_with_the_time() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    let asked = opened(&kit, &three).await;
    let watch = WatchVault { vault: three.team.vault(), from: None };
    let mut events =
        kit.system.watch_vault(three.team.ann.caller().clone(), kit.meta(), watch).await.unwrap();
    assert!(events.recv().await.unwrap().is_ok(), "it has begun");
    kit.clock.advance(HOUR / 2);
    kit.system.send(three.team.ann.person.tenant, crate::tenant::TenantMessage::TimerDue);
    until("it has ended", async || three.state(&kit, asked.id()).await == CeremonyState::Expired).await;
    let told = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
    assert!(!matches!(told.expect("the watch goes on"), Some(Ok(_))), "nothing more is told");
}

#[tokio::test]
async fn everybody_who_took_part_hears_that_the_key_is_shared_and_a_vault_of_ones_own_is_not() {
    let kit = Kit::sim().await;
    let three = Three::on(&kit).await;
    for email in ["ann@example.com", "bob@example.com", "carol@example.com"] {
        until("they hear of it", async || kit.mailbox.count_of(email, "group_vault.key_shared") == 1).await;
    }
    let ann = &three.team.ann;
    let (finish, _) = staged(&kit, ann, &ann.own, &[]).await.unwrap();
    let (_, deal) = dealing(&three.team.open, &three.all(), 2);
    let refused = kit.call(ann.caller(), FinishRotation { deal: Some(deal), ..finish }).await;
    assert_eq!(reason(refused), "INVALID_ARGUMENT");
}
