//! The same over two nodes.

use super::*;
use crate::tests::kit::until;

/// At most so many rounds: each moves the tenant once or twice.
const ROUNDS: usize = 60;

/// Ann finishes a rotation that has a slot for Bob, and takes him out at the same time by another node: whichever comes
/// first, nobody has keys who is out, unless new ones are due.
#[tokio::test]
async fn a_leaver_races_a_rotation_and_has_no_keys_that_are_not_due_to_be_replaced() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let (mut out_first, mut in_first) = (0, 0);
    for round in 0..ROUNDS {
        let ann = a.founder(&format!("ann{round}@example.com")).await;
        let bob = a.member(&ann, &format!("bob{round}@example.com"), Role::Member).await;
        let (ann, bob) = (Side::of(&a, ann).await, Side::of(&a, bob).await);
        let group = a.call(ann.caller(), CreateGroup { name: "team".into() }).await.unwrap().id;
        add(&a, &ann, group, &bob, GroupRole::Member).await;
        let mut open = found(&a, &ann, group).await.unwrap();
        take_in(&a, &ann, &mut open, group, &bob).await;
        let (finish, _) = staged(&a, &ann, &open, &[]).await.unwrap();
        let (meta, other) = (a.meta(), b.meta());
        let nodes = if round % 2 == 0 { [&a, &b] } else { [&b, &a] };
        let (out, here) = (RemoveMember { group, user: bob.person.user }, [&a, &b]);
        let (removed, finished) = futures_util::join!(
            Kit::ask_any(&nodes, ann.caller(), &meta, out),
            Kit::ask_any(&here, ann.caller(), &other, finish),
        );
        removed.unwrap();
        match &finished {
            Ok(_) => in_first += 1,
            Err(error) if error.reason() == "NOT_ADMITTED" => out_first += 1,
            Err(error) => panic!("{error}"),
        }
        let view = GetGroupVault { group };
        let view = Kit::ask_any(&[&a, &b], ann.caller(), &a.meta(), view).await.unwrap();
        assert!(view.due.is_some(), "{finished:?}");
        let slots = GetKeySlots { vault: Some(open.scope().vault), kind: None, claim: None };
        let his = Kit::ask_any(&[&a, &b], bob.caller(), &a.meta(), slots).await;
        assert_eq!(his.unwrap_err(), ActorError::NotFound);
    }
    assert!(out_first > 0 && in_first > 0, "{out_first} and {in_first}: nothing raced");
}

#[tokio::test]
async fn who_left_at_one_node_is_out_wherever_the_tenant_goes() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let team = Team::with_bob(&a).await;
    team.remove(&a, &team.bob).await.unwrap();
    a.is_declared_dead().await;
    let ask = GetKeySlots { vault: Some(team.vault()), kind: None, claim: None };
    until("the other node has the tenant", async || {
        !b.call(team.bob.caller(), ask.clone()).await.is_err_and(|error| error.is_retryable())
    })
    .await;
    assert_eq!(b.call(team.bob.caller(), ask).await.unwrap_err(), ActorError::NotFound);
    let view = b.call(team.ann.caller(), GetGroupVault { group: team.group }).await.unwrap();
    assert!(view.due.is_some(), "due still");
}
