#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use ocmt_store::testing::id;
use ocmt_types::{ManualClock, RandomIds};

use super::*;

async fn noters() -> (Store, ManualClock, Noter, Noter) {
    let (store, clock) = (Store::sim(), ManualClock::at(Timestamp(1_800_000_000_000)));
    store.cluster().cluster(id(1_000), Timestamp(0)).await.unwrap();
    let noter = |n| Noter::new(store.clone(), Arc::new(clock.clone()), Arc::new(RandomIds), id(n));
    let (one, two) = (noter(1), noter(2));
    (store, clock, one, two)
}

async fn noted(store: &Store) -> Vec<(String, String)> {
    let rows = store.operators().audit_page(0, 100).await.unwrap();
    rows.into_iter().map(|row| (row.action, row.object)).collect()
}

#[tokio::test]
async fn of_many_nodes_that_see_the_same_at_once_one_notes_it_and_again_when_its_time_has_passed() {
    let (store, clock, one, two) = noters().await;
    for round in 1..=3 {
        let note = |noter: &Noter| {
            let noter = noter.clone();
            async move {
                noter.note(condition::SEALING_DUE, "sealing/2".to_owned(), Vec::new(), DAY).await.unwrap()
            }
        };
        let all =
            futures_util::future::join_all((0..16).map(|n| note(if n % 2 == 0 { &one } else { &two }))).await;
        assert_eq!(all.into_iter().filter(|noted| *noted).count(), 1);
        assert_eq!(noted(&store).await.len(), round);
        clock.advance(DAY + Duration::from_millis(1));
    }
    // of another object it is another
    assert!(two.note(condition::SEALING_DUE, "sealing/3".to_owned(), Vec::new(), DAY).await.unwrap());
}

#[tokio::test]
async fn each_life_that_a_node_declared_dead_is_noted_once() {
    let (store, _, noter, _) = noters().await;
    let life = |n: u8| Incarnation([n; 16]);
    let (mut seen, mut view) = (Seen::default(), View::default());
    deaths(&noter, &view, &mut seen).await;
    assert_eq!(noted(&store).await, []);
    view.buried = BTreeMap::from([(life(1), id(7))]);
    deaths(&noter, &view, &mut seen).await;
    deaths(&noter, &view, &mut seen).await;
    view.buried.insert(life(2), id(8));
    deaths(&noter, &view, &mut seen).await;
    let expected = [7, 8].map(|n| ("node.dead".to_owned(), format!("node/{}", id::<ocmt_types::NodeId>(n))));
    assert_eq!(noted(&store).await, expected);
}

#[tokio::test]
async fn a_certificate_is_noted_when_it_ends_soon_and_when_it_has_ended_and_the_authoritys_once_for_all_nodes()
 {
    let (store, _, one, two) = noters().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let now = Timestamp(1_800_000_000_000);
    certificate(&one, &path, "authority", GIVEN_SOON, now).await;
    assert_eq!(noted(&store).await, [], "none is there");
    let pair = rcgen::generate_simple_self_signed(vec!["node.example".to_owned()]).unwrap();
    std::fs::write(&path, pair.cert.pem()).unwrap();
    let ends = ends_at(&path).unwrap();
    certificate(&one, &path, "authority", GIVEN_SOON, ends - GIVEN_SOON - DAY).await;
    assert_eq!(noted(&store).await, [], "it is good for longer");
    for noter in [&one, &two, &one] {
        certificate(noter, &path, "authority", GIVEN_SOON, ends - GIVEN_SOON).await;
    }
    certificate(&two, &path, "authority", GIVEN_SOON, ends).await;
    let expected = ["certificate.ends", "certificate.ended"]
        .map(|action| (action.to_owned(), "certificate/authority".to_owned()));
    assert_eq!(noted(&store).await, expected);
}
