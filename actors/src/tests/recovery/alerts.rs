//! What the owner's tenant is told of a recovery, at a channel of its own, wherever the guardians are.

use std::time::Duration;

use ocmt_types::Secret;

use super::circle::{Circle, SHORT, short};
use crate::{
    api::{
        alert::{AlertKind, PutChannel, Severity},
        auth::LinkPurpose,
        recovery::CeremonyState,
    },
    tests::{
        kit::{Kit, until},
        mailbox::Delivered,
    },
};

const URL: &str = "https://hooks.example.org/T0/B0/xyzzy";

impl Circle {
    /// A channel of the owner's tenant.
    async fn channel(&self) {
        let owner = self.kit.sign_in(&self.owner, LinkPurpose::SignIn).await;
        let put = PutChannel {
            channel: None,
            kind: AlertKind::Slack,
            name: "ours".to_owned(),
            target: Some(Secret::new(URL.to_owned())),
            secret: None,
            min_severity: Severity::Warning,
            actions: Vec::new(),
        };
        self.kit.call(&owner.caller, put).await.unwrap();
    }

    /// Of these actions it is told, with their facts.
    async fn hears(&self, actions: &[&str]) -> Vec<Delivered> {
        for action in actions {
            let kind = format!("alert.{action}");
            until(action, async || self.kit.mailbox.count_of(URL, &kind) > 0).await;
        }
        let mut told = Vec::new();
        for n in 0..self.kit.mailbox.count(URL) {
            told.push(self.kit.mailbox.nth(URL, n).await);
        }
        told
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
