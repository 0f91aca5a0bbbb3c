//! What a node, an old copy of the database, and whoever has been an administrator can make of an unlock into a cell.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use ocmt_types::{ContainerId, Digest32, Id as _, NodeId, UnlockId};

use crate::{
    CryptoError,
    cell::CellKey,
    ceremony::{Ceremony, Purpose},
    datakey::ObjectPlace,
    entry::{Entry, EntryName},
    object::open_body,
    seal::SealSecretKey,
    sign::SigningKey,
    testing::assert_brittle,
    vault::Seen,
};

use super::{
    Appointment, Handover, NewAppointment, Order,
    test_world::{HOUR, NOW, World, appointment, scope},
    unlock_id,
};

#[test]
fn two_of_three_open_it_into_the_cell_and_it_has_the_appointed_entry_alone() {
    let mut world = World::new();
    let order = world.order();
    let ceremony = world.ceremony(&order);
    let statement = world.statement_of(&world.cell, None);
    world.check(&ceremony, &order, &statement, Some(&world.open.seen())).unwrap();
    let approvals = world.approvals(&ceremony, &[0, 2]);
    let opened = world.hand(&ceremony, &order, &approvals).unwrap();
    assert!(opened.bad.is_empty());
    let payload = opened.payload.unwrap();
    assert_eq!(payload.unlock, unlock_id(&ceremony));
    assert_eq!(payload.lease_ms, 90 * 60_000, "what is left of two hours after half of one");
    assert!(payload.conversations.is_empty() && payload.may_write.is_empty());
    let [one] = payload.entries.as_slice() else { panic!("one entry") };
    assert_eq!(one.name, "DEPLOY_KEY");
    let body = &world.objects.iter().find(|object| object.object_id == one.object).unwrap().body;
    let place = ObjectPlace { scope: scope(), object: one.object, version: one.version };
    let plain = open_body(&one.data_key, &place, body).unwrap();
    assert_eq!(Entry::decode(&plain).unwrap().value.as_slice(), b"s3cret");
    // the same again opens nothing: the key was used
    assert_eq!(world.hand(&ceremony, &order, &approvals).err(), Some(CryptoError::Refused));
}

#[test]
fn one_part_is_not_enough_and_parts_for_another_key_open_nothing() {
    let mut world = World::new();
    let order = world.order();
    let ceremony = world.ceremony(&order);
    let one = world.approvals(&ceremony, &[1]);
    let opened = world.hand(&ceremony, &order, &one).unwrap();
    assert!(opened.payload.is_none() && opened.bad.is_empty());
    // a node asks for a key of its own, and hands the cell what it got
    let thief = SealSecretKey::generate(&mut world.rng);
    let swapped = Ceremony { requester: thief.public(), ..ceremony };
    let parts = world.approvals(&swapped, &[0, 1]);
    assert_eq!(world.hand(&swapped, &order, &parts).err(), Some(CryptoError::Refused));
    // a cell that was started anew has another key
    world.cell = CellKey::generate(world.place, [10; 32], &mut world.rng);
    let parts = world.approvals(&ceremony, &[0, 1]);
    assert_eq!(world.hand(&ceremony, &order, &parts).err(), Some(CryptoError::Refused));
}

#[test]
fn nobody_seals_a_part_to_a_key_that_the_appointed_host_does_not_state() {
    let mut world = World::new();
    let order = world.order();
    let ceremony = world.ceremony(&order);
    let good = world.statement_of(&world.cell, None);
    let refused = Err(CryptoError::Refused);
    world.check(&ceremony, &order, &good, None).unwrap();
    // another key under the same statement, another key under its own, an unlock that is on already
    let thief = CellKey::generate(world.place, [9; 32], &mut world.rng);
    let swapped = Ceremony { requester: thief.public(), ..ceremony };
    assert_eq!(world.check(&swapped, &order, &good, None), refused);
    let busy = world.statement_of(&world.cell, Some(UnlockId::from_bytes([1; 16])));
    assert_eq!(world.check(&ceremony, &order, &busy, None), refused);
    // another host, whose certificate is as good
    let host = std::mem::replace(&mut world.host, SigningKey::generate(&mut world.rng));
    let forged = world.statement_of(&thief, None);
    let other = std::mem::replace(&mut world.host, host).verify_key();
    assert_eq!(world.check(&swapped, &order, &forged, None), refused);
    let by = (NodeId::from_bytes([80; 16]), &other);
    assert_eq!(world.check_by(by, &swapped, &order, &forged, None), refused, "in the appointed one's name");
    // another container of the same host
    let place = world.place;
    world.place.container = ContainerId::from_bytes([70; 16]);
    let elsewhere = world.statement_of(&world.cell, None);
    world.place = place;
    assert_eq!(world.check(&ceremony, &order, &elsewhere, None), refused);
    // to a device, or of an order that is not the ceremony's
    let device = Ceremony { purpose: Purpose::Unlock, ..ceremony };
    assert_eq!(world.check(&device, &order, &good, None), refused);
    assert_eq!(world.check(&ceremony, &Order { random: [5; 32], ..order }, &good, None), refused);
}

