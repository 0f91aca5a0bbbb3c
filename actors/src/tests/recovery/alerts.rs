//! What the owner's tenant is told of a recovery, at a channel of its own, wherever the guardians are.

use std::{sync::atomic::Ordering, time::Duration};

use ocmt_types::Secret;

use super::circle::{Circle, SHORT, pass_delay, short};
use crate::{
    api::{
        alert::{AlertKind, ConfirmChannel, PutChannel, Severity, Tried},
        auth::LinkPurpose,
        recovery::{CancelCeremony, CeremonyState, CollectShares, VetoCeremony},
        users::Role,
    },
    tests::{
        kit::{Kit, Person, until},
        mailbox::Delivered,
    },
};

const URL: &str = "https://hooks.example.org/T0/B0/xyzzy";
const GUARDS: &str = "https://hooks.example.org/T1/B1/plugh";

impl Circle {
    /// A channel of the owner's tenant.
    async fn channel(&self) {
        self.channel_of(&self.owner, URL, &[]).await;
    }

    /// A channel of somebody's tenant that was tried.
    async fn channel_of(&self, who: &Person, url: &str, actions: &[&str]) {
        let owner = self.kit.sign_in(who, LinkPurpose::SignIn).await;
        let put = PutChannel {
            channel: None,
            kind: AlertKind::Slack,
            name: "ours".to_owned(),
            target: Some(Secret::new(url.to_owned())),
            secret: None,
            min_severity: Severity::Warning,
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        };
        let made = self.kit.call(&owner.caller, put).await.unwrap();
        let (channel, updated_at) = (made.id, made.updated_at);
        let tried = ConfirmChannel { channel, updated_at, tried: Tried::TAKEN, request: None };
        self.kit.call(&owner.caller, tried).await.unwrap();
    }

    /// Of these actions it is told, with their facts.
    async fn hears(&self, actions: &[&str]) -> Vec<Delivered> {
        for action in actions {
            let kind = format!("alert.{action}");
            until(action, async || self.kit.mailbox.count_of(URL, &kind) > 0).await;
        }
        self.all_told(URL).await
    }

    async fn all_told(&self, there: &str) -> Vec<Delivered> {
        let mut told: Vec<Delivered> = Vec::new();
        for n in 0..self.kit.mailbox.count(there) {
            let mail = self.kit.mailbox.nth(there, n).await;
            // one may come again, as a letter may
            if told.iter().all(|other| other.id != mail.id) {
                told.push(mail);
            }
        }
        told
    }

    /// What the channel of guardians was told, until it was told so many times of this step.
    async fn guards_hear(&self, news: &str, times: usize) -> Vec<String> {
        let told = async || {
            let all = self.all_told(GUARDS).await.into_iter();
            all.filter(|mail| mail.kind == "alert.ceremony.told")
                .filter_map(|mail| mail.facts.into_iter().find(|(name, _)| name == "news"))
                .map(|(_, news)| news)
                .collect::<Vec<_>>()
        };
        until(news, async || told().await.iter().filter(|told| *told == news).count() >= times).await;
        told().await
    }
}

fn came_to(told: &[Delivered], state: &str) -> bool {
    let is = |facts: &[(String, String)]| facts.contains(&("state".to_owned(), state.to_owned()));
    told.iter().any(|mail| mail.kind == "alert.ceremony.moved" && is(&mail.facts))
}

#[tokio::test]
async fn the_owners_tenant_hears_what_guardians_say_and_where_a_recovery_comes_to() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    circle.channel().await;
    let requester = circle.opened().await;
    let id = requester.id();
    circle.doubt(2, id).await.unwrap();
    circle.deny(2, id).await.unwrap();
    circle.approve(0, id).await.unwrap();
    circle.approve(1, id).await.unwrap();
    circle.kit.clock.advance(Duration::from_millis(SHORT.recovery_ms));
    circle.reaches(&circle.owner, id, CeremonyState::Released).await;
    let said = ["ceremony.doubt", "ceremony.deny", "ceremony.approve", "ceremony.moved"];
    circle.hears(&["RecoveryService/OpenCeremony"]).await;
    circle.hears(&said).await;
    until("of its release too", async || came_to(&circle.hears(&said).await, "RELEASED")).await;
    let told = circle.hears(&said).await;
    assert!(came_to(&told, "READY"), "{told:?}");
    assert_eq!(told.iter().filter(|mail| mail.kind == "alert.ceremony.approve").count(), 2, "each of them");
}

