//! A group's vault that opens into one container: through a real node and a real cell, and as people type it.

use std::{fs, time::Duration};

use ocmt::{canary, local::wait_for};
use ocmt_client::{
    ClientError,
    container::Spec,
    group_vault::{GroupVault, Known},
    recovery::CeremonyState,
};
use ocmt_crypto::{CryptoError, channel::StreamKind, vault::Rollback};
use ocmt_proto::v1 as pb;
use ocmt_store::testing::TestDatabase;
use ocmt_testkit::TestNode;
use ocmt_types::{ContainerId, NodeId};

use super::{PASSPHRASE, Team};
use crate::api_keys::{json, keep};

const MARK: &str = "canary 81d2c6f4 of a group";
const HOUR: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(60);

/// A container of one of them, whose program writes down what it was given and waits; and its host.
async fn container(team: &mut Team, of: usize) -> (ContainerId, NodeId) {
    let (file, given) = (team.at(&format!("program{of}")), team.at("given"));
    let script = format!(
        "printf '%s %s' \"${{DEPLOY-none}}\" \"${{OTHER-none}}\" > {given}.new\nmv {given}.new {given}\nexec sleep 600\n"
    );
    fs::write(&file, script).unwrap();
    let argv = ["/usr/bin/env", "sh", &file].map(str::to_owned).to_vec();
    let spec = Spec { argv, ..Spec::default() };
    let made = team.people[of].client.create_container(&spec, true).await.unwrap().id;
    let host = team.vaults[of].proven_host(made, false).await.unwrap();
    (made, host)
}

/// Two of three open the vault; Ada's device has just dealt its key, and has it.
async fn shared(team: &Team) -> GroupVault<'_> {
    let mut open = team.three_administrators().await;
    open.secrets_mut().put("deploy", MARK.as_bytes()).await.unwrap();
    let all = open.admitted().await.unwrap();
    open.share_key(2, &all).await.unwrap();
    open
}

async fn is_given(team: &Team, wanted: &str) {
    let given = async || fs::read_to_string(team.at("given")).ok().filter(|given| given == wanted);
    wait_for(PATIENCE, given).await.expect("the program was not given it");
}

async fn is_locked(team: &Team, container: ContainerId) {
    let client = &team.people[0].client;
    let locked = async || client.container(container).await.unwrap().locked.then_some(());
    wait_for(PATIENCE, locked).await.expect("the cell is not locked");
}