/// What was agreed to is in the name of the ceremony, and the rest comes from the node.
#[test]
fn the_cell_opens_nothing_by_another_order_nor_what_was_approved_for_a_device() {
    let mut world = World::new();
    let order = world.order();
    let ceremony = world.ceremony(&order);
    let approvals = world.approvals(&ceremony, &[0, 1]);
    let other = Order { random: [5; 32], ..order };
    assert_eq!(world.hand(&ceremony, &other, &approvals).err(), Some(CryptoError::Refused));
    let device = Ceremony { purpose: Purpose::Unlock, ..ceremony };
    let parts = world.approvals(&device, &[0, 1]);
    assert_eq!(world.hand(&device, &order, &parts).err(), Some(CryptoError::Refused));
    assert!(world.hand(&ceremony, &order, &approvals).unwrap().payload.is_some());
}

#[test]
fn an_older_vault_and_an_older_appointment_are_refused_by_device_and_cell() {
    let mut world = World::new();
    let order = world.order();
    let ceremony = world.ceremony(&order);
    let statement = world.statement_of(&world.cell, None);
    // the devices: one of them has seen more
    let newer = Seen { counter: order.seen.counter + 1, ..order.seen };
    let shown = world.check(&ceremony, &order, &statement, Some(&newer));
    assert_eq!(shown, Err(CryptoError::RolledBack { shown: order.seen.counter, seen: newer.counter }));
    let fork = Seen { manifest_hash: Digest32([1; 32]), ..order.seen };
    assert!(world.check(&ceremony, &order, &statement, Some(&fork)).is_err());
    // the cell: what it is handed is from before what was ordered
    let order = Order { seen: newer, ..order };
    let ceremony = world.ceremony(&order);
    let approvals = world.approvals(&ceremony, &[0, 1]);
    let handed = world.hand(&ceremony, &order, &approvals).err();
    assert_eq!(handed, Some(CryptoError::RolledBack { shown: newer.counter - 1, seen: newer.counter }));
    // an appointment that the vault has signed too, and nobody ordered
    let order = world.order();
    let ceremony = world.ceremony(&order);
    let statement = world.statement_of(&world.cell, None);
    let approvals = world.approvals(&ceremony, &[0, 1]);
    world.appointment = appointment(&world.open, 2).sign(world.open.keyring(), &mut world.rng).unwrap();
    assert_eq!(world.check(&ceremony, &order, &statement, None), Err(CryptoError::Refused));
    assert_eq!(world.hand(&ceremony, &order, &approvals).err(), Some(CryptoError::Refused));
}

#[test]
fn the_time_is_over_by_whichever_clock_says_so_first() {
    let mut world = World::new();
    let order = world.order();
    let ceremony = world.ceremony(&order);
    let approvals = world.approvals(&ceremony, &[0, 1]);
    // both clocks are past it; then one of them each: the other was set back, or stood
    for at in [(2 * HOUR, NOW + 2 * HOUR), (2 * HOUR, NOW), (Duration::ZERO, NOW + 2 * HOUR)] {
        assert_eq!(world.hand_at(&ceremony, &order, &approvals, at).err(), Some(CryptoError::Refused));
    }
    let back = (HOUR, NOW - 10 * HOUR);
    let opened = world.hand_at(&ceremony, &order, &approvals, back).unwrap();
    assert_eq!(opened.payload.unwrap().lease_ms, 3_600_000, "a clock that is set back makes it no longer");
    // longer than the vault allows: neither device nor cell
    let mut world = World::new();
    let order = world.order();
    let long = Ceremony { expires_at: NOW + 9 * HOUR, ..world.ceremony(&order) };
    let statement = world.statement_of(&world.cell, None);
    assert!(matches!(world.check(&long, &order, &statement, None), Err(CryptoError::OutOfRange { .. })));
    let approvals = world.approvals(&long, &[0, 1]);
    assert_eq!(world.hand(&long, &order, &approvals).err(), Some(CryptoError::Refused));
}

#[test]
fn an_entry_that_was_changed_since_or_is_another_one_is_refused() {
    let mut world = World::new();
    let order = world.order();
    let ceremony = world.ceremony(&order);
    let approvals = world.approvals(&ceremony, &[0, 1]);
    let whole = std::mem::take(&mut world.objects);
    let appointed = world.open.entry_id(&EntryName::new("deploy key").unwrap());
    // not handed at all
    world.objects = whole.iter().filter(|one| one.object_id != appointed).cloned().collect();
    assert_eq!(world.hand(&ceremony, &order, &approvals).err(), Some(CryptoError::Refused));
    // with another body
    world.objects = whole.clone();
    world.objects.iter_mut().filter(|one| one.object_id == appointed).for_each(|one| one.body[40] ^= 1);
    assert_eq!(world.hand(&ceremony, &order, &approvals).err(), Some(CryptoError::Refused));
    world.objects = whole;
    assert!(world.hand(&ceremony, &order, &approvals).unwrap().payload.is_some());
}

