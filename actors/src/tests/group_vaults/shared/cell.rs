//! An unlock into the cell of a container: who may name it, who gets what, and what ends with what.

mod ends;

use ocmt_crypto::{
    cell::CellKeyStatement,
    entry::EntryName,
    group_cell::{Asked as Shown, NewAppointment, Order},
};
use ocmt_types::{ContainerId, NodeId};

use super::*;
use crate::{
    api::{
        group_cells::{
            AppointGroupCell, CellAsked, DismissGroupCell, GetGroupCell, GetGroupCellKey, OpenGroupCell,
        },
        recovery::NodeStatement,
    },
    host::tests::World,
    tests::kit::until,
};

/// Three administrators, and a container of Ann's.
struct Cell {
    world: World,
    three: Three,
    container: ContainerId,
}

impl Cell {
    async fn new() -> Self {
        let world = World::sim().await;
        let three = Three::on(&world.kit).await;
        let container = world.running(&three.team.ann.person).await;
        Self { world, three, container }
    }

    async fn appointed() -> Self {
        let cell = Box::pin(Self::new()).await;
        cell.appoint(&cell.three.team.ann, cell.signed(1)).await.unwrap();
        cell
    }

    fn kit(&self) -> &Kit {
        &self.world.kit
    }

    fn node(&self) -> NodeId {
        self.kit().node.node_id
    }

    /// What the vault says of its cell, as the device has it open.
    fn signed(&self, number: u64) -> Vec<u8> {
        self.sign(|new| NewAppointment { number, ..new })
    }

