//! `ocmt group vault unlock` as people type it: several administrators open a vault together.

use std::fs;

use ocmt_client::group::MemberRole;

use super::{PASSPHRASE, Team, trusts};
use crate::api_keys::{json, keep};

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_open_it_together_by_the_command_line() {
    let team = Team::start().await;
    let [ada, bob, carol] = &team.people;
    let [hers, his, carols] = &team.vaults;
    let mut open = hers.create_group_vault(team.group).await.unwrap();
    open.secrets_mut().put("bank", b"the value").await.unwrap();
    for (n, other, own) in [(1, bob, his), (2, carol, carols)] {
        trusts(ada, other).await;
        trusts(other, ada).await;
        own.join_group_vault(team.group, &ada.email).await.unwrap();
        open.admit(&other.email).await.unwrap();
        let user = team.user(n).await;
        ada.client.set_member_role(team.group, user, MemberRole::Admin).await.unwrap();
    }
    for who in &team.people {
        keep(&team.node, who);
    }
    fs::write(team.at("passphrase"), PASSPHRASE).unwrap();
    // the command line's own folder has compared the words too
    let folder = ocmt_client::state::LocalState::open(&team.node.folder().join("typed/ada")).unwrap();
    for other in [bob, carol] {
        let keys = ada.client.keys_of(&other.email).await.unwrap();
        folder.pin_person(ada.client.identity().unwrap().tenant, &other.email, &keys).unwrap();
    }
    let shared =
        json(&team.types(0, &["group", "vault", "share-key", "GROUP", "--need", "2", "--json"]).await);
    assert_eq!((&shared["needed"], &shared["parts"]), (&2.into(), &3.into()), "{shared}");
    let alone = team.types(0, &["group", "vault", "get", "GROUP", "bank", "--out", "-"]).await;
    assert!(alone.code != Some(0) && alone.err.contains("ocmt group vault unlock"), "{alone:?}");
    let asked = json(&team.types(0, &["group", "vault", "unlock", "GROUP", "--for", "1h", "--json"]).await);
    let words = asked["words"].as_str().unwrap().to_owned();
    assert_eq!(asked["unlock"]["state"], "open", "{asked}");
    let early = team.types(0, &["group", "vault", "get", "GROUP", "bank", "--out", "-"]).await;
    assert_ne!(early.code, Some(0), "{early:?}");
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
    let rotated = team.types(0, &["group", "vault", "rotate", "GROUP", "--json"]).await;
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