#[tokio::test]
async fn the_owners_tenant_hears_of_a_lock_and_of_what_goes_on_over_it() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    circle.channel().await;
    let stopped = circle.opened().await;
    circle.lock(1, stopped.id()).await.unwrap();
    let over = circle.proposed(&stopped).await;
    for n in 0..3 {
        circle.sign_for(n, &over).await.unwrap();
    }
    let told = circle.hears(&["ceremony.lock", "ceremony.override", "ceremony.moved"]).await;
    assert!(came_to(&told, "OPEN"), "{told:?}");
    let over_a_stop = ("over_a_stop".to_owned(), "yes".to_owned());
    let proposed =
        told.iter().any(|mail| mail.kind.ends_with("OpenCeremony") && mail.facts.contains(&over_a_stop));
    assert!(proposed, "{told:?}");
}

fn veto(ceremony: ocmt_types::Digest32) -> VetoCeremony {
    VetoCeremony { ceremony, statement: Vec::new(), retirement: Vec::new() }
}

#[tokio::test]
async fn a_veto_is_told_each_time_at_a_channel_that_is_for_something_else() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    circle.channel_of(&circle.owner, URL, &["x.y"]).await;
    let (one, two, three) = (circle.opened().await, circle.opened().await, circle.opened().await);
    for stopped in [&one, &two] {
        circle.kit.call(&circle.owner.caller, veto(stopped.id())).await.unwrap();
    }
    circle.kit.call(&three.person.caller, CancelCeremony { ceremony: three.id() }).await.unwrap();
    circle.hears(&["RecoveryService/CancelCeremony"]).await;
    let of = |action: &str| circle.kit.mailbox.count_of(URL, &format!("alert.RecoveryService/{action}"));
    until("each of them", async || (of("OpenCeremony"), of("VetoCeremony")) == (3, 2)).await;
}

#[tokio::test]
async fn the_owners_tenant_hears_of_recoveries_that_end_with_another_or_with_their_guardians() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let (locked, other) = (circle.opened().await, circle.opened().await);
    circle.channel().await;
    circle.lock(0, locked.id()).await.unwrap();
    circle.reaches(&circle.owner, other.id(), CeremonyState::Locked).await;
    until("the other one is told of", async || came_to(&circle.all_told(URL).await, "LOCKED")).await;
    let over = circle.proposed(&locked).await;
    circle.rotate().await;
    circle.deal(2).await.unwrap();
    circle.reaches(&circle.owner, over.id(), CeremonyState::Vetoed).await;
    until("what ends with the set is told of", async || came_to(&circle.all_told(URL).await, "VETOED")).await;
}

#[tokio::test]
async fn a_completed_recovery_is_told_to_the_tenants_of_owner_and_guardians() {
    let mut circle = Circle::gather(Kit::sim_with(short).await, &[1, 1], SHORT).await;
    // a second guardian of the first one's tenant: what both hear is told there once
    let first = circle.guards[0].person.clone();
    let beside = circle.kit.member(&first, "beside@example.com", Role::Member).await;
    circle.seat(beside, 1).await;
    circle.deal(2).await.unwrap();
    circle.arrived().await;
    circle.channel().await;
    circle.channel_of(&first, GUARDS, &["x.y"]).await;
    let requester = circle.opened().await;
    let id = requester.id();
    circle.guards_hear("ceremony.opened", 1).await;
    circle.doubt(1, id).await.unwrap();
    circle.guards_hear("ceremony.doubted", 1).await;
    circle.approve(0, id).await.unwrap();
    circle.guards_hear("ceremony.approved", 1).await;
    circle.deny(1, id).await.unwrap();
    circle.guards_hear("ceremony.refused", 1).await;
    circle.approve(2, id).await.unwrap();
    circle.guards_hear("ceremony.ready", 1).await;
    pass_delay(&circle);
    circle.reaches(&requester.person, id, CeremonyState::Released).await;
    circle.guards_hear("ceremony.released", 1).await;
    let collected = circle.kit.call(&requester.person.caller, CollectShares { ceremony: id }).await.unwrap();
    let (vault, challenge, handout) = circle.unlock(&requester, &collected).await;
    circle.complete(&requester, vault, (challenge, handout)).await.unwrap();
    circle.hears(&["RecoveryService/CompleteCeremony"]).await;
    let heard = circle.guards_hear("ceremony.completed", 1).await;
    // each step once, though two guardians are of this tenant, and no reminder
    let steps = ["opened", "doubted", "approved", "refused", "ready", "released", "completed"];
    assert_eq!(heard, steps.map(|step| format!("ceremony.{step}")));
    let told = circle.all_told(GUARDS).await;
    let whose = |mail: &Delivered| mail.facts.iter().any(|(_, value)| value.contains(&circle.owner.email));
    assert!(!told.iter().any(whose), "whose vault it is, the guardian's tenant is not told: {told:?}");
}

