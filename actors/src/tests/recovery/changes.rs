//! Other guardians than before: told to everybody, waited for, made in its time, or not at all.

use std::time::Duration;

use ocmt_store::tables::Timer;
use ocmt_types::{Clock as _, GuardianSetId};

use super::circle::{Circle, SHORT, ownership, pass_delay, short};
use crate::{
    ActorError,
    api::{
        auth::LinkPurpose,
        recovery::{CollectShares, GetGuardianSet, ResignGuardianship},
        vault::RemoveKeySlot,
    },
    tenant::TenantMessage,
    tests::kit::{Kit, until},
};

const WAIT: Duration = Duration::from_millis(SHORT.change_ms);
const WINDOW: Duration = Duration::from_millis(SHORT.change_window_ms);
const MILLI: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_secs(10 * 60);

impl Circle {
    /// Proposes that the guardians be these, and waits until they can.
    pub(super) async fn change_waited(&mut self, k: u8) {
        assert_eq!(self.refused(k).await, "CHANGE_WAITS");
        self.passes(WAIT).await;
    }

    /// Time passes, and the owner signs in again.
    async fn passes(&mut self, time: Duration) {
        self.kit.clock.advance(time);
        let due = TenantMessage::TimerDue;
        self.kit.system.env.to_root(crate::node::NodeMessage::ToTenant(self.owner.tenant, due));
        self.owner = self.kit.sign_in(&self.owner, LinkPurpose::SignIn).await;
    }

    /// The owner takes the guardians' slot out.
    async fn dismisses(&mut self) {
        let slots = self.vault.slots();
        let slot =
            slots.iter().find(|slot| slot.kind() == ocmt_crypto::slot::SlotKind::Recovery).unwrap().id();
        let mut edit = self.vault.edit();
        edit.remove_slot(slot).unwrap();
        let change = edit.finish().unwrap();
        let remove = RemoveKeySlot { vault: self.vault_id(), slot, manifest: change.manifest.clone() };
        self.kit.call(&self.owner.caller, remove).await.unwrap();
        self.vault.apply(change).unwrap();
    }

    /// Why these guardians are not dealt to.
    async fn refused(&mut self, k: u8) -> String {
        self.deal(k).await.unwrap_err().reason().to_owned()
    }

    async fn in_force(&self) -> Result<GuardianSetId, ActorError> {
        self.kit.call(&self.owner.caller, GetGuardianSet { vault: None }).await.map(|set| set.id)
    }

    /// This many letters of the kind have come to owner and first guardian.
    async fn both_are_told(&self, kind: &str, times: usize) {
        for who in [&self.owner.email, &self.guards[0].person.email] {
            until(kind, async || self.kit.mailbox.count_of(who, kind) == times).await;
        }
    }
}

/// Three guardians of whom two are needed; the third is to go.
async fn one_is_to_go(kit: Kit) -> Circle {
    let mut circle = Circle::dealt(kit, 2, &[1, 1, 1]).await;
    circle.rotate().await;
    circle.guards.pop();
    circle
}

async fn a_change_is_made_in_its_time(kit: Kit) {
    let mut circle = Box::pin(one_is_to_go(kit)).await;
    let before = circle.in_force().await.unwrap();
    assert_eq!(circle.refused(2).await, "CHANGE_WAITS");
    circle.both_are_told("guardian.change_proposed", 1).await;
    circle.passes(WAIT - MILLI).await;
    assert_eq!(circle.refused(2).await, "CHANGE_WAITS");
    assert_eq!(circle.in_force().await.unwrap(), before, "those of before count until it is made");
    circle.passes(MILLI).await;
    let owner = circle.owner.email.clone();
    let due = async || circle.kit.mailbox.count_of(&owner, "guardian.change_due") == 1;
    until("the owner hears that it is time", due).await;
    circle.deal(2).await.unwrap();
    circle.arrived().await;
    assert_ne!(circle.in_force().await.unwrap(), before);
    circle.both_are_told("guardian.change_made", 1).await;
    circle.both_are_told("guardian.change_proposed", 1).await;
}

