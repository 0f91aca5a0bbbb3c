//! What was shared with somebody is theirs to read, and not their programs'.

use super::{Permission, get, given, list, reason, three};
use crate::tests::{api_keys::made, kit::Kit};

#[tokio::test]
async fn to_a_key_of_the_taker_what_was_shared_is_not_there() {
    let kit = Kit::sim().await;
    let (ann, bob, _) = three(&kit).await;
    let all = [Permission::List, Permission::Read];
    given(&kit, &ann, &bob, "granted", &all).await;
    let (vault, granted) = (ann.vault(), ann.id("granted"));
    get(&kit, bob.caller(), vault, granted).await.unwrap();
    list(&kit, bob.caller(), vault).await.unwrap();
    let key = made(&kit, &bob.person, &["vault.read"]).await;
    assert_eq!(reason(get(&kit, &key.caller, vault, granted).await), "NOT_FOUND");
    assert_eq!(reason(list(&kit, &key.caller, vault).await), "NOT_FOUND");
    // its user's own is
    get(&kit, &key.caller, bob.vault(), bob.id("granted")).await.unwrap();
    list(&kit, &key.caller, bob.vault()).await.unwrap();
}
