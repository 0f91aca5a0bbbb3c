//! The canary search is red when a leak is planted, wherever it is planted, and green without one.

use std::{collections::BTreeSet, fs, io::Write as _};

use ocmt::canary::{Marks, Place, Report, search};
use ocmt_client::{
    container::Spec,
    passphrase::NewPassphrase,
    vault::{
        Parts, Vault,
        import::{Existing, ExportFile, Source},
    },
};
use ocmt_crypto::{
    kdf::{Cost, Passphrase},
    vault::RotationMode,
};
use ocmt_testkit::{Person, TestNode};

const MARK: &str = "canary 8d1f3c5a7b9e secret";
const PASSPHRASE: &str = "a passphrase of Ada's";
const OF_THE_EXPORT: &str = "violin ledger umbrella quartz";

struct Planted {
    node: TestNode,
    person: Person,
    vault: Vault,
}

async fn with_a_marked_secret() -> Planted {
    let node = TestNode::start().await.unwrap();
    let person = node.person("ada").await.unwrap();
    let mut vault = person.vault(PASSPHRASE).await.unwrap();
    vault.put("secret", MARK.as_bytes()).await.unwrap();
    Planted { node, person, vault }
}

impl Planted {
    fn look(&self, more: &[Place]) -> Report {
        let marks = [
            ("the secret", MARK.as_bytes()),
            ("the passphrase", PASSPHRASE.as_bytes()),
            ("the export's passphrase", OF_THE_EXPORT.as_bytes()),
        ];
        let marks = Marks::new(marks).unwrap();
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

/// Written twice, through both kinds of rotation, out in an export and into somebody else's vault.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_found_of_a_secret_that_was_put_into_a_vault() {
    let mut planted = with_a_marked_secret().await;
    planted.vault.put("secret", format!("{MARK}, again").as_bytes()).await.unwrap();
    for mode in [RotationMode::Rewrap, RotationMode::Rekey] {
        planted.vault.rotate(mode, &[], Vec::new(), "a test").await.unwrap();
    }
    let passphrase = NewPassphrase::new(OF_THE_EXPORT, &[]).unwrap();
    let mut exported = Vec::new();
    planted.vault.export(Parts::Everything, passphrase, Cost::LEAST, &mut exported, |_, _| {}).await.unwrap();
    let bob = planted.node.person("bob").await.unwrap();
    let mut his = bob.vault("tramway-Okapi-39-lantern").await.unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&exported).unwrap();
    let file = ExportFile::open(file, &Passphrase::new(OF_THE_EXPORT).unwrap()).unwrap();
    let file = Source::Export(file);
    let plan = his.plan_import(&file, Existing::Refuse, &BTreeSet::new()).await.unwrap();
    his.import(&file, &plan, |_, _| {}).await.unwrap();
    assert!(his.get("secret").await.unwrap().value.starts_with(MARK.as_bytes()));
    let report = planted.look(&[Place::Text("the export".to_owned(), exported)]);
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