#[tokio::test]
async fn a_change_of_guardians_waits_and_is_told_on_sim() {
    Box::pin(a_change_is_made_in_its_time(Kit::sim_with(short).await)).await;
}

#[tokio::test]
async fn a_change_of_guardians_waits_and_is_told_on_sqlite() {
    Box::pin(a_change_is_made_in_its_time(Kit::sqlite_with(short).await)).await;
}

#[tokio::test]
async fn a_change_that_is_not_made_in_its_time_is_none_and_waits_anew() {
    let mut circle = Box::pin(one_is_to_go(Kit::sim_with(short).await)).await;
    circle.change_waited(2).await;
    circle.passes(WINDOW).await;
    circle.both_are_told("guardian.change_lapsed", 1).await;
    assert_eq!(circle.refused(2).await, "CHANGE_WAITS");
    circle.both_are_told("guardian.change_proposed", 2).await;
    circle.passes(WAIT + WINDOW - MILLI).await;
    circle.deal(2).await.expect("the last moment of its time");
}

#[tokio::test]
async fn others_than_were_proposed_wait_for_themselves() {
    let mut circle = Box::pin(one_is_to_go(Kit::sim_with(short).await)).await;
    circle.change_waited(2).await;
    let newcomer = circle.kit.founder("newcomer@example.com").await;
    circle.seat(newcomer, 1).await;
    assert_eq!(circle.refused(2).await, "CHANGED_JUST_NOW");
    circle.passes(PAUSE - WAIT).await;
    assert_eq!(circle.refused(2).await, "CHANGE_WAITS");
    circle.guards.pop();
    assert_eq!(circle.refused(2).await, "CHANGED_JUST_NOW", "what was proposed before is so no more");
}

#[tokio::test]
async fn the_owner_takes_a_change_back_from_a_session_alone() {
    let mut circle = Box::pin(one_is_to_go(Kit::sim_with(short).await)).await;
    let thief = circle.kit.founder("thief@example.com").await;
    circle.seat(thief, 1).await;
    circle.change_waited(2).await;
    let guardianship = circle.guards[2].guardianship;
    circle
        .kit
        .call(&circle.owner.caller, ResignGuardianship { guardianship, only_change: false })
        .await
        .unwrap();
    circle.both_are_told("guardian.change_taken_back", 1).await;
    assert_eq!(circle.refused(2).await, "GUARDIAN_NOT_ACCEPTED");
    circle.guards.pop();
    assert_eq!(circle.refused(2).await, "CHANGED_JUST_NOW");
    circle.passes(PAUSE).await;
    assert_eq!(circle.refused(2).await, "CHANGE_WAITS", "what was waited for counts for nothing else");
}

/// Whoever has the account and the vault proposes that fewer of those who sit be enough: there is nobody new to take back.
#[tokio::test]
async fn a_change_among_those_who_sit_is_taken_back_and_ends_nobody() {
    let mut circle = Box::pin(one_is_to_go(Kit::sim_with(short).await)).await;
    let guardianship = circle.guards[0].guardianship;
    let withdraw = ResignGuardianship { guardianship, only_change: true };
    let none = circle.kit.call(&circle.owner.caller, withdraw.clone()).await.unwrap_err();
    assert_eq!(none.reason(), "NO_CHANGE");
    circle.change_waited(2).await;
    let guard = circle.guards[0].person.clone();
    assert_eq!(
        circle.ask(&guard, withdraw.clone()).await.unwrap_err().reason(),
        "NOT_FOUND",
        "it is the owner's"
    );
    let stays = circle.kit.call(&circle.owner.caller, withdraw.clone()).await.unwrap();
    assert_eq!(stays.state, crate::api::recovery::GuardianshipState::Active);
    circle.both_are_told("guardian.change_taken_back", 1).await;
    let none = circle.kit.call(&circle.owner.caller, withdraw).await.unwrap_err();
    assert_eq!(none.reason(), "NO_CHANGE");
    assert_eq!(circle.refused(2).await, "CHANGED_JUST_NOW", "what was waited for is none any more");
    circle.passes(PAUSE).await;
    assert_eq!(circle.refused(2).await, "CHANGE_WAITS");
}