#[test]
fn an_appointment_is_brittle_and_the_vaults_own() {
    let mut world = World::new();
    let keyring = world.open.keyring();
    let identity = keyring.identity_signing.verify_key();
    assert_brittle(&world.appointment, |bytes| Appointment::verify(bytes, &identity).is_ok());
    let stranger = SigningKey::generate(&mut world.rng).verify_key();
    assert!(Appointment::verify(&world.appointment, &stranger).is_err());
    let known = Appointment::verify(&world.appointment, &identity).unwrap();
    let id = world.open.entry_id(&EntryName::new("deploy key").unwrap());
    assert_eq!(known.open_mapping(&keyring.identity_seal).unwrap(), [("DEPLOY_KEY".to_owned(), id)]);
    assert_eq!(known.open_mapping(&world.admins[0].sealing).err(), Some(CryptoError::Refused));
    let order = world.order();
    assert_brittle(&order.encode(), |bytes| {
        Order::decode(bytes).is_ok_and(|other| other.nonce() == order.nonce())
    });
}

/// The identity key stays through every rotation: who had the vault open once has it.
#[test]
fn who_had_the_vault_open_before_its_keys_were_made_anew_appoints_nothing() {
    let mut world = World::new();
    let old = world.open.keyring().rewrapped(SigningKey::generate(&mut world.rng));
    world.appointment = appointment(&world.open, 9).sign(&old, &mut world.rng).unwrap();
    let order = world.order();
    let ceremony = world.ceremony(&order);
    let approvals = world.approvals(&ceremony, &[0, 1]);
    assert_eq!(world.hand(&ceremony, &order, &approvals).err(), Some(CryptoError::Refused));
    // and the present key cannot be named without it
    let identity = old.identity_signing.verify_key();
    let (named, present) =
        (old.vault_signing.verify_key().0, world.open.keyring().vault_signing.verify_key().0);
    let at = world.appointment.windows(32).position(|some| some == named).unwrap();
    let body = world.appointment.len() - 64;
    world.appointment[at..at + 32].copy_from_slice(&present);
    let again = old.identity_signing.sign(super::appointment::PURPOSE, &world.appointment[..body]);
    world.appointment[body..].copy_from_slice(&again.0);
    assert_eq!(Appointment::verify(&world.appointment, &identity), Err(CryptoError::Refused));
}

#[test]
fn an_appointment_is_held_to_its_bounds() {
    let mut world = World::new();
    let id = Digest32([1; 32]);
    let good = appointment(&world.open, 1);
    let keyring = world.open.keyring();
    for mapping in [
        Vec::new(),
        vec![("OCMT_CELL".to_owned(), id)],
        vec![("1KEY".to_owned(), id)],
        vec![("KEY".to_owned(), id), ("KEY".to_owned(), Digest32([2; 32]))],
        (0..257).map(|n| (format!("KEY_{n}"), id)).collect(),
    ] {
        assert!(NewAppointment { mapping: &mapping, ..good }.sign(keyring, &mut world.rng).is_err());
    }
    let most: Vec<_> =
        (0..=255).map(|n: u8| (format!("{:K<128}", format!("K{n}_")), Digest32([n; 32]))).collect();
    let signed = NewAppointment { mapping: &most, ..good }.sign(keyring, &mut world.rng).unwrap();
    assert!(signed.len() <= super::MAX_APPOINTMENT);
    for bad in [
        NewAppointment { number: 0, ..good },
        NewAppointment { longest_ms: super::SHORTEST_MS - 1, ..good },
        NewAppointment { longest_ms: super::LONGEST_MS + 1, ..good },
    ] {
        assert!(bad.sign(keyring, &mut world.rng).is_err());
    }
}

#[test]
fn a_part_that_was_not_dealt_names_who_gave_it_and_the_key_stays_good_for_the_others() {
    let mut world = World::new();
    let order = world.order();
    let ceremony = world.ceremony(&order);
    let mut approvals = world.approvals(&ceremony, &[0, 1]);
    // the second one's device releases what another ceremony was given
    let other = Ceremony { expires_at: NOW + HOUR, ..ceremony };
    approvals[1] = world.approvals(&other, &[1]).remove(0);
    let opened = world.hand(&ceremony, &order, &approvals).unwrap();
    assert!(opened.payload.is_none());
    assert_eq!(opened.bad.len(), 1);
    let approvals = world.approvals(&ceremony, &[0, 1]);
    assert!(world.hand(&ceremony, &order, &approvals).unwrap().payload.is_some());
}

#[test]
fn a_handover_is_read_whole_or_refused() {
    let mut world = World::new();
    let order = world.order();
    let ceremony = world.ceremony(&order);
    let approvals = world.approvals(&ceremony, &[0, 1]);
    let bytes = world.handover(&ceremony, &order, &approvals).encode();
    for len in 0..bytes.len() {
        assert!(Handover::decode(&bytes[..len]).is_err(), "the first {len} bytes are taken");
    }
    assert!(Handover::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
}
