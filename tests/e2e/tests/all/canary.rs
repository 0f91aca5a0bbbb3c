//! The canary search is red when a leak is planted, wherever it is planted, and green without one.

use std::{fs, io::Write as _};

use ocmt::canary::{Marks, Place, Report, search};
use ocmt_client::container::Spec;
use ocmt_testkit::{Person, TestNode};

const MARK: &str = "canary 8d1f3c5a7b9e secret";

struct Planted {
    node: TestNode,
    person: Person,
}

async fn with_a_marked_secret() -> Planted {
    let node = TestNode::start().await.unwrap();
    let person = node.person("ada").await.unwrap();
    person.vault("a passphrase of Ada's").await.unwrap().put("secret", MARK.as_bytes()).await.unwrap();
    Planted { node, person }
}

impl Planted {
    fn look(&self, more: &[Place]) -> Report {
        let marks = Marks::new([("the secret", MARK.as_bytes())]).unwrap();
        let mut places = vec![
            Place::Tree(self.node.folder().join("data")),
            Place::Tree(self.node.folder().join("mail")),
            Place::Tree(self.node.folder().join("node.log")),
            Place::Process(self.node.local().pid().unwrap()),
        ];
        places.extend_from_slice(more);
        search(&marks, &places).unwrap()
    }

    fn found_in(&self, what: &str) -> bool {
        let report = self.look(&[]);
        report.findings.iter().any(|finding| finding.place.contains(what))
    }
}

#[tokio::test]
async fn nothing_is_found_of_a_secret_that_was_put_into_a_vault() {
    let planted = with_a_marked_secret().await;
    let report = planted.look(&[]);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(report.bytes > 10 << 20, "only {} bytes were searched", report.bytes);
}

#[tokio::test]
async fn a_secret_in_a_log_line_is_found() {
    let planted = with_a_marked_secret().await;
    let mut log = fs::OpenOptions::new().append(true).open(planted.node.folder().join("node.log")).unwrap();
    writeln!(log, "{{\"level\":\"DEBUG\",\"message\":\"entry put\",\"value\":\"{MARK}\"}}").unwrap();
    assert!(planted.found_in("node.log"));
}

#[tokio::test]
async fn a_secret_in_a_database_column_is_found_on_disk_and_in_memory() {
    let planted = with_a_marked_secret().await;
    // a client that names its tenant after its secret: the node stores names in clear
    planted.person.client.create_tenant(MARK).await.unwrap();
    assert!(planted.found_in("/db/"), "{:?}", planted.look(&[]).findings);
}

#[tokio::test]
async fn a_secret_in_a_containers_configuration_is_found() {
    let planted = with_a_marked_secret().await;
    let spec = Spec { argv: vec!["/bin/true".to_owned(), format!("--api-key={MARK}")], ..Spec::default() };
    planted.person.client.create_container(&spec, true).await.unwrap();
    assert!(planted.found_in("/processes/"), "{:?}", planted.look(&[]).findings);
}

#[tokio::test]
async fn a_gateway_that_copies_what_it_carries_in_clear_is_found() {
    let planted = with_a_marked_secret().await;
    let frames = [b"\x81\x1a".as_slice(), MARK.as_bytes(), b"\x81\x00"].concat();
    let report = planted.look(&[Place::Text("frames copied by a gateway".to_owned(), frames)]);
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(report.findings[0].place, "frames copied by a gateway");
}
