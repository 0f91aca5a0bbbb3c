//! What goes on in the whole cluster, as the database says it.

use ocmt_store::tables::{Ceremony, CeremonyPurpose, CeremonyState};

use super::*;

#[tokio::test]
async fn ceremonies_that_go_on_are_shown_by_state_and_nothing_of_whose_they_are() {
    let stage = Stage::set().await;
    let own = stage.first.found(3).await.unwrap();
    let mut tx = stage.store.fenced(own).await.unwrap();
    for (n, purpose, state) in [
        (1, CeremonyPurpose::Recover, CeremonyState::Open),
        (2, CeremonyPurpose::Override, CeremonyState::Open),
        (3, CeremonyPurpose::Unlock, CeremonyState::Released),
        (4, CeremonyPurpose::Recover, CeremonyState::Completed),
    ] {
        let row = Ceremony {
            tenant_id: own.tenant,
            ceremony_id: Digest32([n; 32]),
            user_id: id(50),
            vault_id: id(60),
            set_id: id(70),
            purpose,
            state,
            params: Vec::new(),
            opened_by: id(80),
            release_public: Digest32([n; 32]),
            release_private_wrapped: None,
            statement: Vec::new(),
            certificates: Vec::new(),
            approved_units: 0,
            opened_at: Timestamp(1),
            notified_at: None,
            matures_at: None,
            expires_at: Timestamp(9_000),
            released_at: None,
            ended_at: None,
            version: 1,
            new_email: Some("new@ada.example".to_owned()),
        };
        tx.insert(&row).await.unwrap();
    }
    tx.commit().await.unwrap();
    let work = stage.page("/console/work").await;
    let (_, rest) = work.split_once("Recoveries that are not over").unwrap();
    let (recoveries, rest) = rest.split_once("Groups&#39; vaults that several open together").unwrap();
    let (together, _) = rest.split_once("Ceremonies that entered a state").unwrap();
    let counted =
        |text: &str, state: &str, count: u32| text.contains(&format!("{state}</th><td>{count}</td>"));
    assert!(counted(recoveries, "waits for guardians", 2) && counted(recoveries, "can be opened", 0));
    assert!(
        counted(together, "can be opened", 1) && counted(together, "waits for guardians", 0),
        "{together}"
    );
    assert!(!work.contains(&own.tenant.to_string()) && !work.contains("ada.example"), "{work}");
}
