//! Sign-in by passkey: whose a passkey is, and that a challenge is used up once.

use ocmt_store::{
    Store,
    tables::PasskeySignIn,
    testing::{TestNode, id},
};
use ocmt_types::{Digest32, Timestamp};

pub async fn a_challenge_is_used_up_once_by_who_asked_with_the_sign_in(store: Store) {
    let own = TestNode::start(&store, 1).await.unwrap().found(1).await.unwrap();
    let directory = store.directory();
    for n in [1, 2] {
        let wish = PasskeySignIn {
            assertion_id: id(n),
            binding_hash: Digest32([7; 32]),
            state: vec![1],
            expires_at: Timestamp(100),
        };
        directory.put_passkey_sign_in(&wish, Timestamp(0)).await.unwrap();
    }
    let taken = async |assertion: u64, binding: u8, now: i64, kept: bool| {
        let mut tx = store.fenced(own).await.unwrap();
        let binding = Digest32([binding; 32]);
        let taken = tx.take_passkey_sign_in(id(assertion), binding, Timestamp(now)).await.unwrap();
        if kept {
            tx.commit().await.unwrap();
        }
        taken.is_some()
    };
    assert!(!taken(1, 8, 0, true).await, "another client");
    assert!(!taken(1, 7, 100, true).await, "too late");
    assert!(taken(1, 7, 99, false).await, "a sign-in that comes to nothing leaves it");
    assert!(taken(1, 7, 99, true).await);
    assert!(!taken(1, 7, 99, true).await, "used");
    assert!(taken(2, 7, 99, true).await, "the other is left");
}

pub async fn a_passkey_is_one_accounts(store: Store) {
    let node = TestNode::start(&store, 1).await.unwrap();
    let (first, second) = (node.found(1).await.unwrap(), node.found(2).await.unwrap());
    let passkey = Digest32([3; 32]);
    let mut tx = store.fenced(first).await.unwrap();
    assert!(tx.list_passkey(passkey, id(1)).await.unwrap());
    tx.commit().await.unwrap();
    let mut tx = store.fenced(second).await.unwrap();
    assert!(!tx.list_passkey(passkey, id(2)).await.unwrap(), "another tenant's");
    assert!(!tx.unlist_passkey(passkey).await.unwrap(), "nor is it taken away by one");
    tx.commit().await.unwrap();
    let entry = store.directory().passkey(passkey).await.unwrap().unwrap();
    assert_eq!((entry.tenant_id, entry.user_id), (first.tenant, id(1)));
    let mut tx = store.fenced(first).await.unwrap();
    assert!(tx.unlist_passkey(passkey).await.unwrap());
    tx.commit().await.unwrap();
    assert!(store.directory().passkey(passkey).await.unwrap().is_none());
}
