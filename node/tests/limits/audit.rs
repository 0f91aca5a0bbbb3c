//! What `ocmt security audit --deep` finds of engines and listeners that are set up badly.

use std::{collections::BTreeSet, fs, net::SocketAddr, path::Path, sync::Arc};

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
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring::default_provider, version::TLS13},
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

fn config_at(folder: &Path, address: SocketAddr) -> Config {
    let mut config = Config::default();
    config.node.data_dir = folder.to_owned();
    config.listen.client = address;
    let endpoints = Endpoints {
        client: format!("https://{address}"),
        telemetry: "http://127.0.0.1:1".to_owned(),
        operators: None,
        redirect: None,
    };
    fs::write(folder.join(ENDPOINT_FILE), serde_json::to_vec(&endpoints).unwrap()).unwrap();
    config
}

/// A proxy that takes TLS 1.2 too, and gives everybody everything, without what browsers are to be told.
async fn misled(certificate: &rcgen::CertifiedKey<rcgen::KeyPair>) -> (SocketAddr, JoinSet<()>) {
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der());
    let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key.into())
        .unwrap();
    let (tls, listener) = (TlsAcceptor::from(Arc::new(tls)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    let mut served = JoinSet::new();
    served.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut first = [0; 43];
            let seen = stream.peek(&mut first).await.unwrap();
            // a ClientHello whose random is that of the probe for TLS 1.2: a ServerHello
            if seen == 43 && first[11..43] == [7; 32] {
                stream.write_all(&[22, 3, 3, 0, 2, 2, 0]).await.unwrap();
                continue;
            }
            let Ok(mut stream) = tls.accept(stream).await else { continue };
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nserver: proxy/1.2\r\ncontent-length: 0\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    (address, served)
}

#[tokio::test]
async fn a_proxy_that_takes_away_what_the_node_says_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["node.example".to_owned()]).unwrap();
    let (address, _served) = misled(&own).await;
    let mut config = config_at(folder.path(), address);
    config.tls.certificate = folder.path().join("node.pem");
    fs::write(&config.tls.certificate, own.cert.pem()).unwrap();
    config.listen.public_url = format!("https://node.example:{}", address.port());
    // metrics for everybody; where this program asks for them, nobody answers
    config.listen.telemetry = "0.0.0.0:1".parse().unwrap();
    let mut report = Report::default();
    live::check(&config, &mut report).await;
    let found: BTreeSet<_> = rules(&report).into_iter().collect();
    let expected =
        ["live.headers", "live.insides", "live.limits", "live.server", "live.telemetry", "live.tls"];
    assert_eq!(found, BTreeSet::from(expected), "{report:?}");
    let missing = rules(&report).into_iter().filter(|rule| *rule == "live.headers").count();
    assert_eq!(missing, 6, "each header: {report:?}");
    assert_eq!(report.passed, ["live.clear"]);
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
    // a handshake that nobody answers is no TLS 1.2 that was refused
    assert!(!report.passed.contains(&"live.tls"), "{report:?}");
    assert!(report.unchecked.iter().any(|it| it.check == "live.tls"), "{report:?}");
    assert!(report.unchecked.iter().any(|it| it.check == "live"), "{report:?}");
}
