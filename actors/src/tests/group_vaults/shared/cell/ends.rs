//! How an unlock into the cell ends, and that its cell is locked then.

use std::sync::atomic::Ordering;

use super::*;
use crate::{
    api::container::{ExtendUnlock, GetCellKey, LockCell, RemoveContainer},
    host::tests::unlock_cell,
};

#[tokio::test]
async fn its_time_ends_it_at_the_host_too_and_nobody_owes_new_keys() {
    let (cell, asked) = Box::pin(Cell::opened()).await;
    cell.world.cells.locks.lock().unwrap().clear();
    cell.kit().clock.advance(HOUR / 2);
    let tenant = cell.three.team.ann.person.tenant;
    cell.kit().system.send(tenant, crate::tenant::TenantMessage::TimerDue);
    until("it is over", async || !cell.three.state(cell.kit(), asked).await.is_live()).await;
    cell.is_locked().await;
    until("it was locked", async || !cell.world.cells.locks.lock().unwrap().is_empty()).await;
    assert!(cell.three.team.view(cell.kit()).await.due.is_none(), "no device had the key");
    assert_eq!(reason(cell.hand(&cell.three.team.ann, asked).await), "CEREMONY_OVER");
}

#[tokio::test]
async fn one_who_holds_a_part_locks_it_at_once() {
    let (cell, asked) = Box::pin(Cell::opened()).await;
    cell.three.deny(cell.kit(), &cell.three.team.carol, asked).await.unwrap();
    cell.is_locked().await;
    assert_eq!(reason(cell.hand(&cell.three.team.ann, asked).await), "CEREMONY_OVER");
}

#[tokio::test]
async fn it_ends_with_who_approved_and_with_whose_container_it_is() {
    let (cell, asked) = Box::pin(Cell::opened()).await;
    cell.three.team.remove(cell.kit(), &cell.three.team.bob).await.unwrap();
    assert_eq!(cell.three.state(cell.kit(), asked).await, CeremonyState::Cancelled, "his approval is void");
    cell.is_locked().await;
    // and the container is the group's no more when its user is out of the group
    let (cell, _) = Box::pin(Cell::opened()).await;
    let (group, ann) = (cell.three.team.group, &cell.three.team.ann);
    let leave = RemoveMember { group, user: ann.person.user };
    cell.kit().call(cell.three.team.bob.caller(), leave).await.unwrap();
    cell.is_locked().await;
    let get = GetGroupCell { group };
    assert_eq!(reason(cell.kit().call(cell.three.team.bob.caller(), get).await), "NO_GROUP_CELL");
}

#[tokio::test]
async fn it_ends_with_the_appointment_with_new_keys_and_with_the_container() {
    let (cell, _) = Box::pin(Cell::opened()).await;
    cell.dismiss(&cell.three.team.bob).await.unwrap();
    cell.is_locked().await;
    assert_eq!(reason(cell.asking(&cell.three.team.ann, HOUR).await), "NO_GROUP_CELL");

    let (cell, asked) = Box::pin(Cell::opened()).await;
    cell.appoint(&cell.three.team.ann, cell.signed(2)).await.unwrap();
    assert!(!cell.three.state(cell.kit(), asked).await.is_live(), "what it went by is another");
    cell.is_locked().await;

    let (cell, asked) = Box::pin(Cell::opened()).await;
    let remove = RemoveContainer { container: cell.container, delete_volume: false };
    cell.kit().call(cell.three.team.ann.caller(), remove).await.unwrap();
    until("it is over", async || !cell.three.state(cell.kit(), asked).await.is_live()).await;
    assert_eq!(reason(cell.asking(&cell.three.team.ann, HOUR).await), "NO_GROUP_CELL");
}

/// The identity key of the vault stays through every rotation: who had it open once has it.
#[tokio::test]
async fn keys_of_before_a_rotation_appoint_nothing_and_whoever_made_the_new_ones_signs_it_anew() {
    let (cell, asked) = Box::pin(Cell::opened()).await;
    let (ann, bob, kit) = (&cell.three.team.ann, &cell.three.team.bob, cell.kit());
    let device = cell.three.ask(kit, bob, HOUR).await.unwrap();
    for who in [bob, ann] {
        cell.three.approve(kit, who, device.id()).await.unwrap();
    }
    let mut open = cell.three.open(kit, bob, &device).await.unwrap();
    let deal = dealing(&open, &cell.three.all(), 2);
    share(kit, bob, &mut open, deal).await.unwrap();
    assert!(!cell.three.state(kit, asked).await.is_live(), "new keys end what is open in the cell");
    cell.is_locked().await;
    assert_eq!(reason(cell.asking(ann, HOUR).await), "CELL_LAPSED");
    // Ann's device has the keys of before
    assert_eq!(reason(cell.appoint(ann, cell.signed(2)).await), "INVALID_ARGUMENT");
    // the container is hers, and it is the one that is appointed
    let again = cell.sign_by(&open, |new| NewAppointment { number: 2, ..new });
    cell.appoint(bob, again).await.unwrap();
    cell.asking(ann, HOUR).await.unwrap();
}

#[tokio::test]
async fn its_own_user_does_not_enter_and_may_lock_it() {
    let (cell, _) = Box::pin(Cell::opened()).await;
    let ann = &cell.three.team.ann;
    let own = unlock_cell(cell.container, ann.own.scope().vault);
    assert_eq!(reason(cell.kit().call(ann.caller(), own.clone()).await), "GROUP_CELL");
    let longer = ExtendUnlock { container: cell.container, extension: vec![1] };
    assert_eq!(reason(cell.kit().call(ann.caller(), longer).await), "GROUP_CELL");
    cell.kit().call(ann.caller(), LockCell { container: cell.container }).await.unwrap();
    cell.is_locked().await;
    assert_eq!(
        reason(cell.kit().call(ann.caller(), own.clone()).await),
        "GROUP_CELL",
        "nor when it is locked"
    );
    cell.dismiss(ann).await.unwrap();
    cell.kit().call(ann.caller(), own).await.unwrap();
}

/// The lock goes before what waits for its turn at the host.
#[tokio::test]
async fn an_end_that_overtakes_the_opening_locks_it_all_the_same() {
    let cell = Box::pin(Cell::appointed()).await;
    let (ann, cells) = (&cell.three.team.ann, &cell.world.cells);
    let asked = Box::pin(cell.released()).await;
    let before = cells.key_asks.load(Ordering::SeqCst);
    cells.slow_key.store(true, Ordering::SeqCst);
    let busy = cell.kit().call(ann.caller(), GetCellKey { container: cell.container });
    let hand = cell.hand(ann, asked);
    let denied = async {
        until("the host is at something else", async || cells.key_asks.load(Ordering::SeqCst) > before).await;
        let ask = GetGroupUnlock { group: cell.three.team.group, ceremony: asked };
        let handed = async || {
            let shown = cell.kit().call(ann.caller(), ask.clone()).await.unwrap();
            shown.unlock.handed_at.is_some()
        };
        until("it waits for its turn", handed).await;
        cell.three.deny(cell.kit(), &cell.three.team.carol, asked).await.unwrap();
        cells.slow_key.store(false, Ordering::SeqCst);
    };
    let (key, _, ()) = Box::pin(async { tokio::join!(busy, hand, denied) }).await;
    key.unwrap();
    cell.is_locked().await;
}