#[tokio::test]
async fn a_guardians_tenant_hears_of_every_way_to_stop_and_of_no_reminder() {
    let mut circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let guard = circle.guards[0].person.clone();
    circle.channel_of(&guard, GUARDS, &[]).await;
    let vetoed = circle.opened().await;
    circle.kit.call(&circle.owner.caller, veto(vetoed.id())).await.unwrap();
    circle.guards_hear("ceremony.vetoed", 1).await;
    let cancelled = circle.opened().await;
    let given_up = CancelCeremony { ceremony: cancelled.id() };
    circle.kit.call(&cancelled.person.caller, given_up).await.unwrap();
    circle.guards_hear("ceremony.cancelled", 1).await;
    let locked = circle.opened().await;
    circle.lock(1, locked.id()).await.unwrap();
    circle.guards_hear("ceremony.locked", 1).await;
    circle.proposed(&locked).await;
    let heard = circle.guards_hear("ceremony.proposed", 1).await;
    assert!(heard.iter().all(|news| !news.ends_with("reminder")), "{heard:?}");
}

#[tokio::test]
async fn a_guardian_of_the_owners_own_tenant_is_told_and_its_channels_hear_each_step_once() {
    let mut circle = Circle::gather(Kit::sim_with(short).await, &[1, 1], SHORT).await;
    let own = circle.kit.member(&circle.owner, "inside@example.com", Role::Member).await;
    circle.seat(own, 1).await;
    circle.deal(2).await.unwrap();
    circle.arrived().await;
    circle.channel().await;
    let requester = circle.opened().await;
    circle.approve(2, requester.id()).await.unwrap();
    circle.hears(&["RecoveryService/OpenCeremony", "ceremony.approve"]).await;
    let kind = "ceremony.approved";
    let inside = circle.guards[2].person.email.clone();
    until("the guardian has the letter", async || circle.kit.mailbox.count_of(&inside, kind) > 0).await;
    assert_eq!(circle.kit.mailbox.count_of(URL, "alert.ceremony.told"), 0);
}

/// One word may overtake another, or be lost for an hour: the step is told by the one that the owner's node has chosen, however they
/// come.
#[tokio::test]
async fn of_the_words_of_a_step_to_one_tenant_one_speaks_however_they_come() {
    let near = Kit::sim_with(short).await;
    let far = near.beside_with(2, short).await;
    let mut circle = Circle::gather_over(near, Some(far), &[1, 1], SHORT).await;
    let first = circle.guards[0].person.clone();
    let beside = circle.far.as_ref().unwrap().member(&first, "beside@example.com", Role::Member).await;
    circle.seat(beside, 1).await;
    circle.deal(2).await.unwrap();
    circle.arrived().await;
    let requester = circle.opened().await;
    // nothing is carried any more: what is said now is read where it waits
    circle.kit.linked.cut_off.store(true, Ordering::SeqCst);
    circle.kit.call(&circle.owner.caller, veto(requester.id())).await.unwrap();
    let own = super::circle::ownership(&circle.kit, circle.owner.tenant).await.unwrap();
    let mut tx = circle.kit.store.read(own).await.unwrap();
    let waiting = tx.find::<ocmt_store::tables::Outbox>(ocmt_store::Filter::all()).await.unwrap();
    let words = waiting.iter().filter_map(|row| {
        let told: serde_json::Value = serde_json::from_slice(&row.body).ok()?;
        (told["news"] == "ceremony.vetoed").then(|| (row.to_tenant, told["speaks"] == true))
    });
    let words: Vec<_> = words.collect();
    let of =
        |tenant| words.iter().filter(|(to, _)| *to == tenant).map(|(_, speaks)| *speaks).collect::<Vec<_>>();
    let mut of_two = of(first.tenant);
    of_two.sort_unstable();
    assert_eq!(of_two, [false, true]);
    assert_eq!(of(circle.guards[1].person.tenant), [true]);
}
