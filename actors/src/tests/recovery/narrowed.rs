//! A guardian whose role in their tenant was narrowed: whoever relies on them gets their vault back all the same.

use super::circle::{Circle, SHORT, short};
use crate::{
    api::{
        recovery::{ListGuardianships, Side},
        users::{CreateRole, Role, RoleId, SetRole},
    },
    tests::kit::Kit,
};

#[tokio::test]
async fn a_guardian_answers_whatever_is_left_of_their_role() {
    let mut circle = Circle::gather(Kit::sim_with(short).await, &[1], SHORT).await;
    let max = circle.kit.member(&circle.owner, "max@example.com", Role::Member).await;
    circle.seat(max, 1).await;
    circle.deal(2).await.unwrap();
    circle.arrived().await;
    let left =
        CreateRole { id: "little".to_owned(), base: Role::Member, permissions: vec!["user.list".to_owned()] };
    circle.kit.call(&circle.owner.caller, left).await.unwrap();
    let (user, role) = (circle.guards[1].person.user, RoleId::Custom("little".to_owned()));
    circle.kit.call(&circle.owner.caller, SetRole { user, role }).await.unwrap();
    let requester = circle.opened().await;
    let list = ListGuardianships { side: Some(Side::Guardian), ..ListGuardianships::default() };
    let seen = circle.kit.call(&circle.guards[1].person.caller, list).await.unwrap();
    assert_eq!(seen.guardianships.len(), 1);
    circle.approve(1, requester.id()).await.unwrap();
    let view = circle.state_of(&requester.person, requester.id()).await.unwrap();
    assert_eq!(view.units_approved, 1);
    // nor can it be put into a role as if it could be left out
    let named = CreateRole {
        id: "acts".to_owned(),
        base: Role::Member,
        permissions: vec!["guardian.act".to_owned()],
    };
    assert!(circle.kit.call(&circle.owner.caller, named).await.is_err());
}
