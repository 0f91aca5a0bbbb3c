//! Changes as they are told to browsers.

use axum::{body::BodyDataStream, http::StatusCode};
use futures_util::StreamExt as _;
use ocmt_store::{
    tables::NodeState,
    testing::{TestNode, id},
};
use ocmt_types::NodeId;

use super::{super::MOST_STREAMS, Stage};

/// What comes next of a stream of events.
async fn next(body: &mut BodyDataStream) -> String {
    String::from_utf8(body.next().await.unwrap().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn events_go_on_where_a_browser_was_cut_off() {
    let stage = Stage::set().await;
    let stream = async |headers: &[(&str, &str)]| {
        let answer = stage.send(Some(&stage.ada), "GET", "/console/events", headers, "").await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        answer.into_body().into_data_stream()
    };
    let (one, two) = (stage.first.node_id.to_string(), id::<NodeId>(2).to_string());
    let mut live = stream(&[]).await;
    let all = [next(&mut live).await, next(&mut live).await];
    assert!(all[0].contains("event: node") && all[0].contains(&one), "{all:?}");
    assert!(all[1].contains(&two) && all[1].contains("\"state\":\"serving\""), "{all:?}");
    let seen = all[1].lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    drop(live);
    let drain = async |incarnation| {
        let nodes = stage.store.cluster();
        assert!(nodes.set_state(incarnation, NodeState::Live, NodeState::Draining).await.unwrap());
    };
    drain(stage.first.incarnation).await;
    let mut again = stream(&[("last-event-id", &seen)]).await;
    let told = next(&mut again).await;
    assert!(told.contains(&one) && told.contains("giving its work away"), "{told}");
    let german = stream(&[("last-event-id", &seen), ("accept-language", "de")]).await;
    assert!(next(&mut { german }).await.contains("gibt seine Arbeit ab"));
    // the other one has not changed, and is not told again
    drain(TestNode::unregistered(&stage.store, 2).incarnation).await;
    let told = next(&mut again).await;
    assert!(told.contains(&two) && told.contains("giving its work away"), "{told}");
    for bad in ["x!", &"A".repeat(600)] {
        let refused =
            stage.send(Some(&stage.ada), "GET", "/console/events", &[("last-event-id", bad)], "").await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn so_many_browsers_are_told_and_no_more_until_one_goes() {
    let stage = Stage::set().await;
    let ask = async || stage.send(Some(&stage.ada), "GET", "/console/events", &[], "").await;
    let mut open = Vec::new();
    for _ in 0..MOST_STREAMS {
        let answer = ask().await;
        assert_eq!(answer.status(), StatusCode::OK);
        open.push(answer);
    }
    assert_eq!(ask().await.status(), StatusCode::TOO_MANY_REQUESTS);
    open.pop();
    assert_eq!(ask().await.status(), StatusCode::OK);
}
