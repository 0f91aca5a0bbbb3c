//! A tenant keeps an owner, with changes of roles that arrive at two nodes at once while it moves between them.

use std::time::Duration;

use futures_util::future::join_all;
use ocmt_store::tables::{User, UserRole, UserState};

use super::{hand_over, taken};
use crate::{
    api::users::{RemoveUser, Role, SetRole},
    tests::kit::{Kit, Person},
};

const OWNERS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn owners_who_leave_at_two_nodes_at_once_leave_one_on_sim() {
    owners_who_leave_at_two_nodes_at_once_leave_one(Kit::sim().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn owners_who_leave_at_two_nodes_at_once_leave_one_on_postgres() {
    owners_who_leave_at_two_nodes_at_once_leave_one(Kit::postgres().await).await;
}

async fn owners_who_leave_at_two_nodes_at_once_leave_one(a: Kit) {
    let b = a.beside(2).await;
    let ann = a.founder("ann@example.com").await;
    let mut owners = vec![ann.clone()];
    for n in 1..OWNERS {
        owners.push(a.member(&ann, &format!("owner{n}@example.com"), Role::Owner).await);
    }
    // each steps down, or is removed by the next
    let tries = (0..OWNERS).map(|n| leave([&a, &b], n, &owners));
    let (left, ()) = tokio::join!(join_all(tries), hand_over([&a, &b], ann.tenant));
    let mut tx = a.store.read(taken(&a, ann.tenant).await).await.unwrap();
    let whole = User::role.eq(UserRole::Owner).and(User::state.eq(UserState::Active));
    let still = usize::try_from(tx.count(whole).await.unwrap()).unwrap();
    assert!(still >= 1, "nobody owns the tenant");
    assert_eq!(still, OWNERS - left.iter().filter(|gone| **gone).count());
    assert!(left.iter().any(|gone| *gone), "nobody could leave at all");
}

/// Whether this owner is one no more by this try.
async fn leave(nodes: [&Kit; 2], n: usize, owners: &[Person]) -> bool {
    let own = &owners[n];
    let other = &owners[(n + 1) % owners.len()];
    for turn in n..n + 20_000 {
        let kit = nodes[turn % 2];
        let key = u8::try_from(n).unwrap() + 1;
        let answer = if n.is_multiple_of(2) {
            let down = SetRole { user: own.user, role: Role::Member.into() };
            kit.system.tenant(own.tenant).call(own.caller.clone(), kit.keyed(key, key), down).await.map(drop)
        } else {
            let remove = RemoveUser { user: own.user };
            kit.system
                .tenant(own.tenant)
                .call(other.caller.clone(), kit.keyed(key, key), remove)
                .await
                .map(drop)
        };
        match answer {
            Ok(()) => return true,
            Err(error) if error.is_retryable() || error.outcome_unknown() => {}
            Err(error) => {
                assert!(
                    ["LAST_OWNER", "PERMISSION_DENIED", "UNAUTHENTICATED", "NOT_FOUND"]
                        .contains(&error.reason()),
                    "{error:?}"
                );
                return false;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await; // why: the pause between two tries of an edge, bounded by the turns
    }
    panic!("no node took it");
}
