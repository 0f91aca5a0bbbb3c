//! Signing up and in at a node whose letters leave by SMTP.

use ocmt::{server::Node, software::Software};
use ocmt_client::{Client, auth::Purpose, connect::Target};

use crate::{
    alone,
    kit::{ADA, Kit, SHOWN},
    server::{Way, Wish},
};

/// The link in the `n`th letter.
async fn link(kit: &Kit, n: usize) -> String {
    let log = kit.server.when(|log| log.taken.len() > n).await;
    let text = &log.taken[n].text;
    text.split_whitespace()
        .find(|word| word.starts_with("https://"))
        .unwrap_or_else(|| panic!("{text}"))
        .to_owned()
}

#[tokio::test]
async fn the_link_in_a_letter_signs_its_addressee_in() {
    let kit = Kit::start(Wish { way: Way::Starttls, password: Some(SHOWN), ..Wish::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = alone::config(folder.path());
    config.mail = kit.settings.clone();
    ocmt::config::check(&config).unwrap();
    let node = Box::pin(Node::start(&config, Software::this())).await.unwrap();
    let ca = std::fs::read_to_string(node.ca_file()).unwrap();
    let target = Target {
        endpoint: node.endpoints().client.clone(),
        ca: ocmt_client::ca::ClusterCa::from_pem(&ca).unwrap(),
    };
    let client = Client::connect(target).await.unwrap();
    let pending = client.sign_up(ADA, "Ada's").await.unwrap();
    let ada = pending.finish(&link(&kit, 0).await, "test").await.unwrap().who_am_i().await.unwrap();
    let pending = client.request_link(ADA, None, Purpose::SignIn).await.unwrap();
    let again = pending.finish(&link(&kit, 1).await, "test").await.unwrap();
    assert_eq!(again.who_am_i().await.unwrap().user, ada.user);
    node.stop().await;
}

#[tokio::test]
async fn a_node_whose_letters_could_not_leave_does_not_start() {
    let kit = Kit::start(Wish { password: Some(SHOWN), ..Wish::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = alone::config(folder.path());
    config.mail = kit.settings.clone();
    config.mail.smtp_password_file = kit.server.secret_file("x", 0o644);
    let error = Box::pin(Node::start(&config, Software::this())).await.err().unwrap().to_string();
    assert!(error.contains("mail.smtp_password_file") && error.contains("may be read by others"), "{error}");
    config.mail.smtp_password_file = kit.server.secret_file("x", 0o600);
    config.mail.smtp_ca_file = folder.path().join("none.pem");
    let error = Box::pin(Node::start(&config, Software::this())).await.err().unwrap().to_string();
    assert!(error.contains("mail.smtp_ca_file"), "{error}");
}
