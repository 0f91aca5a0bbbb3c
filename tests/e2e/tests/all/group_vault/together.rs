//! `ocmt group vault unlock` as people type it: several administrators open a vault together.

use std::{fs, time::Duration};

use ocmt_client::{ClientError, group::MemberRole, group_vault::GroupVault, recovery::CeremonyState};
use ocmt_crypto::vault::Rollback;
use ocmt_store::testing::TestDatabase;
use ocmt_testkit::TestNode;

use super::{PASSPHRASE, Team, trusts};
use crate::api_keys::{json, keep};

impl Team {
    /// Bob and Carol are admitted by Ada and administer the group; each has compared words with her. Her vault of it.
    pub(super) async fn three_administrators(&self) -> GroupVault<'_> {
        let [ada, ..] = &self.people;
        let mut open = self.vaults[0].create_group_vault(self.group).await.unwrap();
        open.secrets_mut().put("bank", b"the value").await.unwrap();
        for n in [1, 2] {
            let (other, own) = (&self.people[n], &self.vaults[n]);
            trusts(ada, other).await;
            trusts(other, ada).await;
            own.join_group_vault(self.group, &ada.email).await.unwrap();
            open.admit(&other.email).await.unwrap();
            let user = self.user(n).await;
            ada.client.set_member_role(self.group, user, MemberRole::Admin).await.unwrap();
        }
        open
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_open_it_together_by_the_command_line() {
    let team = Team::start().await;
    let open = team.three_administrators().await;
    drop(open);
    let [ada, bob, carol] = &team.people;
    for who in &team.people {
        keep(&team.node, who);
    }
    fs::write(team.at("passphrase"), PASSPHRASE).unwrap();
    // the command line's own folder has compared the words too
    let folder = ocmt_client::state::LocalState::open(&team.node.folder().join("typed/ada")).unwrap();
    for other in [bob, carol] {
        let keys = ada.client.keys_of(&other.email).await.unwrap();
        folder.compared_person(ada.client.identity().unwrap().tenant, &other.email, &keys).unwrap();
    }
    let keep = ["--keep", bob.email.as_str(), "--keep", carol.email.as_str()];
    let asked = team.types(0, &["group", "vault", "share-key", "GROUP", "--need", "2"]).await;
    assert!(asked.code != Some(0) && asked.err.contains("--keep"), "{asked:?}");
    let shared = json(
        &team
            .types(
                0,
                &[&["group", "vault", "share-key", "GROUP", "--need", "2", "--json"][..], &keep[..]].concat(),
            )
            .await,
    );
    assert_eq!((&shared["needed"], &shared["parts"]), (&2.into(), &3.into()), "{shared}");
    let alone = team.types(0, &["group", "vault", "get", "GROUP", "bank", "--out", "-"]).await;
    assert!(alone.code != Some(0) && alone.err.contains("ocmt group vault unlock"), "{alone:?}");
    let asked = json(&team.types(0, &["group", "vault", "unlock", "GROUP", "--for", "1h", "--json"]).await);
    let words = asked["words"].as_str().unwrap().to_owned();
    assert_eq!(asked["unlock"]["state"], "open", "{asked}");
    let early = team.types(0, &["group", "vault", "get", "GROUP", "bank", "--out", "-"]).await;
    assert!(early.code != Some(0) && early.err.contains("too few have approved"), "{early:?}");
    // asked for again it is the same one: what was approved of it counts
    let again = json(&team.types(0, &["group", "vault", "unlock", "GROUP", "--for", "1h", "--json"]).await);
    assert_eq!(
        (&again["words"], &again["unlock"]["approved"]),
        (&words.as_str().into(), &1.into()),
        "{again}"
    );
    let wrong = "able zoo baker able zoo baker";
    let refused = team.types(1, &["group", "vault", "approve", "GROUP", "--words", wrong]).await;
    assert!(refused.code != Some(0) && refused.err.contains("not those of this unlock"), "{refused:?}");
    let given = team.types(1, &["group", "vault", "approve", "GROUP", "--words", &words, "--json"]).await;
    assert_eq!(json(&given)["state"], "released", "{given:?}");
    let got = team.types(0, &["group", "vault", "get", "GROUP", "bank", "--out", "-"]).await;
    assert_eq!(got.out, "the value", "{got:?}");
    let not_his = team.types(1, &["group", "vault", "get", "GROUP", "bank", "--out", "-"]).await;
    assert_ne!(not_his.code, Some(0), "{not_his:?}");
    let listed = team.types(2, &["group", "vault", "unlocks", "GROUP"]).await;
    assert!(listed.out.contains("released") && listed.out.contains("2 of 2"), "{listed:?}");
    // new keys, while it lasts: the unlock ends with them
    let rotated =
        team.types(0, &[&["group", "vault", "rotate", "GROUP", "--json"][..], &keep[..]].concat()).await;
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    let over = team.types(0, &["group", "vault", "get", "GROUP", "bank", "--out", "-"]).await;
    assert_ne!(over.code, Some(0), "{over:?}");
    // and what is refused opens nothing
    json(&team.types(2, &["group", "vault", "unlock", "GROUP", "--json"]).await);
    let denied = json(&team.types(0, &["group", "vault", "deny", "GROUP", "--json"]).await);
    assert_eq!(denied["state"], "open", "one may still say yes: {denied}");
    let denied = json(&team.types(1, &["group", "vault", "deny", "GROUP", "--json"]).await);
    assert_eq!(denied["state"], "denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lies_lowers_no_number_and_what_is_over_is_forgotten() {
    let database = TestDatabase::migrated().await.unwrap();
    let node = TestNode::start_on(&database.url(), |_| {}).await.unwrap();
    let team = Team::on(node).await;
    let [hers, his, carols] = &team.vaults;
    let mut alone = team.three_administrators().await;
    let all = alone.admitted().await.unwrap();
    alone.share_key(3, &all).await.unwrap();
    let asked = hers.ask_for_unlock(team.group, Duration::from_secs(3600)).await.unwrap();
    for other in [his, carols] {
        let review = other.review_unlock(team.group, asked.id).await.unwrap();
        other.approve_unlock(team.group, &review).await.unwrap();
    }
    let mut open = hers.open_group_vault(team.group, Rollback::Refuse).await.unwrap();
    database.run("UPDATE guardian_sets SET threshold = 2").await.unwrap();
    let told = team.people[0].client.group_vault(team.group).await.unwrap();
    assert_eq!(told.needed, 2, "it lies");
    let all = open.admitted().await.unwrap();
    open.rotate(&all, "as it was").await.unwrap();
    drop(open);
    let told = team.people[0].client.group_vault(team.group).await.unwrap();
    assert_eq!((told.needed, told.parts), (3, 3), "as many as signed before");
    // when the node says that it is over, nothing of it stays on the device
    let asked = hers.ask_for_unlock(team.group, Duration::from_secs(3600)).await.unwrap();
    assert_eq!(asked.state, CeremonyState::Open);
    database.run("UPDATE ceremonies SET expires_at = opened_at").await.unwrap();
    let over = hers.open_group_vault(team.group, Rollback::Refuse).await.err().unwrap();
    assert_eq!(over.reason().as_deref(), Some("CEREMONY_OVER"), "{over}");
    let forgotten = hers.open_group_vault(team.group, Rollback::Refuse).await.err().unwrap();
    assert!(matches!(forgotten, ClientError::Usage(text) if text.contains("ocmt group vault unlock")));
}
