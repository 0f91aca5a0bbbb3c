//! `ocmt security audit --deep` on a node with a certificate of its operator's own.

use std::{fs, os::unix::fs::PermissionsExt as _};

use ocmt::security::{Report, live};

use crate::kit::Edge;

#[tokio::test]
async fn a_node_with_a_public_name_and_certificate_is_looked_at_too() {
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["node.example".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("node.pem"), folder.path().join("node.key"));
    fs::write(&certificate, own.cert.pem()).unwrap();
    fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let mut known = None;
    let edge = Edge::start(|config| {
        config.tls.certificate.clone_from(&certificate);
        config.tls.key.clone_from(&key);
        // below those that the kernel gives to whoever asks for any
        let is_unused = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let port = std::iter::repeat_with(|| rand::random_range(20_000..32_000)).find(is_unused).unwrap();
        config.listen.client.set_port(port);
        config.listen.public_url = format!("https://node.example:{port}");
        known = Some(config.clone());
    })
    .await;
    let config = known.unwrap();
    let mut report = Report::default();
    live::check(&config, &mut report).await;
    assert!(report.findings.is_empty() && report.unchecked.is_empty(), "{report:?}");
    for rule in ["live.headers", "live.limits", "live.tls", "live.clear", "live.telemetry"] {
        assert!(report.passed.contains(&rule), "{rule}: {report:?}");
    }
    // somebody else's certificate is not this node's
    let other = rcgen::generate_simple_self_signed(vec!["node.example".to_owned()]).unwrap();
    fs::write(&certificate, other.cert.pem()).unwrap();
    let mut report = Report::default();
    live::check(&config, &mut report).await;
    assert!(report.unchecked.iter().any(|it| it.check == "live"), "{report:?}");
    edge.node.stop().await;
}
