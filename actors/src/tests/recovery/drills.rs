//! Drills by themselves, and the early warning.

use std::time::Duration;

use ocmt_crypto::guardian::{Delays, DrillChallenge, GuardianSet, open_units};

use super::circle::Circle;
use crate::{
    Mode,
    api::{
        auth::LinkPurpose,
        recovery::{AnswerChallenge, GetGuardianship},
    },
    tenant::TenantMessage,
    tests::kit::{Kit, until},
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const OWNER: &str = "owner@example.com";

async fn circle(k: u8, weights: &[u8]) -> Circle {
    let kit = Kit::sim_with(|config| config.mode = Mode::Production).await;
    let mut circle = Circle::gather(kit, weights, Delays::DEFAULT).await;
    circle.deal(k).await.unwrap();
    circle.arrived().await;
    circle
}

fn later(circle: &Circle, days: u32) {
    circle.kit.clock.advance(days * DAY);
    circle.kit.system.send(circle.owner.tenant, TenantMessage::TimerDue);
}

async fn hears(circle: &Circle, who: &str, kind: &str, times: usize) {
    until(&format!("{who} hears {kind}"), async || circle.kit.mailbox.count_of(who, kind) == times).await;
}

impl Circle {
    /// Guardian `n` answers what their tenant was asked.
    async fn answers(&mut self, n: usize) {
        let person = self.kit.sign_in(&self.guards[n].person, LinkPurpose::SignIn).await;
        self.guards[n].person = person;
        let guard = &self.guards[n];
        let get = GetGuardianship { guardianship: guard.guardianship };
        let held = self.ask(&guard.person, get).await.unwrap();
        let owner = self.vault.keyring().identity_signing.verify_key();
        let set = GuardianSet::verify(&held.signed_set, &owner).unwrap();
        let identity = guard.signing.verify_key();
        let units = open_units(&held.sealed_units, &set, &identity, &guard.sealing).unwrap();
        let open = held.open_challenge.expect("it was asked");
        let challenge = DrillChallenge::decode(&open.challenge).unwrap();
        let now = ocmt_types::Clock::now(&self.kit.clock);
        let answers = units.iter().map(|unit| unit.answer(&challenge, now).unwrap()).collect();
        let answer = AnswerChallenge { guardianship: guard.guardianship, challenge: open.id, answers };
        self.ask(&guard.person, answer).await.unwrap();
    }
}

#[tokio::test]
async fn guardians_are_asked_by_themselves_and_the_owner_is_warned_while_it_is_early() {
    let mut circle = circle(2, &[1, 1, 1]).await;
    later(&circle, 89);
    later(&circle, 1);
    for n in 0..3 {
        hears(&circle, &format!("guard{n}@example.com"), "guardian.drill", 1).await;
    }
    circle.answers(0).await;
    circle.answers(1).await;
    later(&circle, 14);
    // two of three answered, two are needed
    hears(&circle, OWNER, "recovery.guardians_few", 1).await;
    // the next quarter everybody answers, and nobody is worried
    later(&circle, 76);
    for n in 0..3 {
        hears(&circle, &format!("guard{n}@example.com"), "guardian.drill", 2).await;
        circle.answers(n).await;
    }
    later(&circle, 14);
    // and the one after that only one does
    later(&circle, 76);
    hears(&circle, "guard2@example.com", "guardian.drill", 3).await;
    circle.answers(2).await;
    later(&circle, 14);
    hears(&circle, OWNER, "recovery.guardians_lost", 1).await;
    assert_eq!(circle.kit.mailbox.count_of(OWNER, "recovery.guardians_few"), 1);
}

#[tokio::test]
async fn a_set_that_was_replaced_is_not_drilled() {
    let mut circle = circle(2, &[1, 1]).await;
    circle.rotate().await;
    circle.deal(2).await.unwrap();
    circle.arrived().await;
    later(&circle, 90);
    hears(&circle, "guard0@example.com", "guardian.drill", 1).await;
    later(&circle, 14);
    hears(&circle, OWNER, "recovery.guardians_lost", 1).await;
}
