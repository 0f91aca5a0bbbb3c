//! The database as a whole, by the commands that an operator types.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use ocmt::config::Config;
use ocmt_client::{Client, vault::Key};
use ocmt_crypto::{kdf::Passphrase, vault::Rollback};
use ocmt_store::{PgRoles, Store, testing::TestDatabase};
use ocmt_testkit::{
    Person, TestNode,
    command::{Said, ocmt, ocmt_with},
    node::among_others,
};

const PASSPHRASE: &str = "a passphrase that moves house";

/// A configuration of a node on this database, in a folder.
fn configuration(folder: &Path, url: &str) -> PathBuf {
    let mut config = Config::default();
    config.node.data_dir = folder.join("data");
    config.mail.spool = folder.join("mail");
    config.listen.client.set_port(0);
    config.listen.telemetry.set_port(0);
    among_others(&mut config, url);
    let file = folder.join("ocmt.toml");
    fs::write(&file, toml::to_string(&config).unwrap()).unwrap();
    file
}

/// The address without the password, and a file that holds it.
fn without_password(url: &str, folder: &Path) -> (String, String) {
    let (login, place) = url.rsplit_once('@').unwrap();
    let (user, password) = login.rsplit_once(':').unwrap();
    let file = folder.join("password");
    fs::write(&file, format!("{password}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    (format!("{user}@{place}"), file.display().to_string())
}

fn done(said: &Said) {
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{}", said.err);
}

/// It failed, and said why.
fn failed(said: &Said, why: &str) {
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains(why), "{}", said.err);
}

/// Somebody with a secret in a vault.
async fn somebody(node: &TestNode) -> Person {
    let ada = node.person("ada").await.unwrap();
    let mut vault = ada.vault(PASSPHRASE).await.unwrap();
    vault.put("the key", b"to the door").await.unwrap();
    ada
}

async fn still_reads(client: &Client, person: &Person) {
    let key = Key::Passphrase(Passphrase::new(PASSPHRASE).unwrap());
    let vault = client.unlock_vault(None, key, &person.device, Rollback::Refuse).await.unwrap();
    assert_eq!(vault.get("the key").await.unwrap().value.as_slice(), b"to the door");
}

/// The same session over a new connection.
async fn as_before(node: &TestNode, person: &Person) -> Client {
    let client = node.local().client().await.unwrap();
    client.signed_in(person.client.credential().unwrap().clone(), person.client.identity().unwrap())
}

#[tokio::test]
async fn migrate_makes_the_schema_once_and_says_so() {
    let (database, folder) = (TestDatabase::create().await.unwrap(), tempfile::tempdir().unwrap());
    let config = configuration(folder.path(), &database.url());
    let refused = ocmt_with(&["node"], &config).await.unwrap();
    // without keys it does not come to the database
    failed(&refused, "ocmt cluster init");
    for _ in 0..2 {
        let said = ocmt_with(&["migrate"], &config).await.unwrap();
        done(&said);
        assert!(said.err.contains("is up to date") && !said.err.contains("ocmt:"), "{}", said.err);
    }
    database.open().await.unwrap().close().await;
}

#[tokio::test]
async fn a_migration_that_fails_exits_1_and_leaves_nothing_behind() {
    let (database, folder) = (TestDatabase::create().await.unwrap(), tempfile::tempdir().unwrap());
    database.run("CREATE TABLE vaults (of_somebody_else BIGINT)").await.unwrap();
    let config = configuration(folder.path(), &database.url());
    failed(&ocmt_with(&["migrate"], &config).await.unwrap(), "vaults");
    database.run("DROP TABLE vaults").await.unwrap();
    // half a schema would be in its way
    done(&ocmt_with(&["migrate"], &config).await.unwrap());
    let nowhere = configuration(folder.path(), "postgres://ocmt@127.0.0.1:1/ocmt");
    failed(&ocmt_with(&["migrate"], &nowhere).await.unwrap(), "127.0.0.1:1");
}

#[tokio::test]
async fn what_was_backed_up_serves_again_once_the_restore_is_accepted() {
    let (first, second) = (TestDatabase::migrated().await.unwrap(), TestDatabase::create().await.unwrap());
    let node = TestNode::start_on(&first.url(), |_| {}).await.unwrap();
    let ada = somebody(&node).await;
    let config = node.folder().join("ocmt.toml");
    let dump = node.folder().join("ocmt.dump").display().to_string();
    done(&ocmt_with(&["backup", "--to", &dump], &config).await.unwrap());
    assert_eq!(fs::metadata(&dump).unwrap().permissions().mode() & 0o777, 0o600);
    failed(&ocmt_with(&["backup", "--to", &dump], &config).await.unwrap(), "is there already");
    // where something is nothing is put
    failed(&ocmt_with(&["restore", "--from", &dump], &config).await.unwrap(), "nothing was restored");
    still_reads(&as_before(&node, &ada).await, &ada).await;
    let not_restored = ocmt_with(&["store", "accept-restore"], &config).await.unwrap();
    failed(&not_restored, "nothing to accept");
    let (well, folder) = node.stop().await.unwrap();
    assert!(well);

    let moved = |config: &mut Config| config.store.url = second.url();
    let mut restored: Config = toml::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
    moved(&mut restored);
    fs::write(&config, toml::to_string(&restored).unwrap()).unwrap();
    let said = ocmt_with(&["restore", "--from", &dump], &config).await.unwrap();
    done(&said);
    assert!(said.err.contains("accept-restore"), "{}", said.err);
    let refused = ocmt_with(&["node"], &config).await.unwrap();
    failed(&refused, "ocmt store accept-restore");
    let unasked = ocmt_with(&["store", "accept-restore"], &config).await.unwrap();
    assert_eq!(unasked.code, Some(2), "nobody was asked whom to honour: {}", unasked.err);
    assert!(unasked.err.contains("This database honours:\n  node "), "{}", unasked.err);
    let said = ocmt_with(&["store", "accept-restore", "--yes"], &config).await.unwrap();
    done(&said);
    assert!(said.err.contains("1 session ended"), "{}", said.err);

    let node = TestNode::start_again(folder, moved).await.unwrap();
    let ended = as_before(&node, &ada).await.audit_lines().await;
    assert!(ended.is_err(), "a session of before the restore is alive");
    let (pending, link) = node.request_link(&ada.email).await.unwrap();
    let client = pending.finish(&link, "after the restore").await.unwrap();
    still_reads(&client, &ada).await;
    let told = client.audit_lines().await.unwrap();
    let acceptance = told.iter().filter(|line| line.action == "cluster.accept_restore").count();
    assert_eq!(acceptance, 1, "{told:?}");
    let acts = Store::postgres(&second.config()).await.unwrap().operators().audit_page(0, 100).await.unwrap();
    assert!(acts.iter().any(|act| act.action == "cluster.accept_restore"), "{acts:?}");
}

#[tokio::test]
async fn a_damaged_dump_is_refused_and_changes_nothing() {
    let (first, second) = (TestDatabase::migrated().await.unwrap(), TestDatabase::create().await.unwrap());
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("ocmt.dump");
    let to = dump.display().to_string();
    let config = configuration(folder.path(), &first.url());
    done(&ocmt_with(&["backup", "--to", &to], &config).await.unwrap());
    let whole = fs::read(&dump).unwrap();
    fs::write(&dump, &whole[..whole.len() - 1]).unwrap();
    let config = configuration(folder.path(), &second.url());
    failed(&ocmt_with(&["restore", "--from", &to], &config).await.unwrap(), "nothing was restored");
    fs::write(&dump, whole).unwrap();
    done(&ocmt_with(&["restore", "--from", &to], &config).await.unwrap());
}

#[tokio::test]
async fn a_node_on_sqlite_moves_to_postgres_with_everything_people_have() {
    let database = TestDatabase::create().await.unwrap();
    let node = TestNode::start().await.unwrap();
    let ada = somebody(&node).await;
    let from = format!("sqlite:{}", node.folder().join("data/db").display());
    let (to, password) = without_password(&database.url(), node.folder());
    let copy = ["store", "copy", "--from", &from, "--to", &to, "--to-password-file", &password];
    // a node that runs has its database to itself
    failed(&ocmt(&copy).await.unwrap(), "in use");
    let (well, folder) = node.stop().await.unwrap();
    assert!(well);
    let (from, copy) = (&copy[..4], &copy[..]);
    let exposed = ocmt(&[from, &["--to", &database.url()]].concat()).await.unwrap();
    failed(&exposed, "others see the arguments");
    done(&ocmt(copy).await.unwrap());
    failed(&ocmt(copy).await.unwrap(), "nothing was copied");

    let node = TestNode::start_again(folder, |config| {
        among_others(config, &to);
        config.store.password_file = password.clone().into();
    })
    .await
    .unwrap();
    still_reads(&as_before(&node, &ada).await, &ada).await;
}

#[tokio::test]
async fn a_node_serves_with_a_login_for_each_role_and_none_for_the_schema() {
    let (database, folder) = (TestDatabase::create().await.unwrap(), tempfile::tempdir().unwrap());
    let logins = database.with_logins().await.unwrap();
    let PgRoles::Own { cluster, .. } = logins.roles else { panic!("not of their own") };
    let (url, password) = without_password(logins.url.expose(), folder.path());
    let across = folder.path().join("across");
    fs::write(&across, cluster.password.unwrap().expose()).unwrap();
    fs::set_permissions(&across, fs::Permissions::from_mode(0o600)).unwrap();
    let node = TestNode::start_on(&url, |config| {
        config.store.password_file = password.into();
        config.store.cluster_user = cluster.user;
        config.store.cluster_password_file = across;
    })
    .await
    .unwrap();
    let ada = somebody(&node).await;
    still_reads(&ada.client, &ada).await;
    let dump = folder.path().join("ocmt.dump").display().to_string();
    let said = ocmt_with(&["backup", "--to", &dump], &node.folder().join("ocmt.toml")).await.unwrap();
    failed(&said, "no login for the schema");
}

#[tokio::test]
async fn a_container_finds_room_on_a_node_that_says_nothing_of_its_memory() {
    let database = TestDatabase::migrated().await.unwrap();
    let node = TestNode::start_on(&database.url(), |_| {}).await.unwrap();
    let ada = node.person("ada").await.unwrap();
    let argv = vec!["/bin/sleep".to_owned(), "600".to_owned()];
    let spec = ocmt_client::container::Spec { argv, ..Default::default() };
    ada.client.create_container(&spec, true).await.unwrap();
    let (well, folder) = node.stop().await.unwrap();
    assert!(well);
    let node = TestNode::start_again(folder, |config| {
        config.cluster.memory_mib = ocmt::config::HostMemory::Mib(0);
    })
    .await
    .unwrap();
    let bob = node.person("bob").await.unwrap();
    let refused = bob.client.create_container(&spec, true).await.unwrap_err().to_string();
    assert!(refused.contains("no host has"), "{refused}");
}
