//! The same over two nodes: the removal of somebody who approved against the last approval.

use super::*;

const ROUNDS: usize = 60;

#[tokio::test]
async fn a_removal_races_the_last_approval_and_nothing_is_collected_with_a_part_of_who_is_out() {
    let a = Kit::sim().await;
    let b = a.beside(2).await;
    let (mut released, mut held) = (0, 0);
    for round in 0..ROUNDS {
        let three = Three::at(&a, &format!("{round}.example.com")).await;
        let asked = three.ask(&a, &three.team.ann, HOUR).await.unwrap();
        three.approve(&a, &three.team.bob, asked.id()).await.unwrap();
        let last = three.approval(&a, &three.team.ann, asked.id()).await;
        let group = three.team.group;
        let out = RemoveMember { group, user: three.team.bob.person.user };
        let yes = ApproveGroupUnlock { group, ceremony: asked.id(), approval: last };
        let (order, both) = (if round % 2 == 0 { [&a, &b] } else { [&b, &a] }, [&a, &b]);
        let (ann, (one, two)) = (three.team.ann.caller(), (a.meta(), b.meta()));
        let (gone, said) =
            futures_util::join!(Kit::ask_any(&order, ann, &one, out), Kit::ask_any(&both, ann, &two, yes));
        gone.unwrap();
        let collect = CollectGroupUnlock { group, ceremony: asked.id() };
        let collected = Kit::ask_any(&[&a, &b], ann, &a.meta(), collect).await;
        match said.unwrap().state {
            // before he was out: and yet nobody collects with his part
            CeremonyState::Released => {
                released += 1;
                assert_eq!(reason(collected), "CEREMONY_OVER");
            }
            state => {
                held += 1;
                assert_eq!(
                    (state, reason(collected).as_str()),
                    (CeremonyState::Open, "CEREMONY_NOT_RELEASED")
                );
            }
        }
    }
    assert!(released > 0 && held > 0, "{released} and {held}: nothing raced");
}
