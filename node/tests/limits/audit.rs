//! What `ocmt security audit --deep` finds of engines and listeners that are set up badly.

use std::{fs, net::SocketAddr};

use ocmt::{
    config::Config,
    local::{ENDPOINT_FILE, Endpoints},
    security::{Report, exposure, live},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};

use crate::server::Server;

fn rules(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.rule).collect()
}

#[tokio::test]
async fn a_redis_that_asks_nobody_who_they_are_is_found() {
    let server = Server::start().await;
    let mut config = Config::default();
    config.redis.url = server.url();
    let mut report = Report::default();
    exposure::check(&config, &mut report).await;
    assert_eq!(rules(&report), ["exposure.redis"]);
    assert_eq!(server.say("CONFIG SET maxmemory-policy allkeys-lru").unwrap(), "+OK");
    let mut report = Report::default();
    exposure::check(&config, &mut report).await;
    assert_eq!(rules(&report), ["exposure.redis", "exposure.redis_evicts"]);
    assert_eq!(server.say("CONFIG SET requirepass a-test-of-ours").unwrap(), "+OK");
    let mut report = Report::default();
    exposure::check(&config, &mut report).await;
    assert_eq!((rules(&report), report.passed.clone()), (vec![], vec!["exposure.redis"]));
    server.freeze();
    let mut report = Report::default();
    exposure::check(&config, &mut report).await;
    assert_eq!((rules(&report), report.exit_code()), (vec![], 2), "a server that hangs is no good news");
    server.thaw();
}

/// Answers everybody in clear, as a misled proxy would.
async fn speaks_http() -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut served = JoinSet::new();
    served.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    (address, served)
}

#[tokio::test]
async fn a_listener_that_answers_in_clear_is_found_and_what_cannot_be_asked_is_said() {
    let (address, _served) = speaks_http().await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.node.data_dir = folder.path().to_owned();
    config.listen.client = address;
    let endpoints = Endpoints {
        client: format!("https://{address}"),
        telemetry: "http://127.0.0.1:1".to_owned(),
        operators: None,
        redirect: None,
    };
    let mut report = Report::default();
    live::check(&config, &mut report).await;
    assert_eq!(report.exit_code(), 2, "nothing runs there");
    fs::write(folder.path().join(ENDPOINT_FILE), serde_json::to_vec(&endpoints).unwrap()).unwrap();
    fs::create_dir(folder.path().join("pki")).unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(folder.path().join("pki/ca.pem"), own.cert.pem()).unwrap();
    let mut report = Report::default();
    live::check(&config, &mut report).await;
    assert!(rules(&report).contains(&"live.clear"), "{report:?}");
    assert!(report.unchecked.iter().any(|it| it.check == "live"), "{report:?}");
}
