//! What a node outside development shows to nobody.

use http::{Request, StatusCode};
use ocmt::config::{Mode, RuntimeKind};

use crate::kit::{Edge, full};

const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// Of gRPC.
const UNIMPLEMENTED: &str = "12";

#[tokio::test]
async fn services_are_described_in_development_alone_and_telemetry_is_not_on_the_clients_listener() {
    let production = Edge::start(|config| {
        config.node.mode = Mode::Production;
        config.containers.runtime = RuntimeKind::Docker;
        // no container is started here, and an engine that is away holds up nothing else
        config.containers.docker_host = "unix:///nonexistent/docker.sock".to_owned();
    })
    .await;
    assert_eq!(production.call(REFLECTION, full("")).await, UNIMPLEMENTED);
    for path in ["/metrics", "/healthz", "/readyz", "/docs", "/swagger", "/openapi.json"] {
        assert_eq!(production.ask(Request::get(path), "").await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let development = Edge::start(|_| {}).await;
    assert_ne!(development.call(REFLECTION, full("")).await, UNIMPLEMENTED);
}
