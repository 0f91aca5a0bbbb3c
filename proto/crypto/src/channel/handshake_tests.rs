//! Who can open a channel, and what nobody can.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::cell::RefCell;

use ocmt_types::{ChannelId, ContainerId, Id as _, TenantId, UnlockId};

use crate::{CryptoError, seal::SealSecretKey, testing::assert_brittle};

use super::{
    CellChannels, ChannelPlace, ClientChannel, Event, FirstFrame, Lane, MAX_ARGS, MAX_ARGS_LEN, StreamKind,
    first_frame,
    test_pair::{World, place, tail},
};

#[test]
fn every_kind_of_stream_arrives_as_it_was_asked_for() {
    let mut world = World::new(1);
    let kinds = [
        StreamKind::Tcp { port: 18_789 },
        tail(),
        StreamKind::Exec { argv: vec!["true".into()], tty: false },
        StreamKind::Logs { follow: true },
        StreamKind::Logs { follow: false },
    ];
    for (id, kind) in (1..).zip(kinds) {
        let (mut client, hello) = world.hello(id, &kind);
        assert_eq!(first_frame(&hello), Ok(FirstFrame::Hello(ChannelId::from_bytes([id; 16]))));
        let (mut cell, accept) = world.cell.accept(&hello, &mut world.rng).unwrap();
        let confirm = client.feed(&accept).unwrap().frames;
        assert_eq!(cell.feed(&confirm[0]).unwrap().events, [Event::Open(kind)]);
    }
}

#[test]
fn streams_past_a_bound_are_refused() {
    let mut world = World::new(2);
    let exec = |argv: Vec<String>| StreamKind::Exec { argv, tty: false };
    for bad in [
        StreamKind::Tcp { port: 0 },
        exec(vec![]),
        exec(vec!["a".into(); MAX_ARGS + 1]),
        exec(vec!["a".repeat(MAX_ARGS_LEN + 1)]),
        exec(vec!["a\0b".into()]),
    ] {
        let opened = ClientChannel::open(
            &place(),
            ChannelId::from_bytes([1; 16]),
            &world.cell_key,
            &world.user,
            bad.clone(),
            &mut world.rng,
        );
        assert!(matches!(opened, Err(CryptoError::OutOfRange { .. })), "{bad:?}");
    }
}

#[test]
fn only_the_users_key_opens_a_channel() {
    let mut world = World::new(3);
    world.user = SealSecretKey::generate(&mut world.rng);
    let (_, hello) = world.hello(1, &tail());
    assert_eq!(world.cell.accept(&hello, &mut world.rng).err(), Some(CryptoError::Refused));
}

#[test]
fn a_hello_for_another_place_is_refused() {
    let mut world = World::new(4);
    for elsewhere in [
        ChannelPlace { tenant: TenantId::from_bytes([8; 16]), ..place() },
        ChannelPlace { container: ContainerId::from_bytes([8; 16]), ..place() },
        ChannelPlace { generation: 4, ..place() },
        ChannelPlace { unlock: UnlockId::from_bytes([8; 16]), ..place() },
    ] {
        let id = ChannelId::from_bytes([1; 16]);
        let (_, hello) =
            ClientChannel::open(&elsewhere, id, &world.cell_key, &world.user, tail(), &mut world.rng)
                .unwrap();
        assert_eq!(world.cell.accept(&hello, &mut world.rng).err(), Some(CryptoError::Refused));
    }
}

#[test]
fn a_channel_id_is_used_once() {
    let mut world = World::new(5);
    let (_, hello) = world.hello(1, &tail());
    world.cell.accept(&hello, &mut world.rng).unwrap();
    assert_eq!(world.cell.accept(&hello, &mut world.rng).err(), Some(CryptoError::Refused), "replayed");
    let (_, again) = world.hello(1, &tail());
    assert_eq!(world.cell.accept(&again, &mut world.rng).err(), Some(CryptoError::Refused), "made anew");
}

/// A forged Hello must not use an id up, or anyone could keep the user out.
#[test]
fn a_forged_hello_uses_no_id_up() {
    let mut world = World::new(6);
    let (_, hello) = world.hello(1, &tail());
    let mut forged = hello.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert!(world.cell.accept(&forged, &mut world.rng).is_err());
    assert!(world.cell.accept(&hello, &mut world.rng).is_ok());
}

#[test]
fn the_cell_neither_opens_nor_talks_before_the_client_confirms() {
    let mut world = World::new(7);
    let (mut client, hello) = world.hello(1, &tail());
    let (mut cell, accept) = world.cell.accept(&hello, &mut world.rng).unwrap();
    assert_eq!(cell.capacity(), 0);
    assert_eq!(cell.send_data(Lane::Main, b"early").err(), Some(CryptoError::OutOfOrder));
    assert_eq!(client.send_data(b"early").err(), Some(CryptoError::OutOfOrder));
    let confirm = client.feed(&accept).unwrap().frames;
    let record = client.send_data(b"input").unwrap();
    assert_eq!(cell.feed(&record[0]).err(), Some(CryptoError::OutOfOrder), "data before the confirmation");
    cell.feed(&confirm[0]).unwrap();
    cell.feed(&record[0]).unwrap();
}

/// Hello, Accept and Confirm: every bit, every prefix, one byte more.
#[test]
fn v1_v2_every_damaged_handshake_frame_is_refused() {
    let mut world = World::new(8);
    let (cell_secret, user) = (SealSecretKey::generate(&mut world.rng), world.user.public());
    let (id, stream) = (ChannelId::from_bytes([1; 16]), StreamKind::Tcp { port: 80 });
    let (client, hello) =
        ClientChannel::open(&place(), id, &cell_secret.public(), &world.user, stream.clone(), &mut world.rng)
            .unwrap();
    let door = || CellChannels::new(place(), cell_secret.duplicate(), user);
    assert_brittle(&hello, |bytes| door().accept(bytes, &mut rand::rng()).is_ok());

    // the good frame is fed last: the damaged ones must have changed nothing
    let (cell, accept) = door().accept(&hello, &mut world.rng).unwrap();
    let client = RefCell::new(client);
    assert_brittle(&accept, |bytes| bytes == accept || client.borrow_mut().feed(bytes).is_ok());
    let confirm = client.borrow_mut().feed(&accept).unwrap().frames.remove(0);

    let cell = RefCell::new(cell);
    assert_brittle(&confirm, |bytes| bytes == confirm || cell.borrow_mut().feed(bytes).is_ok());
    assert_eq!(cell.borrow_mut().feed(&confirm).unwrap().events, [Event::Open(stream)]);
}

#[test]
fn another_handshake_s_accept_is_refused() {
    let mut world = World::new(9);
    let (mut one, hello_one) = world.hello(1, &tail());
    let (mut two, hello_two) = world.hello(2, &tail());
    let (_, accept_one) = world.cell.accept(&hello_one, &mut world.rng).unwrap();
    let (_, accept_two) = world.cell.accept(&hello_two, &mut world.rng).unwrap();
    assert!(one.feed(&accept_two).is_err() && two.feed(&accept_one).is_err());
    assert!(one.feed(&accept_one).is_ok() && two.feed(&accept_two).is_ok());
}
