//! Traces as a collector gets them: a call and its work at the actor are one trace, and nothing of what people wrote is in it.

use ocmt_testkit::{TestNode, collector::Collector, http};

const MARK: &str = "canary 4c1d7e secret";
/// What spans may say.
const ATTRIBUTES: [&str; 7] = ["method", "from", "code", "tenant", "outcome", "busy_ns", "idle_ns"];

#[tokio::test]
async fn a_call_is_traced_to_its_actor_and_no_secret_name_or_address_is_in_it() {
    let collector = Collector::start().await.unwrap();
    let url = collector.url.clone();
    let node = TestNode::start_with(|config| {
        config.telemetry.otlp.endpoint = url;
        config.telemetry.otlp.sample = 1.0;
    })
    .await
    .unwrap();
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault("tramway-Okapi-39-lantern").await.unwrap();
    vault.put("an entry of hers", MARK.as_bytes()).await.unwrap();
    ada.client.create_tenant("a tenant of hers").await.unwrap();
    // what a client says of a trace is not believed
    let theirs = "4bf92f3577b34da6a3ce929d0e0e4736";
    let context = format!("00-{theirs}-00f067aa0ba902b7-01");
    let page = http::get(&node.target().unwrap(), "/", &[("traceparent", context.as_str())]).await.unwrap();
    assert!(page.status.as_u16() < 500);

    let call =
        collector.span(|it| it.name == "VaultService/BatchPutEntries" && it.attributes.contains_key("code"));
    let call = call.await.unwrap();
    assert_eq!((call.parent.len(), call.attributes["code"].as_str()), (0, "OK"), "{call:?}");
    let work = collector
        .span(|it| it.name == "VaultService/BatchPutEntries" && it.parent == call.span)
        .await
        .unwrap();
    assert_eq!((work.trace.clone(), work.attributes["outcome"].as_str()), (call.trace.clone(), "OK"));
    let tenant = ada.client.who_am_i().await.unwrap().tenant.to_string();
    assert_eq!(work.attributes["tenant"], tenant);
    let page = collector.span(|it| ["page", "other"].contains(&it.name.as_str())).await.unwrap();
    assert_ne!(data_encoding::HEXLOWER.encode(&page.trace), theirs);
    let token = ada.token().unwrap();
    let said = [MARK, "entry of hers", "tenant of hers", &ada.email, &token, "tramway"];
    for span in collector.spans() {
        for text in said {
            assert!(!span.whole.contains(text), "{text} in {span:?}");
        }
        let more = span.attributes.keys().find(|name| !ATTRIBUTES.contains(&name.as_str()));
        assert_eq!(more, None, "{span:?}");
    }
}

#[tokio::test]
async fn a_collector_that_is_not_there_holds_nobody_up() {
    let gone = Collector::start().await.unwrap().url.clone();
    let node = TestNode::start_with(|config| {
        config.telemetry.otlp.endpoint = gone;
        config.telemetry.otlp.sample = 1.0;
        config.telemetry.otlp.queue = 4;
    })
    .await
    .unwrap();
    let ada = node.person("ada").await.unwrap();
    for _ in 0..50 {
        ada.client.who_am_i().await.unwrap();
    }
}
