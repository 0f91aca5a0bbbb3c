//! What a link is worth after its guardian is one no more, and what its session is worth where others last for days.

use std::time::Duration;

use ocmt_store::tables::Tenant;

use super::{
    super::circle::{Circle, ownership, short},
    NEW,
};
use crate::{
    api::{
        auth::{LinkPurpose, WhoAmI},
        recovery::{GetGuardianship, GuardianshipState, ResignGuardianship},
        tenant::{GetTenant, TenantPolicy},
    },
    tests::kit::{Kit, until},
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const MILLI: Duration = Duration::from_millis(1);

#[tokio::test]
async fn a_link_is_worth_nothing_once_its_guardian_has_resigned_or_was_removed() {
    let circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1, 1]).await;
    let mut links = Vec::new();
    for n in 0..3 {
        links.push(circle.lost_link(n, NEW).await);
    }
    let guardianship = |n: usize| circle.guards[n].guardianship;
    for (n, by) in [(0, &circle.guards[0].person), (1, &circle.owner)] {
        let ends = ResignGuardianship { guardianship: guardianship(n), only_change: false };
        circle.kit.call(&by.caller, ends).await.unwrap();
    }
    for (n, state) in [(0, GuardianshipState::Resigned), (1, GuardianshipState::Ended)] {
        until("the owner's side knows", async || {
            let get = GetGuardianship { guardianship: guardianship(n) };
            circle.kit.call(&circle.owner.caller, get).await.unwrap().state == state
        })
        .await;
        let refused = circle.kit.exchange(&links[n]).await.err().expect("its guardian is gone");
        assert_eq!(refused.reason(), "UNAUTHENTICATED", "{n}");
    }
    circle.inert(&links[2], NEW).await;
}

/// Sessions of the owner's tenant last for a week: longer than anybody may ask for, but a stored policy may be of a newer program.
async fn have_sessions_last_for_a_week(circle: &Circle) {
    let policy = circle.kit.call(&circle.owner.caller, GetTenant).await.unwrap().policy;
    let week = 7 * 24 * 3_600_000;
    let policy = TenantPolicy { session_idle_ms: week, session_absolute_ms: week, ..policy };
    let own = ownership(&circle.kit, circle.owner.tenant).await.unwrap();
    let mut tx = circle.kit.store.fenced(own).await.unwrap();
    let row = tx.get::<Tenant>(()).await.unwrap().unwrap();
    tx.update(&Tenant { policy: serde_json::to_vec(&policy).unwrap(), ..row }).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn its_session_ends_within_a_day_where_others_last_for_days() {
    let circle = Circle::dealt(Kit::sim_with(short).await, 2, &[1, 1]).await;
    have_sessions_last_for_a_week(&circle).await;
    let link = circle.lost_link(0, NEW).await;
    let person = circle.inert(&link, NEW).await;
    let owner = circle.kit.sign_in(&circle.owner, LinkPurpose::SignIn).await;
    circle.kit.clock.advance(DAY - MILLI);
    circle.kit.call(&person.caller, WhoAmI).await.expect("it lives");
    circle.kit.clock.advance(MILLI);
    let ended = circle.kit.call(&person.caller, WhoAmI).await;
    assert_eq!(ended.unwrap_err().reason(), "UNAUTHENTICATED");
    circle.kit.call(&owner.caller, WhoAmI).await.expect("another session lives on");
}