fn found(node: &TestNode) -> Vec<String> {
    let marks = canary::Marks::new([("a secret of the group", MARK.as_bytes())]).unwrap();
    let places = [
        canary::Place::Tree(node.folder().join("data")),
        canary::Place::Tree(node.folder().join("node.log")),
        canary::Place::Process(node.local().pid().unwrap()),
    ];
    let report = canary::search(&marks, &places).unwrap();
    report.findings.iter().map(|finding| format!("{finding:?}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_open_it_into_the_container_alone_and_one_of_them_ends_it() {
    let node = TestNode::start_with(|config| config.telemetry.filter = "debug".to_owned()).await.unwrap();
    let mut team = Team::on(node).await;
    let (container, host) = container(&mut team, 0).await;
    let mut open = shared(&team).await;
    open.appoint_cell(container, host, &[("DEPLOY", "deploy").into()], 8 * HOUR).await.unwrap();
    drop(open);
    // it opens with no vault of its own user's any more
    let own = team.vaults[0].unlock_container(container, &[], HOUR, false).await.err().unwrap();
    assert_eq!(own.reason().as_deref(), Some("GROUP_CELL"), "{own}");
    let [hers, his, carols] = &team.vaults;
    // Bob's device has never met this vault open, Ada's has: he can ask all the same
    let asked = his.ask_for_cell(team.group, HOUR).await.unwrap();
    assert!(asked.into_cell() && asked.state == CeremonyState::Open && asked.approved == 1);
    let again = his.ask_for_cell(team.group, HOUR).await.unwrap();
    assert_eq!((again.id, again.approved), (asked.id, 1), "gone on with");
    let beside = carols.ask_for_cell(team.group, HOUR).await.err().unwrap();
    assert_eq!(beside.reason().as_deref(), Some("CELL_ASKED"), "{beside}");
    assert!(his.open_group_cell(team.group, asked.id).await.is_err(), "too few have approved");
    let review = hers.review_unlock(team.group, asked.id).await.unwrap();
    let shown = review.cell.as_ref().unwrap();
    let cell = &shown.cell;
    assert_eq!((cell.container, cell.host, cell.secrets, shown.known), (container, host, 1, Known::Same));
    let released = hers.approve_unlock(team.group, &review).await.unwrap();
    assert_eq!(released.state, CeremonyState::Released);
    // whoever approved has it opened: what is sealed to the cell is of no use to them
    let until = hers.open_group_cell(team.group, asked.id).await.unwrap();
    assert!(until <= asked.expires_at + Duration::from_secs(10), "no longer than what was approved");
    is_given(&team, &format!("{MARK} none")).await;
    let shown = carols.group_cell(team.group).await.unwrap().unwrap();
    assert!(shown.in_force && shown.unlocked_until.is_some());
    his.open_group_cell(team.group, asked.id).await.expect("a second time changes nothing");
    // no device has the vault: not who asked, and not whose container it is
    for device in [his, hers] {
        assert!(device.open_group_vault(team.group, Rollback::Refuse).await.is_err());
    }
    assert_eq!(found(&team.node), [""; 0]);
    let way_in = team.vaults[0].attach_container(container, false).await.unwrap().unwrap();
    let kind = StreamKind::Exec { argv: vec!["true".to_owned()], tty: false };
    assert!(team.people[0].client.open_channel(&way_in.endpoints, kind).await.is_err());
    assert!(team.vaults[0].extend_unlock(container, 4 * HOUR).await.is_err(), "nobody makes it longer");
    // one who did not even approve ends it
    let ended = team.vaults[2].deny_unlock(team.group, asked.id).await.unwrap();
    assert!(!ended.is_live(), "{ended:?}");
    is_locked(&team, container).await;
    assert!(team.vaults[1].open_group_cell(team.group, asked.id).await.is_err(), "its key is gone");
    let status = team.people[0].client.group_vault(team.group).await.unwrap();
    assert!(status.due_since.is_none(), "nobody had the key");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_what_a_lying_node_shows_in_place_of_the_appointed_cell() {
    let database = TestDatabase::migrated().await.unwrap();
    let node = TestNode::start_on(&database.url(), |_| {}).await.unwrap();
    let mut team = Team::on(node).await;
    let (adas, host) = container(&mut team, 0).await;
    let (bobs, _) = container(&mut team, 1).await;
    let mut open = shared(&team).await;
    let deploy = [("DEPLOY", "deploy").into()];
    open.appoint_cell(adas, host, &[("OTHER", "bank").into()], HOUR).await.unwrap();
    database.run("CREATE TABLE first_appointed AS SELECT * FROM group_cells").await.unwrap();
    open.appoint_cell(adas, host, &deploy, HOUR).await.unwrap();
    drop(open);
    let [hers, his, carols] = &team.vaults;
    let is_refused = |shown: Result<_, ClientError>| {
        let shown = shown.map(|review: ocmt_client::group_vault::UnlockReview| review.unlock.id);
        assert!(matches!(shown, Err(ClientError::Crypto(CryptoError::Refused))), "{shown:?}");
    };
    let asked = his.ask_for_cell(team.group, HOUR).await.unwrap();
    database.run("CREATE TABLE asked AS SELECT * FROM group_cell_unlocks").await.unwrap();
    // shown as Carol's own: she would go on with it, and so approve what she has not asked for
    let is_of = |email: &str| {
        format!("UPDATE ceremonies SET user_id = users.user_id FROM users WHERE users.email = '{email}'")
    };
    database.run(&is_of(&team.people[2].email)).await.unwrap();
    let other = carols.ask_for_cell(team.group, HOUR).await.err().unwrap();
    assert_eq!(other.reason().as_deref(), Some("CELL_ASKED"), "{other}");
    assert_eq!(hers.group_unlock(team.group, asked.id).await.unwrap().approved, 1, "by who asked");
    database.run(&is_of(&team.people[1].email)).await.unwrap();
    // the key of another cell, which a host of this cluster states
    let request = pb::GetCellKeyRequest { container_id: bobs.to_string() };
    let other = team.people[1].client.containers().get_cell_key(request).await.unwrap().into_inner();
    let other = data_encoding::HEXLOWER.encode(&other.statement.unwrap().statement);
    let lie = format!("UPDATE group_cell_unlocks SET statement = decode('{other}', 'hex')");
    database.run(&lie).await.unwrap();
    is_refused(hers.review_unlock(team.group, asked.id).await);
    let back = "UPDATE group_cell_unlocks SET statement = asked.statement FROM asked";
    database.run(back).await.unwrap();
    // the appointment of before, which the vault has signed too
    let lie = "UPDATE group_cells SET body = first_appointed.body FROM first_appointed";
    database.run("CREATE TABLE second_appointed AS SELECT * FROM group_cells").await.unwrap();
    database.run(lie).await.unwrap();
    is_refused(carols.review_unlock(team.group, asked.id).await);
    // asked for by it, on a device that knows no other: one that does refuses
    his.cancel_unlock(team.group, asked.id).await.unwrap();
    let older = carols.ask_for_cell(team.group, HOUR).await.unwrap();
    let refused = hers.review_unlock(team.group, older.id).await.err().unwrap();
    assert!(matches!(&refused, ClientError::Usage(text) if text.contains("older appointment")), "{refused}");
    carols.cancel_unlock(team.group, older.id).await.unwrap();
    let back = "UPDATE group_cells SET body = second_appointed.body FROM second_appointed";
    database.run(back).await.unwrap();
    // what goes into a cell is not shown as what goes to a device
    let asked = his.ask_for_cell(team.group, HOUR).await.unwrap();
    hers.review_unlock(team.group, asked.id).await.expect("as it is");
    database.run("DELETE FROM group_cell_unlocks").await.unwrap();
    is_refused(hers.review_unlock(team.group, asked.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_end_the_appointment_unless_whoever_makes_them_signs_it_anew() {
    let mut team = Team::start().await;
    let (container, host) = container(&mut team, 0).await;
    let mut open = shared(&team).await;
    assert!(open.appointed_cell().await.unwrap().is_none());
    let none = team.vaults[1].ask_for_cell(team.group, HOUR).await.err().unwrap();
    assert!(matches!(&none, ClientError::Usage(text) if text.contains("cell appoint")), "{none}");
    open.appoint_cell(container, host, &[("DEPLOY", "deploy").into()], 2 * HOUR).await.unwrap();
    drop(open);
    // Bob opens it on his device, with Carol, and makes new keys
    let his = &team.vaults[1];
    let asked = his.ask_for_unlock(team.group, HOUR).await.unwrap();
    let review = team.vaults[2].review_unlock(team.group, asked.id).await.unwrap();
    assert!(review.cell.is_none(), "to a device");
    team.vaults[2].approve_unlock(team.group, &review).await.unwrap();
    let mut open = his.open_group_vault(team.group, Rollback::Refuse).await.unwrap();
    let before = open.appointed_cell().await.unwrap().unwrap();
    let all = open.admitted().await.unwrap();
    for other in [&team.people[0], &team.people[2]] {
        super::trusts(&team.people[1], other).await;
    }
    open.rotate(&all, "the device had the key").await.unwrap();
    let lapsed = team.vaults[2].group_cell(team.group).await.unwrap().unwrap();
    assert!(!lapsed.in_force);
    let refused = team.vaults[2].ask_for_cell(team.group, HOUR).await.err().unwrap();
    assert!(matches!(&refused, ClientError::Usage(text) if text.contains("new keys since")), "{refused}");
    let longer = open.appoint_again(&before).await.unwrap();
    assert!(longer.in_force && longer.container == container);
    let theirs = team.people[0].email.clone();
    assert_eq!(longer.owner_email, theirs, "it is Ada's still");
    drop(open);
    let too_long = team.vaults[2].ask_for_cell(team.group, 3 * HOUR).await.err().unwrap();
    assert!(matches!(&too_long, ClientError::Usage(text) if text.contains("120 min")), "{too_long}");
    // who never opens the vault hears of new keys all the same: by asking or approving
    let carols = &team.people[2];
    let vault = carols.client.group_vault(team.group).await.unwrap().vault.unwrap();
    assert!(carols.device.seen(vault).unwrap().is_none());
    let asked = team.vaults[2].ask_for_cell(team.group, HOUR).await.unwrap();
    assert!(carols.device.seen(vault).unwrap().is_some(), "it remembers the state that it approved for");
    let review = team.vaults[0].review_unlock(team.group, asked.id).await.unwrap();
    assert_eq!(review.cell.as_ref().unwrap().known, Known::Newer, "than the one that she has signed");
    team.vaults[0].approve_unlock(team.group, &review).await.unwrap();
    team.vaults[2].open_group_cell(team.group, asked.id).await.unwrap();
    is_given(&team, &format!("{MARK} none")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_appointed_opened_and_ended_by_the_command_line() {
    let mut team = Team::start().await;
    let (container, _) = container(&mut team, 0).await;
    drop(team.three_administrators().await);
    let [ada, bob, carol] = &team.people;
    for who in &team.people {
        keep(&team.node, who);
    }
    fs::write(team.at("passphrase"), PASSPHRASE).unwrap();
    let folder = ocmt_client::state::LocalState::open(&team.node.folder().join("typed/ada")).unwrap();
    for other in [bob, carol] {
        let keys = ada.client.keys_of(&other.email).await.unwrap();
        folder.compared_person(ada.client.identity().unwrap().tenant, &other.email, &keys).unwrap();
    }
    let keep = ["--keep", bob.email.as_str(), "--keep", carol.email.as_str()];
    let vault =
        async |n: usize, words: &[&str]| team.types(n, &[&["group", "vault"][..], words].concat()).await;
    let map = ["cell", "appoint", "GROUP", "--map", "DEPLOY=bank", "--longest", "2h", "--json"];
    let alone = vault(0, &map).await;
    assert!(alone.code != Some(0) && alone.err.contains("share-key"), "{alone:?}");
    json(&vault(0, &[&["share-key", "GROUP", "--need", "2", "--json"][..], &keep[..]].concat()).await);
    let nothing = vault(0, &["cell", "show", "GROUP"]).await;
    assert!(nothing.err.contains("No container is appointed"), "{nothing:?}");
    // with the vault open on her device, as several have to say
    let asked = json(&vault(0, &["unlock", "GROUP", "--for", "1h", "--json"]).await);
    let words = asked["words"].as_str().unwrap();
    let given = vault(1, &["approve", "GROUP", "--words", words]).await;
    assert!(given.code == Some(0) && given.err.contains("to their own device"), "{given:?}");
    let cell = json(&vault(0, &map).await);
    assert_eq!((&cell["container"], &cell["secrets"]), (&container.to_string().into(), &1.into()), "{cell}");
    let rotated = vault(0, &[&["rotate", "GROUP", "--keep-cell", "--json"][..], &keep[..]].concat()).await;
    assert!(
        rotated.code == Some(0) && rotated.err.contains("may be opened into this container"),
        "{rotated:?}"
    );
    let shown = json(&vault(2, &["cell", "show", "GROUP", "--json"]).await);
    assert_eq!((&shown["in_force"], &shown["longest_s"]), (&true.into(), &7200.into()), "{shown}");
    // into the container
    let asked = json(&vault(1, &["unlock", "GROUP", "--into-cell", "--for", "1h", "--json"]).await);
    let words = asked["words"].as_str().unwrap();
    let id = asked["unlock"]["id"].as_str().unwrap();
    let wrong = vault(2, &["approve", "GROUP", "--words", "able zoo baker able zoo baker"]).await;
    assert!(wrong.code != Some(0) && wrong.err.contains("not those of this unlock"), "{wrong:?}");
    let given = vault(2, &["approve", "GROUP", "--words", words]).await;
    assert!(given.code == Some(0) && given.out.contains("no device has the key"), "{given:?}");
    assert!(given.err.contains(&container.to_string()), "{given:?}");
    assert!(given.err.contains("to no device") && given.err.contains("has not met it before"), "{given:?}");
    is_given(&team, "the value none").await;
    let listed = vault(0, &["unlocks", "GROUP"]).await;
    assert!(listed.out.contains("handed to the container"), "{listed:?}");
    let shown = vault(0, &["cell", "show", "GROUP"]).await;
    assert!(shown.out.contains("open until"), "{shown:?}");
    let read = vault(1, &["get", "GROUP", "bank", "--out", "-"]).await;
    assert!(read.code != Some(0) && !read.out.contains("the value"), "{read:?}");
    // and before its time is over it ends
    let ended = vault(0, &["cell", "end", "GROUP"]).await;
    assert!(ended.code == Some(0) && ended.out.contains("wipes"), "{ended:?}");
    is_locked(&team, container).await;
    let over = vault(1, &["cell", "watch", "GROUP", "--unlock", id]).await;
    assert!(over.code == Some(0) && over.out.contains("2 of 2"), "{over:?}");
    let dismissed = team.asks(1, &["group", "vault", "cell", "dismiss", "GROUP"]).await;
    assert_eq!(dismissed.code, Some(0), "{dismissed:?}");
    let nothing = vault(0, &["cell", "show", "GROUP", "--json"]).await;
    assert_eq!(json(&nothing), serde_json::Value::Null, "{nothing:?}");
}