    fn sign(&self, change: impl Fn(NewAppointment<'_>) -> NewAppointment<'_>) -> Vec<u8> {
        self.sign_by(&self.three.team.open, change)
    }

    fn sign_by(
        &self,
        open: &UnlockedVault,
        change: impl Fn(NewAppointment<'_>) -> NewAppointment<'_>,
    ) -> Vec<u8> {
        let bank = open.entry_id(&EntryName::new("bank").unwrap());
        let mapping = [("BANK".to_owned(), bank)];
        let new = NewAppointment {
            scope: open.scope(),
            group: self.three.team.group,
            container: self.container,
            node: self.node(),
            number: 1,
            longest_ms: 8 * 3_600_000,
            appointed_at: ocmt_types::Clock::now(&self.kit().clock),
            mapping: &mapping,
        };
        change(new).sign(open.keyring(), &mut rand::rng()).unwrap()
    }

    async fn appoint(&self, who: &Side, appointment: Vec<u8>) -> Result<Done, ActorError> {
        let group = self.three.team.group;
        self.kit().call(who.caller(), AppointGroupCell { group, appointment }).await
    }

    async fn dismiss(&self, who: &Side) -> Result<Done, ActorError> {
        self.kit().call(who.caller(), DismissGroupCell { group: self.three.team.group }).await
    }

    /// What somebody's device makes of an unlock into the cell.
    async fn asking(&self, who: &Side, lasts: Duration) -> Result<(Params, CellAsked), ActorError> {
        let group = self.three.team.group;
        let stated = self.kit().call(who.caller(), GetGroupCellKey { group, lasts }).await?;
        let (_, key) = CellKeyStatement::claimed(&stated.statement).unwrap();
        let view = self.kit().call(who.caller(), GetGroupCell { group }).await?;
        let appointment =
            ocmt_crypto::group_cell::Appointment::verify(&view.appointment, &self.three.identity()).unwrap();
        let seen = self.three.team.open.seen();
        let order = Order { appointment: appointment.hash, seen, random: rand::random() };
        let params = Params {
            nonce: order.nonce(),
            requester: key,
            purpose: Purpose::Cell,
            ..self.three.asking(self.kit(), who, lasts).await.params
        };
        let statement =
            NodeStatement { statement: stated.statement, certificate_chain: stated.certificate_chain };
        Ok((params, CellAsked { order: order.encode(), statement }))
    }

    async fn open(&self, who: &Side, params: &Params, cell: CellAsked) -> Result<UnlockView, ActorError> {
        let ask = OpenGroupUnlock { group: self.three.team.group, params: params.encode(), cell: Some(cell) };
        self.kit().call(who.caller(), ask).await
    }

    /// Asked for by Ann, approved by her and by Bob.
    async fn released(&self) -> Digest32 {
        let ann = &self.three.team.ann;
        let (params, cell) = self.asking(ann, HOUR / 2).await.unwrap();
        self.open(ann, &params, cell).await.unwrap();
        for who in [ann, &self.three.team.bob] {
            self.three.approve(self.kit(), who, params.hash()).await.unwrap();
        }
        params.hash()
    }

    async fn hand(&self, who: &Side, ceremony: Digest32) -> Result<Timestamp, ActorError> {
        let ask = OpenGroupCell { group: self.three.team.group, ceremony };
        self.kit().call(who.caller(), ask).await.map(|unlocked| unlocked.until)
    }

    /// With the cell open.
    async fn opened() -> (Self, Digest32) {
        let cell = Box::pin(Self::appointed()).await;
        let asked = cell.released().await;
        cell.hand(&cell.three.team.ann, asked).await.unwrap();
        assert!(cell.until().await.is_some());
        (cell, asked)
    }

    /// Until when the cell is unlocked, as its row has it.
    async fn until(&self) -> Option<Timestamp> {
        let get = crate::api::container::GetContainer { container: self.container };
        self.kit().call(self.three.team.ann.caller(), get).await.unwrap().unlocked_until
    }

    async fn is_locked(&self) {
        until("its cell is locked", async || self.until().await.is_none()).await;
    }
}

#[tokio::test]
async fn two_of_three_open_it_into_the_cell_and_no_session_has_anything_of_it() {
    let cell = Box::pin(Cell::appointed()).await;
    let (ann, now) = (&cell.three.team.ann, ocmt_types::Clock::now(&cell.kit().clock));
    let asked = cell.released().await;
    // no device collects it
    assert_eq!(reason(cell.three.collect(cell.kit(), ann, asked).await), "INTO_CELL");
    // whoever holds a part has it opened, and gets nothing by that
    let ends = cell.hand(&cell.three.team.carol, asked).await.unwrap();
    assert!(ends <= now + HOUR / 2, "the time that everybody saw");
    let had = cell.world.cells.together.lock().unwrap().clone();
    assert_eq!(had, [[("BANK".to_owned(), b"the value".to_vec())]], "what was appointed and nothing else");
    // the node shows the vault to nobody by it
    let list = ListEntries { vault: cell.three.team.vault(), after: None, limit: 0 };
    assert!(cell.kit().call(ann.caller(), list).await.is_err());
    // a second time is refused by the cell, which used its key
    assert_eq!(reason(cell.hand(ann, asked).await), "CELL_NOT_LOCKED");
    // everybody who holds a part was told, in its own words
    for email in ["ann@example.com", "bob@example.com", "carol@example.com"] {
        for kind in ["cell_appointed", "cell_asked", "cell_released"] {
            let kind = format!("group_vault.{kind}");
            until(&kind, async || cell.kit().mailbox.count_of(email, &kind) == 1).await;
        }
    }
}

#[tokio::test]
async fn what_approvers_are_shown_holds_by_the_vaults_own_signature() {
    let cell = Box::pin(Cell::appointed()).await;
    let (group, ann) = (cell.three.team.group, &cell.three.team.ann);
    let (params, asked) = cell.asking(ann, HOUR).await.unwrap();
    cell.open(ann, &params, asked).await.unwrap();
    let ask = GetGroupUnlock { group, ceremony: params.hash() };
    let shown = cell.kit().call(cell.three.team.bob.caller(), ask).await.unwrap();
    assert!(shown.unlock.into_cell);
    let evidence = shown.cell.unwrap();
    let host = ocmt_crypto::sign::SigningKey::from_bytes(&[9; 32]).verify_key();
    let review = Shown {
        ceremony: &params,
        order: &evidence.asked.order,
        appointment: &evidence.appointment,
        statement: &evidence.asked.statement.statement,
        group,
        identity: &cell.three.identity(),
        node: (cell.node(), &host),
    };
    let known = review.check(Some(&cell.three.team.open.seen()), params.opened_at).unwrap();
    assert_eq!(known.container, cell.container);
}

#[tokio::test]
async fn a_cell_is_named_by_the_vault_for_a_container_of_whoever_asks_or_not_at_all() {
    let cell = Box::pin(Cell::new()).await;
    let ann = &cell.three.team.ann;
    assert_eq!(reason(cell.asking(ann, HOUR).await), "NO_GROUP_CELL");
    // signed by an administrator, and not by the vault
    let stranger = vault::create(
        cell.three.team.open.scope(),
        &[NewSlot::Recovery(&RecoveryKey::generate(&mut rand::rng()))],
        &mut rand::rng(),
    );
    let bank = cell.three.team.open.entry_id(&EntryName::new("bank").unwrap());
    let mapping = [("BANK".to_owned(), bank)];
    let forged = cell.sign(|new| new);
    let forged = {
        let known = ocmt_crypto::group_cell::Appointment::verify(&forged, &cell.three.identity()).unwrap();
        let new = NewAppointment {
            scope: known.scope,
            group: known.group,
            container: known.container,
            node: known.node,
            number: 1,
            longest_ms: known.longest_ms,
            appointed_at: known.appointed_at,
            mapping: &mapping,
        };
        new.sign(stranger.unwrap().0.keyring(), &mut rand::rng()).unwrap()
    };
    assert_eq!(reason(cell.appoint(ann, forged).await), "INVALID_ARGUMENT");
    let long_ago = Timestamp(1);
    for (what, bad) in [
        ("another host", cell.sign(|new| NewAppointment { node: NodeId::from_bytes([77; 16]), ..new })),
        ("another group", cell.sign(|new| NewAppointment { group: GroupId::from_bytes([77; 16]), ..new })),
        ("a number that leaves none", cell.sign(|new| NewAppointment { number: 1 << 62, ..new })),
        ("of before", cell.sign(|new| NewAppointment { appointed_at: long_ago, ..new })),
    ] {
        assert_eq!(reason(cell.appoint(ann, bad).await), "INVALID_ARGUMENT", "{what}");
    }
    // Bob takes part and administers the group; the container is Ann's
    let refused = cell.appoint(&cell.three.team.bob, cell.signed(1)).await.unwrap_err();
    assert_eq!(refused, ActorError::NotFound);
    cell.appoint(ann, cell.signed(2)).await.unwrap();
    // the same again, and an older one
    assert_eq!(reason(cell.appoint(ann, cell.signed(2)).await), "APPOINTED_SINCE");
    // who does not take part hears nothing of it
    let dee = cell.kit().member(&ann.person, "dee@example.com", Role::Member).await;
    let dee = Side::of(cell.kit(), dee).await;
    let get = GetGroupCell { group: cell.three.team.group };
    assert_eq!(cell.kit().call(dee.caller(), get).await.unwrap_err(), ActorError::NotFound);
    assert_eq!(cell.dismiss(&dee).await.unwrap_err(), ActorError::NotFound);
    assert_eq!(reason(cell.asking(&dee, HOUR).await), "NOT_FOUND");
}

#[tokio::test]
async fn an_unlock_into_the_cell_fits_its_order_its_statement_and_its_time() {
    let cell = Box::pin(Cell::appointed()).await;
    let ann = &cell.three.team.ann;
    assert_eq!(reason(cell.asking(ann, 9 * HOUR).await), "INVALID_ARGUMENT", "longer than appointed");
    let (params, asked) = cell.asking(ann, HOUR).await.unwrap();
    let bent = CellAsked { order: Vec::new(), ..asked.clone() };
    let unstated = CellAsked {
        statement: NodeStatement { statement: vec![1, 2, 3], ..asked.statement.clone() },
        ..asked.clone()
    };
    let thief = SealSecretKey::generate(&mut rand::rng());
    for (what, params, asked) in [
        ("no order", params, bent),
        ("no statement", params, unstated),
        ("another order", Params { nonce: [1; 32], ..params }, asked.clone()),
        ("another key", Params { requester: thief.public(), ..params }, asked.clone()),
        ("to a device", Params { purpose: Purpose::Unlock, ..params }, asked.clone()),
    ] {
        assert_eq!(reason(cell.open(ann, &params, asked).await), "INVALID_ARGUMENT", "{what}");
    }
    // one of the cell's purpose that says nothing of a cell
    let bare = OpenGroupUnlock { group: cell.three.team.group, params: params.encode(), cell: None };
    assert_eq!(reason(cell.kit().call(ann.caller(), bare).await), "INVALID_ARGUMENT");
    cell.open(ann, &params, asked.clone()).await.unwrap();
    cell.open(ann, &params, asked).await.expect("a repeat is the same one");
    // the cell holds one key: another would take it from who has approved
    assert_eq!(reason(cell.asking(&cell.three.team.bob, HOUR).await), "CELL_ASKED");
    assert_eq!(reason(cell.hand(ann, params.hash()).await), "CEREMONY_NOT_RELEASED");
    // to a device meanwhile, as ever, and no cell opens that
    let device = cell.three.ask(cell.kit(), ann, HOUR).await.unwrap();
    assert_eq!(reason(cell.hand(ann, device.id()).await), "TO_A_DEVICE");
}