#[tokio::test]
async fn the_same_guardians_are_dealt_to_at_once_but_not_with_other_delays_or_fewer_needed() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    circle.rotate().await;
    circle.deal(2).await.expect("as after a veto");
    circle.rotate().await;
    // what waits longer binds the owner too
    circle.delays.lock_ms += 1;
    circle.change_waited(2).await;
    circle.both_are_told("guardian.change_proposed", 1).await;
    circle.deal(2).await.unwrap();
    circle.rotate().await;
    circle.delays.lock_ms -= 1;
    assert_eq!(circle.refused(2).await, "CHANGE_WAITS");
    // the same ones anew after all: what was proposed is no more, and nobody hears later that it is time
    circle.delays.lock_ms += 1;
    circle.deal(2).await.unwrap();
    circle.both_are_told("guardian.change_lapsed", 1).await;
    circle.rotate().await;
    assert_eq!(circle.refused(3).await, "CHANGE_WAITS", "more or fewer are needed");
}

#[tokio::test]
async fn to_dismiss_guardians_first_saves_nobody_the_wait_and_everybody_hears_of_it() {
    let mut circle = Box::pin(one_is_to_go(Kit::sim_with(short).await)).await;
    circle.dismisses().await;
    assert_eq!(circle.in_force().await.unwrap_err().reason(), "NOT_FOUND");
    assert_eq!(circle.refused(2).await, "CHANGE_WAITS");
    circle.passes(PAUSE - MILLI).await;
    circle.deal(2).await.expect("its time has come");
    circle.both_are_told("guardian.change_made", 1).await;
    circle.passes(MILLI).await;
    let own = ownership(&circle.kit, circle.owner.tenant).await.unwrap();
    until("nobody looks whether others have come any more", async || {
        let looks = Timer::kind.eq("guardian.dismissed");
        circle.kit.store.read(own).await.unwrap().count::<Timer>(looks).await.unwrap() == 0
    })
    .await;
    let told = circle.kit.mailbox.count_of(&circle.owner.email, "guardian.dismissed");
    assert_eq!(told, 0, "others have come in their place");
}

#[tokio::test]
async fn guardians_who_were_dismissed_and_got_no_successors_are_told_of() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    circle.dismisses().await;
    circle.passes(PAUSE).await;
    circle.both_are_told("guardian.dismissed", 1).await;
}

#[tokio::test]
async fn after_a_recovery_other_guardians_are_named_at_once() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    for n in 0..2 {
        circle.approve(n, id).await.unwrap();
    }
    pass_delay(&circle);
    circle.reaches(&requester.person, id, crate::api::recovery::CeremonyState::Released).await;
    let collected = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await.unwrap();
    let (vault, challenge, handout) = circle.unlock(&requester, &collected).await;
    let (_, vault) = circle.complete(&requester, vault, (challenge, handout)).await.unwrap();
    circle.vault = vault;
    circle.owner = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
    circle.guards.pop();
    circle.deal(2).await.expect("the guardians of before have served");
}

#[tokio::test]
async fn a_change_waits_on_at_the_next_owner_of_the_tenant() {
    let a = Kit::sim_with(short).await;
    let b = a.beside_with(2, short).await;
    let mut circle = Box::pin(one_is_to_go(a)).await;
    assert_eq!(circle.refused(2).await, "CHANGE_WAITS");
    circle.kit.is_declared_dead().await;
    let owner = circle.owner.clone();
    let get = || GetGuardianSet { vault: None };
    until("the other node owns it", async || b.call(&owner.caller, get()).await.is_ok()).await;
    let there = circle.kit.clock.now();
    circle.kit = b;
    assert_eq!(circle.kit.clock.now(), there, "one clock");
    circle.passes(WAIT - MILLI).await;
    assert_eq!(circle.refused(2).await, "CHANGE_WAITS");
    circle.passes(MILLI).await;
    circle.deal(2).await.unwrap();
}
